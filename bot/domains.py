"""Looks at DNS for us: watches that somebody asked for (handlers.workflows.spf). In the worker half.

Any number of processes may run it: the store says whose turn a look is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from handlers.contract import Services
from handlers.workflows.spf import SpfWatches

log = structlog.get_logger()


class DnsLooks:
    def __init__(self, services: Services, every_s: float = 2.0) -> None:
        self._watches, self._every_s = SpfWatches(services), every_s

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._guarded(self._watches.sweep)
            await asyncio.sleep(self._every_s)

    async def _guarded(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except Exception as error:
            log.exception("dns_look_failed", error=type(error).__name__)
