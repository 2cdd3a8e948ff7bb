"""What has changed since the last result, in the thread of a shared diagnosis. Key: the newer one's id."""

from __future__ import annotations

from uuid import UUID

from handlers.commands.diagnose import view
from handlers.contract import Services
from handlers.diagnosis.changes import changes
from handlers.diagnosis.kept import Kept
from handlers.reply import Reply
from handlers.workflows.diagnosed import CHANGE_SURFACE


class DiagnosisChangeSurface:
    name = CHANGE_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            newer = await tx.diagnoses.get(UUID(key))
            older = await tx.diagnoses.get(newer.previous_id) if newer and newer.previous_id else None
        if newer is None or older is None:
            return None
        return view.change(Kept(newer, older, changes(older, newer)), services.profile(tenant))


SURFACE = DiagnosisChangeSurface()
