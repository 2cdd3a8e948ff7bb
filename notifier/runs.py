"""Invoice runs while they are followed: their cards, what is called back, and when they are over.

The audience is made by handlers.workflows.run; here is what happens by itself afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from notifier.tracking import RUN_SURFACE, Report, record
from store.models import Delivery, Event, EventKind, EventSource, Reason, RunState, Stage
from store.unit import Store, Tx

CALLED_BACK = "The run was cancelled before it went out."


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
    """Across tenants: calls back what cancelled runs still have, and ends runs that are over; how many.

    Step by step in transactions of their own: each locks deliveries, then a run, then its card, as others do.
    """
    ended = 0
    async with store.system() as tx:
        open_runs = await tx.runs.unsettled()
    for tenant, run in open_runs:
        if run.state is RunState.CANCELLED:
            async with store.system() as tx:
                await call_back(tx, tenant, run.id, "run")
        async with store.system() as tx:
            if await tx.runs.settle(tenant, run.id):
                await bump(tx, [(tenant, str(run.id))])
                ended += 1
    return ended


async def bump(tx: Tx, refs: Sequence[tuple[int, str]]) -> None:
    """Their cards show something old."""
    await tx.posts.bump(RUN_SURFACE, refs)


__all__ = ["CALLED_BACK", "RUN_SURFACE", "bump", "call_back", "sweep"]
