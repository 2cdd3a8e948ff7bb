"""How many connections are left: of the server, or of the database where that leaves fewer."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from store.connections import connections
from store.engine import Engine


async def test_the_limit_that_leaves_the_fewest_counts(postgres_url: str) -> None:
    engine = Engine(postgres_url)
    whole = await connections(engine)
    assert 0 < whole.used < whole.limit
    assert whole.free == whole.limit - whole.used
    await _limit(postgres_url, 7)
    ours = await connections(engine)
    assert ours.limit == 7
    assert 0 < ours.used <= 7
    await _limit(postgres_url, 0)
    assert (await connections(engine)).free == 0, "never less than none"
    await engine.close()


async def _limit(url: str, count: int) -> None:
    admin = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with admin.begin() as conn:
        name = (await conn.execute(text("select current_database()"))).scalar_one()
        await conn.execute(text(f"alter database {name} connection limit {count}"))
    await admin.dispose()
