"""Opening a database: SQLite as the embedded default, PostgreSQL when one machine is not enough.

SQLite: one writer connection with BEGIN IMMEDIATE behind a group-commit queue, a read-only pool, WAL,
one process (an exclusive lock file says who). PostgreSQL: asyncpg, READ COMMITTED.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote

import asyncpg
from sqlalchemy import event, select
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, StaticPool

from store.outage import DatabaseError, DatabaseGone, Outage
from store.turns import Turns
from store.types import db_now

__all__ = ["DatabaseError", "DatabaseGone", "Engine", "is_sqlite", "normalise_url", "sqlite_file"]
T = TypeVar("T")

_OF_THE_POOL = {
    "async_fallback",
    "async_creator_fn",
    "prepared_statement_cache_size",
    "prepared_statement_name_func",
}
"""What a URL may say to SQLAlchemy and the driver does not know."""

RESTED_S = 0.5
"""After so long without use a PostgreSQL connection is asked first whether it is still there."""
GROUP_S = 0.005
"""A group commit closes at the latest this long after its first transaction (seconds)."""


def normalise_url(url: str) -> str:
    """`sqlite:///file` and `postgresql://...` with their async drivers; DatabaseError otherwise."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseError(
            "The database URL cannot be read. Write sqlite:///path or postgresql://..."
        ) from None
    backend = parsed.get_backend_name()
    driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}.get(backend)
    if driver is None:
        raise DatabaseError(f"{backend} is not supported. Use sqlite:///path or postgresql://...")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise DatabaseError("SQLite needs a file: write sqlite:///path/to/ispbot.db.")
    return parsed.set(drivername=driver).render_as_string(hide_password=False)


def is_sqlite(url: str) -> bool:
    return normalise_url(url).startswith("sqlite")


def sqlite_file(url: str) -> Path:
    """Where the SQLite database of this URL lies."""
    return Path(str(make_url(normalise_url(url)).database)).absolute()


_KEEP_ALIVE: dict[int, int] = {
    getattr(socket, name): value
    for name, value in (
        ("TCP_KEEPIDLE", 10),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 4),
        ("TCP_USER_TIMEOUT", 30_000),
    )
    if hasattr(socket, name)  # not every system has all of them
}


