"""PostgreSQL's own promises: many processes on one database, woken by each other's commits."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from store.unit import Store, Subscription
from tests.builders import delivery
from tests.conftest import OpenStore

CLAIMER = Path(__file__).with_name("claim_in_a_process.py")


async def _signalled(sender: Store, waiting: Subscription, tries: int = 100) -> bool:
    """Whether a signal of `sender` gets through; LISTEN may still be under way at the first tries."""
    for _ in range(tries):
        async with sender.begin(1) as tx:
            tx.signal("topic")
        if await waiting.wait(0.1):
            return True
    return False


async def test_a_commit_wakes_waiters_in_another_store(
    postgres_store: Store, postgres_url: str, open_store: OpenStore
) -> None:
    listener = await open_store(postgres_url)
    await listener.start()
    waiting = listener.signals.subscribe("topic")
    assert await _signalled(postgres_store, waiting)
    waiting.close()


async def test_only_the_topics_that_were_asked_for_wake_a_waiter(
    postgres_store: Store, postgres_url: str, open_store: OpenStore
) -> None:
    listener = await open_store(postgres_url)
    await listener.start()
    waiting, other = listener.signals.subscribe("topic"), listener.signals.subscribe("other")
    assert await _signalled(postgres_store, waiting)
    assert not await other.wait(0)


async def test_a_rolled_back_transaction_wakes_nobody(
    postgres_store: Store, postgres_url: str, open_store: OpenStore
) -> None:
    listener = await open_store(postgres_url)
    await listener.start()
    waiting = listener.signals.subscribe("topic")
    assert await _signalled(postgres_store, waiting)
    while await waiting.wait(0.1):  # the tries that came before
        pass
    failed = listener.signals.subscribe("failed")

    async def fail() -> None:
        async with postgres_store.begin(1) as tx:
            tx.signal("failed")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await _signalled(postgres_store, waiting), "later news is here already"
    assert not await failed.wait(0)


async def test_listening_comes_back_after_the_connection_was_lost(
    postgres_store: Store, postgres_url: str, open_store: OpenStore
) -> None:
    listener = await open_store(postgres_url)
    await listener.start()
    waiting = listener.signals.subscribe("topic")
    assert await _signalled(postgres_store, waiting)
    async with postgres_store.system() as tx:
        killed = await tx.conn.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        )
        assert killed.scalars().all() == [True]
    while await waiting.wait(0.1):
        pass
    assert await _signalled(postgres_store, waiting)


async def test_a_store_that_never_started_listening_closes_quietly(
    postgres_store: Store, postgres_url: str, open_store: OpenStore
) -> None:
    started = await open_store(postgres_url)
    await started.start()
    await started.start()
    await started.close()
    await started.close()


@asynccontextmanager
async def _claimer(url: str, worker: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CLAIMER),
        url,
        worker,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        found: list[str] = json.loads(await process.stdout.readline())
    return found


async def _go(*processes: asyncio.subprocess.Process) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        await process.stdin.drain()


async def test_two_processes_side_by_side_claim_disjoint_sets(
    postgres_store: Store, postgres_url: str
) -> None:
    items = [delivery(f"{n}@example.com") for n in range(200)]
    async with postgres_store.system() as tx:
        await tx.deliveries.add(items)
    async with _claimer(postgres_url, "w1") as one, _claimer(postgres_url, "w2") as two:
        assert (await _line(one), await _line(two)) == ([], [])  # both are connected
        await _go(one, two)
        first = await _line(one), await _line(two)
        assert all(len(batch) == 10 for batch in first), "each got a batch while the other one claimed"
        await _go(one, two)
        rest = await _line(one), await _line(two)
        assert (await one.wait(), await two.wait()) == (0, 0)
    taken = [*first[0], *first[1], *rest[0], *rest[1]]
    assert len(taken) == len(set(taken)) == 200
    assert {UUID(name) for name in taken} == {item.id for item in items}
    async with postgres_store.system() as tx:
        after = await tx.deliveries.lock([(1, item.id) for item in items])
    assert {item.attempt for item in after.values()} == {1}


async def test_claims_of_a_killed_process_are_found_by_the_name_of_its_worker(
    postgres_store: Store, postgres_url: str
) -> None:
    async with postgres_store.system() as tx:
        await tx.deliveries.add([delivery(f"{n}@example.com") for n in range(30)])
    async with _claimer(postgres_url, "w1") as one:
        await _line(one)
        await _go(one)
        batch = await _line(one)
        one.kill()
        await one.wait()
    async with postgres_store.system() as tx:
        assert await tx.deliveries.lost() == []
        assert {str(d.id) for d in await tx.deliveries.lost(dead_worker="w1")} == set(batch)
