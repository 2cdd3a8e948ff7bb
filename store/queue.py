"""What waits now, in sums: by route, by who or what holds it, and the head of each line.

Read along the partial indexes of what is not settled: a backlog of a million is counted, not fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, select, text

from store.deliveries import delivery_of
from store.models import NOT_BEGUN, Delivery, Held, Priority, Queued
from store.repository import Repository
from store.tables import deliveries

_QUEUED = text("deliveries.stage = 'queued'")  # literal, as the partial indexes have it
_HELD = text("deliveries.stage = 'held'")
_CLAIMED = text("deliveries.stage = 'claimed'")
_AWAITING = text("deliveries.stage = 'awaiting'")
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Every claim has a lease; naming it names its index."""
LOOKED_AT = 2_000
"""Of what is queued for later, the next so many tell why."""


@dataclass(frozen=True, slots=True)
class Head:
    """The delivery that a worker would take next on a route."""

    id: UUID
    attempt: int
    due_at: datetime


class Queue(Repository):
    async def queued(self) -> list[Queued]:
        """By route, in order."""
        c = deliveries.c
        due = c.due_at <= self._tx.now
        urgent = due & (c.priority == int(Priority.URGENT))
        statement = (
            select(
                c.route,
                func.count().label("all"),
                func.count(case((due, 1))).label("due"),
                func.count(case((urgent, 1))).label("urgent"),
                func.min(c.due_at).label("oldest"),
            )
            .where(c.tenant_id == self._tenant, _QUEUED)
            .group_by(c.route)
            .order_by(c.route)
        )
        return [
            Queued(
                row.route,
                row.due,
                row._mapping["all"] - row.due,
                row.urgent,
                row.oldest if row.due else None,
            )
            for row in await self._tx.conn.execute(statement)
        ]

    async def later(self, route: str) -> dict[str, int]:
        """Of what is queued for later on this route, the next ones: why, and how many for each reason.
        "": it is tried again; NOT_BEGUN: it waits for its time (a morning, a line) without a word of why."""
        c = deliveries.c
        unsaid = case((c.attempt == 0, NOT_BEGUN), else_="")
        some = (
            select(func.coalesce(c.stage_reason, unsaid).label("why"))
            .where(
                c.tenant_id == self._tenant,
                _QUEUED,
                c.route == route,
                c.priority.in_([int(p) for p in Priority]),
                c.due_at > self._tx.now,
            )
            .order_by(c.priority, c.due_at)
            .limit(LOOKED_AT)
            .subquery()
        )
        statement = select(some.c.why, func.count()).group_by(some.c.why)
        return {row[0]: int(row[1]) for row in await self._tx.conn.execute(statement)}

    async def held(self) -> list[Held]:
        """By whom and by route, the most first."""
        c = deliveries.c
        by = func.coalesce(c.stage_by, "")
        statement = (
            select(by.label("by"), c.route, func.count().label("n"), func.min(c.created_at).label("oldest"))
            .where(c.tenant_id == self._tenant, _HELD)
            .group_by(by, c.route)
        )
        found = [Held(r.by, r.route, int(r.n), r.oldest) for r in await self._tx.conn.execute(statement)]
        return sorted(found, key=lambda h: (-h.count, h.by, h.route))

    def _mine(self) -> ColumnElement[bool]:
        """Not along the tenant: SQLite would read all that it ever sent."""
        return deliveries.c.tenant_id + 0 == self._tenant

    def _in_hands(self) -> ColumnElement[bool]:
        return and_(_CLAIMED, deliveries.c.lease_until > _LONG_AGO, self._mine())

    async def claimed(self) -> dict[str, int]:
        """How many are in a worker's hands, by route."""
        c = deliveries.c
        statement = select(c.route, func.count()).where(self._in_hands()).group_by(c.route)
        return {route: int(count) for route, count in await self._tx.conn.execute(statement)}

    async def in_hand(self, route: str, limit: int = 50) -> frozenset[UUID]:
        """Some of what workers have in their hands on this route."""
        c = deliveries.c
        statement = select(c.id).where(self._in_hands(), c.route == route).order_by(c.id).limit(limit)
        return frozenset((await self._tx.conn.execute(statement)).scalars())

    async def head(self, route: str) -> Head | None:
        """What is due next on this route, in the order in which it is claimed; None when nothing is due."""
        c = deliveries.c
        statement = (
            select(c.id, c.attempt, c.due_at)
            .where(
                c.tenant_id == self._tenant,
                _QUEUED,
                c.route == route,
                c.priority.in_([int(p) for p in Priority]),
                c.due_at <= self._tx.now,
            )
            .order_by(c.priority, c.due_at)
            .limit(1)
        )
        row = (await self._tx.conn.execute(statement)).first()
        return Head(row.id, row.attempt, row.due_at) if row else None

    async def handed_over(self, within: timedelta, kept: timedelta) -> dict[str, int]:
        """Mails handed over lately, by route: `kept` is how long after that they wait for a bounce."""
        c, since = deliveries.c, self._tx.now + kept - within
        statement = (
            select(c.route, func.count())
            .where(_AWAITING, c.due_at > since, c.due_at <= self._tx.now + kept, self._mine())
            .group_by(c.route)
        )
        return {route: int(count) for route, count in await self._tx.conn.execute(statement)}

    async def held_by(self, by: str, *, offset: int = 0, limit: int = 10) -> list[Delivery]:
        """Those that it holds, oldest first."""
        c = deliveries.c
        statement = (
            select(deliveries)
            .where(c.tenant_id == self._tenant, _HELD, c.stage_by == by)
            .order_by(c.created_at, c.id)  # not by id alone, along which SQLite would read everything
            .offset(offset)
            .limit(limit)
        )
        return [delivery_of(row) for row in await self._tx.conn.execute(statement)]


__all__ = ["Head", "Held", "Queue", "Queued"]
