"""The card of a trial of two routes, edited in place until both are settled. Key: the trial's id."""

from __future__ import annotations

from uuid import UUID

from handlers.commands.trial.view import card
from handlers.contract import Services
from handlers.reply import Reply
from handlers.workflows.trials import TRIAL_SURFACE, load


class RouteTrialSurface:
    name = TRIAL_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            data = await load(tx, UUID(key))
        return card(data, services.profile(tenant)) if data is not None else None


SURFACE = RouteTrialSurface()
