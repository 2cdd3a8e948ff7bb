"""What waits for a person's decision: texts while a colleague decides what "cancel" was about, and the
notices of a run that is paused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from notifier.runs import CALLED_BACK
from notifier.truth import Stop, Wait
from store.models import (
    Channel,
    Conversation,
    Delivery,
    EventKind,
    Notification,
    NotificationKind,
    Reason,
    RunState,
)
from store.run_states import PAUSED
from store.run_states import held_by as held_by_run
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
    numbers = [d.address for d in deliveries if d.channel is Channel.SMS]
    return await tx.conversations.paused(numbers) if numbers else {}


def wait_for(
    delivery: Delivery, notification: Notification, paused: Mapping[str, Conversation]
) -> Wait | None:
    """What goes by itself waits; what a colleague writes, or a subscriber is told at once, does not."""
    conversation = paused.get(delivery.address) if delivery.channel is Channel.SMS else None
    if conversation is None or notification.kind in _ANSWERS:
        return None
    return Wait(SENTENCE, held_by(conversation))


_WAITING = (RunState.WAITING, RunState.PAUSED)


def of_run(notification: Notification, states: Mapping[UUID, RunState]) -> Wait | Stop | None:
    """Those of a paused run wait (notifier.runs lets them go); those of a cancelled one are not sent."""
    state = states.get(notification.run_id) if notification.run_id else None
    if state is RunState.CANCELLED:
        return Stop(EventKind.CANCELLED, Reason.OPERATOR, CALLED_BACK)
    if state in _WAITING and notification.run_id is not None:
        return Wait(PAUSED, held_by_run(notification.run_id))
    return None
