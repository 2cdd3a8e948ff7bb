"""Alembic up and down, on both databases, from inside or outside a running loop.

Alembic is synchronous and our drivers are not: it runs on a connection of an async engine, in a thread
with a loop of its own (`command.upgrade` inside a running loop raises RuntimeError).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from store.engine import DatabaseError, normalise_url
from store.partitions import is_partition
from store.tables import metadata

_UPGRADING = 7_244_519_301
"""An advisory lock of PostgreSQL."""
_LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE (PostgreSQL, appendix A)."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _on_connection(url: str, work: Callable[[Connection], Any]) -> Any:
    async def run() -> Any:
        engine = create_async_engine(normalise_url(url), poolclass=NullPool, hide_parameters=True)
        try:
            async with engine.connect() as conn:
                result = await conn.run_sync(work)
                await conn.commit()
                return result
        finally:
            await engine.dispose()

    return asyncio.run(run())


async def upgrade(url: str, revision: str = "head", *, lock_s: float = 0) -> None:
    """Brings the schema up to `revision`, all steps or none on PostgreSQL.

    `lock_s`: how long it waits for a table that others use (0: for ever); DatabaseError then. Whoever wants
    the table next waits behind it, so that one long transaction would stop everything.
    """
    await _move(url, lambda config: command.upgrade(config, revision), lock_s)


async def downgrade(url: str, revision: str, *, lock_s: float = 0) -> None:
    """`lock_s` as with `upgrade`."""
    await _move(url, lambda config: command.downgrade(config, revision), lock_s)


async def _move(url: str, step: Callable[[Config], None], lock_s: float) -> None:
    def work(conn: Connection) -> None:
        if conn.dialect.name == "postgresql":  # until the connection ends: of two at once one waits
            conn.exec_driver_sql(f"SELECT pg_advisory_lock({_UPGRADING})")
            conn.exec_driver_sql(f"SET lock_timeout = {int(lock_s * 1000)}")
            conn.commit()
        step(_config(conn))

    try:
        await asyncio.to_thread(_on_connection, url, work)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != _LOCK_NOT_AVAILABLE:
            raise
        raise DatabaseError(
            f"A table was in use for more than {lock_s:g} seconds, so nothing was changed. Stop the running "
            "processes (docs/operations.md, Upgrades) and run `ispbot migrate` again."
        ) from None


async def current(url: str) -> str | None:
    """The revision of the database; None when it has none yet."""

    def read(conn: Connection) -> str | None:
        return MigrationContext.configure(conn).get_current_revision()

    found: str | None = await asyncio.to_thread(_on_connection, url, read)
    return found


def head() -> str:
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise RuntimeError("there are no migrations")
    return revision


async def unfit(url: str) -> list[str]:
    """Why this code cannot work on the database's schema, in words for an operator; nothing when it can.

    Its own revision fits, and so does a newer one in which everything is left that this code knows and
    nothing has to be given that it does not (docs/operations.md, Upgrades): old workers go on beside new.
    """
    found = await current(url)
    if found == head():
        return []
    if found is None or found < head():
        return [f"it is at revision {found or 'nothing'}, and this version needs {head()}"]

    def compare(conn: Connection) -> list[str]:
        there = inspect(conn)
        names = set(there.get_table_names())
        problems = [f"{table.name} is gone" for table in metadata.sorted_tables if table.name not in names]
        for table in (table for table in metadata.sorted_tables if table.name in names):
            columns = {column["name"]: column for column in there.get_columns(table.name)}
            problems += [f"{table.name}.{c.name} is gone" for c in table.columns if c.name not in columns]
            problems += [
                f"{table.name}.{name} has to be filled"
                for name, column in columns.items()
                if name not in table.columns and not column["nullable"] and column.get("default") is None
            ]
        return problems

    problems: list[str] = await asyncio.to_thread(_on_connection, url, compare)
    return problems


async def drift(url: str) -> list[Any]:
    """What the tables in the code have and the migrated database has not, or the other way round."""

    def own(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or not is_partition(name or "")

    def compare(conn: Connection) -> list[Any]:
        options = {"compare_type": True, "include_name": own}
        return list(compare_metadata(MigrationContext.configure(conn, opts=options), metadata))

    found: list[Any] = await asyncio.to_thread(_on_connection, url, compare)
    return found


async def write_revision(url: str, message: str, revision_id: str) -> None:
    """Writes a new migration from the difference (for developers of the schema)."""
    await asyncio.to_thread(
        _on_connection,
        url,
        lambda conn: command.revision(_config(conn), message=message, autogenerate=True, rev_id=revision_id),
    )
