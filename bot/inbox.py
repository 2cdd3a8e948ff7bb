"""The inbox: whatever comes in is committed before it is acknowledged, in groups of at most 5 ms.

Full means 503 (or a temporary SMTP answer): the sender tries again, nothing is lost.
"""

from __future__ import annotations

import asyncio

import structlog

from store.models import Interaction
from store.unit import Store

log = structlog.get_logger()
GROUP_S = 0.005


class InboxFull(Exception):
    """Too much is waiting to be written; ask again in a moment."""


class Inbox:
    def __init__(self, store: Store, *, worker: str, lease_s: float, room: int = 2000) -> None:
        self._store, self._worker, self._lease_s, self._room = store, worker, lease_s, room
        self._waiting: list[tuple[Interaction, asyncio.Future[bool]]] = []
        self._wake = asyncio.Event()

    @property
    def full(self) -> bool:
        return len(self._waiting) >= self._room

    async def put(self, item: Interaction) -> bool:
        """True when it is new, False for a repetition; returns once it is on disk. InboxFull."""
        if self.full:
            raise InboxFull
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._wake.set()
        return await done

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(GROUP_S if len(self._waiting) > 1 else 0)
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                await self._write(batch)

    async def _write(self, batch: list[tuple[Interaction, asyncio.Future[bool]]]) -> None:
        # A repetition may stand in the same group: the first one is the new one.
        first: dict[tuple[int, str], int] = {}
        for index, (item, _) in enumerate(batch):
            first.setdefault((item.tenant, item.id), index)
        try:
            async with self._store.system() as tx:
                items = [batch[index][0] for index in first.values()]
                new = await tx.interactions.add(items, worker=self._worker, lease_s=self._lease_s)
        except Exception as error:
            log.exception("inbox_write_failed", error=type(error).__name__)
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        for index, (item, done) in enumerate(batch):
            key = (item.tenant, item.id)
            if not done.done():
                done.set_result(key in new and first[key] == index)
