"""Failed and postponed attempts as the on-call sweep reads them: by when they were recorded, in pages.

Events are written by many transactions at once, so a later one may be seen before an earlier one: the sweep
reads again what is younger than its overlap, and what it adds up knows each delivery.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, or_, select, text, update

from store.models import (
    Channel,
    EventKind,
    EventSource,
    FailedAttempt,
    NotificationKind,
    Outcome,
    Priority,
    Reason,
)
from store.repository import BATCH, Repository, batched
from store.tables import FAILURES, deliveries, events, notifications, sweep_cursors

Position = tuple[datetime, UUID]
"""Where a reader stands: (recorded_at, event id)."""
NOTHING = UUID(int=0)
_SWEEP = "oncall"


def _failed(row: Row[Any]) -> FailedAttempt:
    return FailedAttempt(
        event_id=row.id,
        delivery_id=row.delivery_id,
        notification_id=row.notification_id,
        subscriber_id=row.about or row.written_to,
        notification_kind=NotificationKind(row.notification_kind),
        channel=Channel(row.channel),
        address=row.address,
        route=row.route,
        priority=Priority(row.priority),
        kind=EventKind(row.kind),
        source=EventSource(row.source),
        reason=Reason(row.reason),
        cls=row.cls,
        hard=row.hard,
        reply_code=row.reply_code,
        status=row.status,
        diagnostic=row.diagnostic,
        remote=row.remote,
        recorded_at=row.recorded_at,
    )


def _columns() -> list[Any]:
    e, d, n = events.c, deliveries.c, notifications.c
    return [
        e.id,
        e.delivery_id,
        e.kind,
        e.source,
        e.reason,
        e.cls,
        e.hard,
        e.reply_code,
        e.status,
        e.diagnostic,
        e.remote,
        e.recorded_at,
        d.notification_id,
        d.subscriber_id.label("written_to"),
        d.channel,
        d.address,
        d.route,
        d.priority,
        n.kind.label("notification_kind"),
        n.subscriber_id.label("about"),
    ]


class FailedAttempts(Repository):
    def _read(self) -> Any:
        e, d, n = events.c, deliveries.c, notifications.c
        return (
            select(*_columns())
            .select_from(events)
            .join(deliveries, and_(d.tenant_id == e.tenant_id, d.id == e.delivery_id))
            .join(notifications, and_(n.tenant_id == d.tenant_id, n.id == d.notification_id))
            .where(e.tenant_id == self._tenant, text(f"events.{FAILURES}"))
        )

    async def after(self, position: Position, limit: int) -> list[FailedAttempt]:
        """Recorded later than `position`, oldest first."""
        e = events.c
        at, last = position
        statement = (
            self._read()
            .where(e.recorded_at >= at, or_(e.recorded_at > at, e.id > last))
            .order_by(e.recorded_at, e.id)
            .limit(limit)
        )
        return [_failed(row) for row in await self._tx.conn.execute(statement)]

    async def recorded_after(self, position: Position, limit: int) -> list[Position]:
        """Where they stand only: from the index alone, for whoever has seen most of them already."""
        e = events.c
        at, last = position
        statement = (
            select(e.recorded_at, e.id)
            .where(
                e.tenant_id == self._tenant,
                text(f"events.{FAILURES}"),
                e.recorded_at >= at,
                or_(e.recorded_at > at, e.id > last),
            )
            .order_by(e.recorded_at, e.id)
            .limit(limit)
        )
        return [(row.recorded_at, row.id) for row in await self._tx.conn.execute(statement)]

    async def of_events(self, ids: Sequence[UUID]) -> list[FailedAttempt]:
        """Oldest first."""
        found: list[FailedAttempt] = []
        for batch in batched(ids, BATCH):
            statement = self._read().where(events.c.id.in_(batch))
            found += [_failed(row) for row in await self._tx.conn.execute(statement)]
        return sorted(found, key=lambda f: (f.recorded_at, f.event_id))

    async def of_deliveries(self, ids: Sequence[UUID]) -> dict[UUID, FailedAttempt]:
        """The newest failure of each; those that never failed are left out."""
        found: dict[UUID, FailedAttempt] = {}
        e = events.c
        for batch in batched(ids, BATCH):
            statement = self._read().where(e.delivery_id.in_(batch)).order_by(e.recorded_at, e.id)
            found.update((row.delivery_id, _failed(row)) for row in await self._tx.conn.execute(statement))
        return found

    async def cursor(self, begin: datetime) -> datetime:
        """Up to when failures have been looked at; `begin` where nobody ever looked."""
        c = sweep_cursors.c
        row = (
            await self._tx.conn.execute(select(c.at).where(c.tenant_id == self._tenant, c.name == _SWEEP))
        ).first()
        return row.at if row is not None else begin

    async def take_turn(self, begin: datetime) -> datetime | None:
        """The cursor, ours until the commit; None while another process is at it."""
        insert = self._insert(sweep_cursors).values(tenant_id=self._tenant, name=_SWEEP, at=begin)
        await self._tx.conn.execute(insert.on_conflict_do_nothing())
        c = sweep_cursors.c
        row = (
            await self._tx.conn.execute(
                select(c.at)
                .where(c.tenant_id == self._tenant, c.name == _SWEEP)
                .with_for_update(skip_locked=True)
            )
        ).first()
        return row.at if row is not None else None

    async def advance(self, to: datetime) -> None:
        """Never back."""
        c = sweep_cursors.c
        await self._tx.conn.execute(
            update(sweep_cursors)
            .where(c.tenant_id == self._tenant, c.name == _SWEEP, c.at < to)
            .values(at=to)
        )

    async def newest_successes(
        self, since: datetime, outcomes: Sequence[Outcome], among: int = 500
    ) -> list[tuple[str, str]]:
        """(route, address) of those of the newest deliveries that reached one of `outcomes` after `since`."""
        d = deliveries.c
        newest = (
            select(d.route, d.address, d.outcome, d.outcome_at)
            .where(d.tenant_id == self._tenant)
            .order_by(d.id.desc())
            .limit(among)
            .subquery()
        )
        n = newest.c
        statement = select(n.route, n.address).where(n.outcome.in_(list(outcomes)), n.outcome_at > since)
        return [(row.route, row.address) for row in await self._tx.conn.execute(statement)]
