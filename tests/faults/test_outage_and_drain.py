"""What an operator does to running processes: the database goes for a while, they are told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from store.models import EventKind, Stage
from tests.faults.nursery import kill_server
from tests.faults.server import Server
from tests.faults.sweep import Sweep
from tests.faults.world import Child, Nursery, World

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
TICK = os.sysconf("SC_CLK_TCK")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with Server.open() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sweep(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sweep]:
    state = tmp_path_factory.mktemp("postgresql") / "state"
    async with (
        Nursery.open() as nursery,
        World.open(state, await server.database("outage"), nursery) as world,
    ):
        yield Sweep(world, ["worker", "bot"], server)


def cpu_s(child: Child) -> float:
    parts = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / TICK


async def test_a_database_that_is_gone_for_a_while_is_told_in_one_line_and_nothing_is_lost(
    sweep: Sweep, server: Server
) -> None:
    world = sweep.world
    halves = [await world.start(half) for half in sweep.halves]
    await world.enqueue()
    await world.settle(lambda: all(child.began for child in halves))
    await world.enqueue()  # some of it is on its way when the server goes
    kill_server(server.pid)
    before = [cpu_s(child) for child in halves]
    await asyncio.sleep(4)  # the outage itself
    busy = [cpu_s(child) - was for child, was in zip(halves, before, strict=True)]
    await server.restart()
    assert await world.settle(lambda: any(child.ended.done() for child in halves))
    assert [await child.stop(signal.SIGTERM) for child in halves] == [0, 0]
    for child in halves:
        lines = child.log.read_text().splitlines()
        gone = [line for line in lines if "database_gone" in line]
        back = [line for line in lines if "database_back" in line]
        assert (len(gone), len(back)) == (1, 1), lines
        assert len(lines) < 60, "an outage is no flood of lines"
    assert max(busy) < 2, "four seconds of waiting are no four seconds of work"
    ledger = await world.ledger()
    assert ledger.adds_up()
    assert ledger.waiting == 0


@pytest.mark.parametrize("trouble", ["gone", "standing still"])
async def test_a_database_away_for_longer_than_the_lease_repeats_no_mail_that_was_on_the_wire(
    sweep: Sweep, server: Server, trouble: str
) -> None:
    """Standing still no connection breaks and no statement fails: it only takes that long."""
    world = sweep.world
    await world.control("mail/behaviour", relay="visp", accept_delay_s=0.7)
    halves = [await world.start("worker"), await world.start("worker")]
    notices = await world.enqueue_mails(6)
    try:
        async with asyncio.timeout(20):
            while not await _all_claimed(world, notices):  # noqa: ASYNC110  # another process's rows
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)  # by now the relay has them, and takes its time to say so
        frozen: set[int] = set()
        if trouble == "gone":
            kill_server(server.pid)
        else:
            frozen = server.freeze()
        await asyncio.sleep(2)  # two leases
        server.thaw(frozen)
        if trouble == "gone":
            await server.restart()
        assert await world.settle(lambda: any(child.ended.done() for child in halves))
    finally:
        await world.control("mail/behaviour", relay="visp", accept_delay_s=None)
        codes = [await child.stop(signal.SIGTERM) for child in halves]
    assert codes == [0, 0]
    assert await world.copies(notices) == [1] * 6


async def _all_claimed(world: World, notices: Sequence[UUID]) -> bool:
    return all(d.stage is Stage.CLAIMED for d in await world.deliveries(notices))


async def _doubts(world: World, notices: Sequence[UUID]) -> int:
    rows = await world.deliveries(notices)
    async with world.store.read(1) as tx:
        histories = await tx.events.of([(d.tenant, d.id) for d in rows])
    return sum(e.kind is EventKind.IN_DOUBT for history in histories.values() for e in history)


async def test_a_worker_that_is_told_to_stop_ends_what_is_on_the_wire_and_leaves_nothing_in_doubt(
    sweep: Sweep,
) -> None:
    world = sweep.world
    await world.control("mail/behaviour", relay="visp", accept_delay_s=0.5)
    notices = await world.enqueue_mails(30)
    worker = await world.start("worker")
    try:

        async def claimed() -> bool:
            return any(d.stage is Stage.CLAIMED for d in await world.deliveries(notices))

        async with asyncio.timeout(20):
            while not (worker.began and await claimed()):  # noqa: ASYNC110  # another process's rows
                await asyncio.sleep(0.02)
        assert await worker.stop(signal.SIGTERM) == 0
    finally:
        await world.control("mail/behaviour", relay="visp", accept_delay_s=None)
    rows = await world.deliveries(notices)
    stages = {d.stage for d in rows}
    assert Stage.CLAIMED not in stages
    assert Stage.QUEUED in stages, "it took no more than it had begun"
    assert Stage.AWAITING in stages, "what was on the wire was ended"
    assert await _doubts(world, notices) == 0
    await sweep.settle()


async def test_a_second_signal_ends_a_drain_at_once_and_what_is_cut_off_comes_again_with_its_message_id(
    sweep: Sweep,
) -> None:
    world = sweep.world
    await world.control("mail/behaviour", relay="visp", accept_delay_s=30.0)
    notices = await world.enqueue_mails(3)
    worker = await world.start("worker")
    async with asyncio.timeout(20):
        while not any(d.stage is Stage.CLAIMED for d in await world.deliveries(notices)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        while not worker.began:  # noqa: ASYNC110  # it tells nobody but its log
            await asyncio.sleep(0.02)
        os.kill(worker.pid, signal.SIGTERM)
        while "stopping" not in worker.log.read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        os.kill(worker.pid, signal.SIGINT)
        assert await worker.ended == 130
    await world.control("mail/behaviour", relay="visp", accept_delay_s=None)
    await sweep.settle()
