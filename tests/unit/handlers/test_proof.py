"""What counts as proof that somebody has a notice: failures, suspending, diagnoses, cards tell it alike."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from handlers.contract import Services
from handlers.profile import Role
from store.models import (
    Channel,
    Confidence,
    ContactOverride,
    ContactRole,
    Delivery,
    EventKind,
    InvoiceStatus,
    NotificationKind,
)
from store.types import new_id
from store.unit import Store
from tests.builders import billing_email, event, mobile, package_record, subscriber_record
from tests.conftest import FakeClock
from tests.unit.handlers.cast import add, learn, sent, set_invoice
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import RELAY, Agent, said
from tests.unit.handlers.test_failures import failed
from tests.unit.handlers.test_run import texting

OWN, ELSEWHERE = "tomas@inbox.example", "agent.self@inbox.example"
PHONE = "+15415550142"
ISSUED, RESEND = NotificationKind.INVOICE_ISSUED, NotificationKind.RESEND


@pytest.fixture
def lead(services: Services) -> Agent:
    routes = (RELAY, replace(RELAY, name="remote"))
    return agent_on(texting(services, routes=routes, remote_route="remote"), Role.LEAD, "U_LEAD")


async def tomas(store: Store) -> UUID:
    sid = await add(store, "1077", billing_email(OWN), mobile(PHONE), invoices=("21077",), name="Tomas L")
    async with store.begin(1) as tx:
        await tx.packages.upsert([package_record(sid)])
    return sid


async def issued(store: Store, sid: UUID, address: str = OWN, key: str = "run") -> Delivery:
    _, (item,) = await sent(store, key, sid, address, invoice="21077", kind=ISSUED)
    return item


async def accepted(store: Store, item: Delivery) -> None:
    await learn(store, event(item.id, attempt=0, confidence=Confidence.ACCEPTED_BY_SERVER))


async def newest(store: Store, number: str = "21077") -> Delivery:
    async with store.read(1) as tx:
        invoice = await tx.invoices.by_number(number)
        assert invoice is not None
        (notification, *_), _count = await tx.notifications.page(invoice_id=invoice.id)
        (item,) = (await tx.deliveries.of_notifications([notification.id]))[notification.id]
    return item


async def resend(agent: Agent, typed: str, press: str = "resend.send") -> Delivery:
    """As an agent does it: preview and press."""
    await agent.presses(await agent.types(f"resend {typed}"), press)
    return await newest(agent.services.store)


async def mend(store: Store, sid: UUID, old: str, new: str) -> None:
    async with store.begin(1) as tx:
        await tx.subscribers.change_point(sid, ContactRole.BILLING, Channel.EMAIL, old, new)
        where = (sid, ContactRole.BILLING, Channel.EMAIL)
        await tx.overrides.add(ContactOverride(new_id(), *where, old, new, "U_AGENT", tx.now))


async def listed(agent: Agent) -> bool:
    text = said(await agent.types("failures 7 days"))
    assert ("1 person" in text) is not ("Nobody." in text)
    return "1 person" in text


async def test_a_copy_to_an_address_that_is_not_on_file_proves_nothing_anywhere(
    lead: Agent, store: Store
) -> None:
    sid = await tomas(store)
    await failed(store, await issued(store, sid), "mailbox_full")
    await accepted(store, await resend(lead, f"1077 to {ELSEWHERE}"))
    told = said(await lead.types("diagnose 1077"))
    assert "NOT DELIVERED: the mailbox is full" in told
    assert "a copy went to a•••f@inbox.example, not on file: Accepted by" in told
    suspension = said(await lead.types("suspend 1077"))
    assert "The invoices did not arrive" in suspension
    assert "a copy went elsewhere" in suspension
    assert "a•••f@inbox.example (not on file): Accepted by" in said(await lead.types("find 1077"))
    assert await listed(lead)


async def test_only_a_copy_elsewhere_is_no_proof_for_suspending(lead: Agent, store: Store) -> None:
    await tomas(store)
    await accepted(store, await resend(lead, f"1077 to {ELSEWHERE}"))
    text = said(await lead.types("suspend 1077"))
    assert "No proof that an invoice arrived" in text
    assert "a copy went elsewhere, not to what is on file" in text
    told = said(await lead.types("diagnose 1077"))
    assert "NOT SENT FROM HERE" in told
    assert "no message about invoice 21077 went to them from here" in told


async def test_a_copy_to_what_is_on_file_is_a_proof_also_when_billing_has_another_address_later(
    lead: Agent, store: Store, clock: FakeClock
) -> None:
    sid = await tomas(store)
    await failed(store, await issued(store, sid), "mailbox_full")
    await accepted(store, await resend(lead, "1077"))
    assert not await listed(lead)
    clock.advance(days=1)
    async with store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("1077", points=(billing_email("new@inbox.example"),))])
    assert not await listed(lead)
    assert "did not arrive" not in said(await lead.types("suspend 1077"))


async def test_a_copy_elsewhere_that_failed_does_not_undo_the_proof(lead: Agent, store: Store) -> None:
    sid = await tomas(store)
    await accepted(store, await issued(store, sid))
    await failed(store, await resend(lead, "1077 to nobody@inbox.example"))
    assert not await listed(lead)
    assert "ACCEPTED BY" in said(await lead.types("diagnose 1077"))
    assert "did not arrive" not in said(await lead.types("suspend 1077"))


async def test_a_copy_to_their_own_address_that_failed_does_not_undo_an_earlier_proof(
    lead: Agent, store: Store
) -> None:
    sid = await tomas(store)
    await accepted(store, await issued(store, sid))
    await failed(store, await resend(lead, "1077"), "mailbox_full")
    assert not await listed(lead)


async def test_a_test_of_another_server_that_failed_does_not_undo_the_text_that_arrived(
    lead: Agent, store: Store
) -> None:
    sid = await tomas(store)
    await failed(store, await issued(store, sid), "blocked_reputation")
    text = await resend(lead, "1077 by text", "resend.text")
    assert text.channel is Channel.SMS
    await learn(store, event(text.id, EventKind.DELIVERED, attempt=0, confidence=Confidence.HANDSET_RECEIPT))
    await failed(store, await resend(lead, "1077 by remote", "resend.test"), "blocked_reputation")
    assert not await listed(lead)
    told = said(await lead.types("diagnose 1077"))
    assert "TEXTED, and the handset confirmed it" in told
    assert "a test of a mail server went to t•••s@inbox.example" in told


async def test_a_test_that_got_through_to_their_own_address_is_a_notice(lead: Agent, store: Store) -> None:
    sid = await tomas(store)
    await failed(store, await issued(store, sid), "blocked_reputation")
    await accepted(store, await resend(lead, "1077 by remote", "resend.test"))
    assert not await listed(lead), "the invoice is there, by whichever server"
    assert "The invoices did not arrive" not in said(await lead.types("suspend 1077"))


async def test_a_test_to_a_mailbox_of_our_own_is_no_notice(lead: Agent, store: Store) -> None:
    sid = await tomas(store)
    await failed(store, await issued(store, sid), "blocked_reputation")
    ours = replace(lead.services.tenants[1], test_mailboxes=("me@inbox.example",))
    tester = replace(lead, services=replace(lead.services, tenants={1: ours}))
    await accepted(store, await resend(tester, "1077 to me@inbox.example by remote", "resend.test"))
    assert await listed(lead)
    assert "The invoices did not arrive" in said(await lead.types("suspend 1077"))


@pytest.mark.parametrize(
    "status", [InvoiceStatus.PAID, InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE], ids=str
)
async def test_whoever_has_nothing_left_to_pay_is_not_listed(
    lead: Agent, store: Store, status: InvoiceStatus
) -> None:
    sid = await tomas(store)
    await failed(store, await issued(store, sid))
    assert await listed(lead)
    await set_invoice(store, "21077", status=status)
    assert not await listed(lead)


async def test_a_receipt_from_an_address_that_was_mended_since_stays_a_proof(
    lead: Agent, store: Store, clock: FakeClock
) -> None:
    sid = await tomas(store)
    await accepted(store, await issued(store, sid))
    clock.advance(minutes=5)
    await mend(store, sid, OWN, "new@inbox.example")
    await failed(store, await resend(lead, "1077"), "mailbox_full")
    assert not await listed(lead)
    assert "did not arrive" not in said(await lead.types("suspend 1077"))


async def test_what_a_relay_took_for_an_address_that_was_mended_since_is_no_proof(
    lead: Agent, store: Store, clock: FakeClock
) -> None:
    sid = await tomas(store)
    first = await issued(store, sid)
    await learn(store, event(first.id, attempt=0, confidence=Confidence.HANDED_TO_RELAY))
    clock.advance(minutes=5)
    await mend(store, sid, OWN, "new@inbox.example")
    assert "it went to an address that was mended since" in said(await lead.types("suspend 1077"))
    await failed(store, await resend(lead, "1077"), "mailbox_full")
    assert await listed(lead)
    assert "The invoices did not arrive" in said(await lead.types("suspend 1077"))


async def test_a_copy_typed_before_the_address_came_on_file_counts_from_then_on(
    lead: Agent, store: Store
) -> None:
    sid = await tomas(store)
    await failed(store, await issued(store, sid))
    await accepted(store, await resend(lead, f"1077 to {ELSEWHERE}"))
    assert await listed(lead)
    async with store.begin(1) as tx:
        await tx.subscribers.add_point(sid, ContactRole.BILLING, Channel.EMAIL, ELSEWHERE)
    assert not await listed(lead)


async def test_what_the_payer_gets_counts_and_a_copy_to_the_account_itself_does_not(
    lead: Agent, store: Store
) -> None:
    """Bill-to-another: the notice is the payer's."""
    await add(store, "1100", billing_email("books@cedar.example"), name="Cedar Mill")
    branch = billing_email("branch@cedar.example")
    await add(store, "1103", branch, name="Branch", payer_account="1100", invoices=("21077",))
    await failed(store, await resend(lead, "1103"), "mailbox_full")
    await accepted(store, await resend(lead, "1103 to branch@cedar.example"))
    assert await listed(lead)
    await accepted(store, await resend(lead, "1103"))
    assert not await listed(lead)


async def test_after_the_payer_s_address_was_mended_the_diagnosis_says_that_nothing_went_to_the_new_one(
    lead: Agent, store: Store, clock: FakeClock
) -> None:
    payer = await add(store, "1100", billing_email("books@cedar.example"), name="Cedar Mill")
    await add(store, "1103", name="Branch", payer_account="1100", invoices=("21077",))
    await accepted(store, await resend(lead, "1103"))
    assert "SENT TO THE PAYER" in said(await lead.types("diagnose 1103"))
    clock.advance(minutes=5)
    await mend(store, payer, "books@cedar.example", "owner@cedar.example")
    told = said(await lead.types("diagnose 1103"))
    assert "the address was mended since, and nothing has gone to the new one" in told
    assert "Please ask there first" not in told
    clock.advance(minutes=5)
    await accepted(store, await resend(lead, "1103"))
    assert "SENT TO THE PAYER" in said(await lead.types("diagnose 1103"))
