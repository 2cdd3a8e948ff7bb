"""The inbox: on disk before it is acknowledged, in groups, once each, and full rather than forgetful."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bot.inbox import Inbox, InboxFull
from store.unit import Store
from tests.builders import interaction


def _inbox(store: Store, room: int = 2000) -> Inbox:
    return Inbox(store, worker="w", lease_s=30, room=room)


@pytest.fixture
async def inbox(store: Store) -> AsyncIterator[Inbox]:
    box = _inbox(store)
    task = asyncio.create_task(box.run())
    yield box
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _rows(store: Store) -> list[str]:
    async with store.read(1) as tx:
        return [row.id for row in await tx.conn.execute(text("SELECT id FROM interactions ORDER BY id"))]


async def test_what_is_put_is_on_disk_when_put_returns(store: Store, inbox: Inbox) -> None:
    assert await inbox.put(interaction("a"))
    assert await _rows(store) == ["a"]


async def test_a_repetition_is_told_as_such_in_another_group(inbox: Inbox) -> None:
    assert await inbox.put(interaction("a")) is True
    assert await inbox.put(interaction("a")) is False


async def test_of_repetitions_in_one_group_exactly_one_is_new(store: Store, inbox: Inbox) -> None:
    new = await asyncio.gather(*(inbox.put(interaction(f"i{n % 3}")) for n in range(30)))
    assert sum(new) == 3
    assert new[:3] == [True, True, True]
    assert await _rows(store) == ["i0", "i1", "i2"]


async def test_the_same_id_at_two_tenants_is_two(inbox: Inbox) -> None:
    both = [inbox.put(interaction("a", tenant=tenant)) for tenant in (1, 2)]
    assert await asyncio.gather(*both) == [True, True]


async def test_a_hundred_at_once_are_far_fewer_transactions(sqlite_store: Store) -> None:
    writes = 0

    class Counting(Store):
        def system(self, *, urgent: bool = False):  # type: ignore[no-untyped-def]
            nonlocal writes
            writes += 1
            return super().system(urgent=urgent)

    counting = Counting(sqlite_store.engine, sqlite_store.clock)
    box = _inbox(counting)
    task = asyncio.create_task(box.run())
    await asyncio.gather(*(box.put(interaction(f"i{n}")) for n in range(100)))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(await _rows(sqlite_store)) == 100
    assert writes <= 3


async def test_a_full_inbox_refuses_and_takes_again_once_there_is_room(sqlite_store: Store) -> None:
    box = _inbox(sqlite_store, room=2)
    waiting = [asyncio.create_task(box.put(interaction(f"i{n}"))) for n in range(2)]
    await asyncio.sleep(0)
    assert box.full
    with pytest.raises(InboxFull):
        await box.put(interaction("late"))
    task = asyncio.create_task(box.run())
    assert await asyncio.gather(*waiting) == [True, True]
    assert await box.put(interaction("late"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_group_that_cannot_be_written_is_acknowledged_to_nobody_and_the_next_one_goes_on(
    sqlite_store: Store, inbox_on_sqlite: Inbox
) -> None:
    async with sqlite_store.system() as tx:
        await tx.conn.execute(text("ALTER TABLE interactions RENAME TO elsewhere"))
    results = await asyncio.gather(
        *(inbox_on_sqlite.put(interaction(f"i{n}")) for n in range(3)), return_exceptions=True
    )
    assert all(isinstance(result, SQLAlchemyError) for result in results)
    async with sqlite_store.system() as tx:
        await tx.conn.execute(text("ALTER TABLE elsewhere RENAME TO interactions"))
    assert await inbox_on_sqlite.put(interaction("i0"))


@pytest.fixture
async def inbox_on_sqlite(sqlite_store: Store) -> AsyncIterator[Inbox]:
    box = _inbox(sqlite_store)
    task = asyncio.create_task(box.run())
    yield box
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_somebody_who_gave_up_waiting_harms_nobody_else(sqlite_store: Store) -> None:
    box = _inbox(sqlite_store)
    gone = asyncio.create_task(box.put(interaction("gone")))
    stays = asyncio.create_task(box.put(interaction("stays")))
    await asyncio.sleep(0)
    gone.cancel()
    task = asyncio.create_task(box.run())
    assert await stays is True
    task.cancel()
    await asyncio.gather(task, gone, return_exceptions=True)
