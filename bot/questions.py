"""Ends questions by text whose time is over, for every tenant, in the worker half."""

from __future__ import annotations

import asyncio

import structlog

from handlers.contract import Services
from handlers.workflows.address_questions import sweep

log = structlog.get_logger()


class QuestionSweep:
    def __init__(self, services: Services, every_s: float = 60.0) -> None:
        self._services, self._every_s = services, every_s

    async def run(self) -> None:
        """Until cancelled."""
        async with self._services.store.duty("questions") as duty:
            while True:
                if await duty.mine():
                    await self._round()
                await asyncio.sleep(self._every_s)

    async def _round(self) -> None:
        for tenant in self._services.tenants:
            if ended := await sweep(self._services, tenant):
                log.info("questions_ended", tenant=tenant, count=ended)
