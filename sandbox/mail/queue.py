"""Work of the mail servers that is due later, in business time: DSNs, forwards, deliveries tried again.

Each piece is a stored document until it is done, so that neither a killed sandbox nor a product that is down
loses one. Pieces run a few at a time; a piece that asks to be run again keeps its place in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from sandbox.world import World

KIND: Final = "mail_due"
AT_ONCE: Final = 16

Work = Callable[[dict[str, Any]], Awaitable[datetime | None]]
"""Does one piece; None when it is finished, else when to run it again. Changes to the piece are kept."""


class DueQueue:
    def __init__(self, world: World, workers: dict[str, Work]) -> None:
        self._world = world
        self._workers = workers
        self._heap: list[tuple[datetime, int, str]] = []
        self._pushed = 0
        self._woken = asyncio.Event()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._runner: asyncio.Task[None] | None = None
        for piece in world.documents.all(KIND):
            self._push(datetime.fromisoformat(piece["due_at"]), piece["id"])

    def add(self, work: str, due_at: datetime, **piece: Any) -> None:
        """Stores a piece of `work` and has it run at `due_at`."""
        key = uuid.uuid4().hex
        document = {"id": key, "work": work, "due_at": due_at.isoformat(), "tries": 0, **piece}
        self._world.documents.put(KIND, key, document)
        self._push(due_at, key)

    def waiting(self) -> list[dict[str, Any]]:
        """The pieces not done yet, oldest first."""
        return self._world.documents.all(KIND)

    def start(self) -> None:
        self._runner = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._runner is not None:
            self._runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._runner

    def _push(self, due_at: datetime, key: str) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (due_at, self._pushed, key))
        self._woken.set()

    async def _run(self) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._woken.clear()
                now = self._world.clock.now()
                while self._heap and self._heap[0][0] <= now:
                    await self._room.acquire()
                    _, _, key = heapq.heappop(self._heap)
                    task = self._world.spawn(self._one(key))
                    running.add(task)
                    task.add_done_callback(running.discard)
                await self._next_due()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _next_due(self) -> None:
        """Until the first piece is due, the clock has moved, or another piece was added."""
        waits: set[asyncio.Task[bool]] = {asyncio.create_task(_until(self._woken.wait()))}
        if self._heap:
            sleep = self._world.clock.sleep_until(self._heap[0][0])
            waits.add(asyncio.create_task(_until(sleep)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _one(self, key: str) -> None:
        try:
            piece = self._world.documents.get(KIND, key)
            if piece is None:
                return
            again = await self._workers[piece["work"]](piece)
            if again is None:
                self._world.documents.delete(KIND, key)
            else:
                self._world.documents.put(KIND, key, {**piece, "due_at": again.isoformat()})
                self._push(again, key)
        finally:
            self._room.release()


async def _until(event: Awaitable[object]) -> bool:
    await event
    return True
