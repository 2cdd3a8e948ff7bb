"""Events: append only. The id is derived from (delivery, key): the same thing learnt twice is one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_

from store.deliveries import Ref
from store.inserts import Insert
from store.models import Confidence, Event, EventKind, EventSource, Reason
from store.repository import BATCH, Repository, batched, storable
from store.tables import events
from store.types import derived_id, derived_range, micros


def _event(row: Row[Any]) -> Event:
    return Event(
        delivery_id=row.delivery_id,
        attempt=row.attempt,
        kind=EventKind(row.kind),
        key=row.key,
        at=row.at,
        source=EventSource(row.source),
        reason=Reason(row.reason),
        confidence=Confidence(row.confidence),
        hard=row.hard,
        reply_code=row.reply_code,
        status=row.status,
        diagnostic=row.diagnostic,
        remote=row.remote,
        cls=row.cls,
        actor=row.actor,
        recorded_at=row.recorded_at,
        took_ms=row.took_ms,
    )


_INSERT = Insert(
    "events",
    {
        "tenant_id": "int4",
        "id": "uuid",
        "delivery_id": "uuid",
        "attempt": "int2",
        "kind": "text",
        "key": "text",
        "at": "timestamptz",
        "recorded_at": "timestamptz",
        "source": "text",
        "reason": "text",
        "confidence": "text",
        "hard": "bool",
        "reply_code": "text",
        "status": "text",
        "diagnostic": "text",
        "remote": "text",
        "cls": "text",
        "actor": "text",
        "took_ms": "int4",
    },
)


# Each delivery's in its own partition, and a statement that is always the same.
_OF = f"""
SELECT {", ".join(f"e.{name}" for name in _INSERT.columns)}
FROM unnest($1::int4[], $2::uuid[], $3::uuid[], $4::uuid[]) AS r(tenant, delivery, low, high)
JOIN events e ON e.tenant_id = r.tenant AND e.delivery_id = r.delivery AND e.id BETWEEN r.low AND r.high
ORDER BY e.recorded_at, e.at, e.id
"""  # noqa: S608  # names of columns


def kept(event: Event, now: datetime) -> Event:
    """As it is read again: foreign text fit to be stored, and when it was recorded."""
    return replace(
        event,
        recorded_at=now,
        reply_code=storable(event.reply_code, 8),
        status=storable(event.status, 16),
        diagnostic=storable(event.diagnostic, 2000),
        remote=storable(event.remote, 255),
    )


def _row(tenant: int, event_id: UUID, item: Event) -> tuple[Any, ...]:
    return (
        tenant,
        event_id,
        item.delivery_id,
        item.attempt,
        item.kind.value,
        item.key,
        item.at,
        item.recorded_at,
        item.source.value,
        item.reason.value,
        item.confidence.value,
        item.hard,
        item.reply_code,
        item.status,
        item.diagnostic,
        item.remote,
        item.cls,
        item.actor,
        item.took_ms,
    )


def _for_sqlite(row: tuple[Any, ...]) -> tuple[Any, ...]:
    tenant, event_id, delivery_id, attempt, kind, key, at, recorded_at, *rest = row
    ids = event_id.hex, delivery_id.hex
    return (tenant, *ids, attempt, kind, key, micros(at), micros(recorded_at), *rest)


class Events(Repository):
    async def append(self, items: Sequence[tuple[int, Event]]) -> set[tuple[UUID, str]]:
        """(tenant, event) rows; gives (delivery id, key) of those that were new."""
        lite, now = self._tx.sqlite, self._tx.now
        new: set[tuple[UUID, str]] = set()
        for batch in batched(items, BATCH):
            named = {}
            rows = []
            for tenant, item in batch:
                event_id = derived_id(item.delivery_id, "event", item.key)
                row = _row(tenant, event_id, kept(item, now))
                rows.append(_for_sqlite(row) if lite else row)
                named[rows[-1][0], rows[-1][1]] = (item.delivery_id, item.key)
            new.update(named[key] for key in await _INSERT.new(self._tx, rows))
        return new

    async def of(self, refs: Sequence[Ref]) -> dict[Ref, list[Event]]:
        """All events of each delivery, in the order in which they were recorded."""
        found: dict[Ref, list[Event]] = {ref: [] for ref in refs}
        for batch in batched(list(found), BATCH):
            for row in await (self._of_sqlite if self._tx.sqlite else self._of_postgresql)(batch):
                found[(row.tenant_id, row.delivery_id)].append(_event(row))
        return found

    async def _of_sqlite(self, refs: Sequence[Ref]) -> Sequence[Row[Any]]:
        statement = (
            select(events)
            .where(tuple_(events.c.tenant_id, events.c.delivery_id).in_(refs))
            .order_by(events.c.recorded_at, events.c.at, events.c.id)
        )
        return (await self._tx.conn.execute(statement)).all()

    async def _of_postgresql(self, refs: Sequence[Ref]) -> Sequence[Row[Any]]:
        asked = [(tenant, one, *derived_range(one)) for tenant, one in refs]
        columns = tuple(list(column) for column in zip(*asked, strict=True))
        return (await self._tx.conn.exec_driver_sql(_OF, columns)).all()
