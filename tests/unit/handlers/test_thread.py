"""In a conversation's thread: notes that are never sent, and texts that leave from a preview, once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from billing.pauses import held_by
from handlers.contract import CommandRequest, NotYet, Services
from handlers.intents import REMOVED_CARD
from handlers.profile import Role
from handlers.reply import Reply, To, UserError
from notifier.outbox import text as to_number
from notifier.tracking import Report, record
from store.models import (
    Channel,
    ConsentState,
    EventKind,
    NotificationKind,
    Priority,
    Said,
    Stage,
)
from tests.builders import draft, event, mobile, outbox, take, usd
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.support import Agent, buttons, golden, legal, said
from tests.unit.handlers.texting import PHONE, Texting, texting

NOON = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)  # noon in Oregon


@pytest.fixture
async def desk(services: Services, clock: FakeClock) -> Texting:
    clock.now = NOON
    found = texting(services)
    await cast.dana(found.store)
    await found.texts("I already paid")
    return found


@pytest.fixture
async def thread_ts(desk: Texting) -> str:
    return await desk.shown((await desk.conversation()).id)


async def notes(agent: Agent, words: str, thread_ts: str) -> list[Reply]:
    value = {"thread_ts": thread_ts, "ts": "1750000001.000200"}
    request = agent.request("thread", "said", text=words, value=value)
    command = agent.commands["thread"]
    answer = await command.answer(request, agent.services)
    found = [] if answer.done else await command.run(request, agent.services)
    return [legal(reply) for reply in found if isinstance(reply, Reply)]


async def writes(agent: Agent, card: Reply, words: str) -> tuple[Reply, CommandRequest]:
    """Presses Reply, writes, submits; gives the preview and the submission."""
    answer = await agent.answer(agent.press(card, "thread.reply"))
    assert answer.modal is not None
    value = json.loads(json.dumps(dict(answer.modal.carry or {})))
    submission = agent.request("thread", "written", value=value, inputs={"words": words})
    return await agent.run(submission), submission


async def test_a_note_stays_in_the_team_and_says_so(desk: Texting, thread_ts: str) -> None:
    agent = desk.agent()
    (reply,) = await notes(agent, "he really did pay, I see it in the bank", thread_ts)
    assert "Not sent. Team only." in said(reply)
    assert set(buttons(reply)) == {"thread.as_text"}
    assert await desk.sent() == []
    conversation = await desk.conversation()
    async with desk.store.read(1) as tx:
        (note,) = await tx.conversations.lines(conversation.id, said=(Said.NOTE,))
    assert (note.body, note.author) == ("he really did pay, I see it in the bank", "U_AGENT")


async def test_a_note_below_a_card_that_was_just_posted_waits_until_that_is_known(
    desk: Texting,
) -> None:
    conversation = await desk.conversation()
    async with desk.store.system() as tx:
        taken = await tx.posts.claim_behind(worker="bot", lease_s=60.0)
        (card,) = (post for post in taken if post.key == str(conversation.id))
    assert await notes(desk.agent(), "not one of ours", "1.1") == [], "no card was posted yet"
    async with desk.store.system() as tx:
        await tx.posts.about_to_post(card)
    with pytest.raises(NotYet):
        await notes(desk.agent(), "he paid", "1750000000.000100")
    async with desk.store.system() as tx:
        later = tx.now
        await tx.posts.shown(
            card, ts="1750000000.000100", revision=card.wanted, channel="C_SUPPORT", next_edit=later
        )
    (reply,) = await notes(desk.agent(), "he paid", "1750000000.000100")
    assert "Not sent. Team only." in said(reply)
    assert await notes(desk.agent(), "somebody else's thread", "1.1") == []


async def test_a_note_that_runs_twice_is_one_note(desk: Texting, thread_ts: str) -> None:
    agent = desk.agent()
    request = agent.request("thread", "said", text="a note", value={"thread_ts": thread_ts, "ts": "1.2"})
    first, second = await agent.run(request), await agent.run(request)
    assert first == second
    conversation = await desk.conversation()
    async with desk.store.read(1) as tx:
        assert len(await tx.conversations.lines(conversation.id, said=(Said.NOTE,))) == 1


CARD = "4111 1111 1111 1111"


async def test_a_card_number_in_a_note_is_not_kept_and_cannot_be_sent(desk: Texting, thread_ts: str) -> None:
    agent = desk.agent()
    (reply,) = await notes(agent, f"read to me: {CARD}", thread_ts)
    conversation = await desk.conversation()
    async with desk.store.read(1) as tx:
        (note,) = await tx.conversations.lines(conversation.id, said=(Said.NOTE,))
    assert note.body == f"read to me: {REMOVED_CARD}"
    assert "It is not kept here: *delete your message*" in said(reply), "Slack still shows it"
    with pytest.raises(UserError, match="card number"):
        await agent.presses(reply, "thread.as_text")


@pytest.mark.parametrize("callback", ["thread.written", "text.written"])
async def test_a_card_number_in_the_dialog_is_refused_there(desk: Texting, callback: str) -> None:
    agent = desk.agent()
    command, _, action = callback.partition(".")
    value = {"c": str((await desk.conversation()).id)}
    answer = await agent.answer(agent.request(command, action, value=value, inputs={"words": f"pay {CARD}"}))
    assert answer.errors is not None
    assert "card number" in answer.errors.errors["words"]
    fine = await agent.answer(agent.request(command, action, value=value, inputs={"words": "Thank you"}))
    assert fine.errors is None
    assert not fine.done


async def test_other_threads_and_strangers_are_left_alone(desk: Texting, thread_ts: str) -> None:
    assert await notes(desk.agent(), "about lunch", "1750000009.000900") == []
    assert await notes(desk.agent(Role.NONE, "U_OUTSIDER"), "hello", thread_ts) == []


async def test_a_viewer_notes_and_does_not_send(desk: Texting, thread_ts: str) -> None:
    (reply,) = await notes(desk.agent(Role.VIEWER, "U_VIEWER"), "seen", thread_ts)
    assert buttons(reply) == {}
    spec = desk.agent().commands["thread"].spec
    assert spec.needs("send") is Role.AGENT
    assert spec.needs("as_text") is Role.AGENT
    assert spec.needs("said") is Role.NONE


async def test_reply_is_previewed_exactly_with_segments_price_time_and_who(desk: Texting) -> None:
    preview, _ = await writes(desk.agent(), await desk.card(), "Thank you, it is here. Sorry!")
    text = said(preview)
    assert "Cascade Fiber: Thank you, it is here. Sorry!" in text
    assert "1 segment* · $0.0079" in text
    assert "It is *12:00 PM* where they live (Los Angeles)" in text
    assert "•••• 0142 · Dana W. · account *1001*" in text
    assert PHONE not in text
    assert set(buttons(preview)) == {"thread.send", "thread.edit", "thread.cancel"}
    assert await desk.sent() == [], "a preview sends nothing"


async def test_accents_that_make_it_dearer_show_both_prices(desk: Texting) -> None:
    preview, _ = await writes(desk.agent(), await desk.card(), "Su pago llegó. Muchísimas gracias. " * 3)
    text = said(preview)
    assert "2 segments* · $0.0158 because of ó í" in text
    assert "Without accents it is 1 segment · $0.0079" in text


async def test_night_is_warned_about(desk: Texting, clock: FakeClock) -> None:
    clock.advance(hours=10)
    preview, _ = await writes(desk.agent(), await desk.card(), "Good night")
    assert "Outside 09:00 to 20:00" in said(preview)


async def test_send_texts_once_however_often_it_is_pressed(desk: Texting) -> None:
    agent = desk.agent()
    preview, _ = await writes(agent, await desk.card(), "Thank you!")
    first = await agent.presses(preview, "thread.send")
    second = await agent.presses(preview, "thread.send")
    assert "On its way" in said(first)
    assert first.to is To.REPLACE
    assert "one text went out, not two" in said(second)
    ((notification, delivery),) = await desk.queued()
    assert notification.kind is NotificationKind.REPLY
    assert notification.priority is Priority.URGENT
    assert notification.requested_by == "U_AGENT"
    assert (delivery.address, delivery.route) == (PHONE, "twilio")
    thread = await desk.thread()
    assert sum("Cascade Fiber: Thank you!" in line for line in thread) == 1


async def test_two_who_press_at_once_send_once(desk: Texting) -> None:
    agent, lead = desk.agent(), desk.agent(Role.LEAD, "U_LEAD")
    preview, _ = await writes(agent, await desk.card(), "Thank you!")
    replies = await asyncio.gather(
        agent.presses(preview, "thread.send"), lead.presses(preview, "thread.send")
    )
    assert len(await desk.queued()) == 1
    assert sorted("not two" in said(reply) for reply in replies) == [False, True]


async def test_sent_text_s_line_follows_its_delivery(desk: Texting) -> None:
    agent = desk.agent()
    preview, _ = await writes(agent, await desk.card(), "Thank you!")
    await agent.presses(preview, "thread.send")
    (posted,) = [p for p in await desk.posts() if p.surface == "conversation_text"]
    ((_, delivery),) = await desk.queued()
    async with desk.store.begin(1) as tx:
        failed = event(delivery.id, EventKind.FAILED, attempt=0)
        await record(tx, [Report(1, failed)])
    (again,) = [p for p in await desk.posts() if p.surface == "conversation_text"]
    assert again.wanted > posted.wanted
    assert "Not sent" in said(await desk.drawn(again.surface, again.key))


async def test_cancelled_preview_sends_nothing(desk: Texting) -> None:
    agent = desk.agent()
    preview, _ = await writes(agent, await desk.card(), "Thank you!")
    await agent.presses(preview, "thread.cancel")
    with pytest.raises(UserError, match="cancelled or edited"):
        await agent.presses(preview, "thread.send")
    assert await desk.sent() == []


async def test_edited_preview_replaces_the_one_before(desk: Texting) -> None:
    agent = desk.agent()
    preview, _ = await writes(agent, await desk.card(), "Thank you")
    answer = await agent.answer(agent.press(preview, "thread.edit"))
    assert answer.modal is not None
    assert answer.modal.blocks[0]["element"]["initial_value"] == "Thank you"
    value = json.loads(json.dumps(dict(answer.modal.carry or {})))
    newer = await agent.run(agent.request("thread", "written", value=value, inputs={"words": "Thanks a lot"}))
    with pytest.raises(UserError, match="cancelled or edited"):
        await agent.presses(preview, "thread.send")
    await agent.presses(newer, "thread.send")
    assert await desk.sent() == ["Thanks a lot"]


async def test_submission_that_runs_twice_keeps_one_draft(desk: Texting) -> None:
    agent = desk.agent()
    preview, submission = await writes(agent, await desk.card(), "Thank you!")
    again = await agent.run(submission)
    assert buttons(preview) == buttons(again)


async def test_note_can_be_made_a_text(desk: Texting, thread_ts: str) -> None:
    agent = desk.agent()
    (noted,) = await notes(agent, "We got it on Friday, thank you", thread_ts)
    preview = await agent.presses(noted, "thread.as_text")
    assert "Cascade Fiber: We got it on Friday, thank you" in said(preview)
    assert buttons(preview)["thread.send"]["thread_ts"] == thread_ts
    await agent.presses(preview, "thread.send")
    assert await desk.sent() == ["We got it on Friday, thank you"]


async def test_opted_out_since_the_preview_is_refused_at_the_press(desk: Texting) -> None:
    agent = desk.agent()
    card = await desk.card()
    preview, _ = await writes(agent, card, "Thank you!")
    await desk.texts("STOP")
    with pytest.raises(UserError, match="opted out of texts"):
        await agent.presses(preview, "thread.send")
    assert await desk.sent() == []
    with pytest.raises(UserError, match="opted out of texts"):
        await agent.answer(agent.press(card, "thread.reply"))


async def test_closed_since_the_preview_is_refused_at_the_press(desk: Texting) -> None:
    agent = desk.agent()
    card = await desk.card()
    preview, _ = await writes(agent, card, "Thank you!")
    closing = agent.press(card, "thread.close")
    await agent.commands["thread"].run(closing, agent.services)
    with pytest.raises(UserError, match="conversation is closed"):
        await agent.presses(preview, "thread.send")
    assert await desk.sent() == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("   ", "nothing to send"),
        ("your card 4242 4242 4242 4242 was charged", "card number"),
        ("x" * 1595, "characters longer than a text can be"),
    ],
)
async def test_what_cannot_leave_is_said_in_words(desk: Texting, words: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        await writes(desk.agent(), await desk.card(), words)


async def test_closing_shows_on_the_card_and_the_next_text_opens_another(desk: Texting) -> None:
    agent = desk.agent()
    first = await desk.conversation()
    closing = agent.press(await desk.card(), "thread.close")
    for _ in range(2):  # run again after a crash
        assert await agent.commands["thread"].run(closing, agent.services) == []
    (card,) = await desk.cards()
    assert "Closed by <@U_AGENT>" in card
    await desk.texts("one more thing")
    assert (await desk.conversation()).id != first.id


@pytest.mark.parametrize(("what", "out"), [("texts", True), ("service", False)])
async def test_what_cancel_meant_is_decided_once(desk: Texting, what: str, out: bool) -> None:
    agent = desk.agent()
    await desk.texts("cancel my internet")
    question = (await desk.lines())[-1]
    press = agent.press(question, f"thread.{what}")
    thread = agent.commands["thread"]
    assert await thread.run(press, agent.services) == []
    async with desk.store.read(1) as tx:
        consents = await tx.consents.current([(Channel.SMS, PHONE)])
    assert (consents.get((Channel.SMS, PHONE)) is not None) is out
    if out:
        assert consents[(Channel.SMS, PHONE)].state is ConsentState.WITHDRAWN
        assert "you get no more texts" in (await desk.sent())[0]
    assert len(await desk.sent()) == int(out)
    assert not (await desk.conversation()).paused
    again = await agent.run(agent.press(question, "thread.texts"))
    assert "decided already" in said(again)
    assert not any("thread.texts" in buttons(line) for line in await desk.lines())


async def test_account_of_a_shared_number_is_chosen_in_a_dialog(desk: Texting, services: Services) -> None:
    await cast.add(desk.store, "1204", mobile("+15415550181"), name="Lucia Ibanez", balance=usd("84.95"))
    chosen = await cast.add(desk.store, "1205", mobile("+15415550181"), name="Raul Ibanez")
    await desk.texts("when do you come?", "+15415550181")
    agent = desk.agent()
    answer = await agent.answer(agent.press(await desk.card("+15415550181"), "thread.choose"))
    assert answer.modal is not None
    options = answer.modal.blocks[0]["element"]["options"]
    assert [option["text"]["text"] for option in options] == ["1204 · Lucia Ibanez", "1205 · Raul Ibanez"]
    value = json.loads(json.dumps(dict(answer.modal.carry or {})))
    submission = agent.request("thread", "chosen", value=value, inputs={"account": str(chosen)})
    await agent.commands["thread"].run(submission, agent.services)
    card = await desk.card("+15415550181")
    assert "account *1205*" in said(card)
    assert "find.open" in buttons(card)


async def test_only_an_account_with_this_number_can_be_chosen(desk: Texting) -> None:
    await cast.add(desk.store, "1204", mobile("+15415550181"))
    await cast.add(desk.store, "1205", mobile("+15415550181"))
    other = await cast.add(desk.store, "1300", mobile("+15415550190"), name="Nora Vale")
    await desk.texts("when do you come?", "+15415550181")
    agent = desk.agent()
    value = {"c": str((await desk.conversation("+15415550181")).id)}
    for account in (str(other), "not an id", ""):
        submission = agent.request("thread", "chosen", value=value, inputs={"account": account})
        with pytest.raises(UserError, match="not on that account any more"):
            await agent.commands["thread"].run(submission, agent.services)
    assert (await desk.conversation("+15415550181")).subscriber_id is None


async def test_text_command_opens_the_dialog_at_once_and_sends_from_the_same_preview(desk: Texting) -> None:
    await cast.add(desk.store, "1002", mobile("+15415550143"), name="Maria Foster")
    agent = desk.agent()
    answer = await agent.answer(agent.request("text", text="1002"))
    assert answer.done
    assert answer.modal is not None
    value = json.loads(json.dumps(dict(answer.modal.carry or {})))
    preview = await agent.run(
        agent.request("text", "written", value=value, inputs={"words": "Your technician comes at nine."})
    )
    assert "account *1002*" in said(preview)
    await agent.presses(preview, "thread.send")
    assert await desk.sent("+15415550143") == ["Your technician comes at nine."]
    assert any("Maria F. · 1002" in card for card in await desk.cards())


async def test_text_command_says_kindly_why_not(desk: Texting, services: Services) -> None:
    agent = desk.agent()
    await cast.add(desk.store, "1290", name="Ruth Whitaker")
    await desk.texts("STOP")
    for asked, sentence in (
        ("", "Whom do you want to text"),
        ("1290", "no number that can be texted"),
        ("1001", "opted out of texts"),
        ("9999", "Nobody fits"),
    ):
        request = agent.request("text", text=asked)
        answer = await agent.answer(request)
        assert answer.modal is None
        with pytest.raises(UserError, match=sentence):
            await agent.run(request)
    bare = texting(services, sms=None).agent()
    with pytest.raises(UserError, match="sends no texts"):
        await bare.run(bare.request("text", text="1001"))


async def test_text_command_asks_when_several_fit(desk: Texting) -> None:
    await cast.add(desk.store, "1003", mobile("+15415550144"), name="Dana Brook")
    agent = desk.agent()
    request = agent.request("text", text="dana")
    assert (await agent.answer(request)).modal is None
    asked = await agent.run(request)
    assert "2 subscribers fit" in said(asked)
    answer = await agent.answer(agent.press(asked, "text.open:0"))
    assert answer.modal is not None


async def test_the_card_and_a_preview_as_agents_see_them(desk: Texting) -> None:
    golden("talk_card", await desk.card())
    preview, _ = await writes(desk.agent(), await desk.card(), "Gracias, su pago llegó el viernes.")
    golden("talk_preview", preview)


@pytest.mark.parametrize("how", ["thread.service", "thread.close"])
async def test_what_waited_for_the_decision_goes_on(desk: Texting, how: str) -> None:
    await desk.texts("cancel my internet")
    async with desk.store.begin(1) as tx:
        await outbox().enqueue(tx, draft("k-9", recipients=[to_number(PHONE)], sms_route="twilio"))
    ((notification, delivery),) = await desk.queued()
    held = held_by(await desk.conversation())
    async with desk.store.system() as tx:
        (claimed,) = await take(
            tx,
            route="twilio",
            limit=5,
            worker="w",
            lease_s=30,
            retry_at=tx.now,
        )
        await tx.deliveries.hold(claimed, reason="undecided", by=held)
    agent = desk.agent()
    reply = await desk.card() if how == "thread.close" else (await desk.lines())[-1]
    await agent.commands["thread"].run(agent.press(reply, how), agent.services)
    async with desk.store.read(1) as tx:
        after = await tx.deliveries.get(delivery.id)
    assert after is not None
    assert after.stage is Stage.QUEUED
    assert notification.id == after.notification_id


async def test_stop_after_cancel_decides_it(desk: Texting) -> None:
    await desk.texts("cancel my internet")
    await desk.texts("STOP")
    assert not (await desk.conversation()).paused
    assert not any("thread.texts" in buttons(line) for line in await desk.lines())
