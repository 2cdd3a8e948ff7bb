"""Which deliveries a worker sends and which it puts aside: what billing knows by now, send modes, urgency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from billing.truth import SEND_MODE, SendMode
from handlers.profile import Brand
from notifier.contexts import invoice_context
from notifier.worker import Pace
from store.models import (
    Channel,
    Delivery,
    InvoiceStatus,
    NotificationKind,
    Outcome,
    Priority,
    Reason,
    Stage,
    SubscriberStatus,
)
from store.unit import Store
from tests.builders import hold_of, invoice_record, subscriber_record, usd
from tests.contracts.sending import LIVE, MARIA, OFF, Sending, eventually
from tests.contracts.test_runs import run_of

BRAND = Brand("Cascade Fiber", "help@cascade.example", "541-555-0100")
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


async def test_what_becomes_true_between_two_attempts_counts_at_the_second(sending: Sending) -> None:
    """Each of these was refused once for a moment; then something happened to each but the last."""
    store, run = sending.store, run_of()
    names = ("paid", "archived", "town", "tag", "run", "fine")
    async with store.begin(1) as tx:
        await tx.runs.create(run, "i-1:run")
        people = [subscriber_record(n, tags=("fire",) if n == "tag" else ()) for n in names]
        ids = await tx.subscribers.upsert(people)
        await tx.invoices.upsert([invoice_record(ids[n], f"INV-{n}") for n in names])
        bills = {n: await tx.invoices.by_number(f"INV-{n}") for n in names}
        known = {s.id: s for s in (await tx.subscribers.by_ids(list(ids.values()))).values()}
    items: dict[str, Delivery] = {}
    for name, bill in bills.items():
        assert bill is not None
        await sending.mail.behave(address=f"{name}@inbox.example", reply="451 4.3.2 Later", times=1)
        (items[name],) = await sending.queue(
            f"{name}@inbox.example",
            kind=NotificationKind.INVOICE_ISSUED,
            subscriber_id=ids[name],
            invoice_id=bill.id,
            context=invoice_context(BRAND, "en_US", "", bill, known[ids[name]], known[ids[name]]),
            run_id=run.id if name == "run" else None,
        )
    async with sending.working():
        waiting = [await sending.until(item, Stage.QUEUED, attempt=1) for item in items.values()]
        async with store.begin(1) as tx:
            paid = {"status": InvoiceStatus.PAID, "paid": usd("49.90")}
            await tx.invoices.upsert([invoice_record(ids["paid"], "INV-paid", **paid)])
            gone = subscriber_record("archived", status=SubscriberStatus.ARCHIVED)
            moved = subscriber_record("town", city="Grants Pass")
            await tx.subscribers.upsert([gone, moved])
            await tx.notes.add_hold(hold_of("Grants Pass", scope="town"))
            await tx.notes.add_hold(hold_of("fire", scope="tag"))
            assert await tx.runs.pause(run.id, "U_LEAD", "wrong prices")
        sending.clock.now = max(item.due_at for item in waiting)
        ends = {
            name: await sending.until(item, Stage.CLOSED, Stage.HELD, Stage.AWAITING)
            for name, item in items.items()
        }
    assert {name: (end.outcome, end.stage_by) for name, end in ends.items()} == {
        "paid": (Outcome.CANCELLED, None),
        "archived": (Outcome.CANCELLED, None),
        "town": (Outcome.NONE, "hold:town:Grants Pass"),
        "tag": (Outcome.NONE, "hold:tag:fire"),
        "run": (Outcome.NONE, f"run:{run.id}"),
        "fine": (Outcome.SENT, None),
    }
    assert await sending.accepted() == 1


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
