"""Leases on the connections of a route: what each worker may hold, never more together than the route may.

Decided under the lock of the route's row in rate_limits, in the database's real time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import delete, select

from store.repository import Repository
from store.tables import connection_slots
from store.types import db_now, db_now_plus

Fair = Callable[[int, Mapping[str, int]], Mapping[str, int]]


class ConnectionSlots(Repository):
    async def lease(
        self, route: str, worker: str, *, limit: int, wanted: int, holding: int, lease_s: float, fair: Fair
    ) -> int:
        """How many this worker may hold until the next lease. `holding`: those open still are its own too."""
        await self._tx.limits.lock({f"connections:{route}": str(limit)})
        c = connection_slots.c
        statement = select(connection_slots).where(
            c.tenant_id == self._tenant, c.route == route, c.worker != worker, c.lease_until > db_now()
        )
        others = {row.worker: row for row in await self._tx.conn.execute(statement)}
        shares = fair(limit, {name: row.wanted for name, row in others.items()} | {worker: wanted})
        free = limit - sum(row.slots for row in others.values())
        mine = max(min(int(shares[worker]), int(free)), 0)
        insert = self._insert(connection_slots).values(
            tenant_id=self._tenant,
            route=route,
            worker=worker,
            slots=max(mine, holding),
            wanted=wanted,
            lease_until=db_now_plus(lease_s),
        )
        new = insert.excluded
        await self._tx.conn.execute(
            insert.on_conflict_do_update(
                index_elements=["tenant_id", "route", "worker"],
                set_={"slots": new.slots, "wanted": new.wanted, "lease_until": new.lease_until},
            )
        )
        return mine

    async def forget(self, workers: Sequence[str]) -> None:
        """Of workers that are known to be gone, across tenants; and leases that ran out long ago."""
        c = connection_slots.c
        await self._tx.conn.execute(
            delete(connection_slots).where(c.worker.in_(workers) | (c.lease_until < db_now_plus(-3600)))
        )
