"""The inbox: everything that comes in is a row before it is acknowledged, and is run from that row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, func, or_, select, tuple_, update

from store.inserts import Insert
from store.models import Interaction, InteractionKind, InteractionState
from store.repository import BATCH, Repository, batched
from store.tables import interactions
from store.types import db_now, db_now_plus, micros


def _interaction(row: Row[Any]) -> Interaction:
    return Interaction(
        tenant=row.tenant_id,
        id=row.id,
        kind=InteractionKind(row.kind),
        payload=row.payload,
        received_at=row.received_at,
        state=InteractionState(row.state),
        body=row.body,
        response_url=row.response_url,
        response_uses=row.response_uses,
        attempt=row.attempt,
    )


_INSERT = Insert(
    "interactions",
    {
        "tenant_id": "int4",
        "id": "text",
        "kind": "text",
        "payload": "json",
        "body": "bytea",
        "response_url": "bytea",
        "worker": "text",
        "received_at": "timestamptz",
    },
    {
        "response_uses": ("0", "0"),
        "state": ("'running'", "'running'"),
        "attempt": ("1", "1"),
        "lease_until": (
            "clock_timestamp() + make_interval(secs => ?::float8)",
            "CAST((julianday('now') - 2440587.5) * 86400000000 + ? * 1000000 AS INTEGER)",
        ),
    },
)


class Interactions(Repository):
    async def add(self, items: Sequence[Interaction], *, worker: str, lease_s: float) -> set[tuple[int, str]]:
        """Keeps what is new, claimed by `worker`, which runs it next; (tenant, id) of the new ones."""
        lite = self._tx.sqlite
        new: set[tuple[int, str]] = set()
        for batch in batched(items, BATCH):
            rows = [
                (
                    item.tenant,
                    item.id,
                    item.kind.value,
                    json.dumps(dict(item.payload)),
                    item.body,
                    item.response_url,
                    worker,
                    micros(item.received_at) if lite else item.received_at,
                )
                for item in batch
            ]
            new |= await _INSERT.new(self._tx, rows, float(lease_s))
        return new

    async def claim_left(
        self, *, worker: str, lease_s: float, limit: int = 20, dead_worker: str | None = None
    ) -> list[Interaction]:
        """Takes what nobody runs (any more): lease run out, or its worker known to be dead."""
        c = interactions.c
        left = or_(
            c.state == InteractionState.PENDING,
            and_(c.state == InteractionState.RUNNING, c.lease_until < db_now()),
        )
        if dead_worker is not None:
            left = or_(left, and_(c.state == InteractionState.RUNNING, c.worker == dead_worker))
        due = (
            select(c.tenant_id, c.id)
            .where(left)
            .order_by(c.received_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("left_over")
        )
        statement = (
            update(interactions)
            .where(c.tenant_id == due.c.tenant_id, c.id == due.c.id)
            .values(
                state=InteractionState.RUNNING,
                attempt=c.attempt + 1,
                worker=worker,
                lease_until=db_now_plus(lease_s),
            )
            .returning(interactions)
        )
        return [_interaction(row) for row in await self._tx.conn.execute(statement)]

    async def renew(self, worker: str, refs: Sequence[tuple[int, str]], lease_s: float) -> None:
        """The heartbeat of those (tenant, id) that `worker` is really running."""
        c = interactions.c
        for batch in batched(refs, BATCH):
            await self._tx.conn.execute(
                update(interactions)
                .where(
                    tuple_(c.tenant_id, c.id).in_(batch),
                    c.state == InteractionState.RUNNING,
                    c.worker == worker,
                )
                .values(lease_until=db_now_plus(lease_s))
            )

    async def finish(self, item: Interaction, *, error: str | None = None) -> bool:
        """Done or failed; False when another runner took it over meanwhile (fencing by attempt)."""
        result = await self._tx.conn.execute(
            update(interactions)
            .where(
                interactions.c.tenant_id == item.tenant,
                interactions.c.id == item.id,
                interactions.c.attempt == item.attempt,
            )
            .values(
                state=InteractionState.FAILED if error else InteractionState.DONE,
                error=error,
                body=b"",
                finished_at=self._tx.now,
                lease_until=None,
            )
        )
        return bool(result.rowcount)

    async def finish_many(self, items: Sequence[Interaction]) -> None:
        """Done, several at once and across tenants; those that another runner took over are left to it."""
        c = interactions.c
        for batch in batched(items, BATCH):
            named = [(item.tenant, item.id, item.attempt) for item in batch]
            await self._tx.conn.execute(
                update(interactions)
                .where(tuple_(c.tenant_id, c.id, c.attempt).in_(named))
                .values(
                    state=InteractionState.DONE,
                    error=None,
                    body=b"",
                    finished_at=self._tx.now,
                    lease_until=None,
                )
            )

    async def use_response(self, item: Interaction) -> int:
        """Counts one use of the response_url before it is used; gives the number of this use."""
        row = await self._tx.conn.execute(
            update(interactions)
            .where(interactions.c.tenant_id == item.tenant, interactions.c.id == item.id)
            .values(response_uses=interactions.c.response_uses + 1)
            .returning(interactions.c.response_uses)
        )
        return int(row.scalar_one())

    async def purge(self, *, urls_before: datetime, rows_before: datetime) -> None:
        """Forgets response URLs first, whole finished rows later (they are the dedupe memory)."""
        c = interactions.c
        await self._tx.conn.execute(
            update(interactions)
            .where(c.received_at < urls_before, func.length(c.response_url) > 0)
            .values(response_url=b"")
        )
        await self._tx.conn.execute(
            delete(interactions).where(
                c.received_at < rows_before,
                c.state.in_([InteractionState.DONE, InteractionState.FAILED]),
            )
        )
