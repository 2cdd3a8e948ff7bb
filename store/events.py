"""Events: append only. The id is derived from (delivery, key): the same thing learnt twice is one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_

from store.deliveries import Ref
from store.models import Confidence, Event, EventKind, EventSource, Reason
from store.repository import BATCH, Repository, batched, storable
from store.tables import events
from store.types import derived_id


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


class Events(Repository):
    async def append(self, items: Sequence[tuple[int, Event]]) -> set[tuple[UUID, str]]:
        """(tenant, event) rows; gives (delivery id, key) of those that were new."""
        new: set[tuple[UUID, str]] = set()
        for batch in batched(items, BATCH):
            rows = [
                {
                    "tenant_id": tenant,
                    "id": derived_id(item.delivery_id, "event", item.key),
                    "delivery_id": item.delivery_id,
                    "attempt": item.attempt,
                    "kind": item.kind,
                    "key": item.key,
                    "at": item.at,
                    "recorded_at": self._tx.now,
                    "source": item.source,
                    "reason": item.reason,
                    "confidence": item.confidence,
                    "hard": item.hard,
                    "reply_code": storable(item.reply_code, 8),
                    "status": storable(item.status, 16),
                    "diagnostic": storable(item.diagnostic, 2000),
                    "remote": storable(item.remote, 255),
                    "cls": item.cls,
                    "actor": item.actor,
                    "took_ms": item.took_ms,
                }
                for tenant, item in batch
            ]
            insert = (
                self._insert(events)
                .values(rows)
                .on_conflict_do_nothing()
                .returning(events.c.delivery_id, events.c.key)
            )
            new.update((row.delivery_id, row.key) for row in await self._tx.conn.execute(insert))
        return new

    async def of(self, refs: Sequence[Ref]) -> dict[Ref, list[Event]]:
        """All events of each delivery, in the order in which they were recorded."""
        found: dict[Ref, list[Event]] = {ref: [] for ref in refs}
        for batch in batched(refs, BATCH):
            statement = (
                select(events)
                .where(tuple_(events.c.tenant_id, events.c.delivery_id).in_(batch))
                .order_by(events.c.recorded_at, events.c.at, events.c.id)
            )
            for row in await self._tx.conn.execute(statement):
                found[(row.tenant_id, row.delivery_id)].append(_event(row))
        return found
