"""A shared, masked diagnosis, made when it is drawn. Key: the id of the result that was shared."""

from __future__ import annotations

from uuid import UUID

from handlers.commands.diagnose import view
from handlers.contract import Services
from handlers.diagnosis.kept import Kept
from handlers.reply import Reply, UserError
from handlers.workflows import diagnosed
from handlers.workflows.diagnose import examine


class DiagnosisSurface:
    name = diagnosed.DIAGNOSIS_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            try:
                shared, subscriber, asked = await diagnosed.whose(tx, UUID(key))
            except (UserError, ValueError):
                return None
            cards = await tx.posts.of(diagnosed.DIAGNOSIS_SURFACE, key)
            last = [await diagnosed.last_in_thread(tx, card, shared) for card in cards] or [shared]
        newest = max(last, key=lambda kept: kept.created_at)
        found = await examine(services, tenant, subscriber, asked)
        profile = services.profile(tenant)
        return view.verdict(found, profile, masked=True, kept=Kept(newest), shared_id=shared.id)


SURFACE = DiagnosisSurface()
