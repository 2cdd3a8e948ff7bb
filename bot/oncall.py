"""Runs the on-call watch of every tenant (handlers.workflows.oncall) in the worker half.

It reads what is recorded a little later instead of standing in the recorder's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from handlers.contract import Services
from handlers.workflows.oncall import Watch

log = structlog.get_logger()
LOOKS_EVERY = 3
"""Sweeps to one look at what is unresolved."""


class OncallWatch:
    def __init__(self, services: Services, every_s: float = 2.0) -> None:
        """A card is edited at most once a sweep: Slack takes fifty edits a minute."""
        self._watches = {tenant: Watch(services, tenant) for tenant in services.tenants}
        self._store, self._every_s = services.store, every_s

    async def run(self) -> None:
        """Until cancelled."""
        async with self._store.duty("on-call") as duty:
            turn = 0
            while True:
                if await duty.mine():
                    await self._round(looks=turn % LOOKS_EVERY == 0)
                turn += 1
                await asyncio.sleep(self._every_s)

    async def _round(self, *, looks: bool) -> None:
        for tenant, watch in self._watches.items():
            await self._guarded(tenant, watch.sweep)
            if looks:
                await self._guarded(tenant, watch.look)

    async def _guarded(self, tenant: int, work: Callable[[], Awaitable[object]]) -> None:
        """One provider's trouble must not silence the alerts of another; it is tried again the next time."""
        try:
            await work()
        except Exception as error:
            log.exception("oncall_watch_failed", tenant=tenant, error=type(error).__name__)
