"""Entries in UISP's client log and tickets: once each, whatever happens on the way; on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from billing.acts import ActExecutor
from billing.filing_clerk import MOST_TRIES, NOT_TAKEN, FilingClerk
from billing.port import SyncResult
from billing.systems.local import BILLING as LOCAL
from billing.systems.uisp import BILLING
from billing.uisp.system import UispSystem
from store.filings import Filing, FilingKind, FilingState
from store.models import ActKind, ActState, BillingAct
from store.tables import billing_filings
from store.types import new_id
from store.unit import Store
from tests.builders import outbox, subscriber_record
from tests.contracts.test_act_executor import _announce
from tests.uisp_world import OWES, UispWorld, small_cast, uisp_world


class Office:
    def __init__(self, world: UispWorld, store: Store) -> None:
        system = BILLING.open(store, 1, world.remote())
        assert isinstance(system, UispSystem)
        self.world, self.store, self.system = world, store, system
        self.clerk = FilingClerk(store, {1: system, 2: LOCAL.open(store, 2)})
        self.sid = new_id()

    async def add(self, kind: FilingKind = FilingKind.LOG, body: str = "Something happened.") -> UUID:
        filing_id = new_id()
        async with self.store.begin(1) as tx:
            assert await tx.filings.add(filing_id, kind, self.sid, body, subject="A case")
        return filing_id

    async def of(self, filing_id: UUID) -> Filing:
        async with self.store.read(1) as tx:
            found = await tx.filings.get(filing_id)
        assert found is not None
        return found

    async def due(self) -> None:
        """Waits are in the database's real time, which no test moves."""
        async with self.store.begin(1) as tx:
            past = datetime(2020, 1, 1, tzinfo=UTC)
            await tx.conn.execute(billing_filings.update().values(lease_until=past))


@pytest.fixture
async def office(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr("billing.uisp.filing.BUSY_S", 0.0)
    async with uisp_world(tmp_path / "uisp", small_cast(OWES, "1001")) as world:
        office = Office(world, store)
        assert isinstance(await office.system.sync(full=True), SyncResult)
        async with store.read(1) as tx:
            found = await tx.subscribers.by_account(OWES)
        assert found is not None
        office.sid = found.id
        yield office
        assert await world.problems() == []
        await office.system.close()


async def test_an_entry_stands_in_the_clients_log_and_its_text_goes_from_here(office: Office) -> None:
    filing_id = await office.add(body="The address was mended.")
    assert await office.clerk.work() == 1
    (entry,) = (await office.world.books())["logs"]
    client = (await office.world.client(OWES))["client"]["id"]
    assert entry["clientId"] == client
    assert entry["message"].startswith("The address was mended.")
    filed = await office.of(filing_id)
    assert (filed.state, filed.external_ref, filed.body) == (FilingState.FILED, str(entry["id"]), "")
    assert await office.clerk.work() == 0


async def test_a_ticket_is_private_and_tells_what_it_is_about(office: Office) -> None:
    await office.add(FilingKind.TICKET, "Evidence.")
    await office.clerk.work()
    (ticket,) = (await office.world.books())["tickets"]
    assert (ticket["subject"], ticket["public"]) == ("A case", False)
    (activity,) = ticket["activity"]
    assert activity["comment"]["body"].startswith("Evidence.")
    assert activity["comment"]["public"] is False


@pytest.mark.parametrize("kind", list(FilingKind))
async def test_a_lost_answer_is_looked_for_and_not_filed_again(office: Office, kind: FilingKind) -> None:
    await office.world.behave(method="POST", lose_response=True, times=1)
    filing_id = await office.add(kind)
    await office.clerk.work()
    doubt = await office.of(filing_id)
    assert (doubt.state, doubt.result) == (FilingState.WAITING, "UISP did not answer to the end.")
    assert await office.clerk.work() == 0, "not at once again"
    await office.due()
    await office.clerk.work()
    books = await office.world.books()
    assert len(books["logs"] + books["tickets"]) == 1
    assert (await office.of(filing_id)).state is FilingState.FILED


async def test_what_never_arrived_is_filed_the_next_time(office: Office) -> None:
    await office.world.behave(method="POST", status=503, times=1)
    filing_id = await office.add()
    await office.clerk.work()
    await office.due()
    await office.clerk.work()
    assert (await office.of(filing_id)).attempt == 2
    assert len((await office.world.books())["logs"]) == 1


async def test_what_uisp_refuses_ends_and_says_why(office: Office) -> None:
    await office.world.behave(method="POST", access="read", times=1)
    filing_id = await office.add()
    await office.clerk.work()
    refused = await office.of(filing_id)
    assert refused.state is FilingState.REFUSED
    assert "may not do this in UISP" in refused.result
    assert refused.body == ""


async def test_what_is_not_taken_for_hours_ends(office: Office) -> None:
    await office.world.behave(method="POST", status=500)
    filing_id = await office.add()
    for _ in range(MOST_TRIES):
        assert await office.clerk.work() == 1
        await office.due()
    assert (await office.of(filing_id)).state is FilingState.REFUSED
    assert await office.clerk.work() == 0


async def test_an_account_that_uisp_does_not_know_and_a_system_without_books_refuse(office: Office) -> None:
    async with office.store.begin(1) as tx:
        here = (await tx.subscribers.upsert([subscriber_record("9999")]))["9999"]
        await tx.filings.add(here, FilingKind.LOG, here, "x")
    async with office.store.begin(2) as tx:
        there = (await tx.subscribers.upsert([subscriber_record("1001")]))["1001"]
        await tx.filings.add(there, FilingKind.LOG, there, "x")
    assert await office.clerk.work() == 2
    assert (await office.of(here)).result == "UISP does not know this account."
    async with office.store.read(2) as tx:
        other = await tx.filings.get(there)
    assert other is not None
    assert (other.state, other.result) == (FilingState.REFUSED, NOT_TAKEN)


async def test_two_clerks_file_one_entry_once(office: Office) -> None:
    filing_id = await office.add()
    async with office.store.system() as tx:
        (taken,) = await tx.filings.claim(lease_s=60)
    await office.due()
    assert await office.clerk.work() == 1
    async with office.store.begin(1) as tx:
        assert not await tx.filings.about_to_call(taken), "the claim is gone"
        assert not await tx.filings.add(filing_id, FilingKind.LOG, office.sid, "again")
    assert len((await office.world.books())["logs"]) == 1


async def test_an_act_that_was_done_stands_in_the_clients_log(office: Office) -> None:
    async with office.store.read(1) as tx:
        package = (await tx.packages.of_subscriber(office.sid))[0]
        subscriber = await tx.subscribers.by_id(office.sid)
    assert subscriber is not None
    act = BillingAct(
        new_id(),
        ActKind.SUSPEND,
        office.sid,
        package.id,
        ActState.INTENDED,
        "Unpaid balance",
        "U_LEAD",
        office.store.clock(),
        tenant=1,
        owed_minor=subscriber.balance.minor,
    )
    async with office.store.begin(1) as tx:
        await tx.acts.intend(f"step:{act.id}", act)
    executor = ActExecutor(
        store=office.store, systems={1: office.system}, outbox=outbox(), announce=_announce, name="w1"
    )
    assert await executor.work() == 1
    assert await office.clerk.work() == 1
    (entry,) = (await office.world.books())["logs"]
    assert f"{package.name} suspended, by U_LEAD. Reason: Unpaid balance" in entry["message"]
