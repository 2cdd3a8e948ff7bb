"""Writes what a worker learnt: in groups, two at a time, and until it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from notifier import tracking
from notifier.tracking import Report
from store.deliveries import Ref
from store.outage import of_the_database
from store.unit import Store, Tx

log = structlog.get_logger()
MOST_TRIES = 5
BUSY = 4
"""So many ends within one window: they come fast, and a longer one makes fewer and larger groups."""
BUSY_WINDOWS = 3
WRITERS = 2
"""While one group waits for the disk, the next one is on its way."""

Entry = tuple[Report, Callable[[], None]]
"""A report, and whom to call once it is on disk."""
_Write = Callable[[Tx, Sequence[Report]], Awaitable[set[Ref]]]


class Recorder:
    """Writes the ends of attempts in groups: those of `window_s`, or of a few windows while many come."""

    def __init__(
        self, store: Store, window_s: float, let_by: Callable[[], Awaitable[None]], pause_s: float = 0.5
    ) -> None:
        """`let_by` returns when a group may be written: not in the midst of urgent work."""
        self._store, self._window_s, self._let_by, self._pause_s = store, window_s, let_by, pause_s
        self._pending: list[Entry] = []
        self._wake, self._hurried = asyncio.Event(), asyncio.Event()
        self._gathering = asyncio.Lock()

    def add(self, report: Report, written: Callable[[], None]) -> None:
        """`written` is called once it is on disk (or was given up: then its lease runs out)."""
        self._pending.append((report, written))
        self._wake.set()

    def hurry(self, many: int = 1) -> None:
        """What is pending is written at once, if there is that much of it."""
        if len(self._pending) >= many:
            self._hurried.set()

    async def run(self) -> None:
        """One writer; WRITERS of them run beside each other, each with its own group and transaction."""
        while True:
            async with self._gathering:
                await self._wake.wait()
                await self._gather(self._window_s)
                if len(self._pending) >= BUSY:
                    await self._gather(self._window_s * BUSY_WINDOWS)
                await self._let_by()
                self._wake.clear()
                self._hurried.clear()
                batch, self._pending = self._pending, []
            if batch:
                await self._flush(batch)

    async def _gather(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurried.wait()
        except TimeoutError:
            return

    async def _flush(self, batch: Sequence[Entry]) -> None:
        """The plain ends in one step; the others, and what turned out not to be plain, in the general way."""
        plain: dict[Ref, Entry] = {}
        rest: list[Entry] = []
        for entry in batch:
            ref = _ref(entry[0])
            if tracking.is_plain(entry[0]) and ref not in plain:
                plain[ref] = entry
            else:
                rest.append(entry)
        if plain:
            rest += await self._write(list(plain.values()), tracking.hand_over)
        if rest:
            await self._write(rest, _record)

    async def _write(self, batch: Sequence[Entry], write: _Write) -> list[Entry]:
        """Tries until it is written: what is known of a mail is never thrown away while this process lives.

        A database that is gone, full or open for reading only is waited for. One report that cannot be
        written is told apart by halving, so that it takes nobody with it. Gives what `write` has left to
        others.
        """
        tries = 0
        while True:
            try:
                async with self._store.system() as tx:
                    done = await write(tx, [report for report, _ in batch])
            except Exception as error:
                log.exception("record_failed", error=type(error).__name__, reports=len(batch))
                if of_the_database(error) or not await self._database_answers():
                    await asyncio.sleep(self._pause_s)
                elif len(batch) > 1:
                    middle = len(batch) // 2
                    left = await self._write(batch[:middle], write)
                    return left + await self._write(batch[middle:], write)
                elif (tries := tries + 1) >= MOST_TRIES:
                    _tell(batch)
                    return []
                else:
                    await asyncio.sleep(self._pause_s * tries)
                continue
            _tell(entry for entry in batch if _ref(entry[0]) in done)
            return [entry for entry in batch if _ref(entry[0]) not in done]

    async def _database_answers(self) -> bool:
        try:
            async with self._store.system() as tx:
                await tx.tenants.all()
        except Exception as error:  # whatever it is, it does not answer
            log.warning("database_does_not_answer", error=type(error).__name__, exc_info=error)
            return False
        return True


def _ref(report: Report) -> Ref:
    return report.tenant, report.event.delivery_id


async def _record(tx: Tx, reports: Sequence[Report]) -> set[Ref]:
    await tracking.record(tx, reports)
    return {_ref(report) for report in reports}


def _tell(batch: Iterable[Entry]) -> None:
    for _, written in batch:
        written()
