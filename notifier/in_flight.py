"""What a worker has taken on and not ended yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from store.deliveries import Ref


class InFlight:
    """What this worker has claimed and not ended yet: renewed by the heartbeat, waited for by a drain."""

    def __init__(self) -> None:
        self._refs: set[Ref] = set()
        self._claiming = 0
        self._empty = asyncio.Event()
        self._settle()

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """Around a claim: between its commit and `add` there is work that no ref tells of yet."""
        self._claiming += 1
        self._settle()
        try:
            yield
        finally:
            self._claiming -= 1
            self._settle()

    def add(self, refs: Iterable[Ref]) -> None:
        self._refs.update(refs)
        self._settle()

    def end(self, refs: Iterable[Ref]) -> None:
        self._refs.difference_update(refs)
        self._settle()

    def _settle(self) -> None:
        if self._refs or self._claiming:
            self._empty.clear()
        else:
            self._empty.set()

    def refs(self) -> list[Ref]:
        return sorted(self._refs)

    async def ended(self) -> None:
        """Until nothing is left."""
        await self._empty.wait()
