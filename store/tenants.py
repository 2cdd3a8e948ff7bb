"""Tenants: the providers that one deployment serves."""

from __future__ import annotations

from sqlalchemy import select

from store.models import Tenant
from store.repository import Repository
from store.tables import tenants


class Tenants(Repository):
    async def ensure(self, tenant: Tenant) -> None:
        """Creates or renames the tenant; its number never changes."""
        insert = self._insert(tenants).values(
            id=tenant.id,
            key=tenant.key,
            name=tenant.name,
            time_zone=tenant.time_zone,
            created_at=self._tx.now,
        )
        await self._tx.conn.execute(
            insert.on_conflict_do_update(
                index_elements=["id"],
                set_={"key": tenant.key, "name": tenant.name, "time_zone": tenant.time_zone},
            )
        )

    async def all(self) -> list[Tenant]:
        rows = await self._tx.conn.execute(select(tenants).order_by(tenants.c.id))
        return [Tenant(row.id, row.key, row.name, row.time_zone) for row in rows]
