"""The kill sweep: `python -m tests.faults.sweep --rounds N` prints the ledger after each round.

A round goes through every commit point: a process of the product is started that kills -9 itself (or the
database's server) right before its first commit, the next one before its second, and so on until one has
nothing left to commit; then the same right after each commit; then at random moments. Fresh messages come
before each kill. After every part all notices are settled and the ledger adds up to the row, or it fails.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from store.models import EventKind, Stage
from tests.faults.nursery import WHENS, When
from tests.faults.server import Server
from tests.faults.world import Ledger, Nursery, World

MOST_DOUBTS = 2
"""A message that was cut off so often is brought to its end first: after four, a person has to decide."""


@dataclass
class Sweep:
    """Kills in one world. `halves`: what runs there, such as two workers and a bot; the first of each kind
    is the one that dies."""

    world: World
    halves: Sequence[str]
    server: Server | None = None

    async def every_commit(
        self, half: str, when: When, *, of_server: bool = False, first: int = 1, step: int = 1
    ) -> int:
        """How many commit points there were. The other half runs meanwhile, but none of the same kind: it
        would take part of the work, and with it some of the commits."""
        async with AsyncExitStack() as stack:
            await self._start_all(stack, set(self.halves) - {half})
            for commit in count(first, step):
                await self.world.enqueue()
                postmaster = self.server.pid if of_server and self.server else 0
                child = await self.world.start(half, commit, when, postmaster)
                met = child.struck.is_set if of_server else child.ended.done
                if await self.world.settle(met):
                    code = await child.stop(signal.SIGTERM)  # whose drain may reach the commit yet
                    if of_server and self.server and child.struck.is_set():
                        await self.server.restart()
                    assert code == 0 or child.struck.is_set(), child.log.read_text()[-2000:]
                    return commit - 1
                if of_server and self.server:
                    await self.server.restart()
                    await self.world.settle(child.ended.done)
                    code = await child.stop(signal.SIGTERM)
                    assert code == 0 or not child.began, f"it goes on by itself: {child.log}"
                else:
                    assert await child.ended == -signal.SIGKILL, child.log.read_text()[-2000:]
                if await self._doubtful():
                    await self.settle([half])
            raise AssertionError("never")

    async def at_random(self, half: str, kills: int, chance: random.Random) -> int:
        """Somewhere in the first seconds of its life, wherever that is."""
        async with AsyncExitStack() as stack:
            rest = list(self.halves)
            rest.remove(half)
            await self._start_all(stack, rest)
            for _ in range(kills):
                await self.world.enqueue()
                child = await self.world.start(half)
                await asyncio.sleep(chance.uniform(0.1, 0.8))
                await child.stop(signal.SIGKILL)
                if await self._doubtful():
                    await self.settle([half])
        return kills

    def parts(self, kills: int, chance: random.Random) -> Iterator[tuple[str, Callable[[], Awaitable[int]]]]:
        """Everything that can be done to this world, by what it is called."""
        for half in dict.fromkeys(self.halves):
            for when in WHENS:
                yield f"{half} killed {when} each commit", partial(self.every_commit, half, when)
            yield f"{half} killed at random", partial(self.at_random, half, kills, chance)
            if self.server is not None:
                for when in WHENS:
                    doing = partial(self.every_commit, half, when, of_server=True)
                    yield f"server killed {when} each commit of the {half}", doing

    async def settle(self, halves: Sequence[str] | None = None) -> Ledger:
        """Everything runs undisturbed until all is settled; then the ledger."""
        children = [await self.world.start(half) for half in (self.halves if halves is None else halves)]
        try:
            assert await self.world.settle(lambda: any(c.ended.done() for c in children)), "one has ended"
        finally:
            codes = [await child.stop(signal.SIGTERM) for child in children]
        assert set(codes) == {0}, [child.log.read_text()[-2000:] for child in children]
        ledger = await self.world.ledger()
        assert ledger.adds_up(), str(ledger)
        assert ledger.waiting == 0, str(ledger)
        return ledger

    async def _start_all(self, stack: AsyncExitStack, halves: Iterable[str]) -> None:
        """They live on while others die."""
        for half in halves:
            child = await self.world.start(half)
            stack.push_async_callback(child.stop, signal.SIGTERM)

    async def _doubtful(self) -> bool:
        rows = await self.world.deliveries(self.world.under_way)
        rows = [d for d in rows if d.stage in (Stage.QUEUED, Stage.CLAIMED)]
        async with self.world.store.read(1) as tx:
            histories = await tx.events.of([(d.tenant, d.id) for d in rows])
        doubts = [sum(e.kind is EventKind.IN_DOUBT for e in history) for history in histories.values()]
        return max(doubts, default=0) >= MOST_DOUBTS


async def rounds(number: int, kills: int, say: Callable[[str], None]) -> None:
    """Everything, on both databases, `number` times over."""
    chance = random.Random()
    home = Path(tempfile.mkdtemp(prefix="ispbot-sweep-"))
    began = time.monotonic()
    try:
        async with Nursery.open() as nursery, Server.open() as server:
            databases = {"SQLite": (None, ["run"]), "PostgreSQL": ("", ["worker", "worker", "worker", "bot"])}
            for round_ in range(1, number + 1):
                for name, (database, halves) in databases.items():
                    own = None if database is None else await server.database(f"round{round_}")
                    async with World.open(home / f"{name}{round_}", own, nursery) as world:
                        sweep = Sweep(world, halves, server if own else None)
                        for what, work in sweep.parts(kills, chance):
                            points = await work()
                            took = time.monotonic() - began
                            say(f"{took:6.0f} s  {name}, round {round_}, {what}, {points} times")
                            say(f"          {await sweep.settle()}")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sweep", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20, help="at random moments, of each kind of process")
    arguments = parser.parse_args()
    asyncio.run(rounds(arguments.rounds, arguments.kills, lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
