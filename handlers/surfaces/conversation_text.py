"""A text of ours in a conversation's thread, following its delivery. Key: the notification's id."""

from __future__ import annotations

from uuid import UUID

from handlers import talk_view as view
from handlers.contract import Services
from handlers.reply import Reply
from handlers.workflows import conversations as talks
from notifier.tracking import TEXT_SURFACE


class ConversationTextSurface:
    name = TEXT_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        notification_id = UUID(key)
        async with services.store.read(tenant) as tx:
            line = await tx.conversations.line_of(notification_id)
            if line is None:
                return None
            by_itself = await talks.by_itself(tx, line)
            deliveries = (await tx.deliveries.of_notifications([notification_id]))[notification_id]
            events = await tx.events.of([(d.tenant, d.id) for d in deliveries])
        rows = [(d, events[(d.tenant, d.id)]) for d in deliveries]
        return view.went_out(line, rows, services.profile(tenant), by_itself=by_itself)


SURFACE = ConversationTextSurface()
