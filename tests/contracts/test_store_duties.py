"""Single duties: of many processes one does it, and another when that one is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text

from store.duties import Duty
from store.unit import Store
from tests.conftest import OpenStore


@pytest.fixture
async def pair(
    postgres_store: Store, postgres_url: str, open_store: OpenStore
) -> AsyncIterator[tuple[Duty, Duty]]:
    """The same duty, wished for by two processes."""
    other = await open_store(postgres_url)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(postgres_store.duty("sweep"))
        two = await stack.enter_async_context(other.duty("sweep"))
        yield one, two


async def test_of_two_processes_one_has_the_duty_and_keeps_it(pair: tuple[Duty, Duty]) -> None:
    one, two = pair
    assert [await duty.mine() for duty in (one, two, one, two)] == [True, False, True, False]


async def test_when_the_holders_connection_dies_the_other_takes_over(
    pair: tuple[Duty, Duty], postgres_store: Store
) -> None:
    one, two = pair
    assert (await one.mine(), await two.mine()) == (True, False)
    async with postgres_store.system() as tx:
        killed = await tx.conn.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            )
        )
        assert killed.scalars().all() == [True]
    assert [await duty.mine() for duty in (two, one, two)] == [True, False, True]


async def test_a_loop_that_ends_lets_go_of_its_duty(
    postgres_store: Store, postgres_url: str, open_store: OpenStore
) -> None:
    other = await open_store(postgres_url)
    taken = asyncio.Event()

    async def loop() -> None:
        async with postgres_store.duty("sweep") as duty:
            assert await duty.mine()
            taken.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(loop())
    await taken.wait()
    async with other.duty("sweep") as second:
        assert not await second.mine()
        task.cancel()
        await asyncio.wait([task])
        assert await second.mine()


async def test_a_store_that_closes_leaves_its_duties_to_others(
    postgres_store: Store, postgres_url: str, open_store: OpenStore
) -> None:
    other = await open_store(postgres_url)
    async with postgres_store.duty("sweep") as one, other.duty("sweep") as two:
        assert await one.mine()
        await postgres_store.close()
        looks = [
            await two.mine() for _ in range(200)
        ]  # the server sees the end of the session a moment later
        assert looks[-1]


async def test_two_loops_of_one_process_do_not_share_a_duty(store: Store) -> None:
    async with store.duty("sweep") as one, store.duty("seal") as other, store.duty("sweep") as two:
        assert (await one.mine(), await two.mine(), await other.mine()) == (True, False, True)
    async with store.duty("sweep") as three:
        assert await three.mine(), "let go by the first one, never held by the second"
