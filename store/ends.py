"""The ends of attempts in the plain case, a whole batch in one step: handed over, and nothing known before.

That is nearly every mail of a run. Whatever else a report may be (another attempt was begun, something is
known already, it failed) is left to the general way (notifier.tracking.record), which reads before it writes;
tests/contracts/test_tracking_plain.py holds the two against each other, row for row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from store.deliveries import Ref
from store.models import Confidence, Event, EventKind, EventSource, Outcome, Reason
from store.repository import Repository, storable
from store.types import derived_id, derived_range, micros


@dataclass(frozen=True, slots=True)
class Alike:
    """What all hand-overs of one batch have in common."""

    tenant: int
    source: EventSource
    reason: Reason
    confidence: Confidence
    outcome: Outcome
    due_at: datetime
    """Until when evidence is waited for."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """An accepted attempt. Empty hashes and queue ids leave what was there."""

    event: Event
    queue_id: str = ""
    content_hash: str | None = None
    pdf_hash: str | None = None


# First the locks, in one order, as everybody takes them; a statement of its own, so that the next one sees
# what whoever held them has written.
_LOCK = """
SELECT count(*) FROM (
    SELECT id FROM deliveries WHERE tenant_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR UPDATE
) locked
"""
# `|| ''`: found by its id. Statistics say that hardly anything is claimed, so the partial index of what is
# looks cheap; it holds all that ever was until the next vacuum.
_PLAIN = """d.stage || '' = 'claimed' AND d.attempt = r.attempt AND d.outcome = 'none'
    AND NOT EXISTS (SELECT 1 FROM events e WHERE e.tenant_id = d.tenant_id AND e.delivery_id = d.id"""
_EVENT = (
    "tenant_id, id, delivery_id, attempt, kind, key, at, recorded_at, source, reason, confidence, hard, "
    "reply_code, status, diagnostic, remote, cls, actor, took_ms"
)
_HAND_OVER = f"""
WITH r AS MATERIALIZED (
    SELECT * FROM unnest($8::uuid[], $9::uuid[], $10::int2[], $11::text[], $12::timestamptz[], $13::text[],
        $14::text[], $15::text[], $16::int4[], $17::text[], $18::text[], $19::uuid[], $20::uuid[])
    AS r(id, event_id, attempt, key, at, diagnostic, remote, queue_id, took_ms, content_hash, pdf_hash,
        low, high)
), moved AS (
    UPDATE deliveries d
    SET stage = 'awaiting', due_at = $7, stage_reason = NULL, stage_by = NULL, outcome = $5, reason = $3,
        confidence = $4, outcome_at = r.at, cls = '', diagnostic = r.diagnostic, remote = r.remote,
        queue_id = coalesce(r.queue_id, d.queue_id), checks = 0,
        content_hash = coalesce(r.content_hash, d.content_hash), pdf_hash = coalesce(r.pdf_hash, d.pdf_hash)
    FROM r WHERE d.tenant_id = $1 AND d.id = r.id AND {_PLAIN} AND e.id BETWEEN r.low AND r.high)
    RETURNING d.id
)
INSERT INTO events ({_EVENT})
SELECT $1, r.event_id, r.id, r.attempt, 'accepted', r.key, r.at, $6, $2, $3, $4, false, '', '', r.diagnostic,
    r.remote, '', '', r.took_ms
FROM r JOIN moved ON moved.id = r.id
RETURNING delivery_id
"""  # noqa: S608  # no value in it

_PLACES = "id event_id attempt key at diagnostic remote queue_id took_ms content_hash pdf_hash"
_FIELDS = ", ".join(f"value ->> {place} AS {name}" for place, name in enumerate(_PLACES.split(" ")))
_R = f"(SELECT {_FIELDS} FROM json_each(?1)) r"  # noqa: S608  # no value in it
_SQLITE_PLAIN = f"""
SELECT json_group_array(d.id) FROM (SELECT value ->> 0 AS id, value ->> 2 AS attempt FROM json_each(?)) r
CROSS JOIN deliveries d ON d.tenant_id = ? AND d.id = r.id WHERE {_PLAIN})
"""  # noqa: S608  # no value in it
# MATERIALIZED, and found by rowid: else SQLite, which knows no sizes, goes through all deliveries for each.
_SQLITE_MOVE = f"""
WITH x AS MATERIALIZED (
    SELECT d.rowid AS place, r.* FROM {_R} CROSS JOIN deliveries d ON d.tenant_id = ?6 AND d.id = r.id
)
UPDATE deliveries
SET stage = 'awaiting', due_at = ?2, stage_reason = NULL, stage_by = NULL, outcome = ?3, reason = ?4,
    confidence = ?5, outcome_at = x.at, cls = '', diagnostic = x.diagnostic, remote = x.remote,
    queue_id = coalesce(x.queue_id, deliveries.queue_id), checks = 0,
    content_hash = coalesce(x.content_hash, deliveries.content_hash),
    pdf_hash = coalesce(x.pdf_hash, deliveries.pdf_hash)
