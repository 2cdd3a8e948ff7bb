"""The mirror follows UISP over the wire: rounds, what is gone, what moves under us, what breaks off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from billing.port import SyncResult, Unavailable
from billing.systems.uisp import BILLING
from billing.uisp import client as client_module
from billing.uisp.mapping import Problems
from billing.uisp.mirror import write_clients
from billing.uisp.system import UispSystem
from store.billing_refs import RefKind
from store.billing_sync import SyncState
from store.models import (
    Channel,
    ContactOverride,
    ContactRole,
    Facts,
    Invoice,
    InvoiceStatus,
    PackageStatus,
    Subscriber,
    SubscriberStatus,
)
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, hold_of, invoice_record, package_record, subscriber_record
from tests.conftest import FakeClock
from tests.uisp_world import OWES, UispWorld, small_cast, uisp_world

CAST = small_cast("1001", "1042", "1100", "1103", OWES, "1260", "1315", "1277", "1290", "1188")


class Mirror:
    def __init__(self, world: UispWorld, store: Store, clock: FakeClock) -> None:
        self.world, self.store, self.clock = world, store, clock
        self.system = self.opened()

    def opened(self) -> UispSystem:
        system = BILLING.open(self.store, 1, self.world.remote())
        assert isinstance(system, UispSystem)
        return system

    async def sync(self, *, full: bool = True) -> SyncResult:
        self.clock.advance(minutes=1)
        result = await self.system.sync(full=full)
        assert isinstance(result, SyncResult), result
        return result

    async def subscriber(self, account: str) -> Subscriber:
        async with self.store.read(1) as tx:
            found = await tx.subscribers.by_account(account)
        assert found is not None, account
        return found

    async def addresses(self, account: str) -> list[str]:
        sid = (await self.subscriber(account)).id
        async with self.store.read(1) as tx:
            points = (await tx.subscribers.points([sid]))[sid]
        return [p.address for p in points if p.channel is Channel.EMAIL]

    async def invoices(self, account: str) -> dict[str, Invoice]:
        sid = (await self.subscriber(account)).id
        async with self.store.read(1) as tx:
            return {i.number: i for i in await tx.invoices.of_subscriber(sid, list(InvoiceStatus))}

    async def statuses(self, account: str) -> set[PackageStatus]:
        sid = (await self.subscriber(account)).id
        async with self.store.read(1) as tx:
            return {p.status for p in await tx.packages.of_subscriber(sid)}

    async def state(self) -> SyncState:
        async with self.store.read(1) as tx:
            return await tx.billing_sync.state()


@pytest.fixture
async def mirror(store: Store, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Mirror]:
    async with uisp_world(tmp_path / "uisp", CAST) as world:
        mirror = Mirror(world, store, clock)
        yield mirror
        assert await world.problems() == []
        await mirror.system.close()


async def test_a_full_round_brings_everything(mirror: Mirror) -> None:
    told: list[tuple[str, int, int]] = []
    mirror.clock.advance(minutes=1)
    result = await mirror.system.sync(full=True, progress=lambda *step: told.append(step))
    assert isinstance(result, SyncResult)
    assert (result.clients, result.invoices) == (len(CAST.subscriber_rows), len(CAST.invoice_rows))
    assert (result.archived, result.problems) == (0, ())
    assert [section for section, _, _ in told] == ["clients", "services", "invoices", "invoices"]
    assert [done for section, done, _ in told if section == "invoices"] == [100, len(CAST.invoice_rows)]
    parent = await mirror.subscriber("1100")
    assert parent.facts == Facts("uisp", mirror.clock())
    assert len(await mirror.addresses("1100")) == 4, "three in the billing field, and one for service"
    assert (await mirror.subscriber("1315")).status is SubscriberStatus.ARCHIVED
    assert (await mirror.subscriber(OWES)).balance.minor > 0
    assert (await mirror.subscriber("1277")).balance.minor == 0
    assert await mirror.statuses("1260") == {PackageStatus.SUSPENDED}
    state = await mirror.state()
    assert (state.synced_at, state.full_at, state.started_at) == (mirror.clock(), mirror.clock(), None)


async def test_the_second_round_changes_nothing(mirror: Mirror) -> None:
    await mirror.sync()
    before = await mirror.invoices(OWES), await mirror.subscriber(OWES)
    await mirror.sync()
    after = await mirror.invoices(OWES), await mirror.subscriber(OWES)
    assert {n: (i.id, i.revision) for n, i in before[0].items()} == {
        n: (i.id, i.revision) for n, i in after[0].items()
    }
    assert before[1].id == after[1].id
    assert after[1].facts.as_of > before[1].facts.as_of


async def test_the_short_round_reads_only_unpaid_invoices_and_sees_one_that_was_paid(
    mirror: Mirror,
) -> None:
    await mirror.sync()
    owed = {n for n, i in (await mirror.invoices(OWES)).items() if i.status is InvoiceStatus.OPEN}
    assert owed
    await mirror.world.change(OWES, paid="all")
    since = (await mirror.world.call("GET", "wire"))[-1]["seq"]
    result = await mirror.sync(full=False)
    assert result.invoices < len(CAST.invoice_rows) / 2
    assert {(await mirror.invoices(OWES))[n].status for n in owed} == {InvoiceStatus.PAID}
    assert (await mirror.subscriber(OWES)).balance.minor == 0
    asked = await mirror.world.asked(since)
    assert sum(call.startswith("GET invoices/") for call in asked) == len(owed), "each asked for by itself"
    assert (await mirror.state()).full_at != (await mirror.state()).synced_at


async def test_an_invoice_that_was_removed_is_void_here(mirror: Mirror) -> None:
    await mirror.sync()
    number = next(n for n, i in (await mirror.invoices(OWES)).items() if i.status is InvoiceStatus.OPEN)
    await mirror.world.change(OWES, invoice={"number": number, "gone": True})
    await mirror.sync(full=False)
    assert (await mirror.invoices(OWES))[number].status is InvoiceStatus.VOID


async def test_a_draft_that_is_issued_stays_the_same_invoice(mirror: Mirror) -> None:
    entry = (await mirror.world.client("1001"))["invoices"][0]
    await mirror.world.change("1001", invoice={"number": entry["number"], "status": 0})
    fields = {"number": entry["number"]}
    mirror.world.site.world.documents.put(
        "billing_invoice", str(entry["id"]), {**entry, "status": 0, "number": None}
    )
    await mirror.sync()
    draft = (await mirror.invoices("1001"))[f"draft-{entry['id']}"]
    mirror.world.site.world.documents.put("billing_invoice", str(entry["id"]), {**entry, **fields})
    await mirror.sync()
    invoices = await mirror.invoices("1001")
    assert invoices[entry["number"]].id == draft.id
    assert f"draft-{entry['id']}" not in invoices


async def test_a_deleted_client_is_archived_once_uisp_says_so_itself(mirror: Mirror) -> None:
    await mirror.sync()
    await mirror.world.change("1042", gone=True)
    assert (await mirror.sync(full=False)).archived == 1
    assert (await mirror.subscriber("1042")).status is SubscriberStatus.ARCHIVED
    assert await mirror.statuses("1042") == {PackageStatus.INACTIVE}
    assert (await mirror.sync()).archived == 0


async def test_a_uisp_that_knows_nobody_archives_nobody(mirror: Mirror, tmp_path: Path) -> None:
    await mirror.sync()
    for account in [row.account for row in CAST.subscriber_rows]:
        if account != "1001":
            await mirror.world.change(account, gone=True)
    async with mirror.store.begin(1) as tx:  # more than a few, as an installation has
        for number in range(5):
            ids = await tx.subscribers.upsert([subscriber_record(f"9{number}", facts=Facts("uisp", NOW))])
            await tx.billing_refs.keep(RefKind.CLIENT, {f"90{number}": ids[f"9{number}"]})
    mirror.clock.advance(minutes=1)
    result = await mirror.system.sync(full=True)
    assert isinstance(result, Unavailable)
    assert "nothing was archived" in result.sentence
    assert (await mirror.subscriber("1042")).status is SubscriberStatus.ACTIVE
    assert (await mirror.state()).trouble == result.sentence


async def test_a_renamed_client_keeps_history_holds_and_whom_it_pays_for(mirror: Mirror) -> None:
    await mirror.sync()
    before = await mirror.subscriber("1042")
    async with mirror.store.begin(1) as tx:
        await tx.notes.add_hold(hold_of("1042"))
    await mirror.world.change("1042", client={"userIdent": "7042"})
    await mirror.sync(full=False)
    assert (await mirror.subscriber("7042")).id == before.id
    async with mirror.store.read(1) as tx:
        assert await tx.subscribers.by_account("1042") is None
        assert await tx.notes.holds_of("7042")


async def test_two_clients_of_one_number_are_both_kept_and_told_about(mirror: Mirror) -> None:
    await mirror.world.change("1042", client={"userIdent": "1001"})
    result = await mirror.sync()
    assert ("Its number is another client's too: both are kept.") in dict(result.problems).values()
    assert result.clients == len(CAST.subscriber_rows)
    second = await mirror.sync()
    assert second.problems == (), "it is known by its own number from now on"


async def test_an_account_that_files_brought_is_taken_over_with_what_uisp_does_not_know(
    mirror: Mirror,
) -> None:
    async with mirror.store.begin(1) as tx:
        record = subscriber_record("1042", language="es", payer_account="1100")
        sid = (await tx.subscribers.upsert([record]))["1042"]
        await tx.packages.upsert([package_record(sid, "P-OLD")])
        await tx.invoices.upsert([invoice_record(sid, "OLD-1")])
    await mirror.sync()
    found = await mirror.subscriber("1042")
    assert (found.id, found.language, found.payer_account) == (sid, "es", "1100")
    async with mirror.store.read(1) as tx:
        old = next(p for p in await tx.packages.of_subscriber(sid) if p.ref == "P-OLD")
    assert old.status is PackageStatus.INACTIVE
    assert (await mirror.invoices("1042"))["OLD-1"].status is InvoiceStatus.VOID


async def test_a_mended_address_survives_until_uisp_agrees(mirror: Mirror) -> None:
    await mirror.sync()
    (old,) = await mirror.addresses("1042")
    sid = (await mirror.subscriber("1042")).id
    override = ContactOverride(
        new_id(),
        sid,
        ContactRole.BILLING,
        Channel.EMAIL,
        old,
        "maria@inbox.example",
        "U_AGENT",
        mirror.clock(),
    )
    async with mirror.store.begin(1) as tx:
        assert await tx.subscribers.change_point(
            sid, ContactRole.BILLING, Channel.EMAIL, old, "maria@inbox.example"
        )
        await tx.overrides.add(override)
    await mirror.sync()
    assert await mirror.addresses("1042") == ["maria@inbox.example"]
    assert await _stands(mirror, sid)
    client = (await mirror.world.client("1042"))["client"]
    contacts = [{**client["contacts"][0], "email": "maria@inbox.example"}]
    await mirror.world.change("1042", client={"contacts": contacts})
    await mirror.sync(full=False)
    assert await mirror.addresses("1042") == ["maria@inbox.example"]
    assert not await _stands(mirror, sid), "billing agrees, so nothing is overridden any more"


async def _stands(mirror: Mirror, sid: UUID) -> bool:
    async with mirror.store.read(1) as tx:
        return sid in await tx.overrides.active([sid])


async def test_a_server_that_gives_short_pages_is_read_to_the_end(mirror: Mirror) -> None:
    await mirror.world.behave(page=3)
    assert (await mirror.sync()).clients == len(CAST.subscriber_rows)


async def test_a_list_that_moves_under_us_passes_nobody_over(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PAGE", 3)
    seen: list[int] = []
    async for position, entries in mirror.system._client.pages("clients"):
        seen += [entry["id"] for entry in entries]
        if position == 6:
            await mirror.world.change("1001", gone=True)  # everybody behind it moves up by one
    ids = [entry["id"] for entry in await mirror.system._client.get("clients")]
    assert set(ids) <= set(seen)


async def test_a_round_that_breaks_off_goes_on_behind_its_last_page(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.uisp.sync.PATIENCE_S", 0.0)
    await mirror.world.behave(path="invoices", status=500)
    mirror.clock.advance(minutes=1)
    result = await mirror.system.sync(full=True)
    assert result == Unavailable("UISP has trouble of its own (HTTP 500).")
    broken = await mirror.state()
    assert (broken.section, broken.started_at is not None, broken.full) == ("services", True, True)
    assert broken.trouble == result.sentence
    await mirror.world.behave()
    since = (await mirror.world.call("GET", "wire"))[-1]["seq"]
    other = mirror.opened()  # another process
    mirror.clock.advance(minutes=1)
    assert isinstance(await other.sync(full=True), SyncResult)
    await other.close()
    assert "GET clients" not in await mirror.world.asked(since)
    state = await mirror.state()
    assert (state.full_at, state.trouble) == (broken.started_at, "")


async def test_a_round_that_was_broken_off_long_ago_begins_anew(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.uisp.sync.PATIENCE_S", 0.0)
    await mirror.world.behave(path="invoices", status=500)
    assert isinstance(await mirror.system.sync(full=True), Unavailable)
    await mirror.world.behave()
    mirror.clock.advance(hours=2)
    result = await mirror.sync()
    assert result.clients == len(CAST.subscriber_rows)


async def test_a_busy_server_is_waited_for_in_the_middle_of_a_round(mirror: Mirror) -> None:
    await mirror.world.behave(path="invoices", status=429, retry_after_s=0, times=2)
    await mirror.world.behave(path="clients/services", status=502, times=1)
    assert (await mirror.sync()).invoices == len(CAST.invoice_rows)


async def test_what_cannot_be_read_is_told_and_stops_nothing(mirror: Mirror) -> None:
    await mirror.world.change("1042", client={"currencyCode": "QQQ"})
    await mirror.world.change("1001", service={"status": 77})
    result = await mirror.sync()
    told = [sentence for _, sentence in result.problems]
    assert "Its currency is no ISO 4217 code." in told
    assert "Its status is not known to this version." in told
    assert "Its client could not be taken in yet." in told
    assert (await mirror.subscriber("1001")).account == "1001"
    assert result.archived == 0


async def test_facts_that_somebody_asked_for_meanwhile_are_not_overwritten_by_an_older_page(
    mirror: Mirror,
) -> None:
    await mirror.sync()
    stale = await mirror.system._client.get("clients")
    asked_at = mirror.clock()
    mirror.clock.advance(minutes=1)
    await mirror.world.change(OWES, paid="all")
    await mirror.system.refresh((await mirror.subscriber(OWES)).id)
    async with mirror.store.begin(1) as tx:
        await write_clients(tx, mirror.system._reading, stale, Facts("uisp", asked_at), Problems())
    assert (await mirror.subscriber(OWES)).balance.minor == 0
