"""Which deliveries a worker sends and which it puts aside: what billing knows by now, send modes, urgency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from billing.truth import SEND_MODE, SendMode
from notifier.worker import Pace
from store.models import (
    Channel,
    InvoiceStatus,
    NotificationKind,
    Outcome,
    Priority,
    Reason,
    Stage,
    SubscriberStatus,
)
from store.unit import Store
from tests.builders import invoice_record, subscriber_record, usd
from tests.contracts.sending import LIVE, MARIA, OFF, Sending, eventually

LEO = "leo.park@inbox.example"


async def invoice_notice(store: Store, person: Mapping[str, Any], bill: Mapping[str, Any]) -> dict[str, Any]:
    """A draft's fields for the notice of one invoice of one account."""
    async with store.begin(1) as tx:
        ids = await tx.subscribers.upsert([subscriber_record(**person)])
        await tx.invoices.upsert([invoice_record(ids["1001"], **bill)])
        invoice = await tx.invoices.by_number("INV-1")
    assert invoice is not None
    return {
        "kind": NotificationKind.INVOICE_ISSUED,
        "subscriber_id": ids["1001"],
        "invoice_id": invoice.id,
    }


@pytest.mark.parametrize(
    ("person", "bill", "sentence"),
    [
        ({}, {"status": InvoiceStatus.VOID}, "The invoice was voided."),
        ({}, {"status": InvoiceStatus.PAID, "paid": usd("49.90")}, "The invoice is paid."),
        ({"status": SubscriberStatus.ARCHIVED}, {}, "The account is archived."),
        ({"invoice_notices": False}, {}, "Invoice notices are switched off for this account."),
    ],
    ids=["void", "paid", "archived", "notices off"],
)
async def test_what_billing_knows_by_now_cancels_a_notice(
    sending: Sending, person: dict[str, Any], bill: dict[str, Any], sentence: str
) -> None:
    fields = await invoice_notice(sending.store, person, bill)
    (stale,) = await sending.queue(LEO, **fields)
    (fine,) = await sending.queue(MARIA)
    async with sending.working():
        after = await sending.until(stale, Stage.CLOSED)
        await sending.until(fine, Stage.AWAITING)
    assert (after.outcome, after.reason, after.diagnostic) == (Outcome.CANCELLED, Reason.STALE, sentence)
    assert (await sending.accepted(), await sending.copies(stale)) == (1, 0)


async def test_a_suppressed_address_gets_nothing(sending: Sending) -> None:
    async with sending.store.begin(1) as tx:
        await tx.suppressions.suppress(Channel.EMAIL, LEO, reason="no_such_user", actor="bounce")
    dead, fine = await sending.queue(LEO, MARIA)
    async with sending.working():
        after = await sending.until(dead, Stage.CLOSED)
        await sending.until(fine, Stage.AWAITING)
    assert (after.outcome, after.reason) == (Outcome.SUPPRESSED, Reason.RECIPIENT)
    assert await sending.copies(dead) == 0


async def test_an_address_suppressed_while_its_next_attempt_waits_gets_nothing_more(sending: Sending) -> None:
    await sending.mail.behave(address=LEO, reply="451 4.3.2 Try again later", times=1)
    (item,) = await sending.queue(LEO)
    async with sending.working():
        waiting = await sending.until(item, Stage.QUEUED, attempt=1)
        async with sending.store.begin(1) as tx:
            await tx.suppressions.suppress(Channel.EMAIL, LEO, reason="asked by phone", actor="U_LEAD")
        sending.clock.now = waiting.due_at
        after = await sending.until(item, Stage.CLOSED)
    assert (after.outcome, await sending.accepted()) == (Outcome.SUPPRESSED, 0)


async def test_what_is_out_of_date_is_not_sent_any_more(sending: Sending) -> None:
    (item,) = await sending.queue(MARIA)
    sending.clock.now = item.expires_at
    async with sending.working():
        after = await sending.until(item, Stage.CLOSED)
    assert (after.outcome, after.reason) == (Outcome.EXPIRED, Reason.STALE)
    assert await sending.accepted() == 0


