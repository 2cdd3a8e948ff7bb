"""How runs wait, pause and go on, and what the ledger says of them, on a real database."""

from __future__ import annotations

from datetime import date, timedelta

from notifier import runs, tracking
from notifier.run_times import APPROVE_WITHIN, LONGEST_PAUSE
from store.models import (
    Delivery,
    EventKind,
    Exclusion,
    NotificationKind,
    Outcome,
    Run,
    RunState,
    Stage,
    Standing,
)
from store.run_states import held_by
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, billing_email, draft, invoice_record, outbox, subscriber_record
from tests.conftest import FakeClock
from tests.contracts.attempts import claim
from tests.contracts.test_runs import begun, get, learn, notices, of, run_of

DAY = timedelta(days=1)
NEW = NotificationKind.INVOICE_ISSUED


async def pause(store: Store, run: Run) -> int:
    async with store.begin(1) as tx:
        assert await tx.runs.pause(run.id, "U_LEAD")
        assert not await tx.runs.pause(run.id, "U_OTHER"), "who came second is told so"
        return await runs.hold_back(tx, 1, run.id)


async def one(store: Store, item: Delivery) -> Delivery:
    (found,) = await of(store, item.notification_id)
    return found


async def test_a_paused_run_holds_what_is_queued_and_leaves_what_is_being_sent(store: Store) -> None:
    run = await begun(store)
    first, *rest = await notices(store, run, "a@a.example", "b@a.example", "c@a.example")
    claimed = await claim(store)
    other = await begun(store, "i-2:run")
    async with store.begin(1) as tx:
        made = await outbox().enqueue(tx, draft("k:x", "x@a.example", run_id=other.id))
        (bystander,) = (await tx.deliveries.of_notifications([made.notification_id]))[made.notification_id]
    assert await pause(store, run) == 2
    async with store.begin(1) as tx:
        assert await runs.hold_back(tx, 1, run.id) == 0
    held = [d for d in [await one(store, i) for i in (first, *rest)] if d.stage is Stage.HELD]
    assert {d.stage_by for d in held} == {held_by(run.id)}
    assert len(held) == 2
    assert (await one(store, bystander)).stage is Stage.QUEUED
    assert claimed.id not in {d.id for d in held}


async def test_the_time_of_a_pause_does_not_count_against_the_notices(store: Store, clock: FakeClock) -> None:
    run = await begun(store)
    (item,) = await notices(store, run, "dana@a.example")
    await pause(store, run)
    clock.advance(hours=24 * 10)
    async with store.system() as tx:
        assert await tracking.sweep_overdue(tx) == 0, "held by a paused run: nothing expires unseen"
    async with store.begin(1) as tx:
        assert await tx.runs.resume(run.id, "U_LEAD")
        assert await runs.let_go(tx, 1, run.id) == 1
        assert await runs.let_go(tx, 1, run.id) == 0
        assert await tx.runs.next_due(run.id) == tx.now
        assert await tx.runs.waits(run.id)
    after = await one(store, item)
    assert (after.stage, after.stage_by, after.due_at) == (Stage.QUEUED, None, store.clock())
    assert after.expires_at == item.expires_at + 10 * DAY


async def test_a_reminder_goes_out_of_date_while_its_run_is_paused(store: Store, clock: FakeClock) -> None:
    async with store.begin(1) as tx:
        run = await tx.runs.create(run_of(kind=NotificationKind.REMINDER), "i-1:run")
    (item,) = await notices(store, run, "dana@a.example", lifetime=DAY)
    await pause(store, run)
    async with store.read(1) as tx:
        assert await tx.runs.first_to_expire(run.id) == item.expires_at
    clock.advance(hours=25)
    await runs.sweep(store)
    assert (await one(store, item)).outcome is Outcome.EXPIRED


async def test_what_was_held_a_moment_after_the_run_went_on_is_let_go_by_the_sweep(store: Store) -> None:
    run = await begun(store)
    (item,) = await notices(store, run, "dana@a.example")
    claimed = await claim(store)
    await pause(store, run)
    async with store.begin(1) as tx:
        await tx.runs.resume(run.id, "U_LEAD")
    async with store.system() as tx:  # the truth check had seen the pause
        assert await tx.deliveries.hold(claimed, reason="paused", by=held_by(run.id))
    await runs.sweep(store)
    assert (await one(store, item)).stage is Stage.QUEUED


