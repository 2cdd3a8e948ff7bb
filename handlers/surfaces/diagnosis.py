"""A shared, masked diagnosis, made when it is drawn. Key: i or s and an id, a colon, what shared it."""

from __future__ import annotations

from uuid import UUID

from handlers.commands.diagnose import view
from handlers.commands.diagnose.command import DIAGNOSIS_SURFACE
from handlers.contract import Services
from handlers.reply import Reply
from handlers.workflows.diagnose import examine


class DiagnosisSurface:
    name = DIAGNOSIS_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        about = key.partition(":")[0]
        async with services.store.read(tenant) as tx:
            invoice = await tx.invoices.by_id(UUID(about[1:])) if about.startswith("i") else None
            subscriber = await tx.subscribers.by_id(invoice.subscriber_id if invoice else UUID(about[1:]))
        if subscriber is None:
            return None
        found = await examine(services, tenant, subscriber, invoice)
        return view.verdict(found, services.profile(tenant), masked=True)


SURFACE = DiagnosisSurface()
