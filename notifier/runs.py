"""Invoice runs while they are followed: what is held, let go and called back, and when they are over.

The audience is made by handlers.workflows.run; here is what happens by itself afterwards. A paused run holds
what is queued; what a worker had claimed at that moment is caught by the truth check (billing.pauses), and a
hold that comes after the pause has ended is let go by the sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from notifier.run_times import APPROVE_WITHIN, LONGEST_PAUSE, keeps_its_time
from notifier.tracking import RUN_SURFACE, Report, record
from store.models import (
    Delivery,
    Event,
    EventKind,
    EventSource,
    Reason,
    Run,
    RunState,
    Stage,
)
from store.run_states import held_by
from store.unit import Store, Tx

CALLED_BACK = "The run was cancelled before it went out."
OUT_OF_DATE = "Its run was paused until it was out of date."
TOO_LONG = "Nobody resumed it for 14 days"
NOT_APPROVED = "Nobody approved it within 24 hours"
BY_ITSELF = "clock"
"""Who cancels what nobody has decided about."""
_BATCH = 2000


async def hold_back(tx: Tx, tenant: int, run_id: UUID, limit: int = _BATCH) -> int:
    """Holds what a paused run has queued; call it until it gives 0. Nothing once it is resumed."""
    run = await tx.of(tenant).runs.get(run_id, lock=True)
    if run is None or run.state is not RunState.PAUSED:
        return 0
    return await tx.runs.hold_queued(tenant, run_id, limit)


async def let_go(tx: Tx, tenant: int, run_id: UUID, limit: int = _BATCH) -> int:
    """Queues again what the run held while it was paused; call it until it gives 0. Nothing while it is
    paused (again)."""
    run = await tx.of(tenant).runs.get(run_id, lock=True)
    if run is None or run.state is not RunState.RUNNING:
        return 0
    longer = timedelta()
    if run.paused_at is not None and run.resumed_at is not None and keeps_its_time(run.kind):
        longer = max(run.resumed_at - run.paused_at, timedelta())
    return await tx.runs.let_go(tenant, run.id, longer, limit)


async def call_back(tx: Tx, tenant: int, run_id: UUID, actor: str, limit: int = 500) -> int:
    """Cancels what nobody has begun to send; call it until it gives 0. What is on the wire ends by itself."""
    ids = await tx.runs.waiting(tenant, run_id, limit)
    locked = await tx.deliveries.lock([(tenant, delivery_id) for delivery_id in ids])
    # One that a worker took in between is on the wire: its end says what became of it.
    waiting = [d for d in locked.values() if d.stage in (Stage.QUEUED, Stage.HELD)]
    await record(tx, [Report(tenant, _cancelled(tx, delivery, actor)) for delivery in waiting])
    return len(waiting)


def _cancelled(tx: Tx, delivery: Delivery, actor: str) -> Event:
    return Event(
        delivery_id=delivery.id,
        attempt=delivery.attempt,
        kind=EventKind.CANCELLED,
        # By attempt: one that was being sent when the run was cancelled, and was put off, is cancelled again.
        key=f"run:cancelled:{delivery.attempt}",
        at=tx.now,
        source=EventSource.OPERATOR,
        reason=Reason.OPERATOR,
        diagnostic=CALLED_BACK,
        actor=actor,
    )


async def sweep(store: Store) -> int:
    """Across tenants: finishes what presses began, and ends runs that are over; how many.

    Step by step in transactions of their own: each locks deliveries, then a run, then its card, as others do.
    """
    ended = 0
    async with store.system() as tx:
        open_runs = await tx.runs.unsettled()
        holders = {tenant: await tx.deliveries.holders(tenant) for tenant in {t for t, _ in open_runs}}
    for tenant, run in open_runs:
        if run.state is RunState.CANCELLED:
            async with store.system() as tx:
                await call_back(tx, tenant, run.id, run.cancelled_by or "run")
        elif run.state is RunState.PAUSED:
            await _sweep_paused(store, tenant, run)
        elif run.state is RunState.WAITING:
            await _sweep_waiting(store, tenant, run)
        elif held_by(run.id) in holders[tenant]:  # held a moment after it was resumed
            async with store.system() as tx:
                await let_go(tx, tenant, run.id)
        async with store.system() as tx:
            if await tx.runs.settle(tenant, run.id):
                await bump(tx, [(tenant, str(run.id))])
                ended += 1
    return ended


async def _sweep_paused(store: Store, tenant: int, run: Run) -> None:
    async with store.system() as tx:
        held = await hold_back(tx, tenant, run.id)
        too_long = run.paused_at is not None and tx.now - run.paused_at >= LONGEST_PAUSE
        if too_long and await tx.of(tenant).runs.cancel(run.id, BY_ITSELF, TOO_LONG):
            await bump(tx, [(tenant, str(run.id))])
            return
        if held:
            await bump(tx, [(tenant, str(run.id))])
        if not keeps_its_time(run.kind):
            late = await tx.runs.out_of_date(tenant, run.id)
            await record(tx, [Report(tenant, _expired(tx, delivery)) for delivery in late])


def _expired(tx: Tx, delivery: Delivery) -> Event:
    return Event(
        delivery_id=delivery.id,
        attempt=delivery.attempt,
        kind=EventKind.EXPIRED,
        key=f"run:expired:{delivery.attempt}",
        at=tx.now,
        source=EventSource.SWEEP,
        reason=Reason.STALE,
        diagnostic=OUT_OF_DATE,
    )


async def _sweep_waiting(store: Store, tenant: int, run: Run) -> None:
    async with store.system() as tx:
        late = tx.now - run.created_at >= APPROVE_WITHIN
        if late and await tx.of(tenant).runs.cancel(run.id, BY_ITSELF, NOT_APPROVED):
            await bump(tx, [(tenant, str(run.id))])


async def bump(tx: Tx, refs: Sequence[tuple[int, str]]) -> None:
    """Their cards show something old."""
    await tx.posts.bump(RUN_SURFACE, refs)


__all__ = ["BY_ITSELF", "CALLED_BACK", "RUN_SURFACE", "bump", "call_back", "hold_back", "let_go", "sweep"]
