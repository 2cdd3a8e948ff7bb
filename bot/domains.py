"""Looks at DNS for us: watches that somebody asked for, and the daily look at each provider's own domains.

In the worker half, as a single duty; should two run it for a moment, the store says whose turn a look is
(handlers.workflows.spf, handlers.workflows.domains).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from handlers.contract import Services
from handlers.workflows.domains import DomainWatch
from handlers.workflows.spf import SpfWatches

log = structlog.get_logger()


class DnsLooks:
    def __init__(self, services: Services, every_s: float = 2.0) -> None:
        self._store, self._every_s = services.store, every_s
        self._watches = SpfWatches(services)
        self._daily = [DomainWatch(services, tenant) for tenant in services.tenants]

    async def run(self) -> None:
        """Until cancelled."""
        async with self._store.duty("dns looks") as duty:
            while True:
                if await duty.mine():
                    await self.round()
                await asyncio.sleep(self._every_s)

    async def round(self) -> None:
        """Takes every look that is due."""
        await self._guarded(self._watches.sweep)
        for daily in self._daily:
            await self._guarded(daily.sweep)

    async def _guarded(self, work: Callable[[], Awaitable[object]]) -> None:
        """One look's trouble must not keep the others from their turn; it is taken again."""
        try:
            await work()
        except Exception as error:
            log.exception("dns_look_failed", error=type(error).__name__)