class ProcessLock:
    """Proof that no other process writes to this SQLite file (SQLite's own lock would make it wait)."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        handle = self._path.open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise DatabaseError(
                "Another ispbot process is using this SQLite database, which serves one process only: "
                "stop the other one, or use PostgreSQL."
            ) from None
        self._file = handle

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass
class _Group:
    opened: float
    members: list[asyncio.Future[None]] = field(default_factory=list)


class SqliteWriter:
    """Runs transactions one after the other on one connection and commits them in groups.

    Each is a savepoint in a shared BEGIN IMMEDIATE; nobody is told "committed" before the fsync that
    covers it. A failing one rolls back alone. An urgent one goes before those that wait, and ends its group.
    """

    def __init__(self, engine: AsyncEngine, group_s: float = GROUP_S) -> None:
        self._engine, self._group_s = engine, group_s
        self._lock = Turns()
        self._waiting = 0
        self._conn: AsyncConnection | None = None
        self._group: _Group | None = None
        self._flushes: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def transaction(self, *, urgent: bool = False) -> AsyncIterator[AsyncConnection]:
        self._waiting += 1
        try:
            await self._lock.acquire(urgent=urgent)
        finally:
            self._waiting -= 1
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            entering = asyncio.ensure_future(self._enter())
            try:
                conn, group, savepoint = await _finish(entering)
                yield conn
                await _finish(self._release(savepoint))
            except BaseException:
                await _finish(self._roll_back(entering))
                raise
            group.members.append(committed)
            over = asyncio.get_running_loop().time() - group.opened >= self._group_s
            if urgent or self._waiting == 0 or over:
                await _finish(self._commit())
            else:
                self._flush_soon()
        finally:
            self._lock.release()
        await committed

    async def _enter(self) -> tuple[AsyncConnection, _Group, AsyncTransaction]:
        """The open group, or a new one, and a savepoint in it."""
        if self._conn is None:
            self._conn = await self._engine.connect()
        if self._group is None:
            await self._conn.begin()
            self._group = _Group(asyncio.get_running_loop().time())
        return self._conn, self._group, await self._conn.begin_nested()

    async def _release(self, savepoint: AsyncTransaction) -> None:
        try:
            await savepoint.commit()
        except SQLAlchemyError as error:
            await self._abandon(error)  # what it wrote must not come along with the group's commit
            raise

    async def _roll_back(
        self, entering: asyncio.Future[tuple[AsyncConnection, _Group, AsyncTransaction]]
    ) -> None:
        """Undoes one transaction; where that fails, nobody of its group may be told "committed"."""
        try:
            _, group, savepoint = entering.result()
            if savepoint.is_active:
                await savepoint.rollback()
        except SQLAlchemyError as error:
            # SQLite may have undone the whole group (disk full, I/O error), or it never began.
            await self._abandon(error)
            return
        if group.members or self._waiting:
            self._flush_soon()
        else:
            await self._commit()  # of nothing: ends the shared transaction

    def _flush_soon(self) -> None:
        """Commits the group also when whoever waits for its turn never takes it (cancelled)."""
        task = asyncio.get_running_loop().create_task(self._flush())
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _flush(self) -> None:
        async with self._lock:
            await self._commit()

    async def _commit(self) -> None:
        group, conn = self._group, self._conn
        if group is None or conn is None:
            return
        try:
            await conn.commit()
        except SQLAlchemyError as error:
            await self._abandon(error)
            return
        self._group = None
        for member in group.members:
            if not member.done():
                member.set_result(None)

    async def _abandon(self, error: SQLAlchemyError) -> None:
        """Tells every member of the group that it is not committed; the next one gets a new connection."""
        group, conn = self._group, self._conn
        self._group = self._conn = None
        for member in group.members if group is not None else ():
            if not member.done():
                member.set_exception(error)
        if conn is not None:
            with suppress(SQLAlchemyError):  # it may be beyond saving
                await conn.invalidate(error)
                await conn.close()

    async def close(self) -> None:
        async with self._lock:
            await self._commit()
            if self._conn is not None:
                await self._conn.close()
                self._conn = None
        if self._flushes:
            await asyncio.wait(self._flushes)


async def _finish(work: Awaitable[T]) -> T:
    """Awaits database work to its end even when the caller is cancelled meanwhile, once or more often."""
    task = asyncio.ensure_future(work)
    interrupted = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            interrupted = True
    if interrupted:
        if not task.cancelled():
            task.exception()  # looked at: the cancellation is what the caller hears of
        raise asyncio.CancelledError
    return task.result()


class Engine:
    """Connections of one database. `write()` and `read()` are transactions."""

    def __init__(self, url: str, *, group_s: float = GROUP_S) -> None:
        self.url = normalise_url(url)
        self.sqlite = self.url.startswith("sqlite")
        self._lock: ProcessLock | None = None
        self.outage = Outage()
        if self.sqlite:
            path = sqlite_file(self.url)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = ProcessLock(path)
            self._write_engine = create_async_engine(
                self.url,
                poolclass=StaticPool,
                hide_parameters=True,
                connect_args={"timeout": 10, "isolation_level": None},
            )
            # As a URI, where "?", "#" and "%" have a meaning that they do not have in a file's name.
            uri = f"file:{quote(str(path))}"
            read_url = URL.create("sqlite+aiosqlite", database=uri, query={"mode": "ro", "uri": "true"})
            self._read_engine = create_async_engine(
                read_url,
                poolclass=AsyncAdaptedQueuePool,
                hide_parameters=True,
                pool_size=4,
                max_overflow=4,
                connect_args={"timeout": 10, "isolation_level": None},
            )
            _prepare_sqlite(self._write_engine, begin="BEGIN IMMEDIATE")
            _prepare_sqlite(self._read_engine, begin="BEGIN", read_only=True)
            self._writer = SqliteWriter(self._write_engine, group_s)
        else:
            self._write_engine = create_async_engine(
                self.url,
                pool_size=10,
                max_overflow=10,
                hide_parameters=True,  # an error text must not hold what people are called
                connect_args={"server_settings": {"application_name": "ispbot", "jit": "off"}},
            )
            _keep_alive(self._write_engine)
            _ping_after_a_pause(self._write_engine)
            self._read_engine = self._write_engine.execution_options(postgresql_readonly=True)

    def lock_process(self) -> None:
        """SQLite: refuse to start beside another writing process. PostgreSQL: nothing."""
        if self._lock is not None:
            self._lock.acquire()

    @asynccontextmanager
    async def write(self, *, urgent: bool = False) -> AsyncIterator[AsyncConnection]:
        """`urgent`: before others that wait for SQLite's one writer."""
        if self.sqlite:
            async with self._writer.transaction(urgent=urgent) as conn:
                yield conn
        else:
            async with self._session(self._write_engine) as conn:
                yield conn

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        if self.sqlite:
            async with self._read_engine.connect() as conn, conn.begin():
                yield conn
        else:
            async with self._session(self._read_engine) as conn:
                yield conn

    async def time(self) -> datetime:
        """The database's own real time: whether it answers, and how its clock goes."""
        async with self.read() as conn:
            now: datetime = (await conn.execute(select(db_now()))).scalar_one()
            return now

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """A transaction on a server, which may go at any moment."""
        conn = engine.connect()
        with self.outage.connecting():
            await conn.start()
        try:
            with self.outage.working():
                async with conn.begin():
                    yield conn
        finally:
            await asyncio.shield(conn.close())

    async def raw(self) -> AsyncConnection:
        """A connection of one's own, for LISTEN (PostgreSQL)."""
        with self.outage.connecting():
            return await self._write_engine.connect()

    async def own_session(self) -> asyncpg.Connection:
        """The driver's connection beside the pool, for advisory locks (PostgreSQL): `terminate()` ends it."""
        _, options = self._write_engine.dialect.create_connect_args(make_url(self.url))
        names = {name: value for name, value in options.items() if name not in _OF_THE_POOL}
        with self.outage.connecting():
            return await asyncpg.connect(**names, server_settings={"application_name": "ispbot duties"})

    async def close(self) -> None:
        if self.sqlite:
            await self._writer.close()
            await self._read_engine.dispose()
        await self._write_engine.dispose()
        if self._lock is not None:
            self._lock.release()