FROM x WHERE deliveries.rowid = x.place
"""  # noqa: S608  # no value in it
_SQLITE_EVENTS = f"""
INSERT INTO events ({_EVENT})
SELECT ?2, r.event_id, r.id, r.attempt, 'accepted', r.key, r.at, ?3, ?4, ?5, ?6, 0, '', '', r.diagnostic,
    r.remote, '', '', r.took_ms
FROM {_R}
"""  # noqa: S608  # no value in it


def plain(event: Event) -> bool:
    """Whether the statements here can write this event; whether they may, they see for themselves."""
    bare = not (event.hard or event.reply_code or event.status or event.cls or event.actor)
    return event.kind is EventKind.ACCEPTED and bare


class Ends(Repository):
    async def hand_over(self, alike: Alike, items: Sequence[HandOver]) -> set[UUID]:
        """Claimed -> awaiting with its event, where nothing is known yet of a delivery whose attempt it still
        is, as `lock` has made sure. Gives the ids of those; of the others nothing is written. One item a
        delivery at most."""
        rows = [
            (
                item.event.delivery_id,
                derived_id(item.event.delivery_id, "event", item.event.key),
                item.event.attempt,
                item.event.key,
                item.event.at,
                storable(item.event.diagnostic, 2000),
                storable(item.event.remote, 255),
                item.queue_id or None,
                item.event.took_ms,
                item.content_hash,
                item.pdf_hash,
            )
            for item in sorted(items, key=lambda one: one.event.delivery_id)
        ]
        return await (self._sqlite if self._tx.sqlite else self._postgresql)(alike, rows)

    async def lock(self, refs: Sequence[Ref]) -> None:
        """All that is to be written in this transaction, before any of it is; SQLite has one writer."""
        if self._tx.sqlite:
            return
        ids: dict[int, list[UUID]] = {}
        for tenant, delivery_id in sorted(set(refs)):
            ids.setdefault(tenant, []).append(delivery_id)
        for tenant, mine in ids.items():
            await self._tx.conn.exec_driver_sql(_LOCK, (tenant, mine))

    async def _postgresql(self, alike: Alike, rows: Sequence[tuple[Any, ...]]) -> set[UUID]:
        # Its events are where the partition of its id is: they are looked for there alone.
        columns = [list(c) for c in zip(*((*row, *derived_range(row[0])) for row in rows), strict=True)]
        common = (
            alike.tenant,
            alike.source,
            alike.reason,
            alike.confidence,
            alike.outcome,
            self._tx.now,
            alike.due_at,
        )
        written = await self._tx.conn.exec_driver_sql(_HAND_OVER, (*common, *columns))
        return set(written.scalars())

    async def _sqlite(self, alike: Alike, rows: Sequence[tuple[Any, ...]]) -> set[UUID]:
        """One writer: what is plain when it is looked at is plain when it is written."""
        say = self._tx.conn.exec_driver_sql
        lines = [_line(row) for row in rows]
        found = (await say(_SQLITE_PLAIN, (json.dumps(lines), alike.tenant))).scalar_one()
        written = set(json.loads(found))
        if not written:
            return set()
        given = json.dumps([line for line in lines if line[0] in written])
        move = (given, micros(alike.due_at), alike.outcome, alike.reason, alike.confidence, alike.tenant)
        await say(_SQLITE_MOVE, move)
        now = micros(self._tx.now)
        await say(_SQLITE_EVENTS, (given, alike.tenant, now, alike.source, alike.reason, alike.confidence))
        return {UUID(one) for one in written}


def _line(row: Sequence[Any]) -> list[Any]:
    delivery_id, event_id, attempt, key, at, *rest = row
    return [delivery_id.hex, event_id.hex, attempt, key, micros(at), *rest]
