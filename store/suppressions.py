"""Suppressions: addresses that we must not send to, one row per channel and address."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, tuple_, update

from store.models import Channel, Suppression
from store.repository import BATCH, Repository, batched
from store.tables import suppressions


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
        await self._tx.conn.execute(
            insert.on_conflict_do_update(
                index_elements=["tenant_id", "channel", "address"],
                set_=row,
                where=suppressions.c.released_at.is_not(None),
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
        return bool(result.rowcount)

    async def active(
        self, addresses: Sequence[tuple[Channel, str]]
    ) -> dict[tuple[Channel, str], Suppression]:
        found: dict[tuple[Channel, str], Suppression] = {}
        for batch in batched(addresses, BATCH):
            statement = select(suppressions).where(
                suppressions.c.tenant_id == self._tenant,
                suppressions.c.released_at.is_(None),
                tuple_(suppressions.c.channel, suppressions.c.address).in_(batch),
            )
            for row in await self._tx.conn.execute(statement):
                channel = Channel(row.channel)
                found[(channel, row.address)] = Suppression(
                    channel, row.address, row.reason, row.created_at, row.delivery_id
                )
        return found
