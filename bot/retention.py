"""The duty that removes by age what is past its time: once a day, in small batches, beside everything else.

Killed at any moment it loses nothing: each batch is one transaction, and the next round goes on. How far a
tenant's round came is told in counts only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from store.retention import TERMS, Due, Kept, before
from store.unit import Store

log = structlog.get_logger()
EVERY = timedelta(days=1)
LOOK_S = 60.0
PAUSE_S = 0.02
"""Between two batches: others write too, on SQLite through the same connection."""
BATCHES_PER_LINE = 50
CURSOR = "retention"


class RetentionDuty:
    def __init__(self, store: Store, tenants: Sequence[int], *, pause_s: float = PAUSE_S) -> None:
        self._store, self._tenants, self._pause_s = store, tenants, pause_s

    async def run(self) -> None:
        """Until cancelled."""
        async with self._store.duty("retention") as duty:
            while True:
                if await duty.mine():
                    await self.round()
                await asyncio.sleep(LOOK_S)

    async def round(self) -> None:
        """All providers that are due; the trouble of one keeps nothing of another longer than its time."""
        for tenant in self._tenants:
            try:
                if await self._is_due(tenant):
                    await self.sweep(tenant)
                    await self.drop_emptied()
            except Exception as error:
                log.exception("retention_failed", tenant=tenant, error=type(error).__name__)

    async def drop_emptied(self) -> int:
        """Whole months of which the rounds have left nothing (PostgreSQL)."""
        cutoff, dropped = before(datetime.now(UTC), Kept.MESSAGES), 0
        for table in ("events", "deliveries"):
            while True:
                async with self._store.system() as tx:
                    if not await tx.partitions.drop_emptied(table, cutoff):
                        break
                dropped += 1
        return dropped

    async def _is_due(self, tenant: int) -> bool:
        async with self._store.read(tenant) as tx:
            last = await tx.retention.last_round(CURSOR)
            return last is None or tx.now - last >= EVERY

    async def sweep(self, tenant: int) -> Mapping[Kept, int]:
        """Everything of this tenant that is past its time; gives how many rows of each class went."""
        removed: dict[Kept, int] = {}
        for kept in TERMS:
            if kept is Kept.MESSAGES:
                removed[kept] = await self._archive(tenant)
            else:
                removed[kept] = await self._remove(tenant, kept)
        async with self._store.begin(tenant) as tx:
            await tx.retention.round_done(CURSOR)
        log.info("retention_done", tenant=tenant, **{kept.value: number for kept, number in removed.items()})
        return removed

    async def _archive(self, tenant: int) -> int:
        moved, batches = 0, 0
        after: UUID | None = None
        while True:
            async with self._store.begin(tenant) as tx:
                step = await tx.retention.archive(after)
            if step.last is None:
                return moved
            after, moved, batches = step.last, moved + step.messages, batches + 1
            await self._breathe(tenant, Kept.MESSAGES, moved, batches)

    async def _remove(self, tenant: int, kept: Kept) -> int:
        removed, batches = 0, 0
        while True:
            async with self._store.begin(tenant) as tx:
                number = await tx.retention.remove(kept)
            removed, batches = removed + number, batches + 1
            if not number:
                return removed
            await self._breathe(tenant, kept, removed, batches)

    async def _breathe(self, tenant: int, kept: Kept, removed: int, batches: int) -> None:
        if batches % BATCHES_PER_LINE == 0:
            log.info("retention_going_on", tenant=tenant, kept=kept.value, removed=removed)
        await asyncio.sleep(self._pause_s)


async def due(store: Store, tenant: int) -> Mapping[Kept, Due]:
    """What a round would remove now; changes nothing."""
    async with store.read(tenant) as tx:
        return {kept: await tx.retention.due(kept) for kept in TERMS}


__all__ = ["RetentionDuty", "due"]
