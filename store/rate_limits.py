"""The next free moment of each limit: one row a limit, from which all workers reserve under its lock.

`free_at` is the database's real time. Rows are taken in the order of their keys, so that two workers never
wait for each other. What the numbers mean is notifier.limits; this only keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select

from store.repository import BATCH, Repository, batched
from store.tables import rate_limits
from store.types import db_now


@dataclass(frozen=True, slots=True)
class Limit:
    key: str
    free_at: datetime
    per_s: str
    updated_at: datetime


class RateLimits(Repository):
    async def real_now(self) -> datetime:
        """The database's clock, by which limits and leases go."""
        value: datetime = (await self._tx.conn.execute(select(db_now()))).scalar_one()
        return value

    async def peek(self, key: str) -> tuple[datetime | None, datetime]:
        """(when it is free, the database's time); None where nobody ever took of it."""
        c = rate_limits.c
        free = select(c.free_at).where(c.tenant_id == self._tenant, c.key == key).scalar_subquery()
        row = (await self._tx.conn.execute(select(free, db_now()))).one()
        return row[0], row[1]

    async def lock(self, rates: Mapping[str, str]) -> tuple[dict[str, Limit], datetime]:
        """These limits (key -> its rate in words), locked and made where missing; and the database's time."""
        found = await self._locked(sorted(rates))
        if missing := sorted(rates.keys() - found.keys()):
            rows = [
                {
                    "tenant_id": self._tenant,
                    "key": key,
                    "free_at": db_now(),
                    "per_s": rates[key],
                    "updated_at": db_now(),
                }
                for key in missing
            ]
            await self._tx.conn.execute(self._insert(rate_limits).values(rows).on_conflict_do_nothing())
            found = await self._locked(sorted(rates))
        return found, await self.real_now()  # after the locks: whoever waited for them waited till now

    async def _locked(self, keys: Sequence[str]) -> dict[str, Limit]:
        c = rate_limits.c
        found: dict[str, Limit] = {}
        for batch in batched(keys, BATCH):
            statement = (
                select(rate_limits)
                .where(c.tenant_id == self._tenant, c.key.in_(batch))
                .order_by(c.key)
                .with_for_update()
            )
            for row in await self._tx.conn.execute(statement):
                found[row.key] = Limit(row.key, row.free_at, row.per_s, row.updated_at)
        return found

    async def set(self, key: str, free_at: datetime, per_s: str) -> None:
        await self.set_many({key: (free_at, per_s)})

    async def set_many(self, limits: Mapping[str, tuple[datetime, str]]) -> None:
        if not limits:
            return
        insert = self._insert(rate_limits).values(
            [
                {
                    "tenant_id": self._tenant,
                    "key": key,
                    "free_at": free_at,
                    "per_s": per_s,
                    "updated_at": db_now(),
                }
                for key, (free_at, per_s) in sorted(limits.items())
            ]
        )
        new = insert.excluded
        await self._tx.conn.execute(
            insert.on_conflict_do_update(
                index_elements=["tenant_id", "key"],
                set_={"free_at": new.free_at, "per_s": new.per_s, "updated_at": new.updated_at},
            )
        )

    async def all(self) -> list[Limit]:
        statement = (
            select(rate_limits).where(rate_limits.c.tenant_id == self._tenant).order_by(rate_limits.c.key)
        )
        return [
            Limit(row.key, row.free_at, row.per_s, row.updated_at)
            for row in await self._tx.conn.execute(statement)
        ]

    async def ahead(self, kind: str) -> list[Limit]:
        """Those of a kind (`slowed`, `line`) whose moment is still to come."""
        c = rate_limits.c
        prefix = f"{kind}:"
        statement = (
            select(rate_limits)
            .where(
                c.tenant_id == self._tenant,
                func.substr(c.key, 1, len(prefix)) == prefix,
                c.free_at > db_now(),
            )
            .order_by(c.key)
        )
        return [
            Limit(row.key, row.free_at, row.per_s, row.updated_at)
            for row in await self._tx.conn.execute(statement)
        ]

    async def forget(self, older_than: datetime) -> int:
        """Limits that nobody has taken of since: a domain that was mailed once leaves no row for ever."""
        c = rate_limits.c
        result = await self._tx.conn.execute(
            delete(rate_limits).where(c.tenant_id == self._tenant, c.free_at < older_than)
        )
        return int(result.rowcount)
