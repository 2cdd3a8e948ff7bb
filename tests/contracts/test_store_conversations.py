"""What was said by text: one open conversation a number, lines once, drafts apart; on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from notifier.outbox import email, text
from store.models import Channel, Conversation, ConversationLine, Said
from store.types import new_id
from store.unit import Store
from tests.builders import draft, outbox
from tests.conftest import FakeClock, OpenStore

NUMBER, SENDER = "+15415550142", "+15415550100"


async def opened(store: Store, number: str = NUMBER, tenant: int = 1) -> Conversation:
    async with store.begin(tenant) as tx:
        conversation, _ = await tx.conversations.open(number, SENDER)
    return conversation


async def said(
    store: Store, conversation: Conversation, body: str, once: str, kind: Said = Said.IN, author: str = ""
) -> ConversationLine | None:
    async with store.begin(1) as tx:
        return await tx.conversations.say(conversation.id, kind, body, once=once, author=author)


async def test_a_number_continues_its_open_conversation(store: Store) -> None:
    async with store.begin(1) as tx:
        first, new = await tx.conversations.open(NUMBER, SENDER)
    async with store.begin(1) as tx:
        again, newer = await tx.conversations.open(NUMBER, SENDER)
    assert (new, newer) == (True, False)
    assert first == again
    assert (await opened(store, "+15415550143")).id != first.id
    assert (await opened(store, tenant=2)).id != first.id


async def test_after_closing_the_next_text_opens_another(store: Store) -> None:
    first = await opened(store)
    async with store.begin(1) as tx:
        assert await tx.conversations.close(first.id, "U_AGENT")
        assert not await tx.conversations.close(first.id, "U_LEAD")
        closed = await tx.conversations.get(first.id)
    assert closed is not None
    assert (closed.closed_by, closed.closed_at) == ("U_AGENT", store.clock())
    assert (await opened(store)).id != first.id


async def test_two_processes_open_one_conversation(
    database_url: str, open_store: OpenStore, store: Store
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("one process, one writer")
    stores = [store, *[await open_store(database_url) for _ in range(3)]]
    found = await asyncio.gather(*(opened(one) for one in stores for _ in range(4)))
    assert len({conversation.id for conversation in found}) == 1


async def test_what_made_a_line_makes_it_once(store: Store) -> None:
    conversation = await opened(store)
    first = await said(store, conversation, "I already paid", "SM1")
    assert first is not None
    assert await said(store, conversation, "I already paid", "SM1") is None
    async with store.read(1) as tx:
        assert await tx.conversations.lines(conversation.id) == [first]
        assert await tx.conversations.line_once("SM1") == first
        assert await tx.conversations.line(first.id) == first
    async with store.read(2) as tx:
        assert await tx.conversations.line_once("SM1") is None
        assert await tx.conversations.lines(conversation.id) == []


async def test_lines_are_read_in_the_order_in_which_they_were_said(store: Store) -> None:
    conversation = await opened(store)
    for number in range(12):
        await said(store, conversation, f"text {number}", f"SM{number}")
    async with store.read(1) as tx:
        newest = await tx.conversations.lines(conversation.id, 3)
        third = await tx.conversations.nth_newest(conversation.id, 3)
        assert await tx.conversations.nth_newest(conversation.id, 13) is None
    assert [line.body for line in newest] == ["text 9", "text 10", "text 11"]
    assert third is not None
    assert third.body == "text 9"


async def test_drafts_are_nobody_s_line_and_can_be_dropped(store: Store, clock: FakeClock) -> None:
    conversation = await opened(store)
    clock.advance(minutes=1)
    shown = await said(store, conversation, "shown before sending", "i-1:draft", Said.DRAFT, "U_AGENT")
    note = await said(store, conversation, "a note", "i-2:note", Said.NOTE, "U_AGENT")
    assert shown is not None
    assert note is not None
    async with store.begin(1) as tx:
        assert await tx.conversations.lines(conversation.id) == []
        await tx.conversations.drop_draft(shown.id)
        await tx.conversations.drop_draft(note.id)
        assert await tx.conversations.line(shown.id) is None
        assert await tx.conversations.line(note.id) == note


async def test_what_is_asked_and_chosen_is_remembered(store: Store) -> None:
    conversation = await opened(store)
    choices = (new_id(), new_id())
    async with store.begin(1) as tx:
        await tx.conversations.asked(conversation.id, choices)
        asked = await tx.conversations.get(conversation.id)
        await tx.conversations.about(conversation.id, choices[1])
        chosen = await tx.conversations.get(conversation.id)
        assert [c.id for c in await tx.conversations.open_of(choices[1])] == [conversation.id]
        assert await tx.conversations.open_of(choices[0]) == []
    assert asked is not None
    assert chosen is not None
    assert (asked.choices, asked.subscriber_id) == (choices, None)
    assert (chosen.choices, chosen.subscriber_id) == ((), choices[1])


async def test_paused_conversations_are_found_by_number_until_decided_or_closed(store: Store) -> None:
    first, second = await opened(store), await opened(store, "+15415550143")
    numbers = [NUMBER, "+15415550143", "+15415550144"]
    async with store.begin(1) as tx:
        await tx.conversations.pause(first.id, True)
        await tx.conversations.pause(second.id, True)
        assert set(await tx.conversations.paused(numbers)) == {NUMBER, "+15415550143"}
        await tx.conversations.pause(first.id, False)
        await tx.conversations.close(second.id, "U_AGENT")
        assert await tx.conversations.paused(numbers) == {}


async def test_automatic_texts_to_a_number_are_counted_across_its_conversations(
    store: Store, clock: FakeClock
) -> None:
    first = await opened(store)
    await said(store, first, "help text", "1", Said.OUT, "auto:help")
    async with store.begin(1) as tx:
        await tx.conversations.close(first.id, "U_AGENT")
    clock.advance(minutes=10)
    second = await opened(store)
    await said(store, second, "a colleague's words", "2", Said.OUT, "U_AGENT")
    await said(store, second, "balance text", "3", Said.OUT, "auto:balance")
    await said(store, await opened(store, "+15415550143"), "other phone", "4", Said.OUT, "auto:help")
    async with store.read(1) as tx:
        hour = await tx.conversations.auto_since(NUMBER, clock() - timedelta(hours=1))
        recent = await tx.conversations.auto_since(NUMBER, clock() - timedelta(minutes=5))
    assert [line.author for line in hour] == ["auto:balance", "auto:help"]
    assert [line.author for line in recent] == ["auto:balance"]


async def test_a_minute_s_texts_are_counted_with_the_last_of_them(store: Store, clock: FakeClock) -> None:
    conversation = await opened(store)
    start = clock()
    for number in range(3):
        await said(store, conversation, f"text {number}", f"SM{number}")
        clock.advance(seconds=25)
    async with store.read(1) as tx:
        count, last = await tx.conversations.came_between(
            conversation.id, start, start + timedelta(seconds=50)
        )
    assert count == 2
    assert last is not None
    assert last.body == "text 1"


async def test_posts_come_oldest_first_so_that_a_thread_reads_in_order(store: Store) -> None:
    keys = [f"line {number}" for number in range(15)]
    async with store.begin(1) as tx:
        for key in keys:
            await tx.posts.want("conversation_line", key, "C_SUPPORT")
    async with store.system() as tx:
        behind = await tx.posts.claim_behind(worker="w", lease_s=5)
    assert [post.key for post in behind] == keys


async def test_only_what_waits_for_an_address_is_found(store: Store) -> None:
    async with store.begin(1) as tx:
        drafts = [
            draft("k-1", recipients=[text(NUMBER)], sms_route="twilio"),
            draft("k-2", recipients=[text("+15415550143"), email("dana@example.com")], sms_route="twilio"),
        ]
        first, _ = await outbox().enqueue_many(tx, drafts)
        waiting = await tx.deliveries.waiting_to(Channel.SMS, NUMBER)
    assert [delivery.notification_id for delivery in waiting] == [first.notification_id]
