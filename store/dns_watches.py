"""Watches over a domain's record: at most one a tenant, kind and domain is open (a partial unique index).

Times are business time. A look is taken by moving `next_at` on, so that one process looks; what a look that
died with its process would have found, the next one finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update

from store.models import DnsWatch, WatchEnd
from store.repository import Repository, storable
from store.tables import dns_watches
from store.types import new_id

_TRIES = 5


def _watch(row: Row[Any]) -> DnsWatch:
    return DnsWatch(
        tenant=row.tenant_id,
        id=row.id,
        kind=row.kind,
        domain=row.domain,
        actors=tuple(row.actors),
        created_at=row.created_at,
        next_at=row.next_at,
        expires_at=row.expires_at,
        checks=row.checks,
        last_seen=row.last_seen,
        last_at=row.last_at,
        ended_at=row.ended_at,
        ended=WatchEnd(row.ended) if row.ended else None,
        ended_by=row.ended_by,
    )


class DnsWatches(Repository):
    async def open_or_join(
        self, kind: str, domain: str, actor: str, *, seen: str, next_at: datetime, expires_at: datetime
    ) -> DnsWatch:
        """The open watch of this record, with `actor` among those who asked; a new one where there is none.

        `seen`: what whoever asks has just been shown. Asking twice changes nothing.
        """
        for _ in range(_TRIES):
            insert = self._insert(dns_watches).values(
                tenant_id=self._tenant,
                id=new_id(),
                kind=kind,
                domain=domain,
                actors=[actor],
                created_at=self._tx.now,
                next_at=next_at,
                expires_at=expires_at,
                checks=0,
                last_seen=storable(seen),
            )
            made = insert.on_conflict_do_nothing().returning(dns_watches)
            row = (await self._tx.conn.execute(made)).first()
            if row is not None:
                return _watch(row)
            if (there := await self._open_locked(kind, domain)) is not None:
                return there if actor in there.actors else await self._with(there, (*there.actors, actor))
        raise RuntimeError("a watch is opened and ended faster than it can be read")

    async def _open_locked(self, kind: str, domain: str) -> DnsWatch | None:
        c = dns_watches.c
        statement = (
            select(dns_watches)
            .where(c.tenant_id == self._tenant, c.kind == kind, c.domain == domain, c.ended_at.is_(None))
            .with_for_update()
        )
        row = (await self._tx.conn.execute(statement)).first()
        return _watch(row) if row else None

    async def _with(self, watch: DnsWatch, actors: tuple[str, ...]) -> DnsWatch:
        c = dns_watches.c
        statement = (
            update(dns_watches)
            .where(c.tenant_id == self._tenant, c.id == watch.id)
            .values(actors=list(actors))
            .returning(dns_watches)
        )
        return _watch((await self._tx.conn.execute(statement)).one())

    async def leave(self, watch_id: UUID, actor: str) -> bool:
        """Takes one of several who asked off; False when they are the last, did not ask, or it is over."""
        c = dns_watches.c
        statement = (
            select(dns_watches)
            .where(c.tenant_id == self._tenant, c.id == watch_id, c.ended_at.is_(None))
            .with_for_update()
        )
        row = (await self._tx.conn.execute(statement)).first()
        watch = _watch(row) if row else None
        if watch is None or actor not in watch.actors or len(watch.actors) == 1:
            return False
        await self._with(watch, tuple(name for name in watch.actors if name != actor))
        return True

    async def take_due(
        self, tenants: Sequence[int], following: Callable[[DnsWatch], datetime], limit: int = 20
    ) -> list[DnsWatch]:
        """Of these tenants: those whose look is due, each moved on to what `following` says."""
        c = dns_watches.c
        due = (
            select(dns_watches)
            .where(c.tenant_id.in_(list(tenants)), c.ended_at.is_(None), c.next_at <= self._tx.now)
            .order_by(c.next_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        taken = [_watch(row) for row in await self._tx.conn.execute(due)]
        for watch in taken:
            await self._tx.conn.execute(
                update(dns_watches)
                .where(c.tenant_id == watch.tenant, c.id == watch.id)
                .values(next_at=following(watch))
            )
        return taken

    async def look_now(self, watch_id: UUID) -> bool:
        """Its next look is due at once; False when it is over."""
        c = dns_watches.c
        result = await self._tx.conn.execute(
            update(dns_watches)
            .where(c.tenant_id == self._tenant, c.id == watch_id, c.ended_at.is_(None))
            .values(next_at=self._tx.now)
        )
        return bool(result.rowcount)

    async def looked(self, watch_id: UUID, seen: str) -> bool:
        """One look more; False when it has ended meanwhile."""
        return await self._change(
            watch_id, checks=dns_watches.c.checks + 1, last_seen=storable(seen), last_at=self._tx.now
        )

    async def end(self, watch_id: UUID, how: WatchEnd, by: str | None = None) -> bool:
        """False when it has ended already."""
        return await self._change(watch_id, ended_at=self._tx.now, ended=how, ended_by=by)

    async def _change(self, watch_id: UUID, **values: Any) -> bool:
        c = dns_watches.c
        result = await self._tx.conn.execute(
            update(dns_watches)
            .where(c.tenant_id == self._tenant, c.id == watch_id, c.ended_at.is_(None))
            .values(**values)
        )
        return bool(result.rowcount)

    async def get(self, watch_id: UUID) -> DnsWatch | None:
        c = dns_watches.c
        statement = select(dns_watches).where(c.tenant_id == self._tenant, c.id == watch_id)
        row = (await self._tx.conn.execute(statement)).first()
        return _watch(row) if row else None

    async def open_for(self, kind: str, domain: str) -> DnsWatch | None:
        c = dns_watches.c
        statement = select(dns_watches).where(
            c.tenant_id == self._tenant, c.kind == kind, c.domain == domain, c.ended_at.is_(None)
        )
        row = (await self._tx.conn.execute(statement)).first()
        return _watch(row) if row else None
