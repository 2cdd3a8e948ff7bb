"""How invoice runs change: waiting, running, paused, cancelled, settled; and what they hold meanwhile.

Every change is a compare-and-set of one row, so that of two people who press at once one is told that it was
done already. Many deliveries are held or let go batch by batch, each in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    update,
)

from store.deliveries import SETTLING, delivery_of
from store.models import Delivery, NotificationKind, Run, RunState, Stage
from store.repository import BATCH, Repository
from store.tables import deliveries, notifications, runs

HOLDING = "run:"
"""How `stage_by` begins where a paused run holds; behind it stands the run's id."""
PAUSED = "Its run is paused"
_LINE = (deliveries.c.route, deliveries.c.priority, deliveries.c.due_at)
"""The order of the index of what is queued: SQLite, which knows no sizes, would begin with all deliveries of
the tenant (tests/contracts/test_store_plans.py)."""
_QUEUED = text("deliveries.stage = 'queued'")  # literal, as the partial index has it (store.deliveries)
_HELD = text("deliveries.stage = 'held'")


def held_by(run_id: UUID) -> str:
    """Who holds what a paused run has queued."""
    return f"{HOLDING}{run_id}"


def run_of(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        kind=NotificationKind(row.kind),
        label=row.label,
        criteria=row.criteria,
        state=RunState(row.state),
        requested_by=row.requested_by,
        created_at=row.created_at,
        ready_at=row.ready_at,
        settled_at=row.settled_at,
        written_to=row.written_to,
        written_at=row.written_at,
        audience=row.audience,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        paused_by=row.paused_by,
        paused_at=row.paused_at,
        pause_reason=row.pause_reason or "",
        resumed_by=row.resumed_by,
        resumed_at=row.resumed_at,
        cancelled_by=row.cancelled_by,
        cancelled_at=row.cancelled_at,
        stop_at=row.stop_at,
        rehearsal=row.rehearsal or {},
    )


def of_run(tenant: int, run_id: UUID) -> ColumnElement[bool]:
    """Deliveries of this run's notices.

    Not as a join, nor in the order of another index: SQLite, which knows no sizes, would begin with all
    deliveries of the tenant (tests/contracts/test_store_plans.py).
    """
    n = notifications.c
    notices = select(n.id).where(n.tenant_id == tenant, n.run_id == run_id)
    return and_(deliveries.c.tenant_id == tenant, deliveries.c.notification_id.in_(notices))


def _notice_of(tenant: int, run_id: UUID) -> ColumnElement[bool]:
    """A delivery is one of this run's, asked delivery by delivery."""
    n = notifications.c
    return exists(
        select(literal(1))
        .select_from(notifications)
        .where(n.tenant_id == tenant, n.id == deliveries.c.notification_id, n.run_id == run_id)
        .correlate(deliveries)
    )


