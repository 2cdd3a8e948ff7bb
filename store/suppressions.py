"""Suppressions: addresses that we must not send to, one row per channel and address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_, update

from store.models import Channel, Suppression
from store.repository import BATCH, Repository, batched
from store.tables import suppression_log, suppressions
from store.types import new_id


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
        row = {
            "reason": reason,
            "actor": actor,
            "delivery_id": delivery_id,
            "created_at": self._tx.now,
            "released_at": None,
            "released_by": None,
        }
        insert = self._insert(suppressions).values(
            tenant_id=self._tenant if tenant is None else tenant, channel=channel, address=address, **row
        )
        changed = await self._tx.conn.execute(
            insert.on_conflict_do_update(
                index_elements=["tenant_id", "channel", "address"],
                set_=row,
                where=suppressions.c.released_at.is_not(None),
            ).returning(suppressions.c.address)
        )
        if changed.first() is not None:
            owner = self._tenant if tenant is None else tenant
            await self._note(owner, channel, address, "suppressed", reason, actor, delivery_id)

    async def _note(
        self,
        tenant: int,
        channel: Channel,
        address: str,
        change: str,
        reason: str,
        actor: str,
        delivery_id: UUID | None,
    ) -> None:
        await self._tx.conn.execute(
            suppression_log.insert().values(
                tenant_id=tenant,
                id=new_id(),
                channel=channel,
                address=address,
                change=change,
                reason=reason,
                delivery_id=delivery_id,
                actor=actor,
                at=self._tx.now,
            )
        )

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
            await self._note(self._tenant, channel, address, "released", "", actor, None)
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
