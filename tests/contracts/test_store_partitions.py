"""Deliveries and events by months of their ids on PostgreSQL; on SQLite the same calls delete in batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy import text

from store import migrate
from store.models import Delivery
from store.partitions import Partition, lowest_id, month_after, month_of
from store.types import derived_id, new_id
from store.unit import Store
from store.upkeep import CHANGED_LEAST, Upkeep
from tests.builders import delivery
from tests.conftest import OpenStore


def born(moment: datetime, address: str = "dana@example.com") -> Delivery:
    """A delivery whose id says that it was made then."""
    return delivery(address, notification_id=derived_id(lowest_id(moment), address))


async def _add(store: Store, *items: Delivery) -> None:
    async with store.system() as tx:
        await tx.deliveries.add(items)


async def _left(store: Store) -> set[UUID]:
    async with store.read(1) as tx:
        rows = await tx.conn.execute(text("SELECT id FROM deliveries"))
        return {row[0] if isinstance(row[0], UUID) else UUID(row[0]) for row in rows}


async def _parts(store: Store) -> list[Partition]:
    async with store.read(0) as tx:
        return await tx.partitions.of("deliveries")


async def _where(store: Store, item: Delivery) -> str:
    async with store.read(0) as tx:
        found = await tx.conn.execute(
            text("SELECT tableoid::regclass::text FROM deliveries WHERE id = :id"), {"id": item.id}
        )
        return str(found.scalar_one())


def test_a_months_lowest_id_parts_what_was_born_before_from_what_was_born_after() -> None:
    month = datetime(2026, 12, 1, tzinfo=UTC)
    before, after = (
        derived_id(lowest_id(month - timedelta(milliseconds=1)), "x"),
        derived_id(lowest_id(month)),
    )
    assert before < lowest_id(month) <= after
    assert month_of(month + timedelta(days=30, hours=23)) == month
    assert month_after(month) == datetime(2027, 1, 1, tzinfo=UTC)


async def test_a_new_database_has_this_month_the_next_two_and_a_place_for_everything_else(
    postgres_store: Store,
) -> None:
    parts = await _parts(postgres_store)
    assert [part.name for part in (parts[0], parts[-1])] == ["deliveries_first", "deliveries_default"]
    assert [part.default for part in parts] == [False, False, False, True]
    for one, following in pairwise(parts[:-1]):
        assert one.upper == following.lower, "no gap"
    async with postgres_store.system() as tx:
        assert await tx.partitions.make_ahead("deliveries") == [], "the migration made them"


async def test_what_comes_before_its_month_is_made_waits_in_the_default_and_moves_when_it_is(
    postgres_store: Store,
) -> None:
    far = datetime.now(UTC) + timedelta(days=130)
    items = [born(far, f"{n}@example.com") for n in range(3)] + [delivery()]
    await _add(postgres_store, *items)
    assert await _where(postgres_store, items[0]) == "deliveries_default"
    async with postgres_store.system() as tx:
        made = await tx.partitions.make_ahead("deliveries", months=6)
    assert f"deliveries_{far:%Y_%m}" in made
    assert await _where(postgres_store, items[0]) == f"deliveries_{far:%Y_%m}"
    assert await _left(postgres_store) == {item.id for item in items}
    async with postgres_store.system() as tx:
        assert await tx.partitions.make_ahead("deliveries", months=6) == []


@pytest.mark.parametrize("first_dropped", [False, True], ids=["all partitions", "the first one dropped"])
async def test_going_down_to_one_table_keeps_every_row(
    postgres_store: Store, postgres_url: str, open_store: OpenStore, first_dropped: bool
) -> None:
    now = datetime.now(UTC)
    items = [born(now + timedelta(days=days), f"{days}@example.com") for days in (45, 400)]
    if first_dropped:
        async with postgres_store.system() as tx:
            for statement in (
                "ALTER TABLE deliveries DETACH PARTITION deliveries_first",
                "DROP TABLE deliveries_first",
            ):
                await tx.conn.execute(text(statement))
    else:
        items.append(delivery(notification_id=new_id()))
    await _add(postgres_store, *items)
    await postgres_store.close()
    await migrate.downgrade(postgres_url, "0004")
    await migrate.upgrade(postgres_url)
    assert await migrate.drift(postgres_url) == []
    assert await _left(await open_store(postgres_url)) == {item.id for item in items}


async def test_what_was_loaded_in_bulk_is_analysed_once(postgres_store: Store) -> None:
    upkeep = Upkeep(postgres_store)
    await upkeep.analyse()
    async with postgres_store.system() as tx:
        await tx.deliveries.add([delivery(f"{n}@example.com") for n in range(CHANGED_LEAST + 1)])
        await tx.conn.execute(text("SELECT pg_stat_force_next_flush()"))
    async with postgres_store.system() as tx:
        await tx.conn.execute(text("SELECT pg_stat_clear_snapshot()"))
    assert await upkeep.analyse() == ["deliveries_first"]
    assert await upkeep.analyse() == []


async def test_missing_months_are_made_by_the_upkeep(postgres_store: Store) -> None:
    (last,) = [part.name for part in (await _parts(postgres_store))[-2:-1]]
    async with postgres_store.system() as tx:
        await tx.conn.execute(text(f"DROP TABLE {last}"))
    await Upkeep(postgres_store).make_months()
    assert last in [part.name for part in await _parts(postgres_store)]