class RunStates(Repository):
    async def waiting(self, tenant: int, run_id: UUID, limit: int = BATCH) -> list[UUID]:
        """Deliveries of it that nobody has begun to send: they can still be called back."""
        statement = (
            select(deliveries.c.id)
            .where(
                of_run(tenant, run_id),
                deliveries.c.stage.in_([Stage.QUEUED, Stage.HELD]),
                # A text in doubt may have gone out: it is looked for first.
                func.coalesce(deliveries.c.stage_by, "") != SETTLING,
            )
            .limit(limit)
        )
        return sorted((await self._tx.conn.execute(statement)).scalars())

    async def ready(self, run_id: UUID) -> bool:
        """Its audience is complete; False when it was already."""
        return await self._set(run_id, runs.c.ready_at.is_(None), ready_at=self._tx.now)

    async def written(self, run_id: UUID, number: str, count: int) -> None:
        """A batch of `count` invoices was decided, up to this number."""
        here = {"written_to": number, "written_at": self._tx.now}
        await self._set(run_id, literal(value=True), audience=runs.c.audience + count, **here)

    async def approve(self, run_id: UUID, by: str, rehearsal: Mapping[str, Any]) -> bool:
        """Waiting -> running; False when it waits no more."""
        return await self._set(
            run_id,
            runs.c.state == RunState.WAITING,
            state=RunState.RUNNING,
            approved_by=by,
            approved_at=self._tx.now,
            written_at=self._tx.now,
            rehearsal=dict(rehearsal),
        )

    async def foresee(self, run_id: UUID, rehearsal: Mapping[str, Any]) -> bool:
        """What it would do has changed while it waits."""
        return await self._set(run_id, runs.c.state == RunState.WAITING, rehearsal=dict(rehearsal))

    async def pause(self, run_id: UUID, by: str, reason: str = "") -> bool:
        """Running -> paused; False when it does not run. What waits is held by `hold_queued`."""
        running = and_(runs.c.state == RunState.RUNNING, runs.c.settled_at.is_(None))
        return await self._set(
            run_id, running, state=RunState.PAUSED, paused_by=by, paused_at=self._tx.now, pause_reason=reason
        )

    async def resume(self, run_id: UUID, by: str) -> bool:
        """Paused -> running; False when it is not paused. What it holds is let go by `let_go`."""
        return await self._set(
            run_id,
            runs.c.state == RunState.PAUSED,
            state=RunState.RUNNING,
            resumed_by=by,
            resumed_at=self._tx.now,
            written_at=self._tx.now,
        )

    async def cancel(self, run_id: UUID, by: str, reason: str = "") -> bool:
        """Nothing more is begun; False when it was settled or cancelled before."""
        open_ = (RunState.WAITING, RunState.RUNNING, RunState.PAUSED)
        unsettled = and_(runs.c.state.in_(open_), runs.c.settled_at.is_(None))
        values = {"cancelled_by": by, "cancelled_at": self._tx.now, "pause_reason": reason}
        return await self._set(run_id, unsettled, state=RunState.CANCELLED, **values)

    async def hold_queued(self, tenant: int, run_id: UUID, limit: int = BATCH) -> int:
        """Queued -> held by this run, `limit` of them; how many. What a worker has claimed goes on."""
        c, mine = deliveries.c, _notice_of(tenant, run_id)
        # Along what is queued, not along the run: what it holds already is not looked at again.
        waiting = (
            select(c.id)
            .where(c.tenant_id == tenant, _QUEUED, mine)
            .order_by(*_LINE)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        result = await self._tx.conn.execute(
            update(deliveries)
            .where(c.tenant_id == tenant, c.id.in_(waiting))
            .values(stage=Stage.HELD, stage_reason=PAUSED, stage_by=held_by(run_id))
        )
        return int(result.rowcount)

    async def waits(self, run_id: UUID) -> bool:
        """Whether something of it is still to be written or sent."""
        c = deliveries.c
        queued = (
            select(c.id)
            .where(c.tenant_id == self._tenant, _QUEUED, _notice_of(self._tenant, run_id))
            .order_by(*_LINE)
            .limit(1)
        )
        unready = select(runs.c.id).where(
            runs.c.tenant_id == self._tenant, runs.c.id == run_id, runs.c.ready_at.is_(None)
        )
        found = [(await self._tx.conn.execute(statement)).first() for statement in (unready, queued)]
        return any(row is not None for row in found)

    async def next_due(self, run_id: UUID) -> datetime | None:
        """When the first of what is queued may go."""
        c = deliveries.c
        first_of_each = (
            select(func.min(c.due_at))
            .where(c.tenant_id == self._tenant, _QUEUED, _notice_of(self._tenant, run_id))
            .group_by(c.route, c.priority)
            .order_by(c.route, c.priority)
        )
        return min((await self._tx.conn.execute(first_of_each)).scalars(), default=None)

    def _held(self, tenant: int, run_id: UUID) -> ColumnElement[bool]:
        return and_(deliveries.c.tenant_id == tenant, _HELD, deliveries.c.stage_by == held_by(run_id))

    async def let_go(self, tenant: int, run_id: UUID, longer: timedelta, limit: int = BATCH) -> int:
        """Held by this run -> queued, each when it was due or now; `longer`: how much later they expire."""
        c = deliveries.c
        found = (
            select(c.id, c.due_at, c.expires_at)
            .where(self._held(tenant, run_id))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = (await self._tx.conn.execute(found)).all()
        if not rows:
            return 0
        statement = (
            update(deliveries)
            .where(c.tenant_id == tenant, c.id == bindparam("b_id"))
            .values(
                stage=Stage.QUEUED,
                stage_reason=None,
                stage_by=None,
                due_at=bindparam("b_due"),
                expires_at=bindparam("b_expires"),
            )
        )
        now = self._tx.now
        values = [
            {"b_id": row.id, "b_due": max(row.due_at, now), "b_expires": row.expires_at + longer}
            for row in rows
        ]
        await self._tx.conn.execute(statement, values)
        self._tx.signal("deliveries")
        return len(rows)

    async def first_to_expire(self, run_id: UUID) -> datetime | None:
        """When the first of what a paused run holds goes out of date."""
        first = select(func.min(deliveries.c.expires_at))
        statement = first.where(self._held(self._tenant, run_id))
        value: datetime | None = (await self._tx.conn.execute(statement)).scalar_one()
        return value

    async def out_of_date(self, tenant: int, run_id: UUID, limit: int = BATCH) -> list[Delivery]:
        """Held by this run and past their expiry; locked."""
        statement = (
            select(deliveries)
            .where(self._held(tenant, run_id), deliveries.c.expires_at <= self._tx.now)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [delivery_of(row) for row in await self._tx.conn.execute(statement)]

    async def _set(self, run_id: UUID, where: ColumnElement[bool], **values: Any) -> bool:
        result = await self._tx.conn.execute(
            update(runs).where(runs.c.tenant_id == self._tenant, runs.c.id == run_id, where).values(**values)
        )
        return bool(result.rowcount)

    async def unwritten(self, since: datetime) -> list[Run]:
        """Whose audience is not complete, and that nobody has written at since then."""
        c = runs.c
        statement = select(runs).where(
            c.tenant_id == self._tenant,
            c.ready_at.is_(None),
            c.state.in_([RunState.RUNNING, RunState.PAUSED]),
            func.coalesce(c.written_at, c.created_at) <= since,
        )
        return [run_of(row) for row in await self._tx.conn.execute(statement)]

    async def open_runs(self) -> list[Run]:
        """Of this tenant: neither settled nor cancelled, oldest first."""
        c = runs.c
        open_ = [RunState.WAITING, RunState.RUNNING, RunState.PAUSED]
        statement = select(runs).where(c.tenant_id == self._tenant, c.state.in_(open_)).order_by(c.id)
        return [run_of(row) for row in await self._tx.conn.execute(statement)]

    async def unsettled(self) -> list[tuple[int, Run]]:
        """Across tenants (`system()`): those that may end soon."""
        rows = await self._tx.conn.execute(
            select(runs).where(runs.c.settled_at.is_(None)).order_by(runs.c.tenant_id, runs.c.id)
        )
        return [(row.tenant_id, run_of(row)) for row in rows]

    async def settle(self, tenant: int, run_id: UUID) -> bool:
        """Ends it when nothing of it is open any more; a cancelled one needs no complete audience."""
        open_one = exists(
            select(literal(1)).where(of_run(tenant, run_id), deliveries.c.stage != Stage.CLOSED)
        )
        going = [RunState.RUNNING, RunState.PAUSED]
        ended = case((runs.c.state.in_(going), RunState.SETTLED.value), else_=runs.c.state)
        result = await self._tx.conn.execute(
            update(runs)
            .where(
                runs.c.tenant_id == tenant,
                runs.c.id == run_id,
                runs.c.settled_at.is_(None),
                or_(runs.c.ready_at.is_not(None), runs.c.state == RunState.CANCELLED),
                ~open_one,
            )
            .values(state=ended, settled_at=self._tx.now)
        )
        return bool(result.rowcount)
