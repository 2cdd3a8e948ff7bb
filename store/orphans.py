"""Reports that matched no delivery: kept, tried again, and matched or dismissed by somebody."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, TextClause, func, select, text, update

from store.models import EventSource, Orphan, Unmatched
from store.repository import BATCH, Repository, batched, storable
from store.tables import orphans
from store.types import new_id


class Orphans(Repository):
    async def keep(
        self,
        *,
        source: EventSource,
        recipient: str,
        envelope_to: str,
        summary: str,
        raw: bytes,
        cls: str = "",
        why: Unmatched = Unmatched.NO_TOKEN,
        fingerprint: str = "",
    ) -> bool:
        """False when this very report is here already.

        `fingerprint` is the same for the same message however it was relayed; the octets where there is none.
        """
        recipient = storable(recipient)
        insert = (
            self._insert(orphans)
            .values(
                tenant_id=self._tenant,
                id=new_id(),
                key=hashlib.sha256(recipient.encode() + b"\x00" + (fingerprint.encode() or raw)).hexdigest(),
                source=source,
                recipient=recipient,
                envelope_to=storable(envelope_to),
                summary=storable(summary),
                cls=storable(cls, 20),
                why=why,
                raw=raw,
                received_at=self._tx.now,
            )
            .on_conflict_do_nothing()
            .returning(orphans.c.id)
        )
        return (await self._tx.conn.execute(insert)).first() is not None

    async def piled_up(self, since: datetime, most: int) -> int:
        """How many that came since then are reports that still wait for a match; counted up to `most`."""
        c = orphans.c
        some = (
            select(c.id)
            .where(*self._open(), c.received_at >= since, c.why != Unmatched.NO_REPORT)
            .limit(most)
            .subquery()
        )
        return int((await self._tx.conn.execute(select(func.count()).select_from(some))).scalar_one())

    async def waiting(self, limit: int = 50, offset: int = 0) -> list[Orphan]:
        """Neither matched nor dismissed, the newest first."""
        statement = (
            select(orphans)
            .where(*self._open())
            .order_by(orphans.c.received_at.desc(), orphans.c.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return [_orphan(row) for row in await self._tx.conn.execute(statement)]

    async def to_rematch(self, since: datetime, limit: int = 200) -> list[tuple[int, UUID]]:
        """Across tenants: (tenant, id) of reports that came since then and wait, each tenant's newest first.

        Without the reports themselves, and tenant by tenant along the index: a queue that strangers have
        filled holds hundreds of megabytes.
        """
        c = orphans.c
        tenants = select(c.tenant_id).where(_WAITING).distinct().order_by(c.tenant_id)
        found: list[tuple[int, UUID]] = []
        for tenant in (await self._tx.conn.execute(tenants)).scalars().all():
            statement = (
                select(c.id)
                .where(
                    c.tenant_id == tenant,
                    _WAITING,
                    c.received_at >= since,
                    c.source == EventSource.DSN,
                    c.why != Unmatched.NO_REPORT,
                )
                .order_by(c.received_at.desc(), c.id.desc())
                .limit(limit)
            )
            found += [(tenant, orphan_id) for orphan_id in (await self._tx.conn.execute(statement)).scalars()]
        return found

    async def count_waiting(self) -> int:
        statement = select(func.count()).select_from(orphans).where(*self._open())
        return int((await self._tx.conn.execute(statement)).scalar_one())

    async def waiting_about(self, addresses: Sequence[str]) -> dict[str, datetime]:
        """Address -> when the newest report about it came that waits; those without any are left out.

        Whoever sent such a report has proved nothing: it is no evidence against the address.
        """
        found: dict[str, datetime] = {}
        wanted = {address.casefold(): address for address in addresses}
        c = orphans.c
        for batch in batched(sorted(wanted), BATCH):
            about = func.lower(c.recipient)
            statement = (
                select(about.label("about"), func.max(c.received_at).label("newest"))
                .where(*self._open(), about.in_(batch))
                .group_by(about)
            )
            found.update((wanted[row.about], row.newest) for row in await self._tx.conn.execute(statement))
        return found

    def _open(self) -> tuple[ColumnElement[bool] | TextClause, ...]:
        c = orphans.c
        return c.tenant_id == self._tenant, _WAITING, c.source == EventSource.DSN

    async def get(self, orphan_id: UUID) -> Orphan | None:
        statement = select(orphans).where(orphans.c.tenant_id == self._tenant, orphans.c.id == orphan_id)
        row = (await self._tx.conn.execute(statement)).first()
        return _orphan(row) if row else None

    async def matched(self, orphan_id: UUID, delivery_id: UUID, *, by: str | None = None) -> bool:
        """False when it was matched or dismissed before."""
        return await self._close(orphan_id, matched_at=self._tx.now, delivery_id=delivery_id, closed_by=by)

    async def dismiss(self, orphan_id: UUID, *, by: str) -> bool:
        """False when it was matched or dismissed before."""
        return await self._close(orphan_id, dismissed_at=self._tx.now, closed_by=by)

    async def reopen(self, orphan_id: UUID) -> bool:
        """Takes a dismissal back; False when it is not dismissed."""
        c = orphans.c
        result = await self._tx.conn.execute(
            update(orphans)
            .where(c.tenant_id == self._tenant, c.id == orphan_id, c.dismissed_at.is_not(None))
            .values(dismissed_at=None, closed_by=None)
        )
        return bool(result.rowcount)

    async def _close(self, orphan_id: UUID, **values: object) -> bool:
        c = orphans.c
        result = await self._tx.conn.execute(
            update(orphans).where(c.tenant_id == self._tenant, c.id == orphan_id, _WAITING).values(**values)
        )
        return bool(result.rowcount)


# Literal, as the partial index has it: SQLite compares the words of a condition, not its meaning.
_WAITING = text("matched_at IS NULL AND dismissed_at IS NULL")


def _orphan(row: Row[Any]) -> Orphan:
    return Orphan(
        id=row.id,
        source=EventSource(row.source),
        recipient=row.recipient,
        envelope_to=row.envelope_to,
        summary=row.summary,
        raw=row.raw,
        received_at=row.received_at,
        cls=row.cls,
        why=Unmatched(row.why),
        matched_at=row.matched_at,
        delivery_id=row.delivery_id,
        dismissed_at=row.dismissed_at,
        closed_by=row.closed_by or "",
    )