async def test_with_sending_off_everything_is_held_and_leaves_once_it_is_released(sending: Sending) -> None:
    (item,) = await sending.queue(MARIA)
    async with sending.working(mode=OFF):
        held = await sending.until(item, Stage.HELD)
    assert (held.attempt, held.outcome, held.stage_by) == (0, Outcome.NONE, SEND_MODE)
    assert "send_mode: off" in str(held.stage_reason)
    assert (await sending.kinds(item), await sending.accepted()) == ([], 0)
    async with sending.store.system() as tx:
        assert await tx.deliveries.release_held(1, SEND_MODE) == 1
    async with sending.working(mode=LIVE):
        after = await sending.until(item, Stage.AWAITING)
    assert (after.outcome, after.attempt) == (Outcome.SENT, 1)


async def test_with_only_to_nobody_else_gets_mail(sending: Sending) -> None:
    ours, theirs = await sending.queue(MARIA, LEO)
    async with sending.working(mode=SendMode("only_to", frozenset({MARIA}))):
        await sending.until(ours, Stage.AWAITING)
        held = await sending.until(theirs, Stage.HELD)
    assert (held.stage_by, await sending.copies(theirs)) == (SEND_MODE, 0)


async def test_a_long_row_of_what_must_not_go_does_not_hold_up_what_may(sending: Sending) -> None:
    """Whatever is put aside makes room at once: nobody waits a poll for each handful."""
    strangers = [f"stranger{number}@inbox.example" for number in range(120)]
    await sending.queue(*strangers)
    (ours,) = await sending.queue(MARIA)
    slow_to_look = Pace(lease_s=30, poll_s=2, record_s=0.001, sweep_s=60)
    async with sending.working(mode=SendMode("only_to", frozenset({MARIA})), pace=slow_to_look):
        await sending.until(ours, Stage.AWAITING, timeout_s=8)


async def test_urgent_mail_does_not_wait_behind_300_bulk_mails_on_a_slow_relay(sending: Sending) -> None:
    """Not even for the one that is on the wire: urgent mail has connections of its own."""
    await sending.mail.behave(domain="mailbox.example", slow_s=3)
    bulk = [f"bulk{number}@mailbox.example" for number in range(300)]
    await sending.queue(*bulk, priority=Priority.BULK)

    async def connections_are_busy() -> bool:
        async with sending.store.read(1) as tx:
            return (await tx.deliveries.counts()).get((Stage.CLAIMED, Outcome.NONE), 0) >= 2

    async with sending.working(sending.route(connections=2)):
        await eventually(connections_are_busy, "bulk mail on the wire")
        (urgent,) = await sending.queue(MARIA, priority=Priority.URGENT)
        after = await sending.until(urgent, Stage.AWAITING)
        assert await sending.accepted() == 1, "all the bulk mail is still to come"
    assert after.outcome is Outcome.SENT


async def test_normal_mail_goes_before_bulk_mail_that_was_there_first(sending: Sending) -> None:
    order = {"c@inbox.example": Priority.BULK, "b@inbox.example": Priority.NORMAL}
    items = [item for to, rank in order.items() for item in await sending.queue(to, priority=rank)]
    async with sending.working(sending.route(connections=1)):
        for item in items:
            await sending.until(item, Stage.AWAITING)
    arrived = await sending.mail.get("/sandbox/mail")
    assert [mail["envelope_to"] for mail in arrived] == ["b@inbox.example", "c@inbox.example"]


async def test_what_is_held_past_its_time_expires(sending: Sending) -> None:
    (item,) = await sending.queue(MARIA)
    async with sending.working(mode=OFF):
        await sending.until(item, Stage.HELD)
        sending.clock.now = item.expires_at
        after = await sending.until(item, Stage.CLOSED)
    assert (after.outcome, after.reason) == (Outcome.EXPIRED, Reason.STALE)


async def test_what_waits_for_a_route_that_was_taken_away_goes_by_the_first_one_left(
    sending: Sending,
) -> None:
    (item,) = await sending.queue(MARIA, route="retired")
    routes = {1: [sending.route(), sending.route("remote", name="remote")]}
    async with sending.working(routes=routes):
        after = await sending.until(item, Stage.AWAITING)
    assert (after.outcome, after.route) == (Outcome.SENT, "relay")
