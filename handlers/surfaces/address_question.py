"""The card of a question about an address, edited in place until it has its end. Key: the question's id."""

from __future__ import annotations

from uuid import UUID

from handlers.contract import Services
from handlers.question_card import card
from handlers.reply import Reply
from handlers.workflows.address_questions import QUESTION_SURFACE, load


class AddressQuestionSurface:
    name = QUESTION_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            data = await load(tx, UUID(key))
        return card(data, services.profile(tenant)) if data is not None else None


SURFACE = AddressQuestionSurface()
