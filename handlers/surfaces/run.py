"""The card of an invoice run, edited in place until it is settled. Key: the run's id."""

from __future__ import annotations

from uuid import UUID

from handlers.contract import Services
from handlers.reply import Reply
from handlers.run_card import RunCard, card
from handlers.workflows.run_shown import load
from notifier.runs import RUN_SURFACE


class RunSurface:
    name = RUN_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            made: RunCard | None = await load(tx, UUID(key))
        return card(made, services.profile(tenant)) if made is not None else None


SURFACE = RunSurface()
