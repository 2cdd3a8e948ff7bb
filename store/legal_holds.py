"""Legal holds: while one stands on an account, nothing of it is removed by age (store.retention)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update

from store.filed import LegalHold
from store.repository import Repository
from store.tables import legal_holds


def _hold(row: Row[Any]) -> LegalHold:
    return LegalHold(
        row.id, row.subscriber_id, row.reason, row.actor, row.created_at, row.ended_at, row.ended_by
    )


class LegalHolds(Repository):
    async def add(self, hold: LegalHold) -> bool:
        """False when it was set before (its id is derived from whatever asked for it)."""
        insert = self._insert(legal_holds).values(
            tenant_id=self._tenant,
            id=hold.id,
            subscriber_id=hold.subscriber_id,
            reason=hold.reason,
            actor=hold.actor,
            created_at=hold.created_at,
        )
        done = await self._tx.conn.execute(insert.on_conflict_do_nothing().returning(legal_holds.c.id))
        return done.first() is not None

    async def of(self, subscriber_id: UUID) -> list[LegalHold]:
        """All that were ever set on this account, oldest first."""
        c = legal_holds.c
        statement = (
            select(legal_holds)
            .where(c.tenant_id == self._tenant, c.subscriber_id == subscriber_id)
            .order_by(c.created_at, c.id)
        )
        return [_hold(row) for row in await self._tx.conn.execute(statement)]

    async def standing(self, subscriber_id: UUID) -> list[LegalHold]:
        return [hold for hold in await self.of(subscriber_id) if hold.ended_at is None]

    async def release(self, subscriber_id: UUID, by: str) -> int:
        """Ends all that stand; gives how many did."""
        c = legal_holds.c
        done = await self._tx.conn.execute(
            update(legal_holds)
            .where(c.tenant_id == self._tenant, c.subscriber_id == subscriber_id, c.ended_at.is_(None))
            .values(ended_at=self._tx.now, ended_by=by)
        )
        return int(done.rowcount)


__all__ = ["LegalHolds"]
