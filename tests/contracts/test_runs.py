"""Runs on a real database: made once, counted exactly, ended when nothing is open; and the second way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from handlers import words
from notifier import runs, tracking
from notifier.outbox import email, text
from notifier.schedule import SETTLING
from notifier.tracking import RUN_SURFACE, Report, worker_event
from store.models import (
    Channel,
    Confidence,
    Delivery,
    EventKind,
    Exclusion,
    Fallback,
    NotificationKind,
    Outcome,
    Priority,
    Run,
    RunState,
    Stage,
    Standing,
)
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, draft, event, outbox, take
from tests.contracts.attempts import claim, claim_in
from tests.contracts.locks import waits_for_a_lock

NUMBER = "+15415550142"
BY_TEXT = (Fallback(Channel.SMS, NUMBER, "twilio"),)


def run_of(**more: Any) -> Run:
    fields: dict[str, Any] = {
        "id": new_id(),
        "kind": NotificationKind.INVOICE_ISSUED,
        "label": "Invoices issued since Mar 1, 2026",
        "criteria": {"what": "issued", "since": "2026-03-01"},
        "state": RunState.RUNNING,
        "requested_by": "U_LEAD",
        "created_at": NOW,
    }
    return Run(**(fields | more))


async def begun(store: Store, step: str = "i-1:run") -> Run:
    async with store.begin(1) as tx:
        return await tx.runs.create(run_of(), step)


async def notices(store: Store, run: Run, *addresses: str, **more: Any) -> list[Delivery]:
    """One notice of the run to each address."""
    async with store.begin(1) as tx:
        made = await outbox().enqueue_many(
            tx,
            [
                draft(
                    f"k:{a}",
                    run_id=run.id,
                    **({"recipients": [email(a)], "priority": Priority.BULK} | more),
                )
                for a in addresses
            ],
        )
        found = await tx.deliveries.of_notifications([m.notification_id for m in made])
    return [found[m.notification_id][0] for m in made]


async def learn(store: Store, item: Delivery, kind: EventKind, **more: Any) -> None:
    async with store.system() as tx:
        await tracking.record(tx, [Report(1, event(item.id, kind, attempt=0, **more))])


async def get(store: Store, run: Run) -> Run:
    async with store.read(1) as tx:
        found = await tx.runs.get(run.id)
    assert found is not None
    return found


async def of(store: Store, notification_id: UUID) -> list[Delivery]:
    async with store.read(1) as tx:
        return (await tx.deliveries.of_notifications([notification_id]))[notification_id]


async def test_the_same_step_begins_one_run_and_other_providers_do_not_see_it(store: Store) -> None:
    first, again = await begun(store), await begun(store)
    assert first == again
    async with store.read(1) as tx:
        assert [run.id for run in await tx.runs.latest()] == [first.id]
        assert await tx.runs.by_step("i-1:run") == first
    async with store.read(2) as tx:
        assert await tx.runs.get(first.id) is None
        assert await tx.runs.latest() == []


async def test_whoever_is_left_out_twice_is_left_out_once_with_the_first_reason(store: Store) -> None:
    run, who, bill = await begun(store), new_id(), new_id()
    async with store.begin(1) as tx:
        await tx.runs.exclude([Exclusion(run.id, who, bill, "paid")])
        await tx.runs.exclude(
            [Exclusion(run.id, who, bill, "void"), Exclusion(run.id, who, None, "held", "x")]
        )
        await tx.runs.exclude([])
        assert await tx.runs.left_out(run.id) == {"paid": 1, "held": 1}
        assert await tx.runs.excluded(run.id, [bill, new_id()]) == {bill}
        (held,) = await tx.runs.exclusions(run.id, reason="held")
        assert (held.invoice_id, held.detail) == (None, "x")
        about = (await tx.runs.exclusions_of([who, new_id()]))[who]
        assert {(r.id, e.reason) for r, e in about} == {(run.id, "paid"), (run.id, "held")}


async def test_every_notice_is_counted_once_by_the_best_of_its_deliveries(store: Store) -> None:
    run = await begun(store)
    names = ("accepted", "handed", "waits", "bounced", "cancelled", "suppressed", "expired", "presumed")
    items = dict(zip(names, await notices(store, run, *(f"{n}@a.example" for n in names)), strict=True))
    async with store.begin(1) as tx:  # two addresses, one of them dead: somebody got it
        made = await outbox().enqueue(tx, draft("k:two", "x@a.example", "y@a.example", run_id=run.id))
        two = (await tx.deliveries.of_notifications([made.notification_id]))[made.notification_id]
    await learn(store, two[0], EventKind.BOUNCED, cls="no_such_user")
    by_server, by_relay = Confidence.ACCEPTED_BY_SERVER, Confidence.HANDED_TO_RELAY
    await learn(store, two[1], EventKind.ACCEPTED, confidence=by_server)
    await learn(store, items["accepted"], EventKind.ACCEPTED, confidence=by_server)
    await learn(store, items["handed"], EventKind.ACCEPTED, confidence=by_relay)
    await learn(store, items["bounced"], EventKind.BOUNCED, cls="mailbox_full")
    await learn(store, items["cancelled"], EventKind.CANCELLED)
    await learn(store, items["suppressed"], EventKind.SUPPRESSED)
    await learn(store, items["expired"], EventKind.EXPIRED)
    await learn(store, items["presumed"], EventKind.PRESUMED, confidence=Confidence.PRESUMED)
    async with store.read(1) as tx:
        assert await tx.runs.standings(run.id) == {
            Standing.ACCEPTED: 2,
            Standing.HANDED: 1,
            Standing.PRESUMED: 1,
            Standing.UNDER_WAY: 1,
            Standing.FAILED: 1,
            Standing.SUPPRESSED: 1,
            Standing.CANCELLED: 1,
            Standing.EXPIRED: 1,
        }
        tally = await tx.runs.tally(run.id)
    assert sum(t.count for t in tally) == 10
    assert {t.cls: t.count for t in tally if t.outcome is Outcome.BOUNCED} == {
        "no_such_user": 1,
        "mailbox_full": 1,
    }


async def test_a_run_ends_once_its_audience_is_complete_and_nothing_is_open(store: Store) -> None:
    run = await begun(store)
    (item,) = await notices(store, run, "dana@a.example")
    async with store.begin(1) as tx:
        await tx.posts.want(RUN_SURFACE, str(run.id), "C_SUPPORT")

    async def swept() -> int:
        return await runs.sweep(store)

    async with store.begin(1) as tx:
        assert await tx.runs.ready(run.id)
        assert not await tx.runs.ready(run.id)
    assert await swept() == 0, "one is open"
    await learn(store, item, EventKind.BOUNCED)
    assert await swept() == 1
    assert await swept() == 0
    after = await get(store, run)
    assert (after.state, after.settled_at) == (RunState.SETTLED, NOW)
    async with store.read(1) as tx:
        (post,) = await tx.posts.of(RUN_SURFACE, str(run.id))
    assert post.wanted == 3, "wanted, a bounce, the end"


async def test_a_run_whose_audience_is_still_being_made_does_not_end(store: Store) -> None:
    run = await begun(store)
    assert await runs.sweep(store) == 0
    assert (await get(store, run)).state is RunState.RUNNING


async def test_a_cancelled_run_calls_back_what_nobody_has_begun_and_then_ends(store: Store) -> None:
    run = await begun(store)
    sent, *waiting = await notices(store, run, "a@a.example", "b@a.example", "c@a.example")
    await learn(store, sent, EventKind.ACCEPTED, confidence=Confidence.HANDED_TO_RELAY)
    async with store.begin(1) as tx:
        await tx.runs.ready(run.id)
        assert await tx.runs.cancel(run.id, "U_LEAD")
        assert not await tx.runs.cancel(run.id, "U_LEAD")
        assert await runs.call_back(tx, 1, run.id, "U_LEAD") == 2
        assert await runs.call_back(tx, 1, run.id, "U_LEAD") == 0
    for item in waiting:
        (after,) = await of(store, item.notification_id)
        assert (after.stage, after.outcome) == (Stage.CLOSED, Outcome.CANCELLED)
    assert await runs.sweep(store) == 0, "a bounce may still come"
    await learn(store, sent, EventKind.DELIVERED)
    assert await runs.sweep(store) == 1
    after_all = await get(store, run)
    assert (after_all.state, after_all.settled_at) == (RunState.CANCELLED, NOW)


async def test_nothing_of_a_cancelled_run_goes_by_text_when_its_mail_bounces(store: Store) -> None:
    run = await begun(store)
    (item,) = await notices(store, run, "dana@a.example", fallback=BY_TEXT)
    await learn(store, item, EventKind.ACCEPTED, confidence=Confidence.HANDED_TO_RELAY)
    async with store.begin(1) as tx:
        assert await tx.runs.cancel(run.id, "U_LEAD")
    await learn(store, item, EventKind.BOUNCED)
    assert [d.channel for d in await of(store, item.notification_id)] == [Channel.EMAIL]


async def test_a_run_that_is_cancelled_before_its_audience_is_complete_ends_too(store: Store) -> None:
    """Whoever made its audience is gone: nobody will ever say that it is complete."""
    run = await begun(store)
    (item,) = await notices(store, run, "dana@a.example")
    async with store.begin(1) as tx:
        assert await tx.runs.cancel(run.id, "U_LEAD")
    assert await runs.sweep(store) == 1
    (after,) = await of(store, item.notification_id)
    assert (after.stage, after.outcome) == (Stage.CLOSED, Outcome.CANCELLED)
    assert (await get(store, run)).state is RunState.CANCELLED


async def test_a_cancel_leaves_what_is_on_the_wire_or_in_doubt_to_its_end(store: Store) -> None:
    run = await begun(store)
    (item,) = await notices(store, run, NUMBER, recipients=[text(NUMBER)], sms_route="twilio")
    claimed = await claim(store, route="twilio")
    async with store.begin(1) as tx:
        await tx.runs.cancel(run.id, "U_LEAD")
        assert await runs.call_back(tx, 1, run.id, "U_LEAD") == 0
    async with store.system() as tx:
        await tracking.record(tx, [Report(1, worker_event(claimed, EventKind.IN_DOUBT, NOW), fenced=True)])
        assert await runs.call_back(tx, 1, run.id, "U_LEAD") == 0
    (after,) = await of(store, item.notification_id)
    assert (after.stage, after.stage_by, after.outcome) == (Stage.HELD, SETTLING, Outcome.NONE)


async def test_a_cancel_waits_for_the_batch_that_is_being_written_and_calls_it_back(
    postgres_store: Store,
) -> None:
    store = postgres_store
    run = await begun(store)
    looked, go_on = asyncio.Event(), asyncio.Event()

    async def batch() -> None:
        async with store.begin(1) as tx:
            assert (await tx.runs.get(run.id, lock=True)) is not None
            looked.set()
            await go_on.wait()
            await outbox().enqueue(tx, draft("k", run_id=run.id, priority=Priority.BULK))

    async def cancel() -> int:
        async with store.begin(1) as tx:
            await tx.runs.cancel(run.id, "U_LEAD")
        async with store.begin(1) as tx:
            return await runs.call_back(tx, 1, run.id, "U_LEAD")

    writing = asyncio.create_task(batch())
    await looked.wait()
    cancelling = asyncio.create_task(cancel())
    await waits_for_a_lock(store)
    go_on.set()
    await writing
    assert await cancelling == 1


async def test_a_delivery_that_is_claimed_while_it_is_called_back_is_not_called_cancelled(
    postgres_store: Store,
) -> None:
    """Between the look at what waits and the lock a worker takes it: it is being sent at this moment."""
    store = postgres_store
    run = await begun(store)
    (item,) = await notices(store, run, "dana@a.example")
    taken, go_on = asyncio.Event(), asyncio.Event()

    async def claiming() -> None:
        async with store.system() as tx:
            await claim_in(tx)
            taken.set()
            await go_on.wait()

    async def calling_back() -> int:
        async with store.begin(1) as tx:
            return await runs.call_back(tx, 1, run.id, "U_LEAD")

    claimer = asyncio.create_task(claiming())
    await taken.wait()
    caller = asyncio.create_task(calling_back())
    await waits_for_a_lock(store)
    go_on.set()
    await claimer
    assert await caller == 0
    (after,) = await of(store, item.notification_id)
    assert (after.stage, after.outcome) == (Stage.CLAIMED, Outcome.NONE)


async def test_one_transaction_bumps_a_run_s_card_once_however_many_deliveries_it_tells_of(
    store: Store,
) -> None:
    run = await begun(store)
    items = await notices(store, run, *(f"p{n}@a.example" for n in range(5)))
    async with store.begin(1) as tx:
        await tx.posts.want(RUN_SURFACE, str(run.id), "C_SUPPORT")
    async with store.system() as tx:
        await tracking.record(tx, [Report(1, event(i.id, EventKind.BOUNCED, attempt=0)) for i in items])
    async with store.read(1) as tx:
        (post,) = await tx.posts.of(RUN_SURFACE, str(run.id))
    assert post.wanted == 2


async def test_a_notice_whose_only_address_fails_goes_by_text_once(store: Store) -> None:
    run = await begun(store)
    (item,) = await notices(store, run, "dana@a.example", fallback=BY_TEXT, subscriber_id=new_id())
    await learn(store, item, EventKind.BOUNCED, cls="no_such_user", hard=True)
    await learn(store, item, EventKind.BOUNCED, key="told again")
    first, second = sorted(await of(store, item.notification_id), key=lambda d: d.channel)
    assert (second.channel, second.address, second.route) == (Channel.SMS, NUMBER, "twilio")
    assert (second.stage, second.due_at, second.priority) == (Stage.QUEUED, NOW, Priority.BULK)
    assert second.subscriber_id == first.subscriber_id
    async with store.read(1) as tx:
        notification = await tx.notifications.get(item.notification_id)
        assert notification is not None
        assert notification.fallback == ()
        assert await tx.runs.standings(run.id) == {Standing.UNDER_WAY: 1}


async def test_a_notice_waits_for_all_its_addresses_to_fail_before_it_goes_by_text(store: Store) -> None:
    async with store.begin(1) as tx:
        made = await outbox().enqueue(tx, draft("k", "a@a.example", "b@a.example", fallback=BY_TEXT))
    one, two = await of(store, made.notification_id)
    await learn(store, one, EventKind.BOUNCED)
    assert len(await of(store, made.notification_id)) == 2
    await learn(store, two, EventKind.SUPPRESSED)
    assert [d.channel for d in await of(store, made.notification_id)].count(Channel.SMS) == 1


async def test_of_two_addresses_that_fail_at_once_exactly_one_opens_the_second_way(store: Store) -> None:
    async with store.begin(1) as tx:
        made = await outbox().enqueue(tx, draft("k", "a@a.example", "b@a.example", fallback=BY_TEXT))
    items = await of(store, made.notification_id)
    await asyncio.gather(*(learn(store, item, EventKind.BOUNCED) for item in items))
    assert [d.channel for d in await of(store, made.notification_id)].count(Channel.SMS) == 1


async def test_what_was_called_back_or_is_out_of_date_or_got_through_does_not_go_by_text(
    store: Store,
) -> None:
    run = await begun(store)
    cases = [
        (EventKind.CANCELLED, {}),
        (EventKind.EXPIRED, {}),
        (EventKind.ACCEPTED, {"confidence": Confidence.HANDED_TO_RELAY}),
        (EventKind.DELIVERED, {}),
    ]
    items = await notices(store, run, *(f"{k}@a.example" for k, _ in cases), fallback=BY_TEXT)
    for item, (kind, more) in zip(items, cases, strict=True):
        await learn(store, item, kind, **more)
        assert len(await of(store, item.notification_id)) == 1, kind


async def test_a_bounce_that_comes_late_leaves_the_text_a_day(store: Store) -> None:
    async with store.begin(1) as tx:
        made = await outbox().enqueue(tx, draft("k", fallback=BY_TEXT, lifetime=timedelta(minutes=5)))
    (item,) = await of(store, made.notification_id)
    await learn(store, item, EventKind.BOUNCED)
    text = next(d for d in await of(store, made.notification_id) if d.channel is Channel.SMS)
    assert text.expires_at == NOW + timedelta(days=1)


async def test_a_postponed_delivery_is_queued_again_for_then_and_has_made_no_attempt(store: Store) -> None:
    run = await begun(store)
    (item,) = await notices(store, run, "dana@a.example")
    morning = NOW + timedelta(hours=8)
    async with store.system() as tx:
        (claimed,) = await take(
            tx,
            route="relay",
            highest=Priority.NORMAL,
            limit=5,
            worker="w",
            lease_s=30,
            retry_at=NOW,
        )
        assert await tx.deliveries.postpone(claimed, until=morning, reason="Waits until 9:00 AM their time")
        assert not await tx.deliveries.postpone(claimed, until=NOW, reason="late")
    (after,) = await of(store, item.notification_id)
    assert (after.stage, after.due_at, after.attempt) == (Stage.QUEUED, morning, 0)
    assert after.stage_reason == "Waits until 9:00 AM their time"
    assert words.status(after, (), ZoneInfo("UTC")) == "Waits until 9:00 AM their time"


async def test_who_takes_care_of_what_is_the_last_one_named(store: Store) -> None:
    async with store.begin(1) as tx:
        await tx.assignments.assign(["invoice:1", "invoice:2"], "U_AGENT", actor="U_LEAD")
        await tx.assignments.assign(["invoice:2"], "U_LEAD", actor="U_LEAD")
        found = await tx.assignments.of(["invoice:1", "invoice:2", "invoice:3"])
    assert {subject: a.assignee for subject, a in found.items()} == {
        "invoice:1": "U_AGENT",
        "invoice:2": "U_LEAD",
    }
