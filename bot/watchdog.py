"""A sign of life of this process, and the watchdog (handlers.workflows.watchdog) where the duty is.

Both halves run it: the bot tells when no worker is left.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from handlers.contract import Services
from handlers.workflows.watchdog import Watchdog
from store.presence import Presence
from store.unit import Store

log = structlog.get_logger()
SIGN_S = 10.0
LOOK_S = 15.0
FORGET_S = 24 * 3600.0


class SignOfLife:
    """Tells the others that this process runs, and by how much its clock differs from the database's."""

    def __init__(self, store: Store, presence: Presence, every_s: float = SIGN_S) -> None:
        self._store, self._presence, self._every_s = store, presence, every_s

    async def run(self) -> None:
        """Until cancelled; whoever ends in order takes its sign away."""
        try:
            while True:
                await self.give()
                await asyncio.sleep(self._every_s)
        finally:
            await asyncio.shield(self._end())

    async def give(self) -> None:
        async with self._store.system() as tx:
            before = datetime.now(UTC)
            theirs = await tx.processes.real_now()
            mine = before + (datetime.now(UTC) - before) / 2
            skew_ms = round((mine - theirs).total_seconds() * 1000)
            await tx.processes.seen(self._presence.name, self._presence.role, skew_ms)

    async def _end(self) -> None:
        try:
            async with self._store.system() as tx:
                await tx.processes.gone(self._presence.name)
                await tx.processes.forget(FORGET_S)
        except Exception as error:  # it ends all the same; its sign grows old by itself
            log.exception("sign_of_life_stays", error=type(error).__name__)


class Watch:
    """The watchdog of every tenant, in one process at a time."""

    def __init__(self, services: Services, every_s: float = LOOK_S) -> None:
        self._services, self._every_s = services, every_s

    async def run(self) -> None:
        """Until cancelled."""
        async with self._services.store.duty("watchdog") as duty:
            dogs: dict[int, Watchdog] = {}
            while True:
                if await duty.mine():
                    for tenant in self._services.tenants:
                        dogs.setdefault(tenant, Watchdog(self._services, tenant))
                        await self._guarded(dogs[tenant])
                else:
                    dogs.clear()  # what it remembered is old when it is our turn again
                await asyncio.sleep(self._every_s)

    async def _guarded(self, dog: Watchdog) -> None:
        try:
            for trouble in await dog.look():
                log.warning("watchdog", cause=trouble.cause.key)
        except Exception as error:  # one provider's trouble keeps nobody from looking after the others
            log.exception("watchdog_failed", error=type(error).__name__)
