"""Chains new audit rows by hash, once a second (store.audit)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from store.unit import Store


class Sealer:
    def __init__(self, store: Store, tenants: Sequence[int], every_s: float = 1.0) -> None:
        self._store, self._tenants, self._every_s = store, tenants, every_s

    async def run(self) -> None:
        """Until cancelled."""
        async with self._store.duty("seal") as duty:
            while True:
                if await duty.mine():
                    for tenant in self._tenants:
                        async with self._store.begin(tenant) as tx:
                            await tx.audit.seal()
                await asyncio.sleep(self._every_s)
