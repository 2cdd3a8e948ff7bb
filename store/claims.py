"""The claim of a batch: deliveries with their notifications, in as few steps as the database allows.

Written by hand, since SQLAlchemy's row processing costs more than the claim itself. PostgreSQL: one statement
a priority. SQLite: rows come as one JSON array, because each row that its driver hands out takes and gives
back the interpreter's lock, which a busy event loop keeps for milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update

from store.deliveries import claim_of
from store.models import (
    Channel,
    Confidence,
    Delivery,
    Fallback,
    Notification,
    NotificationKind,
    Outcome,
    Priority,
    Reason,
    Stage,
)
from store.repository import Repository
from store.tables import deliveries
from store.types import db_now_plus, micros, of_micros

Claimed = tuple[Delivery, Notification | None]
"""None: its notification is gone."""

_DELIVERY = """id notification_id subscriber_id channel address priority stage_reason stage_by attempt outcome
reason confidence outcome_at cls diagnostic remote message_id expires_at created_at queue_id checks"""
_NOTIFICATION = """id kind subscriber_id invoice_id template_hash language context requested_by priority
receipt expires_at created_at run_id attach_pdf fallback"""
_COLUMNS, _MORE = _DELIVERY.split(), _NOTIFICATION.split()
_D = ", ".join(f"d.{name}" for name in _COLUMNS)
_N = ", ".join(f"n.{name}" for name in _MORE)

# Literal 'queued': a partial index serves only a query that says the same. One priority at a time: the index
# is read exactly up to what is due, also when a hundred thousand retries of another priority wait for later.
# By an array, and notifications only afterwards: a join whose size depends on a parameter is planned for a
# tenth of the table, by reading all partitions; an array's ids are looked up, each in its own partition.
_CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT id FROM deliveries
    WHERE stage = 'queued' AND tenant_id = $1 AND route = $2 AND priority = $3 AND due_at <= $4
    ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE deliveries d
    SET stage = 'claimed', attempt = d.attempt + 1, worker = $6, due_at = $8,
        lease_until = clock_timestamp() + make_interval(secs => $7)
    WHERE d.tenant_id = $1 AND d.id = ANY (ARRAY(SELECT id FROM due))
    RETURNING {_D}
)
SELECT {_D}, {_N} FROM taken d LEFT JOIN notifications n ON n.tenant_id = $1 AND n.id = d.notification_id
"""  # noqa: S608  # names of columns

_SQLITE_DUE = f"""
SELECT json_group_array(json_array({_D}, {_N.replace("n.context", "json(n.context)")}))
FROM (
    SELECT * FROM deliveries
    WHERE stage = 'queued' AND tenant_id = ? AND route = ? AND priority = ? AND due_at <= ?
    ORDER BY due_at LIMIT ?
) d LEFT JOIN notifications n ON n.tenant_id = d.tenant_id AND n.id = d.notification_id
"""  # noqa: S608  # names of columns

_SQLITE_TAKE = """
UPDATE deliveries
SET stage = 'claimed', attempt = attempt + 1, worker = ?, due_at = ?,
    lease_until = CAST((julianday('now') - 2440587.5) * 86400000000 + ? * 1000000 AS INTEGER)
WHERE tenant_id = ? AND id IN (SELECT value FROM json_each(?))
"""


