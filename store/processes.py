"""Which processes run: one row each, renewed by the database's clock, so that each half can watch the other.

A row also tells how far the machine's own clock is from the database's: due times are worked out by the one,
leases by the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from store.repository import Repository
from store.tables import processes
from store.types import db_now, db_now_plus


@dataclass(frozen=True, slots=True)
class Process:
    name: str
    """As in its leases (store.presence)."""
    role: str
    """bot, worker, or bot-worker."""
    seen_at: datetime
    """The database's real time."""
    skew_ms: int
    """Its machine's clock against the database's; positive: ahead."""

    @property
    def works(self) -> bool:
        return "worker" in self.role


class Processes(Repository):
    async def real_now(self) -> datetime:
        """The database's clock."""
        value: datetime = (await self._tx.conn.execute(select(db_now()))).scalar_one()
        return value

    async def seen(self, name: str, role: str, skew_ms: int) -> None:
        row = {"role": role, "seen_at": db_now(), "skew_ms": skew_ms}
        insert = self._insert(processes).values(name=name, **row)
        await self._tx.conn.execute(insert.on_conflict_do_update(index_elements=["name"], set_=row))

    async def gone(self, name: str) -> None:
        """It ends in order."""
        await self._tx.conn.execute(processes.delete().where(processes.c.name == name))

    async def alive(self, within_s: float) -> list[Process]:
        """Those seen lately, by name."""
        c = processes.c
        statement = select(processes).where(c.seen_at > db_now_plus(-within_s)).order_by(c.name)
        return [
            Process(row.name, row.role, row.seen_at, row.skew_ms)
            for row in await self._tx.conn.execute(statement)
        ]

    async def forget(self, after_s: float) -> None:
        """Those that died without a word, once nobody asks for them any more."""
        await self._tx.conn.execute(processes.delete().where(processes.c.seen_at < db_now_plus(-after_s)))
