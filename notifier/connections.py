"""How many connections a worker may hold on a route: a fair share of what all workers together may.

A share is a lease in the database (store.connection_slots), renewed every few seconds. Whoever has to give
some up closes them first and lets go of their slots afterwards, so that the sum never exceeds the limit.
Urgent messages have a few connections of their own on each worker, which are not counted here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping


def fair(limit: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """One by one, in the order of their names, until everybody has what they want or none is left."""
    shares = dict.fromkeys(sorted(wanted), 0)
    while limit > 0:
        hungry = [name for name in shares if shares[name] < wanted[name]]
        if not hungry:
            break
        for name in hungry[:limit]:
            shares[name] += 1
        limit -= min(len(hungry), limit)
    return shares


class Share:
    """What this worker may hold now; connections are numbered from 0, and those from `allowed` on rest."""

    def __init__(self, wanted: int, allowed: int) -> None:
        self.wanted, self.allowed = wanted, allowed
        self._open: set[int] = set()
        self._changed = asyncio.Event()

    @property
    def holding(self) -> int:
        """How many are open still."""
        return len(self._open)

    def allow(self, allowed: int) -> None:
        if allowed != self.allowed:
            self.allowed = allowed
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    def has(self, number: int) -> bool:
        return number < self.allowed

    async def turn(self, number: int) -> None:
        """Until this one may be opened; it counts as open from then on."""
        while not self.has(number):
            await self._changed.wait()
        self._open.add(number)

    async def over(self, number: int) -> None:
        """Until this one has to be closed."""
        while self.has(number):
            await self._changed.wait()

    def closed(self, number: int) -> None:
        self._open.discard(number)
