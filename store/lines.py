"""Deliveries that wait in line: for a limit (queued, by due time) or for a breaker (held, by name).

A line is nothing but due times and `stage_by`, so that a claim passes over it along its index without reading
what waits there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, bindparam, exists, func, select, text, update

from store.models import NotificationKind, Priority, Stage
from store.repository import Repository
from store.tables import deliveries, notifications

_HELD = text("stage = 'held'")
_QUEUED = text("stage = 'queued'")
LOOKED_THROUGH = 5_000
"""Due deliveries that are looked through at once for others to the same domain."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How many wait alike: on a route, held or queued, due or not, for whom (`by`), tried before or not."""

    route: str
    held: bool
    due: bool
    by: str | None
    tried: bool
    count: int
    reason: str | None
    next_at: datetime | None


class Lines(Repository):
    async def standing(self) -> list[Standing]:
        """Everything of this tenant that waits, in groups."""
        c = deliveries.c
        held, due = c.stage == Stage.HELD, c.due_at <= self._tx.now
        statement = (
            select(
                c.route,
                held.label("held"),
                due.label("due"),
                c.stage_by,
                (c.attempt > 0).label("tried"),
                func.count().label("waiting"),
                func.max(c.stage_reason).label("reason"),
                func.min(c.due_at).label("next_at"),
            )
            .where(c.tenant_id == self._tenant, text("stage IN ('queued', 'held')"))
            .group_by(text("1, 2, 3, 4, 5"))
        )
        return [
            Standing(
                row.route,
                bool(row.held),
                bool(row.due) and not row.held,
                row.stage_by,
                bool(row.tried),
                row.waiting,
                row.reason,
                row.next_at,
            )
            for row in await self._tx.conn.execute(statement)
        ]

    async def due_to_domain(self, route: str, priority: Priority, domain: str) -> list[UUID]:
        """Of what is due on this route next, those that go to this domain, in their order."""
        c = deliveries.c
        statement = (
            select(c.id, c.address)
            .where(
                c.stage == Stage.QUEUED,
                c.tenant_id == self._tenant,
                c.route == route,
                c.priority == int(priority),
                c.due_at <= self._tx.now,
            )
            .order_by(c.priority, c.due_at)
            .limit(LOOKED_THROUGH)
        )
        rows = await self._tx.conn.execute(statement)
        return [row.id for row in rows if row.address.rpartition("@")[2].casefold() == domain]

    async def line_up(self, due: Mapping[UUID, datetime], *, reason: str, by: str) -> None:
        """Queued deliveries to their places; one that was claimed meanwhile stays where it is."""
        if not due:
            return
        c = deliveries.c
        statement = (
            update(deliveries)
            .where(
                c.tenant_id == self._tenant,
                c.id == bindparam("b_id"),
                # No plain column: PostgreSQL would read all that is due for each of them, along its index.
                c.stage.concat("") == Stage.QUEUED.value,
            )
            .values(due_at=bindparam("b_due"), stage_reason=reason, stage_by=by)
        )
        rows = [{"b_id": item, "b_due": at} for item, at in sorted(due.items())]
        await self._tx.conn.execute(statement, rows)

    async def dissolve(self, by: str) -> int:
        """Everybody in that line is due now: its limit has changed."""
        c = deliveries.c
        line = and_(c.tenant_id == self._tenant, _QUEUED, c.stage_by == by)
        if not self._tx.sqlite:  # in one order, as `Deliveries.lock` takes them
            rows = select(c.id).where(line).order_by(c.id).with_for_update()
            line = and_(c.tenant_id == self._tenant, _QUEUED, c.id.in_(rows))
        result = await self._tx.conn.execute(
            update(deliveries).where(line).values(due_at=self._tx.now, stage_reason=None, stage_by=None)
        )
        self._tx.signal("deliveries")
        return int(result.rowcount)

    async def held_by(self, prefix: str) -> dict[str, int]:
        """How many are held, by whom, of those whose name begins so."""
        c = deliveries.c
        statement = (
            select(c.stage_by, func.count())
            .where(c.tenant_id == self._tenant, _HELD, c.stage_by >= prefix, c.stage_by < prefix + "\uffff")
            .group_by(c.stage_by)
        )
        return {row[0]: row[1] for row in await self._tx.conn.execute(statement)}

    async def first_held(self, by: str, limit: int, *, movable: bool = False) -> list[UUID]:
        """The most urgent of those held by `by`, oldest first; locked, those of others left out.

        `movable`: none of a trial, which tells how its very route does.
        """
        c, n = deliveries.c, notifications.c
        trial = exists().where(
            n.tenant_id == c.tenant_id, n.id == c.notification_id, n.kind == NotificationKind.TRIAL
        )
        statement = (
            select(c.id)
            .where(c.tenant_id == self._tenant, _HELD, c.stage_by == by, c.expires_at > self._tx.now)
            .order_by(c.priority, c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        if movable:
            statement = statement.where(~trial.correlate(deliveries))
        return list((await self._tx.conn.execute(statement)).scalars())

    async def let_go(self, ids: Sequence[UUID], *, by: str | None = None, route: str | None = None) -> int:
        """Held -> queued, due now; `route`: by another way out. `by` stays on them as what they are for."""
        if not ids:
            return 0
        c = deliveries.c
        values = {"stage": Stage.QUEUED, "stage_reason": None, "stage_by": by, "due_at": self._tx.now}
        if route is not None:
            values["route"] = route
        result = await self._tx.conn.execute(
            update(deliveries).where(and_(c.tenant_id == self._tenant, c.id.in_(ids), _HELD)).values(values)
        )
        self._tx.signal("deliveries")
        return int(result.rowcount)
