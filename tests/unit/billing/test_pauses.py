"""Texts to somebody whose "cancel" is not understood yet: those that go by themselves wait."""

from __future__ import annotations

from uuid import UUID

import pytest

from billing.pauses import decided, held_by
from billing.truth import BillingTruth, SendMode
from notifier.truth import Decision, Go, Wait
from store.models import Channel, Conversation, NotificationKind
from store.unit import Store
from tests.builders import delivery, notification

NUMBER, SENDER = "+15415550142", "+15415550100"


async def paused(store: Store, number: str = NUMBER) -> Conversation:
    async with store.begin(1) as tx:
        conversation, _ = await tx.conversations.open(number, SENDER)
        await tx.conversations.pause(conversation.id, True)
    return conversation


async def decide(
    store: Store, kind: NotificationKind, address: str = NUMBER, channel: Channel = Channel.SMS
) -> Decision:
    wanted = notification(kind=kind)
    pair = (delivery(address, notification_id=wanted.id, channel=channel), wanted)
    async with store.read(1) as tx:
        decisions: dict[UUID, Decision] = dict(
            await BillingTruth(lambda _: SendMode("live")).check(tx, [pair])
        )
    return decisions[pair[0].id]


@pytest.mark.parametrize("kind", list(NotificationKind))
async def test_what_goes_by_itself_waits_and_answers_do_not(store: Store, kind: NotificationKind) -> None:
    conversation = await paused(store)
    decision = await decide(store, kind)
    if kind in (NotificationKind.REPLY, NotificationKind.AUTO_REPLY, NotificationKind.ONCALL):
        assert isinstance(decision, Go)
    else:
        assert isinstance(decision, Wait)
        assert decision.by == held_by(conversation)
        assert len(decision.by) <= 80


async def test_other_numbers_mail_and_decided_conversations_do_not_wait(store: Store) -> None:
    conversation = await paused(store)
    assert isinstance(await decide(store, NotificationKind.REMINDER, "+15415550143"), Go)
    mail = await decide(store, NotificationKind.REMINDER, "dana@inbox.example", Channel.EMAIL)
    assert isinstance(mail, Go)
    async with store.begin(1) as tx:
        await tx.conversations.pause(conversation.id, False)
    assert isinstance(await decide(store, NotificationKind.REMINDER), Go)


async def test_who_holds_for_a_conversation_that_was_decided_meanwhile_is_named(store: Store) -> None:
    waiting, over = await paused(store), await paused(store, "+15415550143")
    async with store.begin(1) as tx:
        await tx.conversations.pause(over.id, False)
        holders = [held_by(waiting), held_by(over), "hold:1001", "send_mode"]
        assert await decided(tx, holders) == {held_by(over)}
