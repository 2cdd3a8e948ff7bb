"""Invoice runs, whom they left out, and how far they are.

A run is unique by its step key: asking again gives the one that stands. Its notices are the notifications
that bear its id; how each stands is worked out by the database, once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from store.deliveries import SETTLING
from store.models import (
    Channel,
    Confidence,
    Exclusion,
    NotificationKind,
    Outcome,
    Reason,
    Run,
    RunState,
    Stage,
    Standing,
    Tally,
)
from store.repository import BATCH, Repository, batched
from store.tables import deliveries, notifications, run_exclusions, runs
from store.types import derived_id


def _run(row: Row[Any]) -> Run:
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
    )


def _exclusion(row: Row[Any]) -> Exclusion:
    return Exclusion(row.run_id, row.subscriber_id, row.invoice_id, row.reason, row.detail)


_STANDINGS: tuple[Standing, ...] = tuple(Standing)


def _rank() -> ColumnElement[int]:
    """Of one delivery: its place in Standing. The least of a notification's is how the notice stands."""
    c = deliveries.c
    handed = and_(c.outcome == Outcome.DELIVERED, c.confidence == Confidence.PRESUMED)
    return case(
        (handed, _STANDINGS.index(Standing.PRESUMED)),
        (c.outcome == Outcome.DELIVERED, _STANDINGS.index(Standing.ACCEPTED)),
        (c.outcome == Outcome.SENT, _STANDINGS.index(Standing.HANDED)),
        (c.stage != Stage.CLOSED, _STANDINGS.index(Standing.UNDER_WAY)),
        (c.outcome == Outcome.SUPPRESSED, _STANDINGS.index(Standing.SUPPRESSED)),
        (c.outcome == Outcome.CANCELLED, _STANDINGS.index(Standing.CANCELLED)),
        (c.outcome == Outcome.EXPIRED, _STANDINGS.index(Standing.EXPIRED)),
        else_=_STANDINGS.index(Standing.FAILED),
    )


