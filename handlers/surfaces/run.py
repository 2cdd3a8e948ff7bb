"""The card of an invoice run, edited in place until it is settled. Key: the run's id."""

from __future__ import annotations

from uuid import UUID

from handlers.commands.run.view import RunCard, card
from handlers.contract import Services
from handlers.reply import Reply
from notifier.runs import RUN_SURFACE


class RunSurface:
    name = RUN_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            run = await tx.runs.get(UUID(key))
            if run is None:
                return None
            made = RunCard(
                run,
                await tx.runs.standings(run.id),
                await tx.runs.tally(run.id),
                await tx.runs.left_out(run.id),
                services.now(),
            )
        return card(made, services.profile(tenant))


SURFACE = RunSurface()