async def test_a_run_that_nobody_approves_or_resumes_ends_kindly(store: Store, clock: FakeClock) -> None:
    async with store.begin(1) as tx:
        waiting = await tx.runs.create(run_of(state=RunState.WAITING), "i-1:run")
    paused = await begun(store, "i-2:run")
    (item,) = await notices(store, paused, "dana@a.example")
    await pause(store, paused)
    clock.advance(hours=APPROVE_WITHIN / timedelta(hours=1))
    await runs.sweep(store)
    ended = await get(store, waiting)
    assert (ended.state, ended.pause_reason) == (RunState.CANCELLED, "Nobody approved it within 24 hours")
    assert (await get(store, paused)).state is RunState.PAUSED
    clock.advance(hours=LONGEST_PAUSE / timedelta(hours=1))
    await runs.sweep(store)
    await runs.sweep(store)
    assert (await get(store, paused)).state is RunState.CANCELLED
    assert (await one(store, item)).outcome is Outcome.CANCELLED


async def test_only_what_waits_is_approved_and_only_what_is_paused_goes_on(store: Store) -> None:
    run = await begun(store)
    async with store.begin(1) as tx:
        assert not await tx.runs.approve(run.id, "U_LEAD", {})
        assert not await tx.runs.resume(run.id, "U_LEAD")
        assert await tx.runs.cancel(run.id, "U_LEAD")
        assert not await tx.runs.pause(run.id, "U_LEAD")
        assert not await tx.runs.approve(run.id, "U_LEAD", {})
    after = await get(store, run)
    assert (after.state, after.cancelled_by, after.cancelled_at) == (RunState.CANCELLED, "U_LEAD", NOW)


async def test_the_ledger_counts_every_invoice_once_and_finds_those_that_are_nowhere(store: Store) -> None:
    async with store.begin(1) as tx:
        ids = await tx.subscribers.upsert(
            [subscriber_record("1001", points=(billing_email("dana@a.example"),))]
        )
        numbers = [f"2000{n}" for n in range(5)]
        await tx.invoices.upsert([invoice_record(ids["1001"], n) for n in numbers])
        bills = [i for n in numbers if (i := await tx.invoices.by_number(n)) is not None]
    issued = bills[0].issued_on
    criteria = {"what": "issued", "since": issued.isoformat(), "today": issued.isoformat()}
    async with store.begin(1) as tx:
        run = await tx.runs.create(run_of(criteria=criteria), "i-1:run")
    told, again, _, lost, late = bills
    (item,) = await notices(store, run, "dana@a.example", invoice_id=told.id, kind=NEW)
    (failed,) = await notices(store, run, "leo@a.example", invoice_id=again.id, kind=NEW)
    await learn(store, item, EventKind.DELIVERED)
    await learn(store, failed, EventKind.BOUNCED)
    async with store.begin(1) as tx:  # told again by another message: it counts once, by the best
        await outbox().enqueue(tx, draft("k:again", "leo@a.example", invoice_id=again.id, kind=NEW))
        await tx.runs.exclude([Exclusion(run.id, ids["1001"], bills[2].id, "paid")])
        await tx.runs.written(run.id, lost.number, 4)
        await tx.runs.ready(run.id)
        await tx.invoices.upsert([invoice_record(ids["1001"], "20009", issued_on=issued)])
    async with store.read(1) as tx:
        current = await tx.runs.get(run.id)
        assert current is not None
        mine = await tx.run_ledger.of_run(current)
        days = await tx.run_ledger.of_days(issued, issued)
        missing = await tx.run_ledger.examples(issued, issued)
        entries = await tx.run_ledger.entries([b.id for b in bills])
        nothing = await tx.run_ledger.of_days(date(2020, 1, 1), date(2020, 1, 2))
    assert (mine.issued, mine.told, mine.left_out, mine.gap) == (4, 2, {"paid": 1}, 1)
    assert days.notified == {Standing.ACCEPTED: 1, Standing.UNDER_WAY: 1}
    assert (days.issued, days.left_out, days.outside, days.gap) == (6, {"paid": 1}, 1, 2)
    assert missing == [lost.number, late.number]
    assert entries[told.id].standing is Standing.ACCEPTED
    assert entries[bills[2].id].reason == "paid"
    assert lost.id not in entries
    assert (nothing.issued, nothing.gap) == (0, 0)


async def test_a_run_that_nobody_writes_at_is_found_and_its_failures_are_counted(
    store: Store, clock: FakeClock
) -> None:
    run = await begun(store)
    items = await notices(store, run, *(f"p{n}@a.example" for n in range(4)))
    for item in items[:3]:
        await learn(store, item, EventKind.BOUNCED)
    await learn(store, items[3], EventKind.DELIVERED)
    async with store.read(1) as tx:
        assert await tx.runs.unwritten(NOW - DAY) == []
        assert [r.id for r in await tx.runs.unwritten(NOW)] == [run.id]
        assert await tx.run_ledger.failing(run.id, NOW) == 3
        assert await tx.run_ledger.failing(run.id, NOW + DAY) == 0
        assert await tx.run_ledger.failing(new_id(), NOW) == 0
        assert await tx.run_ledger.ended(run.id, NOW, 10) == 4
        assert await tx.run_ledger.ended(run.id, NOW, 2) == 2
