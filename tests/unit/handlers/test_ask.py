"""Asking by text whether an address is right, on both databases: asked once, answered, mended, sent again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.truth import BillingTruth, SendMode
from handlers.contract import Services
from handlers.reply import Reply, To, UserError
from handlers.talk_view import went_out
from handlers.workflows.address_questions import QUESTION_SURFACE, sweep
from handlers.workflows.conversations import LINE_SURFACE, by_itself
from notifier.tracking import FOLLOWED_BY, TEXT_SURFACE
from notifier.truth import Go, Stop
from store.models import (
    AddressQuestion,
    Channel,
    Confidence,
    EventKind,
    EventSource,
    NotificationKind,
    Priority,
    QuestionState,
    Reason,
    Said,
    SubscriberStatus,
)
from store.types import new_id
from tests.builders import billing_email, event, mobile
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.support import Agent, buttons, golden, said
from tests.unit.handlers.texting import PHONE, Texting, texting

NOON = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
OLD, NEW = "kevin.obrien@gmial.com", "kevin.obrien@gmail.com"
YES = f"Cascade Fiber: thank you. We send your invoice 20042 to {NEW} now."


@dataclass
class Asking:
    desk: Texting
    agent: Agent
    kevin: UUID

    async def preview(self, what: str = "1042") -> Reply:
        return await self.agent.types(f"ask {what}")

    async def asks(self) -> AddressQuestion:
        """Pressed, and the text has left."""
        await self.agent.presses(await self.preview(), "ask.send")
        await self.leaves()
        return await self.question()

    async def leaves(self, kind: EventKind = EventKind.ACCEPTED) -> None:
        question = await self.question()
        async with self.desk.store.read(1) as tx:
            found = await tx.deliveries.of_notifications([question.notification_id])
        (text,) = found[question.notification_id]
        await cast.learn(
            self.desk.store,
            event(
                text.id, kind, attempt=0, source=EventSource.WEBHOOK, confidence=Confidence.HANDED_TO_RELAY
            ),
        )

    async def question(self) -> AddressQuestion:
        async with self.desk.store.read(1) as tx:
            return (await tx.questions.of_subscribers([self.kevin]))[0]

    async def emails(self) -> list[str]:
        async with self.desk.store.read(1) as tx:
            points = (await tx.subscribers.points([self.kevin]))[self.kevin]
        return [p.address for p in points if p.channel is Channel.EMAIL]

    async def card(self) -> Reply:
        return await self.desk.drawn(QUESTION_SURFACE, str((await self.question()).id))

    async def mails(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.desk.store.read(1) as tx:
            waiting = await tx.deliveries.waiting_to(Channel.EMAIL, NEW)
            found = await tx.notifications.get_many([d.notification_id for d in waiting])
        return [(n.requested_by, dict(n.context)) for n in found.values()]


@pytest.fixture
async def asking(services: Services, clock: FakeClock) -> Asking:
    clock.now = NOON
    desk = texting(services)
    points = (billing_email(OLD), mobile(PHONE))
    kevin = await cast.add(desk.store, "1042", *points, name="Kevin O'Brien", invoices=("20042",))
    return Asking(desk, desk.agent(), kevin)


async def test_the_preview_shows_the_exact_words_their_cost_and_what_a_yes_does(asking: Asking) -> None:
    preview = await asking.preview()
    golden("ask_preview", preview)
    shown = said(preview)
    assert f"Cascade Fiber: is {NEW} your e-mail address? Reply YES or NO" in shown
    for part in ("1 segment", "$0.0079", "12:00 PM", "sends invoice 20042", PHONE, OLD):
        assert part in shown
    assert await asking.desk.queued() == [], "a preview sends nothing"


async def test_it_is_asked_in_the_subscriber_s_language(services: Services, clock: FakeClock) -> None:
    clock.now = NOON
    desk = texting(services)
    await cast.add(desk.store, "1042", billing_email(OLD), mobile(PHONE), language="es")
    assert f"¿es {NEW} su correo? Responda SI o NO" in said(await desk.agent().types("ask 1042"))


async def test_pressed_twice_it_is_asked_once_and_a_card_follows_it(asking: Asking) -> None:
    preview = await asking.preview()
    first = await asking.agent.presses(preview, "ask.send")
    assert (first.to, "Asked." in said(first)) == (To.REPLACE, True)
    assert "asked already" in said(await asking.agent.presses(preview, "ask.send"))
    ((notification, delivery),) = await asking.desk.queued()
    question = await asking.question()
    assert notification.kind is NotificationKind.ADDRESS_QUESTION
    assert notification.id == question.notification_id
    assert notification.invoice_id is None, "it is no attempt to bring the invoice"
    assert delivery.priority is Priority.NORMAL
    assert [p.key for p in await asking.desk.posts() if p.surface == QUESTION_SURFACE] == [str(question.id)]
    card = said(await asking.card())
    assert "Not asked yet" in card
    assert OLD not in card
    assert PHONE not in card
    with pytest.raises(UserError, match="has not got through to them yet"):
        await asking.preview()
    await asking.leaves()
    with pytest.raises(UserError, match="have not answered yet"):
        await asking.preview()


async def test_run_again_after_a_crash_it_asks_nothing_twice(asking: Asking) -> None:
    press = asking.agent.press(await asking.preview(), "ask.send")
    assert "Asked." in said(await asking.agent.run(press))
    assert "Asked." in said(await asking.agent.run(press))
    assert len(await asking.desk.queued()) == 1


async def test_a_yes_mends_the_address_and_sends_the_invoice_again(asking: Asking) -> None:
    question = await asking.asks()
    await asking.desk.texts("Yes, thank you!")
    assert await asking.emails() == [NEW]
    ((by, context),) = await asking.mails()
    assert by == "U_AGENT"
    assert context[FOLLOWED_BY] == [QUESTION_SURFACE, str(question.id)]
    ((answer, _),) = await asking.desk.queued()
    assert answer.context["body"] == YES
    async with asking.desk.store.read(1) as tx:
        rows = {row.action: row for row in await tx.audit.of("account:1042")}
    assert rows["contact.mend"].actor == "subscriber"
    assert rows["contact.mend"].detail["asked_by"] == "U_AGENT"
    card = await asking.card()
    golden("question_confirmed", card)
    for part in ("They said yes", "Mended", "Tell billing too", "Invoice 20042 again: Queued"):
        assert part in said(card)
    assert await asking.desk.cards() == [], "nobody has to read a thread for that"

    await asking.desk.texts("yes")
    assert len(await asking.mails()) == 1, "a second yes sends no second copy"


async def test_the_same_text_delivered_twice_mends_once(asking: Asking) -> None:
    await asking.asks()
    sid = await asking.desk.texts("YES")
    await asking.desk.texts("YES", sid=sid)
    assert len(await asking.mails()) == 1


async def test_the_card_is_drawn_again_when_the_invoice_arrives(asking: Asking) -> None:
    await asking.asks()
    await asking.desk.texts("YES")
    async with asking.desk.store.read(1) as tx:
        (mail,) = await tx.deliveries.waiting_to(Channel.EMAIL, NEW)
    before = [p.wanted for p in await asking.desk.posts() if p.surface == QUESTION_SURFACE]
    accepted = event(mail.id, EventKind.DELIVERED, attempt=0, confidence=Confidence.ACCEPTED_BY_SERVER)
    await cast.learn(asking.desk.store, accepted)
    after = [p.wanted for p in await asking.desk.posts() if p.surface == QUESTION_SURFACE]
    assert after > before
    assert "Invoice 20042 again: Accepted by gmail.com's server" in said(await asking.card())


async def test_an_undo_puts_it_back_and_the_card_says_so(asking: Asking) -> None:
    await asking.asks()
    await asking.desk.texts("YES")
    await asking.agent.presses(await asking.card(), "contact.undo")
    assert await asking.emails() == [OLD]
    assert "Taken back" in said(await asking.card())


async def test_once_billing_has_the_mended_address_the_card_does_not_call_it_gone(asking: Asking) -> None:
    await asking.asks()
    await asking.desk.texts("YES")
    await cast.add(asking.desk.store, "1042", billing_email(NEW), mobile(PHONE))
    card = said(await asking.card())
    assert "is on file now, at billing too" in card
    assert "gone" not in card


async def test_another_address_mends_nothing_until_an_agent_presses(asking: Asking) -> None:
    await asking.asks()
    await asking.desk.texts("no, it is kev@inbox.example")
    assert await asking.emails() == [OLD], "whoever holds the phone could write any address"
    assert (await asking.question()).state is QuestionState.OTHER
    assert "They wrote another address" in said(await asking.card())
    (offer,) = [line for line in await asking.desk.lines() if "contact.mend" in buttons(line)]
    for drawn in (offer, await asking.card()):
        press = asking.agent.press(drawn, "contact.mend")
        answer = await asking.agent.answer(press)
        assert answer.modal is not None
        assert "kev@inbox.example" in str(answer.modal.blocks), "filled in, to be looked at"
    save = asking.agent.request(
        "contact", "mended", value=press.value, inputs={"address": "kev@inbox.example"}
    )
    await asking.agent.run(save)
    assert await asking.emails() == ["kev@inbox.example"]
    assert "mended since" in said(await asking.card())
    assert not [line for line in await asking.desk.lines() if "contact.mend" in buttons(line)]


async def test_a_no_is_told_to_the_agent_and_nothing_more_is_asked(asking: Asking) -> None:
    await asking.asks()
    await asking.desk.texts("No.")
    assert await asking.emails() == [OLD]
    assert "They said that it is not theirs" in said(await asking.card())
    assert any("is not their address" in line for line in await asking.desk.thread())
    assert await asking.desk.queued() == [], "no text answers a no"
    with pytest.raises(UserError, match="not their address"):
        await asking.preview()


async def test_anything_else_is_an_ordinary_text_and_the_question_stays_open(asking: Asking) -> None:
    await asking.asks()
    await asking.desk.texts("Who is this?")
    assert (await asking.question()).state is QuestionState.ASKED
    assert any("Who is this?" in line for line in await asking.desk.thread())
    await asking.desk.texts("yes")
    assert await asking.emails() == [NEW]


async def test_a_yes_before_the_question_has_left_answers_something_else(asking: Asking) -> None:
    await asking.agent.presses(await asking.preview(), "ask.send")
    await asking.desk.texts("yes")
    await asking.desk.texts("no")
    assert await asking.emails() == [OLD]
    assert (await asking.question()).state is QuestionState.ASKED
    assert len(await asking.desk.queued()) == 1, "it is still asked"
    await asking.leaves()
    await asking.desk.texts("yes")
    assert await asking.emails() == [NEW]


async def test_while_the_number_is_out_of_reach_a_yes_is_an_ordinary_text_and_stop_calls_it_off(
    asking: Asking,
) -> None:
    await asking.agent.presses(await asking.preview(), "ask.send")
    await asking.leaves(EventKind.DEFERRED)
    await asking.desk.texts("yes")
    assert await asking.emails() == [OLD]
    assert (await asking.question()).state is QuestionState.ASKED
    assert any("yes" in line for line in await asking.desk.thread())
    with pytest.raises(UserError, match="has not got through to them yet"):
        await asking.preview()
    await asking.desk.texts("stop texting me")
    assert (await asking.question()).state is QuestionState.STOPPED
    waiting = [n.kind for n, _ in await asking.desk.queued()]
    assert NotificationKind.ADDRESS_QUESTION not in waiting, "it is not asked any more"


async def test_in_the_channel_no_address_that_the_product_texts_stands_in_full(asking: Asking) -> None:
    await asking.asks()
    await asking.desk.texts("Who is this?")
    shown = "\n".join([*map(str, await asking.desk.lines()), *await asking.desk.cards()])
    assert "Who is this?" in shown
    await asking.desk.texts("yes")
    shown = "\n".join([*map(str, await asking.desk.lines()), *await asking.desk.cards()])
    assert "We send your invoice 20042 to k•••n@gmail.com now" in shown
    assert NEW not in shown
    conversation = await asking.desk.conversation()
    async with asking.desk.store.begin(1) as tx:
        words = f"We have {NEW}"
        line = await tx.conversations.say(
            conversation.id, Said.OUT, words, once="typed", author="U_AGENT", notification_id=new_id()
        )
        assert line is not None
        assert not await by_itself(tx, line)
    typed = went_out(line, [], asking.desk.services.profile(1), by_itself=False)
    assert words in said(typed), "what an agent wrote stays"


async def test_the_text_of_a_question_is_masked_in_the_thread(asking: Asking) -> None:
    question = await asking.asks()
    drawn = await asking.desk.drawn(TEXT_SURFACE, str(question.notification_id))
    assert "is k•••n@gmail.com your e-mail address?" in said(drawn)
    assert NEW not in str(drawn)


async def test_whoever_corrects_themselves_is_offered_and_the_newest_address_replaces_the_others(
    asking: Asking,
) -> None:
    async def offers() -> list[str]:
        lines = [line for line in await asking.desk.lines() if "contact.mend" in buttons(line)]
        pressed = [asking.agent.press(line, "contact.mend") for line in [*lines, await asking.card()]]
        return [str(press.value["g"]) for press in pressed]

    await asking.asks()
    await asking.desk.texts("no thanks")
    await asking.desk.texts("It is Kevin.OBrien@hotmail.com")
    assert (await asking.question()).state is QuestionState.OTHER
    assert await offers() == ["kevin.obrien@hotmail.com"] * 2
    before = [p.wanted for p in await asking.desk.posts() if p.surface == LINE_SURFACE]
    await asking.desk.texts("sorry, kob@inbox.example")
    assert await offers() == ["kob@inbox.example"] * 2, "the older line offers nothing more"
    after = [p.wanted for p in await asking.desk.posts() if p.surface == LINE_SURFACE]
    assert sum(after) > sum(before) + 2, "and is drawn again"
    assert await asking.emails() == [OLD]

    press = asking.agent.press(await asking.card(), "contact.mend")
    modal = (await asking.agent.answer(press)).modal
    assert "The subscriber wrote this." in str(modal)
    assert "probably meant" not in str(modal)
    save = asking.agent.request(
        "contact", "mended", value=press.value, inputs={"address": "kob@inbox.example"}
    )
    await asking.agent.run(save)
    card = said(await asking.card())
    assert "mended since" in card
    assert "before you mend" not in card, "what is done is not advised"
    await asking.desk.texts("no, third@inbox.example")
    assert (await asking.question()).answer == "kob@inbox.example", "nothing is left to mend"


async def test_a_question_mark_confirms_nothing(asking: Asking) -> None:
    await asking.asks()
    for text in ("yes?", "Yes???", f"{NEW}?"):
        await asking.desk.texts(text)
    assert await asking.emails() == [OLD]
    assert (await asking.question()).state is QuestionState.ASKED


async def test_a_yes_to_a_question_that_never_reached_them_mends_nothing(asking: Asking) -> None:
    await asking.agent.presses(await asking.preview(), "ask.send")
    await asking.leaves(EventKind.FAILED)
    await asking.desk.texts("yes")
    assert await asking.emails() == [OLD]
    assert await asking.mails() == []


async def test_a_yes_after_a_colleague_has_texted_again_goes_to_a_person(asking: Asking) -> None:
    await asking.asks()
    conversation = await asking.desk.conversation()
    async with asking.desk.store.begin(1) as tx:
        words = "Shall we send a technician tomorrow?"
        await tx.conversations.say(conversation.id, Said.OUT, words, once="agent", author="U_AGENT")
    await asking.desk.texts("Yes")
    assert await asking.emails() == [OLD], "it may be a yes to the technician"
    assert (await asking.question()).state is QuestionState.ASKED
    async with asking.desk.store.read(1) as tx:
        lines = await tx.conversations.lines(conversation.id)
    assert "may answer either" in lines[-1].body
    await asking.desk.texts(f"yes, {NEW}")
    assert await asking.emails() == [NEW], "written out there is no doubt"


async def test_a_question_that_waits_is_never_read_by_whom_the_number_moved_to(
    asking: Asking, clock: FakeClock
) -> None:
    clock.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    await asking.agent.presses(await asking.preview(), "ask.send")
    await cast.add(asking.desk.store, "1042", billing_email(OLD))
    await cast.add(asking.desk.store, "1043", mobile(PHONE))
    await asking.desk.texts("yes")
    await sweep(asking.desk.services, 1)
    assert (await asking.question()).state is QuestionState.OVERTAKEN
    assert await asking.desk.queued() == [], "a stranger is not told the address"


async def test_an_invoice_that_somebody_else_pays_by_now_does_not_go_to_whom_was_asked(
    asking: Asking,
) -> None:
    store = asking.desk.store
    await cast.add(store, "1050", payer_account="1042", invoices=("20050",))
    await asking.agent.presses(await asking.preview("invoice 20050"), "ask.send")
    await asking.leaves()
    await cast.add(store, "1043", billing_email("new.payer@inbox.example"))
    await cast.add(store, "1050", payer_account="1043")
    await asking.desk.texts("yes")
    assert await asking.emails() == [NEW]
    assert await asking.mails() == []


async def test_stop_always_wins(asking: Asking) -> None:
    await asking.asks()
    await asking.desk.texts("STOP")
    assert (await asking.question()).state is QuestionState.STOPPED
    await asking.desk.texts("YES")
    assert await asking.emails() == [OLD], "that YES was Twilio's own word for opting in again"
    assert "opted out of texts instead" in said(await asking.card())


async def test_an_address_mended_meanwhile_overtakes_the_question(asking: Asking) -> None:
    await asking.asks()
    value = {"s": str(asking.kevin)}
    await asking.agent.run(
        asking.agent.request("contact", "mended", value=value, inputs={"address": "kev@inbox.example"})
    )
    assert (await asking.question()).state is QuestionState.OVERTAKEN
    await asking.desk.texts("yes")
    assert await asking.emails() == ["kev@inbox.example"]
    assert await asking.mails() == []


async def test_an_agent_who_mends_at_the_moment_of_the_yes_and_the_yes_end_in_one_address(
    asking: Asking,
) -> None:
    await asking.asks()
    value = {"s": str(asking.kevin)}
    mend = asking.agent.request("contact", "mended", value=value, inputs={"address": "kev@inbox.example"})
    done = await asyncio.gather(asking.agent.run(mend), asking.desk.texts("yes"), return_exceptions=True)
    assert not [one for one in done if isinstance(one, Exception) and not isinstance(one, UserError)]
    emails, question = await asking.emails(), await asking.question()
    assert len(emails) == 1
    assert question.state in (QuestionState.OVERTAKEN, QuestionState.CONFIRMED)
    confirmed = question.state is QuestionState.CONFIRMED
    assert len(await asking.mails()) == confirmed, "an overtaken yes sends nothing"


async def test_a_number_that_came_to_somebody_else_too_confirms_nothing(asking: Asking) -> None:
    await asking.asks()
    await cast.add(asking.desk.store, "1043", mobile(PHONE))
    await asking.desk.texts("yes")
    assert await asking.emails() == [OLD]
    assert (await asking.question()).state is QuestionState.OVERTAKEN


async def test_after_three_days_a_yes_is_an_ordinary_text(asking: Asking, clock: FakeClock) -> None:
    await asking.asks()
    await asking.leaves(EventKind.DELIVERED)
    assert "Asked, no answer so far" in said(await asking.card())
    clock.now += timedelta(days=3, seconds=1)
    await asking.desk.texts("yes")
    assert await asking.emails() == [OLD]
    assert await sweep(asking.desk.services, 1) == 1
    assert await sweep(asking.desk.services, 1) == 0
    assert "No answer in three days" in said(await asking.card())
    await asking.asks()


async def test_an_import_that_changes_the_address_ends_the_question(asking: Asking) -> None:
    await asking.asks()
    await cast.add(asking.desk.store, "1042", billing_email("kev@inbox.example"), mobile(PHONE))
    assert await sweep(asking.desk.services, 1) == 1
    assert (await asking.question()).state is QuestionState.OVERTAKEN


async def test_in_quiet_hours_it_waits_for_the_morning_and_says_so(asking: Asking, clock: FakeClock) -> None:
    clock.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    preview = await asking.preview()
    assert "Waits until 9:00 AM their time" in said(preview)
    press = asking.agent.press(preview, "ask.send")
    for _ in range(2):  # once more after a crash
        assert "They will be asked at 9:00 AM their time." in said(await asking.agent.run(press))
    with pytest.raises(UserError, match="The question waits until 9:00 AM their time"):
        await asking.preview()
    await asking.desk.texts("yes")
    assert await asking.emails() == [OLD], "nobody has asked them yet"
    ((_, delivery),) = await asking.desk.queued()
    assert delivery.due_at == datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
    assert "Goes out at Mar 2, 2026, 9:00:00 AM PST" in said(await asking.card()).replace("\u202f", " ")
    assert (await asking.question()).expires_at == datetime(2026, 3, 5, 17, 0, tzinfo=UTC)


async def test_a_question_that_waits_for_the_morning_is_called_off_when_the_address_is_mended(
    asking: Asking, clock: FakeClock
) -> None:
    clock.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    await asking.agent.presses(await asking.preview(), "ask.send")
    value = {"s": str(asking.kevin)}
    mend = asking.agent.request("contact", "mended", value=value, inputs={"address": "kev@inbox.example"})
    await asking.agent.run(mend)
    assert await asking.desk.queued() == [], "nobody is woken about what is done"
    assert "The question was over before it was asked" in said(await asking.card())


async def test_right_before_it_leaves_a_question_that_an_import_has_settled_is_stopped(
    asking: Asking,
) -> None:
    async def decided() -> object:
        async with asking.desk.store.begin(1) as tx:
            return (await truth.check(tx, [(text, notification)]))[text.id]

    truth = BillingTruth(lambda tenant: SendMode("live"))
    await asking.agent.presses(await asking.preview(), "ask.send")
    ((notification, text),) = await asking.desk.queued()
    assert await decided() == Go()
    await cast.add(asking.desk.store, "1042", billing_email("kev@inbox.example"), mobile(PHONE))
    stop = await decided()
    assert isinstance(stop, Stop)
    assert (stop.kind, stop.reason) == (EventKind.CANCELLED, Reason.STALE)


async def test_a_question_that_does_not_reach_the_phone_says_so_and_ends(asking: Asking) -> None:
    await asking.agent.presses(await asking.preview(), "ask.send")
    ((_, text),) = await asking.desk.queued()
    lost = {"attempt": 0, "cls": "sms_unreachable", "reply_code": "30003", "diagnostic": "undelivered 30003"}
    await cast.learn(asking.desk.store, event(text.id, EventKind.BOUNCED, **lost))
    card = said(await asking.card())
    assert "The question did not reach the phone" in card
    assert "no answer" not in card
    assert await sweep(asking.desk.services, 1) == 1
    assert "The question did not reach the phone" in said(await asking.card())
    await asking.asks()


@pytest.mark.parametrize(
    ("points", "more", "sentence"),
    [
        ((), {}, "no number that can be texted"),
        ((mobile("", problem="It is a landline."),), {}, "no number that can be texted"),
        ((mobile(PHONE),), {"status": SubscriberStatus.ARCHIVED}, "archived"),
    ],
)
async def test_whoever_cannot_be_asked_is_refused_kindly(
    services: Services, clock: FakeClock, points: Any, more: dict[str, Any], sentence: str
) -> None:
    clock.now = NOON
    desk = texting(services)
    await cast.add(desk.store, "1042", billing_email(OLD), *points, **more)
    with pytest.raises(UserError, match=sentence):
        await desk.agent().types("ask 1042")


async def test_a_number_of_two_accounts_is_not_told_an_address_of_one(asking: Asking) -> None:
    await cast.add(asking.desk.store, "1043", mobile(PHONE))
    with pytest.raises(UserError, match="is on account 1043 too"):
        await asking.preview()


async def test_whoever_opted_out_is_not_asked_also_when_it_was_between_preview_and_press(
    asking: Asking,
) -> None:
    preview = await asking.preview()
    await asking.desk.texts("stop texting me")
    with pytest.raises(UserError, match="opted out of texts"):
        await asking.agent.presses(preview, "ask.send")
    with pytest.raises(UserError, match="by text: that number opted out of texts"):
        await asking.preview()


async def test_an_address_without_a_slip_leaves_nothing_to_ask(services: Services) -> None:
    desk = texting(services)
    await cast.dana(desk.store)
    with pytest.raises(UserError, match="nothing to ask"):
        await desk.agent().types("ask 1001")


@pytest.mark.parametrize(
    ("points", "more", "advice"),
    [
        ((mobile(PHONE),), {}, "isp text 1042"),
        ((mobile(PHONE),), {"status": SubscriberStatus.ARCHIVED}, "Call them instead."),
        ((mobile("", problem="It is a landline."),), {}, "Call them instead."),
        ((), {}, "Call them instead."),
    ],
)
async def test_where_nothing_is_to_be_asked_a_text_is_advised_only_where_one_can_go(
    services: Services, points: Any, more: dict[str, Any], advice: str
) -> None:
    desk = texting(services)
    await cast.add(desk.store, "1042", billing_email("kevin@inbox.example"), *points, **more)
    with pytest.raises(UserError, match="nothing to ask") as refused:
        await desk.agent().types("ask 1042")
    assert advice in refused.value.next_step
    if not more and advice != "Call them instead.":
        await desk.texts("stop texting me")
        with pytest.raises(UserError) as refused:
            await desk.agent().types("ask 1042")
        assert refused.value.next_step == "Call them instead."


async def test_a_suggestion_that_bounced_before_is_not_asked_about(asking: Asking) -> None:
    await cast.suppress(asking.desk.store, NEW)
    with pytest.raises(UserError, match="do-not-send list"):
        await asking.preview()
