"""A shared, masked subscriber card. Key: subscriber id, a colon, what shared it."""

from __future__ import annotations

from uuid import UUID

from handlers.commands.find.view import card
from handlers.contract import Services
from handlers.reply import Reply
from handlers.workflows.profile_card import SUBSCRIBER_SURFACE, load_card


class SubscriberSurface:
    name = SUBSCRIBER_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        profile = services.profile(tenant)
        async with services.store.read(tenant) as tx:
            subscriber = await tx.subscribers.by_id(UUID(key.partition(":")[0]))
            if subscriber is None:
                return None
            return card(await load_card(tx, profile, subscriber), profile, masked=True)


SURFACE = SubscriberSurface()
