"""How far the mirror has followed a remote billing system: the round that is open, and the last ones that
came to their end. A round that a dead process left is taken up where its last page was committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, exists, func, select, update

from store.invoices import NOT_OVER
from store.models import PackageStatus, SubscriberStatus
from store.repository import Repository
from store.tables import billing_refs, billing_sync, invoices, packages, services, subscribers


@dataclass(frozen=True, slots=True)
class SyncState:
    full: bool = False
    """Whether the open round is a full one."""
    started_at: datetime | None = None
    """Of the open round; None: none is open."""
    section: str = ""
    position: int = 0
    """How many entries of this section are behind us."""
    touched_at: datetime | None = None
    synced_at: datetime | None = None
    """When the last round of either kind that came to its end had begun."""
    full_at: datetime | None = None
    trouble: str = ""
    """Why the last round did not come to its end, in words; empty when it did."""


class BillingSync(Repository):
    async def state(self) -> SyncState:
        c = billing_sync.c
        row = (await self._tx.conn.execute(select(billing_sync).where(c.tenant_id == self._tenant))).first()
        if row is None:
            return SyncState()
        return SyncState(
            row.full,
            row.started_at,
            row.section,
            row.position,
            row.touched_at,
            row.synced_at,
            row.full_at,
            row.trouble,
        )

    async def begin(self, *, full: bool, section: str) -> None:
        await self._put(
            full=full,
            started_at=self._tx.now,
            section=section,
            position=0,
            touched_at=self._tx.now,
        )

    async def came_to(self, section: str, position: int) -> None:
        """In the transaction that writes the page."""
        await self._put(section=section, position=position, touched_at=self._tx.now)

    async def done(self, *, full: bool, started_at: datetime) -> None:
        ended: dict[str, Any] = {"started_at": None, "synced_at": started_at, "trouble": ""}
        await self._put(**ended, **({"full_at": started_at} if full else {}))

    async def failed(self, trouble: str) -> None:
        """The round stays open: what is behind it need not be done again."""
        await self._put(trouble=trouble, touched_at=self._tx.now)

    async def _put(self, **values: Any) -> None:
        row: dict[str, Any] = {
            "tenant_id": self._tenant,
            "full": False,
            "started_at": None,
            "section": "",
            "position": 0,
            "touched_at": None,
            "synced_at": None,
            "full_at": None,
            "trouble": "",
        }
        insert = self._insert(billing_sync).values(row | values)
        await self._tx.conn.execute(
            insert.on_conflict_do_update(index_elements=["tenant_id"], set_=dict(values))
        )

    async def unseen_clients(self, since: datetime) -> dict[str, UUID]:
        """Their id -> ours, of those whom nothing has told of since `since`; archived ones left out."""
        r, s = billing_refs.c, subscribers.c
        statement = (
            select(r.remote_id, r.local_id)
            .join(subscribers, and_(s.tenant_id == r.tenant_id, s.id == r.local_id))
            .where(
                r.tenant_id == self._tenant,
                r.kind == "client",
                s.as_of < since,
                s.status != SubscriberStatus.ARCHIVED,
            )
            .order_by(r.remote_id)
        )
        return {row.remote_id: row.local_id for row in await self._tx.conn.execute(statement)}

    async def unseen_invoices(self, since: datetime) -> Mapping[UUID, str]:
        """Our id -> their id (empty: they never had it), of open invoices of their clients that nothing has
        told of since `since`."""
        i, r, mine = invoices.c, billing_refs.alias("r").c, billing_refs.alias("mine")
        refs = r.remote_id.table
        statement = (
            select(i.id, func.coalesce(r.remote_id, "").label("remote_id"))
            .outerjoin(refs, and_(r.tenant_id == i.tenant_id, r.local_id == i.id, r.kind == "invoice"))
            .where(
                i.tenant_id == self._tenant,
                i.as_of < since,
                i.status.in_(NOT_OVER),
                exists().where(
                    mine.c.tenant_id == i.tenant_id,
                    mine.c.kind == "client",
                    mine.c.local_id == i.subscriber_id,
                ),
            )
            .order_by(i.number)
        )
        return {row.id: row.remote_id for row in await self._tx.conn.execute(statement)}

    async def end_packages(self, before: datetime, source: str, subscriber_id: UUID | None = None) -> int:
        """Packages of their clients that nothing has told of since `before` have ended."""
        p, r = packages.c, billing_refs.c
        whose = (
            exists().where(r.tenant_id == p.tenant_id, r.kind == "client", r.local_id == p.subscriber_id)
            if subscriber_id is None
            else p.subscriber_id == subscriber_id
        )
        ended = (
            await self._tx.conn.execute(
                update(packages)
                .where(
                    p.tenant_id == self._tenant,
                    p.as_of < before,
                    p.status != PackageStatus.INACTIVE,
                    whose,
                )
                .values(
                    status=PackageStatus.INACTIVE,
                    status_until=None,
                    source=source,
                    as_of=self._tx.now,
                )
                .returning(p.id)
            )
        ).all()
        for row in ended:
            await self._tx.conn.execute(
                update(services)
                .where(services.c.tenant_id == self._tenant, services.c.package_id == row.id)
                .values(status=PackageStatus.INACTIVE)
            )
        return len(ended)


__all__ = ["BillingSync", "SyncState"]
