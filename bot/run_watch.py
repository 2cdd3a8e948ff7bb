"""Looks after invoice runs in the worker half: writes on, pauses what fails, reconciles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from handlers.contract import Services
from handlers.workflows.run_watch import draw_again, judge, reconcile, take_up

log = structlog.get_logger()
DRAWN_EVERY = 10
_Look = Callable[[Services, int], Awaitable[int]]


class RunWatch:
    def __init__(self, services: Services, every_s: float = 3.0) -> None:
        self._services, self._every_s = services, every_s
        self._reconciled: dict[int, set[UUID]] = {tenant: set() for tenant in services.tenants}

    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        return [self.writing, self.judging, self.drawing, self.reconciling]

    async def writing(self) -> None:
        """Until cancelled. Apart from judging: a million notices take minutes."""
        await self._looking("run writing", take_up)

    async def judging(self) -> None:
        """Until cancelled."""
        await self._looking("run judging", judge)

    async def drawing(self) -> None:
        """Until cancelled."""
        await self._looking("run drawing", draw_again, DRAWN_EVERY)

    async def reconciling(self) -> None:
        """Until cancelled."""

        async def look(services: Services, tenant: int) -> int:
            return await reconcile(services, tenant, self._reconciled[tenant])

        await self._looking("run reconciling", look)

    async def _looking(self, name: str, look: _Look, turns: int = 1) -> None:
        """`turns`: so many pauses between two looks."""
        async with self._services.store.duty(name) as duty:
            while True:
                if await duty.mine():
                    for tenant in self._services.tenants:
                        await self._guarded(tenant, look)
                await asyncio.sleep(self._every_s * turns)

    async def _guarded(self, tenant: int, look: _Look) -> None:
        """One provider's trouble must not stop the runs of another; it is tried again the next time."""
        try:
            await look(self._services, tenant)
        except Exception as error:
            log.exception("run_watch_failed", tenant=tenant, error=type(error).__name__)
