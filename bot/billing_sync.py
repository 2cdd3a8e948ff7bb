"""The duty that keeps the mirror close to remote billing systems: short rounds, and a full one now and then.

One process does it for all. A round that fails says why once in the log, and is tried again a minute later;
it goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog

from billing.port import BillingSystem, Followed, Unavailable
from store.unit import Store

log = structlog.get_logger()
LOOK_S = 5.0
AGAIN_AFTER = timedelta(minutes=1)


class BillingSync:
    def __init__(self, store: Store, systems: Mapping[int, BillingSystem]) -> None:
        self._store = store
        self._followed = {tenant: one for tenant, one in systems.items() if isinstance(one, Followed)}

    @property
    def needed(self) -> bool:
        return bool(self._followed)

    async def run(self) -> None:
        """Until cancelled."""
        async with self._store.duty("billing_sync") as duty:
            while True:
                if await duty.mine():
                    await self.round()
                await asyncio.sleep(LOOK_S)

    async def round(self) -> None:
        """All providers that are due, side by side: a slow one keeps nobody waiting."""
        await asyncio.gather(*(self._follow(tenant, one) for tenant, one in self._followed.items()))

    async def _follow(self, tenant: int, system: Followed) -> None:
        try:
            full = await self._due(tenant, system)
            if full is None:
                return
            result = await system.sync(full=full)
            if isinstance(result, Unavailable):
                log.warning("billing_sync_waits", tenant=tenant, why=result.sentence)
        except Exception as error:  # a bug, or a database that is gone, of one provider
            log.exception("billing_sync_failed", tenant=tenant, error=type(error).__name__)

    async def _due(self, tenant: int, system: Followed) -> bool | None:
        """Whether a round is due, and if so whether a full one; None: not yet."""
        short, whole = system.every
        async with self._store.read(tenant) as tx:
            state, now = await tx.billing_sync.state(), tx.now
        if state.trouble and state.touched_at is not None and now - state.touched_at < AGAIN_AFTER:
            return None
        if state.full_at is None or now - state.full_at >= whole:
            return True
        if state.started_at is not None and state.full:
            return True
        return False if state.synced_at is None or now - state.synced_at >= short else None


__all__ = ["BillingSync"]
