"""The schema goes up and down on both databases, and the tables in the code are what it makes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Uuid,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from store import migrate
from store.engine import normalise_url
from store.tables import metadata


async def _tables(url: str) -> set[str]:
    engine = create_async_engine(normalise_url(url), poolclass=NullPool)
    question = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if normalise_url(url).startswith("sqlite")
        else "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    try:
        async with engine.connect() as conn:
            return {row[0] for row in await conn.execute(text(question))}
    finally:
        await engine.dispose()


async def test_a_migrated_database_stands_at_the_newest_revision(database_url: str) -> None:
    assert await migrate.current(database_url) == migrate.head()


async def test_the_migrations_make_exactly_the_tables_of_the_code(database_url: str) -> None:
    assert await migrate.drift(database_url) == []
    assert await _tables(database_url) == {*metadata.tables, "alembic_version"}


async def test_drift_is_seen_when_a_column_is_missing(database_url: str) -> None:
    engine = create_async_engine(normalise_url(database_url), poolclass=NullPool)
    async with engine.begin() as conn:
        await conn.execute(text("ALTER TABLE template_sources DROP COLUMN html"))
    await engine.dispose()
    assert [change[0] for change in await migrate.drift(database_url)] == ["add_column"]


async def test_going_down_removes_every_table_and_going_up_brings_them_back(database_url: str) -> None:
    await migrate.downgrade(database_url, "base")
    assert await _tables(database_url) == {"alembic_version"}
    assert await migrate.current(database_url) is None
    await migrate.upgrade(database_url)
    assert await migrate.drift(database_url) == []


_MADE_UP: dict[type[Any], Any] = {
    Boolean: False,
    Integer: 1,
    Numeric: 1,
    Date: date(2026, 3, 2),
    DateTime: datetime(2026, 3, 2, 9, tzinfo=UTC),
    JSON: {"a": 1},
    Uuid: UUID(int=7),
    LargeBinary: b"x",
    String: "x",
}
"""A value for each type of column; the first that fits counts."""


def _made_up(table: Table) -> dict[str, Any]:
    """A row of this table as it was reflected; every column that must have a value has one."""
    return {
        column.name: next(value for kind, value in _MADE_UP.items() if isinstance(column.type, kind))
        for column in table.columns
        if not column.nullable
    }


async def _reflected(conn: AsyncConnection) -> MetaData:
    found = MetaData()
    await conn.run_sync(found.reflect)
    return found


async def _indexes(conn: AsyncConnection) -> set[str]:
    """Every index as the database would make it again, partial ones with their condition."""
    question = (
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        if conn.dialect.name == "sqlite"
        else "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
    )
    return {" ".join(row[0].split()) for row in await conn.execute(text(question))}


async def test_what_the_first_version_wrote_survives_the_way_up_and_down(database_url: str) -> None:
    engine = create_async_engine(normalise_url(database_url), poolclass=NullPool)
    await migrate.downgrade(database_url, "base")
    await migrate.upgrade(database_url, "0001")
    async with engine.begin() as conn:
        first = await _reflected(conn)
        indexes = await _indexes(conn)
        for table in first.sorted_tables:
            if table.name != "alembic_version":
                await conn.execute(table.insert().values(_made_up(table)))

    async def rows() -> dict[str, dict[str, Any]]:
        """What the first version knows of its rows."""
        async with engine.connect() as conn:
            return {
                table.name: dict((await conn.execute(table.select())).one()._mapping)
                for table in first.sorted_tables
                if table.name != "alembic_version"
            }

    written = await rows()
    await migrate.upgrade(database_url)
    assert await migrate.drift(database_url) == []
    assert await rows() == written
    async with engine.connect() as conn:
        delivery = (await conn.execute(text("SELECT checks FROM deliveries"))).one()
        notification = (await conn.execute(text("SELECT run_id, fallback FROM notifications"))).one()
    assert (tuple(delivery), tuple(notification)) == ((0,), (None, None))
    await migrate.downgrade(database_url, "0001")
    assert await rows() == written
    async with engine.connect() as conn:
        again = await _reflected(conn)
        assert await _indexes(conn) == indexes
    assert {t.name: set(t.columns.keys()) for t in again.sorted_tables} == {
        t.name: set(t.columns.keys()) for t in first.sorted_tables
    }
    await engine.dispose()


async def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    await migrate.upgrade(database_url)
    assert await migrate.current(database_url) == migrate.head()


async def test_a_database_that_was_never_migrated_has_no_revision(tmp_path: Path) -> None:
    assert await migrate.current(f"sqlite:///{tmp_path / 'fresh.db'}") is None