class Runs(Repository):
    def _mine(self) -> Select[Any]:
        return select(runs).where(runs.c.tenant_id == self._tenant)

    async def create(self, run: Run, step_key: str) -> Run:
        """The run of this step key: this one, or the one that stands already."""
        insert = self._insert(runs).values(
            tenant_id=self._tenant,
            id=run.id,
            step_key=step_key,
            kind=run.kind,
            label=run.label,
            criteria=dict(run.criteria),
            state=run.state,
            requested_by=run.requested_by,
            created_at=run.created_at,
        )
        await self._tx.conn.execute(insert.on_conflict_do_nothing())
        row = (await self._tx.conn.execute(self._mine().where(runs.c.step_key == step_key))).one()
        return _run(row)

    async def get(self, run_id: UUID, *, lock: bool = False) -> Run | None:
        """`lock`: whoever cancels or ends it waits until this transaction is over."""
        statement = self._mine().where(runs.c.id == run_id)
        statement = statement.with_for_update() if lock else statement
        row = (await self._tx.conn.execute(statement)).first()
        return _run(row) if row else None

    async def by_step(self, step_key: str) -> Run | None:
        row = (await self._tx.conn.execute(self._mine().where(runs.c.step_key == step_key))).first()
        return _run(row) if row else None

    async def latest(self, limit: int = 5) -> list[Run]:
        """Newest first."""
        rows = await self._tx.conn.execute(self._mine().order_by(runs.c.id.desc()).limit(limit))
        return [_run(row) for row in rows]

    async def interrupted(self, label: str, requested_by: str) -> Run | None:
        """The newest one of this label and asker that never came to the end of its audience."""
        statement = (
            self._mine()
            .where(
                runs.c.label == label,
                runs.c.requested_by == requested_by,
                runs.c.ready_at.is_(None),
                runs.c.state == RunState.RUNNING,
            )
            .order_by(runs.c.id.desc())
            .limit(1)
        )
        row = (await self._tx.conn.execute(statement)).first()
        return _run(row) if row else None

    async def exclude(self, items: Sequence[Exclusion]) -> None:
        """Idempotent: one row for a run, subscriber and invoice; the first reason counts."""
        for batch in batched(items, BATCH):
            rows = [
                {
                    "tenant_id": self._tenant,
                    "id": derived_id(item.run_id, str(item.subscriber_id), str(item.invoice_id)),
                    "run_id": item.run_id,
                    "subscriber_id": item.subscriber_id,
                    "invoice_id": item.invoice_id,
                    "reason": item.reason,
                    "detail": item.detail,
                    "at": self._tx.now,
                }
                for item in batch
            ]
            await self._tx.conn.execute(self._insert(run_exclusions).values(rows).on_conflict_do_nothing())

    async def exclusions(
        self, run_id: UUID, *, reason: str | None = None, offset: int = 0, limit: int = 50
    ) -> list[Exclusion]:
        """In the order of their subscribers."""
        c = run_exclusions.c
        where = [c.tenant_id == self._tenant, c.run_id == run_id]
        if reason is not None:
            where.append(c.reason == reason)
        statement = (
            select(run_exclusions).where(*where).order_by(c.subscriber_id, c.id).offset(offset).limit(limit)
        )
        return [_exclusion(row) for row in await self._tx.conn.execute(statement)]

    async def excluded(self, run_id: UUID, invoice_ids: Sequence[UUID]) -> set[UUID]:
        """Which of these invoices the run has left out already."""
        c = run_exclusions.c
        found: set[UUID] = set()
        for batch in batched(invoice_ids, BATCH):
            statement = select(c.invoice_id).where(
                c.tenant_id == self._tenant, c.run_id == run_id, c.invoice_id.in_(batch)
            )
            found.update((await self._tx.conn.execute(statement)).scalars())
        return found

    async def left_out(self, run_id: UUID) -> dict[str, int]:
        """How many invoices it left out, by reason."""
        c = run_exclusions.c
        statement = (
            select(c.reason, func.count())
            .where(c.tenant_id == self._tenant, c.run_id == run_id)
            .group_by(c.reason)
        )
        return {reason: int(count) for reason, count in await self._tx.conn.execute(statement)}

    async def exclusions_of(
        self, subscriber_ids: Sequence[UUID], *, latest: int = 3
    ) -> dict[UUID, list[tuple[Run, Exclusion]]]:
        """Why the latest runs left these subscribers out, newest run first."""
        found: dict[UUID, list[tuple[Run, Exclusion]]] = {sid: [] for sid in subscriber_ids}
        recent = {run.id: run for run in await self.latest(latest)}
        if not recent:
            return found
        c = run_exclusions.c
        for batch in batched(subscriber_ids, BATCH):
            statement = (
                select(run_exclusions)
                .where(c.tenant_id == self._tenant, c.subscriber_id.in_(batch), c.run_id.in_(list(recent)))
                .order_by(c.run_id.desc(), c.id)
            )
            for row in await self._tx.conn.execute(statement):
                found[row.subscriber_id].append((recent[row.run_id], _exclusion(row)))
        return found

    async def standings(self, run_id: UUID) -> Mapping[Standing, int]:
        """How its notices stand; each is counted once, by the best of its deliveries."""
        each = (
            select(func.min(_rank()).label("rank"))
            .where(of_run(self._tenant, run_id))
            .group_by(deliveries.c.notification_id)
            .subquery()
        )
        statement = select(each.c.rank, func.count()).group_by(each.c.rank)
        return {_STANDINGS[rank]: int(count) for rank, count in await self._tx.conn.execute(statement)}

    async def tally(self, run_id: UUID) -> list[Tally]:
        """Its deliveries, alike ones together, the many first."""
        c = deliveries.c
        alike = (c.stage, c.channel, c.outcome, c.confidence, c.reason, c.cls)
        count = func.count().label("n")
        statement = (
            select(*alike, count)
            .where(of_run(self._tenant, run_id))
            .group_by(*alike)
            .order_by(count.desc(), *alike)
        )
        return [
            Tally(
                Channel(row.channel),
                Stage(row.stage),
                Outcome(row.outcome),
                Confidence(row.confidence),
                Reason(row.reason),
                row.cls,
                int(row.n),
            )
            for row in await self._tx.conn.execute(statement)
        ]

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

    async def cancel(self, run_id: UUID) -> bool:
        """Nothing more is begun; False when it was settled or cancelled before."""
        running = and_(runs.c.state == RunState.RUNNING, runs.c.settled_at.is_(None))
        return await self._set(run_id, running, state=RunState.CANCELLED)

    async def _set(self, run_id: UUID, where: ColumnElement[bool], **values: Any) -> bool:
        result = await self._tx.conn.execute(
            update(runs).where(runs.c.tenant_id == self._tenant, runs.c.id == run_id, where).values(**values)
        )
        return bool(result.rowcount)

    async def unsettled(self) -> list[tuple[int, Run]]:
        """Across tenants (`system()`): those that may end soon."""
        rows = await self._tx.conn.execute(
            select(runs).where(runs.c.settled_at.is_(None)).order_by(runs.c.tenant_id, runs.c.id)
        )
        return [(row.tenant_id, _run(row)) for row in rows]

    async def settle(self, tenant: int, run_id: UUID) -> bool:
        """Ends it when nothing of it is open any more; a cancelled one needs no complete audience."""
        open_one = exists(
            select(literal(1)).where(of_run(tenant, run_id), deliveries.c.stage != Stage.CLOSED)
        )
        ended = case((runs.c.state == RunState.RUNNING, RunState.SETTLED.value), else_=runs.c.state)
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

    async def of_notifications(self, refs: Sequence[tuple[int, UUID]]) -> list[tuple[int, UUID]]:
        """(tenant, run) of these notifications (tenant, id), in order; those of no run are left out."""
        by_tenant: dict[int, list[UUID]] = {}
        for tenant, notification_id in refs:
            by_tenant.setdefault(tenant, []).append(notification_id)
        c = notifications.c
        found: set[tuple[int, UUID]] = set()
        for tenant, ids in by_tenant.items():
            for batch in batched(ids, BATCH):
                statement = (
                    select(c.run_id)
                    .where(c.tenant_id == tenant, c.id.in_(batch), c.run_id.is_not(None))
                    .distinct()
                )
                found.update((tenant, run) for run in (await self._tx.conn.execute(statement)).scalars())
        return sorted(found)


def of_run(tenant: int, run_id: UUID) -> ColumnElement[bool]:
    """Deliveries of this run's notices.

    Not as a join, nor in the order of another index: SQLite, which knows no sizes, would begin with all
    deliveries of the tenant (tests/contracts/test_store_plans.py).
    """
    n = notifications.c
    notices = select(n.id).where(n.tenant_id == tenant, n.run_id == run_id)
    return and_(deliveries.c.tenant_id == tenant, deliveries.c.notification_id.in_(notices))


__all__ = ["Runs"]