def _keep_alive(engine: AsyncEngine) -> None:
    """A server whose machine is gone says nothing: half a minute without an answer counts as gone."""

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(dbapi: Any, _record: object) -> None:
        sock = dbapi.driver_connection._transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            for option, seconds in _KEEP_ALIVE.items():
                sock.setsockopt(socket.IPPROTO_TCP, option, seconds)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _ping_after_a_pause(engine: AsyncEngine) -> None:
    """A connection that has rested is asked whether it is still there, as `pool_pre_ping` does for each one.

    One that was in use a moment ago is not: a round trip before each transaction is what an urgent mail waits
    for, and whoever meets a database that went in that moment tries again all the same.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def on_checkin(_dbapi: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def on_checkout(dbapi: Any, record: Any, _proxy: Any) -> None:
        since = record.info.get("rests_since")  # None: it was opened just now
        if since is None or time.monotonic() - since < RESTED_S:
            return
        dialect = engine.sync_engine.dialect
        try:
            dialect.do_ping(dbapi)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("it is gone") from error  # the pool opens another one


def _prepare_sqlite(engine: AsyncEngine, *, begin: str, read_only: bool = False) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(dbapi: Any, _record: object) -> None:
        cursor = dbapi.cursor()
        if not read_only:
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(conn: Any) -> None:
        conn.exec_driver_sql(begin)

    @event.listens_for(engine.sync_engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        # A cancelled statement still runs to its end, in the driver's thread and before the next one. The
        # library would throw the connection away, and with it what others wrote in the same group.
        if isinstance(context.original_exception, asyncio.CancelledError):
            context.is_disconnect = False
