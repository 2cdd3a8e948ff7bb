"""Reports that matched no delivery: kept whole, listed, rematched later."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update

from store.models import EventSource, Orphan
from store.repository import Repository, storable
from store.tables import orphans
from store.types import new_id


class Orphans(Repository):
    async def keep(
        self, *, source: EventSource, recipient: str, envelope_to: str, summary: str, raw: bytes
    ) -> bool:
        """False when this very report is here already."""
        recipient = storable(recipient)
        insert = (
            self._insert(orphans)
            .values(
                tenant_id=self._tenant,
                id=new_id(),
                key=hashlib.sha256(recipient.encode() + b"\x00" + raw).hexdigest(),
                source=source,
                recipient=recipient,
                envelope_to=storable(envelope_to),
                summary=storable(summary),
                raw=raw,
                received_at=self._tx.now,
            )
            .on_conflict_do_nothing()
            .returning(orphans.c.id)
        )
        return (await self._tx.conn.execute(insert)).first() is not None

    async def waiting(self, limit: int = 50) -> list[Orphan]:
        statement = (
            select(orphans)
            .where(orphans.c.tenant_id == self._tenant, orphans.c.matched_at.is_(None))
            .order_by(orphans.c.received_at.desc())
            .limit(limit)
        )
        return [
            Orphan(
                row.id,
                EventSource(row.source),
                row.recipient,
                row.envelope_to,
                row.summary,
                row.raw,
                row.received_at,
            )
            for row in await self._tx.conn.execute(statement)
        ]

    async def purge(self, before: datetime) -> None:
        """Across tenants: forgets reports older than `before`, matched or not."""
        await self._tx.conn.execute(delete(orphans).where(orphans.c.received_at < before))

    async def matched(self, orphan_id: UUID, delivery_id: UUID) -> None:
        await self._tx.conn.execute(
            update(orphans)
            .where(orphans.c.tenant_id == self._tenant, orphans.c.id == orphan_id)
            .values(matched_at=self._tx.now, delivery_id=delivery_id)
        )
