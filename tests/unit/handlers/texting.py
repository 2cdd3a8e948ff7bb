"""A desk that texts: phones write to it, its thread is read as the surfaces draw it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from bot.wiring import discover_commands, discover_surfaces
from handlers.contract import Services
from handlers.profile import Role, SmsProfile
from handlers.reply import Reply
from handlers.sms_replies import HAS_CARD, receive
from handlers.workflows.conversations import CONVERSATION_SURFACE, LINE_SURFACE
from notifier.channels import SmsRoute
from notifier.tracking import TEXT_SURFACE
from store.models import Channel, Conversation, Delivery, Notification, Post
from store.unit import Store
from tests.unit.handlers.support import Agent, legal, profile, said

SENDER = "+15415550100"
PHONE = "+15415550142"
PORTAL = "https://my.cascade.example/pay"
SMS = SmsProfile(
    route=SmsRoute("twilio", SENDER, "AC" + "0" * 32, ("token",)), segment_price=Decimal("0.0079")
)


@dataclass
class Texting:
    """Texts in, and what came of them."""

    services: Services
    _serial: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def store(self) -> Store:
        return self.services.store

    async def texts(self, body: str, number: str = PHONE, *, sid: str = "", **more: str) -> str:
        """The phone writes; gives the MessageSid."""
        sid = sid or f"SM{next(self._serial):032x}"
        params = {"From": number, "To": SENDER, "MessageSid": sid, "Body": body, "NumMedia": "0"}
        await receive(self.services, 1, params | more, f"{sid:0>64}")
        return sid

    async def card_text(self, body: str, number: str = PHONE) -> str:
        """As the rim hands a text on from which it took a card number."""
        return await self.texts(body, number, **{HAS_CARD: "1"})

    async def sent(self, number: str = PHONE) -> list[str]:
        """The bodies of all texts queued for this number, oldest first."""
        return [str(n.context["body"]) for n, _ in await self.queued(number)]

    async def queued(self, number: str = PHONE) -> list[tuple[Notification, Delivery]]:
        async with self.store.read(1) as tx:
            waiting = sorted(await tx.deliveries.waiting_to(Channel.SMS, number), key=lambda d: d.id)
            notifications = await tx.notifications.get_many([d.notification_id for d in waiting])
        return [(notifications[d.notification_id], d) for d in waiting]

    async def conversation(self, number: str = PHONE) -> Conversation:
        """The open one."""
        async with self.store.begin(1) as tx:
            found, opened = await tx.conversations.open(number, SENDER)
            assert not opened, "no conversation is open"
        return found

    async def posts(self) -> list[Post]:
        async with self.store.system() as tx:
            return await tx.posts.claim_behind(worker="w", lease_s=0, limit=500)

    async def drawn(self, surface: str, key: str) -> Reply:
        reply = await discover_surfaces()[surface].draw(self.services, 1, key)
        assert reply is not None
        return legal(reply)

    async def card(self, number: str = PHONE) -> Reply:
        """The card of the number's open conversation."""
        return await self.drawn(CONVERSATION_SURFACE, str((await self.conversation(number)).id))

    async def thread(self) -> list[str]:
        """What all lines of all threads say, in order."""
        return [said(reply) for reply in await self.lines()]

    async def lines(self) -> list[Reply]:
        posts = [p for p in await self.posts() if p.surface in (LINE_SURFACE, TEXT_SURFACE)]
        return [await self.drawn(post.surface, post.key) for post in posts]

    async def cards(self) -> list[str]:
        posts = [p for p in await self.posts() if p.surface == CONVERSATION_SURFACE]
        return [said(await self.drawn(p.surface, p.key)) for p in posts]

    async def shown(self, conversation_id: UUID, ts: str = "1750000000.000100") -> str:
        """As the poster: the card stands in Slack, at this ts."""
        async with self.store.begin(1) as tx:
            (post,) = await tx.posts.of(CONVERSATION_SURFACE, str(conversation_id))
            later = tx.now
            await tx.posts.shown(post, ts=ts, revision=post.wanted, channel="C_SUPPORT", next_edit=later)
        return ts

    def agent(self, role: Role = Role.AGENT, user: str = "U_AGENT") -> Agent:
        commands, _ = discover_commands()
        return Agent(self.services, commands, role, user)


def texting(services: Services, **more: Any) -> Texting:
    fields: dict[str, Any] = {"sms": SMS, "portal_url": PORTAL, "public_url": "https://desk.cascade.example"}
    return Texting(replace(services, tenants={1: profile(**(fields | more)), 2: profile(id=2, key="rio")}))
