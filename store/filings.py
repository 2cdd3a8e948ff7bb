"""What is to be written down in a remote billing system: entries of a client's log, tickets.

Written here in the transaction of what it tells of, filed outside of any; its id stands in its text there, so
that after a lost answer it is looked for before it is filed again. Leases are in the database's real time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, or_, select, update

from store.repository import Repository
from store.tables import billing_filings
from store.types import db_now, db_now_plus

SIGNAL = "filings"


class FilingKind(StrEnum):
    LOG = "log"
    TICKET = "ticket"


class FilingState(StrEnum):
    WAITING = "waiting"
    FILED = "filed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Filing:
    id: UUID
    tenant: int
    kind: FilingKind
    subscriber_id: UUID
    subject: str
    body: str
    created_at: datetime
    state: FilingState = FilingState.WAITING
    attempt: int = 0
    called_at: datetime | None = None
    """When it was first tried: from then on it may be there."""
    external_ref: str | None = None
    result: str = ""


def _filing(row: Row[Any]) -> Filing:
    return Filing(
        id=row.id,
        tenant=row.tenant_id,
        kind=FilingKind(row.kind),
        subscriber_id=row.subscriber_id,
        subject=row.subject,
        body=row.body,
        created_at=row.created_at,
        state=FilingState(row.state),
        attempt=row.attempt,
        called_at=row.called_at,
        external_ref=row.external_ref,
        result=row.result or "",
    )


class Filings(Repository):
    async def add(
        self, filing_id: UUID, kind: FilingKind, subscriber_id: UUID, body: str, subject: str = ""
    ) -> bool:
        """False when it stands already: its id is derived from what it tells of."""
        insert = self._insert(billing_filings).values(
            tenant_id=self._tenant,
            id=filing_id,
            kind=kind,
            subscriber_id=subscriber_id,
            subject=subject,
            body=body,
            state=FilingState.WAITING,
            attempt=0,
            created_at=self._tx.now,
        )
        done = await self._tx.conn.execute(insert.on_conflict_do_nothing().returning(billing_filings.c.id))
        self._tx.signal(SIGNAL)
        return done.first() is not None

    async def get(self, filing_id: UUID) -> Filing | None:
        c = billing_filings.c
        statement = select(billing_filings).where(c.tenant_id == self._tenant, c.id == filing_id)
        row = (await self._tx.conn.execute(statement)).first()
        return _filing(row) if row else None

    async def claim(self, *, lease_s: float, limit: int = 10) -> list[Filing]:
        """Across tenants (`system()`): what waits and nobody works on, oldest first."""
        c = billing_filings.c
        free = (
            select(c.tenant_id, c.id)
            .where(c.state == FilingState.WAITING, or_(c.lease_until.is_(None), c.lease_until < db_now()))
            .order_by(c.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("free")
        )
        statement = (
            update(billing_filings)
            .where(c.tenant_id == free.c.tenant_id, c.id == free.c.id)
            .values(attempt=c.attempt + 1, lease_until=db_now_plus(lease_s))
            .returning(billing_filings)
        )
        taken = [_filing(row) for row in await self._tx.conn.execute(statement)]
        return sorted(taken, key=lambda filing: filing.created_at)

    async def about_to_call(self, filing: Filing) -> bool:
        """Recorded before it is filed, since the answer may be lost; False when the claim is gone."""
        return await self._mine(filing, called_at=filing.called_at or self._tx.now)

    async def end(self, filing: Filing, state: FilingState, *, ref: str = "", result: str = "") -> bool:
        """Its text goes: from now on it is there, or nowhere."""
        return await self._mine(
            filing, state=state, external_ref=ref or None, result=result, body="", lease_until=None
        )

    async def put_off(self, filing: Filing, *, result: str, wait_s: float) -> bool:
        return await self._mine(filing, result=result, lease_until=db_now_plus(wait_s))

    async def _mine(self, filing: Filing, **values: Any) -> bool:
        c = billing_filings.c
        done = await self._tx.conn.execute(
            update(billing_filings)
            .where(
                c.tenant_id == filing.tenant,
                c.id == filing.id,
                c.state == FilingState.WAITING,
                c.attempt == filing.attempt,
            )
            .values(**values)
        )
        return bool(done.rowcount)


__all__ = ["Filing", "FilingKind", "FilingState", "Filings"]
