"""Two transactions of PostgreSQL that meet: shared by the suites about what happens at the same time."""

from __future__ import annotations

from sqlalchemy import text

from store.unit import Store
from tests.contracts.sending import eventually

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def waits_for_a_lock(store: Store) -> None:
    """Until some transaction waits for a row that another one holds."""

    async def look() -> bool:
        async with store.read(1) as tx:
            return bool((await tx.conn.execute(_WAITING)).scalar_one())

    await eventually(look, "a transaction that waits for a lock")
