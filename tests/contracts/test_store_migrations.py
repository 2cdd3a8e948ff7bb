"""The schema goes up and down on both databases, and the tables in the code are what it makes."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from store import migrate
from store.engine import normalise_url
from store.tables import metadata


async def _tables(url: str) -> set[str]:
    engine = create_async_engine(normalise_url(url), poolclass=NullPool)
    question = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if normalise_url(url).startswith("sqlite")
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
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


async def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    await migrate.upgrade(database_url)
    assert await migrate.current(database_url) == migrate.head()


async def test_a_database_that_was_never_migrated_has_no_revision(tmp_path: Path) -> None:
    assert await migrate.current(f"sqlite:///{tmp_path / 'fresh.db'}") is None
