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
        self._every_s = every_s

    async def run(self) -> None:
        """Until cancelled."""
        turn = 0
        while True:
            for tenant, watch in self._watches.items():
                await self._guarded(tenant, watch.sweep)
                if turn % LOOKS_EVERY == 0:
                    await self._guarded(tenant, watch.look)
            turn += 1
            await asyncio.sleep(self._every_s)

    async def _guarded(self, tenant: int, work: Callable[[], Awaitable[object]]) -> None:
        """One provider's trouble must not silence the alerts of another; it is tried again the next time."""
        try:
            await work()
        except Exception as error:
            log.exception("oncall_watch_failed", tenant=tenant, error=type(error).__name__)
