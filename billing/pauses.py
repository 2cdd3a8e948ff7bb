"""Texts that wait while a colleague decides what "cancel" was about: the texts or the service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from notifier.truth import Wait
from store.models import Channel, Conversation, Delivery, Notification, NotificationKind
from store.unit import Tx

_ANSWERS = frozenset({NotificationKind.REPLY, NotificationKind.AUTO_REPLY, NotificationKind.ONCALL})
_PREFIX = "conversation:"
SENTENCE = "Somebody has to decide first whether they want texts at all: see the conversation."


def held_by(conversation: Conversation) -> str:
    """Who holds what waits; released by this name when it is decided."""
    return f"{_PREFIX}{conversation.id}"


async def decided(tx: Tx, holders: Iterable[str]) -> set[str]:
    """Those of these who hold deliveries for a conversation in which nothing is undecided any more."""
    found = set()
    for by in holders:
        if by.startswith(_PREFIX):
            conversation = await tx.conversations.get(UUID(by.removeprefix(_PREFIX)))
            if conversation is None or not conversation.paused:
                found.add(by)
    return found


async def standing(tx: Tx, deliveries: Sequence[Delivery]) -> Mapping[str, Conversation]:
    """Number -> the conversation in which automatic texts wait."""
    return await tx.conversations.paused([d.address for d in deliveries if d.channel is Channel.SMS])


def wait_for(
    delivery: Delivery, notification: Notification, paused: Mapping[str, Conversation]
) -> Wait | None:
    """What goes by itself waits; what a colleague writes, or a subscriber is told at once, does not."""
    conversation = paused.get(delivery.address) if delivery.channel is Channel.SMS else None
    if conversation is None or notification.kind in _ANSWERS:
        return None
    return Wait(SENTENCE, held_by(conversation))
