"""A shared page of the message log, masked. Key: i or s and an id, the offset, what shared it."""

from __future__ import annotations

from uuid import UUID

from handlers.commands.messages import view
from handlers.commands.messages.command import MESSAGES_SURFACE
from handlers.contract import Services
from handlers.profile import Role
from handlers.reply import Reply, To
from handlers.workflows.profile_card import page_of_notices


class MessagesSurface:
    name = MESSAGES_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        about, offset, _ = key.split(":")
        async with services.store.read(tenant) as tx:
            invoice = await tx.invoices.by_id(UUID(about[1:])) if about.startswith("i") else None
            subscriber = await tx.subscribers.by_id(invoice.subscriber_id if invoice else UUID(about[1:]))
            if subscriber is None:
                return None
            notices, total = await page_of_notices(
                tx,
                subscriber_ids=[subscriber.id],
                invoice_id=invoice.id if invoice else None,
                offset=int(offset),
                limit=view.PAGE,
            )
            return view.page(
                notices,
                total,
                int(offset),
                subscriber=subscriber,
                invoice=invoice,
                profile=services.profile(tenant),
                to=To.ASKER,
                role=Role.VIEWER,
            )


SURFACE = MessagesSurface()