class Claims(Repository):
    async def take(
        self,
        *,
        tenant: int,
        route: str,
        highest: Priority,
        lowest: Priority,
        limit: int,
        worker: str,
        lease_s: float,
        retry_at: datetime,
    ) -> list[Claimed]:
        """Takes a route's due deliveries, from `highest` to `lowest` priority, most urgent first.

        Lease, attempt + 1, next due time. The caller commits before any network.
        """
        take = self._take_sqlite if self._tx.sqlite else self._take_postgresql
        taken: list[Claimed] = []
        for priority in (p for p in Priority if highest <= p <= lowest):
            if left := limit - len(taken):
                found = await take(tenant, route, priority, left, worker, lease_s, retry_at)
                taken += sorted(found, key=lambda one: one[0].id)
        return taken

    async def keep(self, claimed: Delivery, worker: str, lease_s: float) -> bool:
        """Renews the lease of one attempt; False when it is not this worker's any more."""
        result = await self._tx.conn.execute(
            update(deliveries)
            .where(claim_of(claimed), deliveries.c.worker == worker)
            .values(lease_until=db_now_plus(lease_s))
        )
        return bool(result.rowcount)

    async def _take_postgresql(
        self,
        tenant: int,
        route: str,
        priority: Priority,
        limit: int,
        worker: str,
        lease_s: float,
        retry_at: datetime,
    ) -> list[Claimed]:
        rows = await self._tx.conn.exec_driver_sql(
            _CLAIM, (tenant, route, int(priority), self._tx.now, limit, worker, lease_s, retry_at)
        )
        return [_claimed(row, tenant, route, retry_at, _same, _same) for row in rows.all()]

    async def _take_sqlite(
        self,
        tenant: int,
        route: str,
        priority: Priority,
        limit: int,
        worker: str,
        lease_s: float,
        retry_at: datetime,
    ) -> list[Claimed]:
        due = (tenant, route, int(priority), micros(self._tx.now), limit)
        found = (await self._tx.conn.exec_driver_sql(_SQLITE_DUE, due)).scalar_one()
        rows = json.loads(found)
        if not rows:
            return []
        ids = json.dumps([row[0] for row in rows])
        await self._tx.conn.exec_driver_sql(_SQLITE_TAKE, (worker, micros(retry_at), lease_s, tenant, ids))
        attempt = _COLUMNS.index("attempt")
        for row in rows:
            row[attempt] += 1
        return [_claimed(row, tenant, route, retry_at, _uuid, of_micros) for row in rows]


def _same(value: Any) -> Any:
    return value


def _uuid(value: str) -> UUID:
    return UUID(int=int(value, 16))


def _by_value(kinds: Iterable[Any]) -> dict[Any, Any]:
    """An enum's own look-up costs five times as much."""
    return {kind.value: kind for kind in kinds}


_CHANNELS, _PRIORITIES, _OUTCOMES = _by_value(Channel), _by_value(Priority), _by_value(Outcome)
_REASONS, _CONFIDENCES, _KINDS = _by_value(Reason), _by_value(Confidence), _by_value(NotificationKind)


def _claimed(
    row: Sequence[Any],
    tenant: int,
    route: str,
    retry_at: datetime,
    uuid: Callable[[Any], UUID],
    at: Callable[[Any], datetime],
) -> Claimed:
    """Columns in the order of _COLUMNS and _MORE."""
    d, n = row[: len(_COLUMNS)], row[len(_COLUMNS) :]
    delivery = Delivery(
        uuid(d[0]),
        tenant,
        uuid(d[1]),
        None if d[2] is None else uuid(d[2]),
        _CHANNELS[d[3]],
        d[4],
        route,
        _PRIORITIES[d[5]],
        Stage.CLAIMED,
        d[6],
        d[7],
        retry_at,
        d[8],
        _OUTCOMES[d[9]],
        _REASONS[d[10]],
        _CONFIDENCES[d[11]],
        None if d[12] is None else at(d[12]),
        d[13],
        d[14],
        d[15],
        d[16],
        at(d[17]),
        at(d[18]),
        d[19],
        d[20],
    )
    if n[0] is None:
        return delivery, None
    context, fallback = (json.loads(j) if isinstance(j, str) else j for j in (n[6], n[14]))
    return delivery, Notification(
        uuid(n[0]),
        _KINDS[n[1]],
        None if n[2] is None else uuid(n[2]),
        None if n[3] is None else uuid(n[3]),
        n[4],
        n[5],
        context,
        n[7],
        _PRIORITIES[n[8]],
        bool(n[9]),
        at(n[10]),
        at(n[11]),
        None if n[12] is None else uuid(n[12]),
        bool(n[13]),
        tuple(Fallback(Channel(c), address, way) for c, address, way in fallback or ()),
    )
