"""UISP's CRM fulfils the contract over the wire, on both databases; and what goes wrong is told in words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from billing.invoice_pdf import Letterhead
from billing.pdfs import InvoicePdfs
from billing.port import AccountFacts, Applied, Rejected, SyncResult, Unavailable, Unclear
from billing.systems.uisp import BILLING
from billing.uisp.mapping import service_of
from billing.uisp.system import UispSystem
from handlers.profile import Brand
from store.billing_refs import RefKind
from store.models import ActKind, Invoice, InvoiceStatus, PackageStatus, SubscriberStatus
from store.types import new_id
from store.unit import Store
from tests.builders import invoice_record, package_record
from tests.conftest import FakeClock
from tests.contracts.billing import BillingContract
from tests.uisp_world import OWES, UispWorld, small_cast, uisp_world

CODES = {PackageStatus.PENDING: 0, PackageStatus.HIBERNATED: 8, PackageStatus.INACTIVE: 2}


class UispDesk:
    def __init__(self, world: UispWorld, store: Store) -> None:
        self.world, self.store = world, store
        system = BILLING.open(store, 1, world.remote())
        assert isinstance(system, UispSystem)
        self.system = system
        self.subscriber_id, self.package_id, self.other_id = new_id(), new_id(), new_id()

    async def prepare(self) -> None:
        owes = {"accountBalance": -49.90, "accountOutstanding": 49.90}
        await self.world.change(OWES, client=owes)
        assert not isinstance(await self.system.sync(full=True), Unavailable)
        async with self.store.read(1) as tx:
            found = await tx.subscribers.by_account(OWES)
            assert found is not None
            packages = await tx.packages.of_subscriber(found.id)
        self.subscriber_id = found.id
        self.package_id, self.other_id = packages[0].id, packages[1].id

    async def service_id(self) -> int:
        async with self.store.read(1) as tx:
            packages = await tx.packages.of_subscriber(self.subscriber_id)
        ref = next(p.ref for p in packages if p.id == self.package_id)
        return int(service_of(ref) or 0)

    async def pay(self) -> None:
        await self.world.change(OWES, paid="all")

    async def set_status(self, status: PackageStatus) -> None:
        await self.world.change(OWES, service={"id": await self.service_id(), "status": CODES[status]})

    async def drop_package(self) -> None:
        await self.world.change(OWES, service={"id": await self.service_id(), "gone": True})


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> AsyncIterator[UispDesk]:
    async with uisp_world(tmp_path / "uisp", small_cast(OWES, "1001")) as world:
        desk = UispDesk(world, store)
        await desk.prepare()
        yield desk
        assert await world.problems() == []
        await desk.system.close()


class TestUispBilling(BillingContract):
    """On both databases."""


async def _package(desk: UispDesk, package_id: UUID) -> PackageStatus:
    async with desk.store.read(1) as tx:
        packages = await tx.packages.of_subscriber(desk.subscriber_id)
    return next(p.status for p in packages if p.id == package_id)


async def _suspend(desk: UispDesk) -> object:
    return await desk.system.carry_out(ActKind.SUSPEND, desk.subscriber_id, desk.package_id, "past due")


async def test_a_package_that_billing_dropped_has_ended_here_too(desk: UispDesk) -> None:
    desk.store.clock.advance(minutes=1)  # type: ignore[attr-defined]  # FakeClock
    await desk.drop_package()
    await desk.system.refresh(desk.subscriber_id)
    assert await _package(desk, desk.package_id) is PackageStatus.INACTIVE
    assert await _package(desk, desk.other_id) is PackageStatus.ACTIVE


async def test_one_404_archives_nobody_and_a_round_does_with_what_was_theirs(
    desk: UispDesk, clock: FakeClock
) -> None:
    clock.advance(minutes=1)
    await desk.world.change(OWES, gone=True)
    for _ in range(2):  # whoever has put a wrong address into app.yaml meets nothing but 404
        assert await desk.system.refresh(desk.subscriber_id) == Unavailable(
            "UISP does not have this client any more."
        )
    async with desk.store.read(1) as tx:
        subscriber = await tx.subscribers.by_id(desk.subscriber_id)
    assert subscriber is not None
    assert subscriber.status is SubscriberStatus.ACTIVE
    assert isinstance(await desk.system.sync(full=False), SyncResult)
    async with desk.store.read(1) as tx:
        subscriber = await tx.subscribers.by_id(desk.subscriber_id)
        invoices = await tx.invoices.latest(desk.subscriber_id, 20)
    assert subscriber is not None
    assert subscriber.status is SubscriberStatus.ARCHIVED
    assert await _package(desk, desk.other_id) is PackageStatus.INACTIVE
    assert {i.status for i in invoices} <= {InvoiceStatus.PAID, InvoiceStatus.VOID}
    assert await desk.system.refresh(desk.subscriber_id) == Unavailable("UISP does not know this account.")


async def test_a_list_that_is_not_there_is_a_wrong_address_and_ends_nothing(
    desk: UispDesk, clock: FakeClock
) -> None:
    clock.advance(minutes=1)
    await desk.world.behave(path="invoices", status=404)
    told = await desk.system.refresh(desk.subscriber_id)
    assert told == Unavailable("UISP's lists cannot be read. An admin has to look at its address.")
    assert await _package(desk, desk.other_id) is PackageStatus.ACTIVE


async def test_an_answer_that_is_lost_is_unclear_and_reading_back_tells(desk: UispDesk) -> None:
    await desk.world.behave(method="PATCH", lose_response=True, times=1)
    assert isinstance(await _suspend(desk), Unclear)
    facts = await desk.system.refresh(desk.subscriber_id)
    assert isinstance(facts, AccountFacts)
    package = facts.package(desk.package_id)
    assert package is not None
    assert package.status is PackageStatus.SUSPENDED
    assert isinstance(await _suspend(desk), Applied)
    assert sum(call.endswith("/suspend") for call in await desk.world.asked()) == 1


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ({"status": 401}, Rejected, "does not accept our app key"),
        ({"access": "read"}, Rejected, "may not do this in UISP"),
        ({"status": 422}, Rejected, "UISP refuses it: As told by behaviour."),
        ({"status": 503}, Unclear, "trouble of its own (HTTP 503)"),
        ({"status": 429, "retry_after_s": 60}, Unclear, "busy and asks to come back in 60 seconds"),
        ({"status": 418}, Rejected, "HTTP 418"),
    ],
)
async def test_what_goes_wrong_with_an_act_is_told_in_words(
    desk: UispDesk, how: dict[str, object], kind: type, words: str
) -> None:
    await desk.world.behave(method="PATCH", **how)
    answer = await _suspend(desk)
    assert isinstance(answer, kind)
    assert words in answer.sentence  # type: ignore[attr-defined]  # Rejected or Unclear
    await desk.world.behave()
    assert await _package(desk, desk.package_id) is PackageStatus.ACTIVE


async def test_a_busy_uisp_is_waited_for_as_long_as_it_asks(desk: UispDesk) -> None:
    await desk.world.behave(status=429, retry_after_s=0, times=3)
    assert isinstance(await desk.system.refresh(desk.subscriber_id), AccountFacts)


async def test_a_field_that_uisp_refuses_is_named(store: Store, desk: UispDesk) -> None:
    system = BILLING.open(store, 1, desk.world.remote(suspension_reason=77))
    answer = await system.carry_out(ActKind.SUSPEND, desk.subscriber_id, desk.package_id, "past due")
    await system.close()
    assert answer == Rejected("UISP refuses it: suspensionReasonId: This value is not valid.")
    (problem,) = await desk.world.problems()
    assert "suspensionReasonId" in problem
    desk.world.site.world.documents.delete_all("wire")


async def test_a_wrong_key_and_no_uisp_at_all_are_told_plainly(store: Store, desk: UispDesk) -> None:
    wrong = BILLING.open(store, 1, desk.world.remote(app_key="wrong"))
    nowhere = BILLING.open(store, 1, desk.world.remote(url="http://127.0.0.1:1/crm/api/v1.0"))
    told = await wrong.refresh(desk.subscriber_id)
    away = await nowhere.refresh(desk.subscriber_id)
    act = await nowhere.carry_out(ActKind.SUSPEND, desk.subscriber_id, desk.package_id, "past due")
    await wrong.close()
    await nowhere.close()
    assert isinstance(told, Unavailable)
    assert "app key" in told.sentence
    assert away == Unavailable("UISP cannot be reached.")
    assert act == Unclear("UISP cannot be reached.")
    desk.world.site.world.documents.delete_all("wire")


async def test_the_invoice_is_uisps_own_document(desk: UispDesk) -> None:
    async with desk.store.read(1) as tx:
        invoice = (await tx.invoices.latest(desk.subscriber_id, 1))[0]
    content = await desk.system.invoice_pdf(invoice)
    assert isinstance(content, bytes)
    assert invoice.number.encode() in content
    await desk.world.behave(path="invoices", status=404)
    assert isinstance(await desk.system.invoice_pdf(invoice), Unavailable)


async def test_what_this_version_does_not_know_is_not_acted_on(desk: UispDesk) -> None:
    await desk.world.change(OWES, service={"id": await desk.service_id(), "status": 99})
    answer = await _suspend(desk)
    assert answer == Rejected("UISP gives this package a status that this version does not know.")
    await desk.world.change(OWES, client={"currencyCode": "QQQ"})
    told = await desk.system.refresh(desk.subscriber_id)
    assert told == Unavailable(
        "What UISP has of this client cannot be read: Its currency is no ISO 4217 code."
    )


async def test_a_package_that_came_from_a_file_is_none_of_uisps(desk: UispDesk) -> None:
    async with desk.store.begin(1) as tx:
        await tx.packages.upsert([package_record(desk.subscriber_id, "P-1")])
        packages = await tx.packages.of_subscriber(desk.subscriber_id)
    desk.package_id = next(p.id for p in packages if p.ref == "P-1")
    assert await _suspend(desk) == Rejected("UISP has no such package.")


async def test_a_uisp_without_reasons_for_suspending_says_what_to_do(
    desk: UispDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.billing.api.REASONS", ())
    assert await _suspend(desk) == Rejected(
        "UISP has no reason for a suspension. Add one there, in its settings."
    )


async def test_an_invoice_that_uisp_never_had_has_no_document(desk: UispDesk) -> None:
    async with desk.store.begin(1) as tx:
        await tx.invoices.upsert([invoice_record(desk.subscriber_id, "OLD-1")])
        invoice = await tx.invoices.by_number("OLD-1")
    assert invoice is not None
    assert await desk.system.invoice_pdf(invoice) == Unavailable("UISP has no such invoice.")


async def test_an_unreadable_entry_ends_nothing_that_was_fine(desk: UispDesk, clock: FakeClock) -> None:
    clock.advance(minutes=1)
    await desk.world.change(OWES, service={"id": await desk.service_id(), "status": 99})
    number = next(one["number"] for one in (await desk.world.client(OWES))["invoices"] if one["status"] == 1)
    await desk.world.change(OWES, invoice={"number": number, "status": 99})
    assert isinstance(await desk.system.refresh(desk.subscriber_id), AccountFacts)
    assert await _package(desk, desk.package_id) is PackageStatus.ACTIVE
    async with desk.store.read(1) as tx:
        invoice = await tx.invoices.by_number(number)
    assert invoice is not None
    assert invoice.status is InvoiceStatus.OPEN


async def test_mails_carry_uisps_own_document_fetched_once_for_each_revision(
    desk: UispDesk, clock: FakeClock
) -> None:
    head = Letterhead(Brand("Cascade", "help@cascade.example"), "US", "en_US", "")
    pdfs = InvoicePdfs(desk.store, {1: head}, documents={1: desk.system})
    async with desk.store.read(1) as tx:
        owed = await tx.invoices.of_subscriber(desk.subscriber_id, [InvoiceStatus.OPEN])
    invoice = min(owed, key=lambda one: one.due_on)
    await desk.world.behave(path=f"invoices/{await _invoice_id(desk, invoice)}/pdf", status=500, times=1)
    with capture_logs() as logs, pytest.MonkeyPatch.context() as patch:
        patch.setattr("billing.uisp.system.BUSY_S", 0.0)
        assert await pdfs.invoice(1, invoice.id) is None, "none of ours takes its place"
    assert [row["why"] for row in logs] == ["UISP has trouble of its own (HTTP 500)."]
    since = (await desk.world.call("GET", "wire"))[-1]["seq"]
    first = await pdfs.invoice(1, invoice.id)
    assert first is not None
    assert invoice.number.encode() in first.content
    other = InvoicePdfs(desk.store, {1: head}, documents={1: desk.system})
    assert await other.invoice(1, invoice.id) == first
    assert sum(call.endswith("/pdf") for call in await desk.world.asked(since)) == 1
    clock.advance(minutes=1)
    await desk.pay()
    await desk.system.refresh(desk.subscriber_id)
    assert await pdfs.invoice(1, invoice.id) is not None
    assert sum(call.endswith("/pdf") for call in await desk.world.asked(since)) == 2


async def _invoice_id(desk: UispDesk, invoice: Invoice) -> str:
    async with desk.store.read(1) as tx:
        return (await tx.billing_refs.remote(RefKind.INVOICE, [invoice.id]))[invoice.id]


async def test_what_is_no_pdf_is_not_sent_as_one(desk: UispDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.billing.api.invoice_pdf", lambda number, total: b"<html>log in first</html>")
    async with desk.store.read(1) as tx:
        invoice = (await tx.invoices.latest(desk.subscriber_id, 1))[0]
    found = await desk.system.invoice_pdf(invoice)
    assert found == Unavailable("What UISP gave as the invoice is no PDF that can be sent.")


async def test_uisp_suspends_by_itself_unless_app_yaml_says_otherwise(desk: UispDesk) -> None:
    assert desk.system.acts_by_itself
    other = BILLING.open(desk.store, 1, desk.world.remote(suspends_by_itself=False))
    assert not other.acts_by_itself
