"""Invoice runs, whom they left out, and how far they are.

A run is unique by its step key: asking again gives the one that stands. Its notices are the notifications
that bear its id; how each stands is worked out by the database, once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Row,
    Select,
    case,
    func,
    literal,
    select,
)

from store.models import (
    Channel,
    Confidence,
    Exclusion,
    Outcome,
    Reason,
    Run,
    RunState,
    Stage,
    Standing,
    Tally,
)
from store.repository import BATCH, batched
from store.run_ledger import STANDINGS, rank
from store.run_states import RunStates, of_run, run_of
from store.tables import deliveries, notifications, run_exclusions, runs
from store.types import derived_id


def _exclusion(row: Row[Any]) -> Exclusion:
    return Exclusion(row.run_id, row.subscriber_id, row.invoice_id, row.reason, row.detail)


class Runs(RunStates):
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
            stop_at=run.stop_at,
            rehearsal=dict(run.rehearsal),
        )
        await self._tx.conn.execute(insert.on_conflict_do_nothing())
        row = (await self._tx.conn.execute(self._mine().where(runs.c.step_key == step_key))).one()
        return run_of(row)

    async def get(self, run_id: UUID, *, lock: bool = False) -> Run | None:
        """`lock`: whoever cancels or ends it waits until this transaction is over."""
        statement = self._mine().where(runs.c.id == run_id)
        statement = statement.with_for_update() if lock else statement
        row = (await self._tx.conn.execute(statement)).first()
        return run_of(row) if row else None

    async def states(self, ids: Sequence[UUID]) -> dict[UUID, RunState]:
        """How each of these runs stands: what a worker asks right before it sends."""
        if not ids:
            return {}
        statement = select(runs.c.id, runs.c.state).where(
            runs.c.tenant_id == self._tenant, runs.c.id.in_(ids)
        )
        return {row.id: RunState(row.state) for row in await self._tx.conn.execute(statement)}

    async def by_step(self, step_key: str) -> Run | None:
        row = (await self._tx.conn.execute(self._mine().where(runs.c.step_key == step_key))).first()
        return run_of(row) if row else None

    async def latest(self, limit: int = 5) -> list[Run]:
        """Newest first."""
        rows = await self._tx.conn.execute(self._mine().order_by(runs.c.id.desc()).limit(limit))
        return [run_of(row) for row in rows]

    async def settled(self, since: datetime) -> list[Run]:
        """Those that have ended since then, cancelled ones too, oldest first."""
        rows = await self._tx.conn.execute(
            self._mine().where(runs.c.settled_at >= since).order_by(runs.c.settled_at, runs.c.id)
        )
        return [run_of(row) for row in rows]

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
        return run_of(row) if row else None

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
                c.tenant_id == self._tenant,
                # Not along the run: that would read all that it left out, once a batch.
                func.coalesce(c.run_id, c.run_id) == run_id,
                c.invoice_id.in_(batch),
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

    async def left_out_of(
        self, subscriber_id: UUID, since: datetime, until: datetime
    ) -> list[tuple[Run, Exclusion, datetime]]:
        """Runs that left this subscriber out in [since, until), and when, oldest first."""
        c = run_exclusions.c
        statement = (
            select(run_exclusions)
            .where(
                c.tenant_id == self._tenant,
                c.subscriber_id == subscriber_id,
                c.at >= since,
                c.at < until,
            )
            .order_by(c.at, c.id)
        )
        rows = (await self._tx.conn.execute(statement)).all()
        found: dict[UUID, Run] = {}
        for run_id in {row.run_id for row in rows}:
            run = await self.get(run_id)
            if run is not None:
                found[run_id] = run
        return [(found[row.run_id], _exclusion(row), row.at) for row in rows if row.run_id in found]

    async def standings(self, run_id: UUID) -> Mapping[Standing, int]:
        """How its notices stand; each is counted once, by the best of its deliveries."""
        each = (
            select(func.min(rank()).label("rank"))
            .where(of_run(self._tenant, run_id))
            .group_by(deliveries.c.notification_id)
            .subquery()
        )
        statement = select(each.c.rank, func.count()).group_by(each.c.rank)
        return {STANDINGS[place]: int(count) for place, count in await self._tx.conn.execute(statement)}

    async def tally(self, run_id: UUID, lately: datetime | None = None) -> list[Tally]:
        """Its deliveries, alike ones together, the many first; `recent`: how many of them ended since
        `lately`."""
        c = deliveries.c
        alike = (c.stage, c.channel, c.outcome, c.confidence, c.reason, c.cls)
        count = func.count().label("n")
        fresh = c.outcome_at >= lately if lately is not None else literal(value=False)
        recent = func.sum(case((fresh, 1), else_=0)).label("recent")
        statement = (
            select(*alike, count, recent)
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
                int(row.recent),
            )
            for row in await self._tx.conn.execute(statement)
        ]

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


__all__ = ["Runs", "of_run"]
