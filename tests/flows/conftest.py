"""One demo a database and module, started once; tests in it use addresses and subscribers of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy.engine import make_url

from tests.desk import Desk, running_demo


async def empty_postgres(server: str) -> str:
    """The URL of a new, empty database on the session's server."""
    name = f"ispbot_demo_{uuid4().hex[:12]}"
    dsn = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def demo_database(request: pytest.FixtureRequest) -> str | None:
    """None: SQLite in the demo's directory. Not async: the server's own fixtures run loops of their own."""
    if request.param == "sqlite":
        return None
    server: str = request.getfixturevalue("postgres_server")
    with asyncio.Runner() as runner:
        return runner.run(empty_postgres(server))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(demo_database: str | None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    # On PostgreSQL bot and worker are two processes, as they are run at scale.
    more = ["--halves"] if demo_database else []
    async with running_demo(tmp_path_factory.mktemp("demo") / "state", demo_database, *more) as running:
        yield running
