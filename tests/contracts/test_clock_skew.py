"""Machines whose clocks differ: leases follow the database, due times are off by no more than the skew."""

from __future__ import annotations

from datetime import timedelta

from store.models import EventKind, Stage
from store.unit import Store
from tests.builders import draft, outbox, take
from tests.conftest import FakeClock
from tests.contracts.attempts import claim, claimed_delivery, record, row, said

MINUTES = 7


async def _claims(store: Store) -> int:
    async with store.system() as tx:
        found = await take(
            tx,
            route="relay",
            limit=10,
            worker="theirs",
            lease_s=60,
            retry_at=tx.now,
        )
    return len(found)


def _off_by(store: Store, minutes: float) -> Store:
    """The same database, seen from a machine whose clock is fast (or slow, below zero)."""
    other = Store(store.engine, lambda: store.clock() + timedelta(minutes=minutes))
    other.signals = store.signals
    return other


async def test_a_machine_whose_clock_is_fast_steals_no_lease(store: Store) -> None:
    item = await claimed_delivery(store, lease_s=60)
    fast = _off_by(store, MINUTES)
    async with fast.system() as tx:
        assert await tx.deliveries.lost() == []
    assert await _claims(fast) == 0
    assert (await row(store, item)).attempt == 1


async def test_a_machine_whose_clock_is_slow_holds_its_lease_no_longer_than_others(store: Store) -> None:
    slow = _off_by(store, -MINUTES)
    async with store.begin(1) as tx:
        await outbox().enqueue(tx, draft("k", not_before=store.clock() - timedelta(hours=1)))
    item = await claim(slow, lease_s=-1)
    async with store.system() as tx:
        assert [lost.id for lost in await tx.deliveries.lost()] == [item.id]


async def test_what_is_not_due_leaves_a_fast_machine_too_early_by_no_more_than_its_clock_is_off(
    store: Store, clock: FakeClock
) -> None:
    due = clock.now + timedelta(hours=1)
    async with store.begin(1) as tx:
        await outbox().enqueue(tx, draft("k", not_before=due))
    fast, slow = _off_by(store, MINUTES), _off_by(store, -MINUTES)
    clock.now = due - timedelta(minutes=MINUTES, seconds=1)
    assert await _claims(fast) == 0
    clock.now = due
    assert await _claims(slow) == 0
    clock.now = due + timedelta(minutes=MINUTES)
    assert await _claims(slow) == 1


async def test_what_a_fast_machine_puts_off_is_tried_again_by_others_too_late_by_no_more_than_that(
    store: Store, clock: FakeClock
) -> None:
    fast = _off_by(store, MINUTES)
    item = await claimed_delivery(store)
    await record(fast, said(item, EventKind.DEFERRED))
    here = await row(store, item)
    other = await claimed_delivery(store, "other", "other@example.com")
    await record(store, said(other, EventKind.DEFERRED))
    assert here.stage is Stage.QUEUED
    assert here.due_at - (await row(store, other)).due_at == timedelta(minutes=MINUTES)
