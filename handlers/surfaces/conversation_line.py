"""One line in a conversation's thread. Key: the line's id; or conversation:minute for a burst of texts."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from handlers import talk_view as view
from handlers.contract import Services
from handlers.reply import Reply
from handlers.workflows import conversations as talks
from handlers.workflows.address_questions import mend_of_line
from handlers.workflows.media import link_to
from store.models import Said


class ConversationLineSurface:
    name = talks.LINE_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        profile = services.profile(tenant)
        burst = talks.minute_of(key)
        async with services.store.read(tenant) as tx:
            line = None if burst else await tx.conversations.line(UUID(key))
            conversation_id = burst[0] if burst else line.conversation_id if line else None
            conversation = await tx.conversations.get(conversation_id) if conversation_id else None
            if conversation is None:
                return None
            talk = await talks.load(tx, conversation)
            mend = await mend_of_line(tx, line) if line else None
            if burst:
                start = burst[1]
                count, last = await tx.conversations.came_between(
                    conversation.id, start, start + timedelta(minutes=1)
                )
                return view.many(count, last, talk, profile, key)
        if line is None:
            return None
        if line.said is Said.EVENT:
            return view.event(line, talk, mend)
        return view.came_in(line, talk, profile, link_to(services, tenant, line))


SURFACE = ConversationLineSurface()
