"""A name for this process that no living process has, so that its dead namesake's leases can be taken over.

SQLite: the process lock proves that nobody else is there. PostgreSQL: a session advisory lock per name and
slot; it goes with the connection, so whoever gets it knows that the former holder is gone. Everybody else's
leases are left to run out.
"""

from __future__ import annotations

import asyncio
import hashlib

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine import Engine

SLOTS = 64
_PATIENCE = 10
_PAUSE_S = 0.1


class Presence:
    def __init__(self, name: str, conn: AsyncConnection | None) -> None:
        self.name, self._conn = name, conn

    @classmethod
    async def take(cls, engine: Engine, base: str) -> Presence:
        """`base` is the machine's and role's name, for example `desk1-worker`."""
        if engine.sqlite:
            return cls(base, None)
        conn = await engine.raw()
        await conn.execution_options(isolation_level="AUTOCOMMIT")
        for slot in range(SLOTS):
            name = f"{base}-{slot}"
            # A namesake killed a moment ago: the server needs an instant to notice.
            for _ in range(_PATIENCE if slot == 0 else 1):
                taken = await conn.execute(
                    text("SELECT pg_try_advisory_lock(:space, :slot)"), {"space": _space(base), "slot": slot}
                )
                if taken.scalar_one():
                    return cls(name, conn)
                await asyncio.sleep(_PAUSE_S)
        await conn.close()
        raise RuntimeError(f"all {SLOTS} names of {base} are taken")

    async def close(self) -> None:
        if self._conn is not None:
            await self._conn.invalidate()
            await self._conn.close()
            self._conn = None


def _space(base: str) -> int:
    """A signed 32-bit number for pg_try_advisory_lock(int, int)."""
    return int.from_bytes(hashlib.sha256(base.encode()).digest()[:4], "big", signed=True)
