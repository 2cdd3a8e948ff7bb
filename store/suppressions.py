"""Suppressions: addresses that we must not send to, one row per channel and address."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_, update

from store.models import Channel, Suppression
from store.repository import BATCH, Repository, batched
from store.tables import suppression_log, suppressions
from store.types import micros, new_id


@dataclass(frozen=True, slots=True)
class Suppressing:
    """An address that is not to be sent to any more, and why."""

    tenant: int
    channel: Channel
    address: str
    reason: str
    actor: str
    delivery_id: UUID | None = None


_INTO = "INSERT INTO suppressions (tenant_id, channel, address, reason, actor, delivery_id, created_at)"
_AGAIN = """ON CONFLICT (tenant_id, channel, address) DO UPDATE SET reason = excluded.reason,
    actor = excluded.actor, delivery_id = excluded.delivery_id, created_at = excluded.created_at,
    released_at = NULL, released_by = NULL
WHERE suppressions.released_at IS NOT NULL RETURNING tenant_id, channel, address"""
_POSTGRESQL = f"""{_INTO} SELECT r.*, $7 FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[],
    $5::text[], $6::uuid[]) AS r {_AGAIN}"""  # noqa: S608  # no value in it
_SQLITE = f"""{_INTO} SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, ?2
FROM json_each(?1) WHERE true {_AGAIN}"""  # noqa: S608  # no value in it


def _row(item: Suppressing, *, lite: bool) -> tuple[Any, ...]:
    blamed = item.delivery_id.hex if item.delivery_id and lite else item.delivery_id
    return item.tenant, item.channel.value, item.address, item.reason, item.actor, blamed


class Suppressions(Repository):
    async def suppress(
        self,
        channel: Channel,
        address: str,
        *,
        reason: str,
        actor: str,
        delivery_id: UUID | None = None,
        tenant: int | None = None,
    ) -> None:
        """Idempotent; a released address that fails again is suppressed again.

        `tenant` names the delivery's own when the transaction is across tenants.
        """
        owner = self._tenant if tenant is None else tenant
        await self.suppress_many([Suppressing(owner, channel, address, reason, actor, delivery_id)])

    async def suppress_many(self, items: Sequence[Suppressing]) -> None:
        """As one after the other, in two statements; across tenants."""
        first = {(item.tenant, item.channel, item.address): item for item in reversed(items)}
        for batch in batched([first[key] for key in sorted(first)], BATCH):
            said = self._tx.conn.exec_driver_sql
            lite = self._tx.sqlite
            rows = [_row(item, lite=lite) for item in batch]
            if lite:
                changed = await said(_SQLITE, (json.dumps(rows), micros(self._tx.now)))
            else:
                columns = [list(column) for column in zip(*rows, strict=True)]
                changed = await said(_POSTGRESQL, (*columns, self._tx.now))
            keys: Iterable[Sequence[Any]] = changed.all()
            news = [first[tenant, Channel(channel), address] for tenant, channel, address in keys]
            if news:
                await self._tx.conn.execute(
                    suppression_log.insert(), [self._change(item, "suppressed") for item in news]
                )

    def _change(self, item: Suppressing, change: str) -> dict[str, Any]:
        return {
            "tenant_id": item.tenant,
            "id": new_id(),
            "channel": item.channel,
            "address": item.address,
            "change": change,
            "reason": item.reason,
            "delivery_id": item.delivery_id,
            "actor": item.actor,
            "at": self._tx.now,
        }

    async def release(self, channel: Channel, address: str, *, actor: str) -> bool:
        result = await self._tx.conn.execute(
            update(suppressions)
            .where(
                suppressions.c.tenant_id == self._tenant,
                suppressions.c.channel == channel,
                suppressions.c.address == address,
                suppressions.c.released_at.is_(None),
            )
            .values(released_at=self._tx.now, released_by=actor)
        )
        if result.rowcount:
            let_go = Suppressing(self._tenant, channel, address, "", actor)
            await self._tx.conn.execute(suppression_log.insert(), [self._change(let_go, "released")])
        return bool(result.rowcount)

    async def active(
        self, addresses: Sequence[tuple[Channel, str]]
    ) -> dict[tuple[Channel, str], Suppression]:
        found: dict[tuple[Channel, str], Suppression] = {}
        for channel in Channel:  # not as pairs, which take three times as long to bind
            mine = [address for of, address in addresses if of == channel]
            for batch in batched(mine, BATCH):
                statement = select(suppressions).where(
                    suppressions.c.tenant_id == self._tenant,
                    suppressions.c.released_at.is_(None),
                    suppressions.c.channel == channel,
                    self._among(suppressions.c.address, batch),
                )
                for row in await self._tx.conn.execute(statement):
                    found[(channel, row.address)] = Suppression(
                        channel, row.address, row.reason, row.created_at, row.delivery_id
                    )
        return found

    async def history(
        self, addresses: Sequence[tuple[Channel, str]], since: datetime, until: datetime
    ) -> list[tuple[Channel, str, str, str, str, datetime]]:
        """(channel, address, change, reason, actor, at) in [since, until), oldest first."""
        c = suppression_log.c
        found: list[tuple[Channel, str, str, str, str, datetime]] = []
        for batch in batched(addresses, BATCH):
            statement = (
                select(suppression_log)
                .where(
                    c.tenant_id == self._tenant,
                    tuple_(c.channel, c.address).in_(batch),
                    c.at >= since,
                    c.at < until,
                )
                .order_by(c.at, c.id)
            )
            found += [
                (Channel(row.channel), row.address, row.change, row.reason, row.actor, row.at)
                for row in await self._tx.conn.execute(statement)
            ]
        return found
