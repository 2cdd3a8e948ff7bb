"""The card of a conversation by text, in the support channel. Key: the conversation's id."""

from __future__ import annotations

from uuid import UUID

from handlers import talk_view as view
from handlers.contract import Services
from handlers.reply import Reply
from handlers.workflows import conversations as talks


class ConversationSurface:
    name = talks.CONVERSATION_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            conversation = await tx.conversations.get(UUID(key))
            if conversation is None:
                return None
            talk = await talks.load(tx, conversation)
        return view.card(talk, services.profile(tenant))


SURFACE = ConversationSurface()
