"""Kill -9 at every commit point and at random moments: nothing lost, only what was on the wire repeated."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.nursery import When
from tests.faults.server import Server
from tests.faults.sweep import Sweep
from tests.faults.world import Nursery, World

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nursery() -> AsyncIterator[Nursery]:
    async with Nursery.open() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sweep]:
    """Bot and worker in one process on SQLite."""
    async with World.open(tmp_path_factory.mktemp("sqlite") / "state", None, nursery) as world:
        yield Sweep(world, ["run"])


@pytest.mark.parametrize("when", ["before", "after"])
async def test_on_sqlite_a_kill_at_any_commit_loses_nothing_and_repeats_only_what_was_in_doubt(
    embedded: Sweep, when: When
) -> None:
    points = await embedded.every_commit("run", when, step=1 if when == "before" else 3)
    print(f"SQLite, {when} up to {points} commits:", await embedded.settle())
    assert points >= 15, "the story has at least so many commits"


async def test_on_sqlite_kills_at_random_moments_lose_nothing(embedded: Sweep) -> None:
    await embedded.at_random("run", 6, random.Random(5))
    print("SQLite, at random:", await embedded.settle())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with Server.open() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def spread(
    nursery: Nursery, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sweep]:
    """Two workers and a bot on PostgreSQL."""
    state = tmp_path_factory.mktemp("postgresql") / "state"
    async with World.open(state, await server.database("sweep"), nursery) as world:
        yield Sweep(world, ["worker", "worker", "bot"], server)


@pytest.mark.parametrize(("half", "step"), [("worker", 1), ("bot", 3)])
async def test_on_postgresql_a_kill_of_worker_or_bot_at_a_commit_loses_nothing(
    spread: Sweep, half: str, step: int
) -> None:
    points = await spread.every_commit(half, "before", step=step)
    print(f"PostgreSQL, {half} before up to {points} commits:", await spread.settle())
    assert points >= 10, "the story has at least so many commits"


async def test_on_postgresql_one_of_two_workers_killed_at_random_loses_nothing(spread: Sweep) -> None:
    await spread.at_random("worker", 5, random.Random(6))
    print("PostgreSQL, one of two workers at random:", await spread.settle())


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_database_server_that_is_killed_at_a_commit_loses_nothing_and_nobody_has_to_be_restarted(
    spread: Sweep, when: When
) -> None:
    points = await spread.every_commit("worker", when, of_server=True, first=3, step=5)
    print(f"PostgreSQL, the server {when} every fifth of {points} commits:", await spread.settle())
