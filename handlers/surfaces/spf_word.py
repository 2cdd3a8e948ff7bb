"""The word in a watch's thread: fixed, or given up after a week. Key: the watch's id."""

from __future__ import annotations

from uuid import UUID

from handlers.commands.spf import view
from handlers.contract import Services
from handlers.reply import Reply
from handlers.workflows.spf import SPF_WORD_SURFACE
from store.models import WatchEnd


class SpfWordSurface:
    name = SPF_WORD_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            watch = await tx.dns_watches.get(UUID(key))
        if watch is None or watch.ended not in (WatchEnd.FIXED, WatchEnd.EXPIRED):
            return None
        return view.word(watch)


SURFACE = SpfWordSurface()
