"""The delivery card in a channel, edited in place until it is settled. Key: the notification's id."""

from __future__ import annotations

from uuid import UUID

from handlers.commands.messages.card import card
from handlers.contract import Services
from handlers.reply import Reply
from handlers.workflows.profile_card import load_notices
from notifier.tracking import DELIVERY_SURFACE


class DeliverySurface:
    name = DELIVERY_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            notification = await tx.notifications.get(UUID(key))
            if notification is None:
                return None
            subscriber = (
                await tx.subscribers.by_id(notification.subscriber_id) if notification.subscriber_id else None
            )
            notice = (await load_notices(tx, [notification]))[0]
        return card(notice, subscriber, services.profile(tenant))


SURFACE = DeliverySurface()
