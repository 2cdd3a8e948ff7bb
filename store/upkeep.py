"""What PostgreSQL needs from time to time, as a single duty: next months' partitions, and fresh statistics.

After a bulk load PostgreSQL plans with what it knew before: a queue that was empty is "empty" still, and the
claim reads all of it. Autovacuum comes after a minute or not at all; here a table that has changed by a tenth
is analysed within seconds, outside of everybody's transaction. SQLite needs neither.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from store.partitions import TABLES
from store.unit import Store

log = structlog.get_logger()
EVERY_S = 2.0
MONTHS_EVERY_S = 3600.0
CHANGED_SHARE, CHANGED_LEAST = 0.1, 1_000
"""A table is looked at again when so much of it has changed, and at least so many rows."""
# Of a partitioned table, its parts: the planner adds up what it knows of each.
_STALE = text(
    "SELECT s.relname FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid "
    "WHERE s.schemaname = current_schema() AND c.relkind = 'r' "
    "AND s.n_mod_since_analyze > :least + :share * GREATEST(c.reltuples, 0)"
)


class Upkeep:
    def __init__(self, store: Store, every_s: float = EVERY_S) -> None:
        self._store, self._every_s = store, every_s

    async def run(self) -> None:
        """Until cancelled; on SQLite it has nothing to do."""
        if self._store.engine.sqlite:
            await asyncio.Event().wait()
        months_at = time.monotonic()
        async with self._store.duty("upkeep") as duty:
            while True:
                if await duty.mine():
                    if time.monotonic() >= months_at:
                        months_at = time.monotonic() + MONTHS_EVERY_S
                        await self.make_months()
                    await self.analyse()
                await asyncio.sleep(self._every_s)

    async def make_months(self) -> None:
        """Each table in a transaction of its own: it waits for a lock."""
        for table in TABLES:
            try:
                async with self._store.system() as tx:
                    made = await tx.partitions.make_ahead(table)
            except DBAPIError as error:  # somebody reads for long: there are two months to try it again
                log.warning("partitions_not_made", table=table, error=type(error.orig).__name__)
            else:
                if made:
                    log.info("partitions_made", names=made)

    async def analyse(self) -> list[str]:
        """The tables whose statistics were stale."""
        async with self._store.read(0) as tx:
            stale = list((await tx.conn.execute(_STALE, _LIMITS)).scalars())
        for table in stale:
            async with self._store.system() as tx:
                await tx.conn.execute(text(f'ANALYZE "{table}"'))
        if stale:
            log.info("analysed", tables=stale)
        return stale


_LIMITS = {"least": CHANGED_LEAST, "share": CHANGED_SHARE}
