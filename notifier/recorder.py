"""Writes what a worker learnt: in small groups, and until it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from notifier import tracking
from notifier.tracking import Report
from store.unit import Store

log = structlog.get_logger()
MOST_TRIES = 5


class Recorder:
    """Writes the ends of attempts in small groups; `record` returns when its own is committed."""

    def __init__(self, store: Store, window_s: float, pause_s: float = 0.5) -> None:
        self._store, self._window_s, self._pause_s = store, window_s, pause_s
        self._pending: list[tuple[Report, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()

    async def record(self, report: Report) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((report, done))
        self._wake.set()
        await done

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._window_s)
            self._wake.clear()
            batch, self._pending = self._pending, []
            if batch:
                await self._flush(batch)

    async def _flush(self, batch: Sequence[tuple[Report, asyncio.Future[None]]]) -> None:
        """Tries until it is written: what is known of a mail is never thrown away while this process lives.

        A database that is gone is waited for. One report that cannot be written is told apart by halving, so
        that it takes nobody with it.
        """
        tries = 0
        while True:
            try:
                async with self._store.system() as tx:
                    await tracking.record(tx, [report for report, _ in batch])
            except Exception as error:
                log.exception("record_failed", error=type(error).__name__, reports=len(batch))
                if not await self._database_answers():
                    await asyncio.sleep(self._pause_s)
                elif len(batch) > 1:
                    middle = len(batch) // 2
                    await self._flush(batch[:middle])
                    await self._flush(batch[middle:])
                    return
                elif (tries := tries + 1) >= MOST_TRIES:
                    if not batch[0][1].done():
                        batch[0][1].set_exception(error)
                    return
                else:
                    await asyncio.sleep(self._pause_s * tries)
                continue
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
            return

    async def _database_answers(self) -> bool:
        try:
            async with self._store.system() as tx:
                await tx.tenants.all()
        except Exception as error:  # noqa: BLE001  # whatever it is, it does not answer
            log.warning("database_gone", error=type(error).__name__)
            return False
        return True
