"""Conversations by text: their thread in the support channel, what is shown there, and answering them.

A thread is wanted when a person is needed; what answers itself stays out of the channel until then. A text
is sent from its preview only, once, and checked again at the press.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from billing.pauses import held_by
from handlers.contract import CommandRequest, Services, audit
from handlers.intents import REMOVED_CARD, redact_cards
from handlers.profile import TenantProfile
from handlers.reply import Answer, FieldErrors, UserError
from handlers.reply_texts import Auto, text_of
from handlers.talk import ASK_CANCEL, Talk, TextPlan
from handlers.workflows.optouts import OPTED_OUT, opted_out
from notifier import templates
from notifier.contexts import brand_context
from notifier.local_time import is_open, zones_of
from notifier.outbox import Draft
from notifier.outbox import text as to_number
from notifier.sms_text import count_segments
from notifier.tracking import TEXT_SURFACE
from store.models import (
    AUTO,
    Channel,
    Conversation,
    ConversationLine,
    Invoice,
    InvoiceStatus,
    NotificationKind,
    Post,
    Priority,
    Said,
    Subscriber,
    SubscriberStatus,
)
from store.unit import Tx

CONVERSATION_SURFACE = "conversation"
"""The card that begins the thread; its key is the conversation's id."""
LINE_SURFACE = "conversation_line"
"""One line in the thread. Key: the line's id; or conversation:minute where there are too many."""
SHOWN_A_MINUTE = 8
"""Texts of one conversation that are shown one by one; more in a minute are one line."""
EARLIER = 10
"""Lines from before the thread was wanted that are shown in it."""
EARLIER_AGE = timedelta(days=1)
LONGEST = 1600
"""Twilio's limit of a body, characters."""
BY_ITSELF = "automatic"
"""Who asked for automatic texts, and who closed a conversation that needed nobody."""
_DUE = (InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID)


async def candidates_of(tx: Tx, number: str) -> list[Subscriber]:
    """Whoever has this number on file, archived ones only when there is nobody else; by account."""
    found = await tx.subscribers.by_address(Channel.SMS, number)
    alive = [s for s in found if s.status is not SubscriberStatus.ARCHIVED]
    return alive or found


async def load(tx: Tx, conversation: Conversation) -> Talk:
    candidates = await candidates_of(tx, conversation.number)
    # Whoever it was about may have lost the number since: then a stranger reads what is sent.
    subscriber = next((s for s in candidates if s.id == conversation.subscriber_id), None)
    lines = await tx.conversations.lines(conversation.id, 5, said=(Said.IN, Said.OUT))
    people_said = [line for line in lines if line.body.strip() and not line.author.startswith(AUTO)]
    last = people_said[-1] if people_said else None
    withdrawn = await opted_out(tx, conversation.number)
    return Talk(
        conversation=conversation,
        subscriber=subscriber,
        candidates=tuple(candidates),
        next_invoice=await _next_invoice(tx, subscriber) if subscriber else None,
        opted_out=withdrawn.at if withdrawn else None,
        last=last,
        last_by_itself=last is not None and await by_itself(tx, last),
    )


async def by_itself(tx: Tx, line: ConversationLine) -> bool:
    """Whether its words are the product's own: an answer, or a question that an agent let it ask."""
    if line.author.startswith(AUTO):
        return True
    asked = line.notification_id if line.said is Said.OUT else None
    return asked is not None and await tx.questions.get(asked) is not None


async def _next_invoice(tx: Tx, subscriber: Subscriber) -> Invoice | None:
    due = [i for i in await tx.invoices.latest(subscriber.id, 12) if i.status in _DUE]
    return min(due, key=lambda i: (i.due_on, i.number), default=None)


async def card_of(tx: Tx, conversation_id: UUID) -> Post | None:
    """The post that begins the conversation's thread, once it is wanted."""
    posts = await tx.posts.of(CONVERSATION_SURFACE, str(conversation_id))
    return posts[0] if posts else None


async def thread_of(tx: Tx, conversation_id: UUID) -> dict[str, str]:
    """What a button carries so that its answer stands in the thread: `thread_ts`, once it is known."""
    card = await card_of(tx, conversation_id)
    return {"thread_ts": card.ts} if card is not None and card.ts else {}


async def conversation_at(tx: Tx, channel: str, thread_ts: str) -> UUID | None:
    """The conversation whose thread this is, if it is one's."""
    post = await tx.posts.at(channel, thread_ts)
    return UUID(post.key) if post is not None and post.surface == CONVERSATION_SURFACE else None


async def may_be_one(tx: Tx, channel: str) -> bool:
    """Whether a thread there that nobody knows may be that of a card which has just been posted."""
    return await tx.posts.may_stand(CONVERSATION_SURFACE, channel)


async def want_thread(tx: Tx, profile: TenantProfile, conversation: Conversation) -> None:
    """A person is needed: the card, and what was said before it, go to the support channel."""
    if await card_of(tx, conversation.id) is not None:
        await touch(tx, conversation.id)
        return
    await tx.posts.want(CONVERSATION_SURFACE, str(conversation.id), profile.support_channel)
    for line in await tx.conversations.lines(conversation.id, EARLIER):
        if tx.now - line.at < EARLIER_AGE:
            await show(tx, profile, line)


async def touch(tx: Tx, conversation_id: UUID) -> None:
    """What the card shows has changed."""
    await tx.posts.bump(CONVERSATION_SURFACE, [(tx.tenant, str(conversation_id))])


async def show(tx: Tx, profile: TenantProfile, line: ConversationLine) -> None:
    """Puts a line into the thread, if there is one; more than a few a minute become one line."""
    card = await card_of(tx, line.conversation_id)
    if card is None or not line.body.strip():  # a picture without words has a line of its own
        return
    surface, key = LINE_SURFACE, str(line.id)
    if line.said is Said.OUT:
        surface, key = TEXT_SURFACE, str(line.notification_id)
    elif line.said is Said.IN:
        before = await tx.conversations.nth_newest(line.conversation_id, SHOWN_A_MINUTE + 1)
        if before is not None and tx.now - before.at < timedelta(minutes=1):
            key = f"{line.conversation_id}:{int(tx.now.timestamp()) // 60}"
    await tx.posts.want(surface, key, profile.support_channel, parent=card.id)
    if ":" in key:
        await tx.posts.bump(surface, [(tx.tenant, key)])


def minute_of(key: str) -> tuple[UUID, datetime] | None:
    """The conversation and the beginning of the minute that a key of LINE_SURFACE stands for, if it does."""
    conversation_id, _, minute = key.partition(":")
    return (UUID(conversation_id), datetime.fromtimestamp(int(minute) * 60, UTC)) if minute else None


async def tell(
    tx: Tx, profile: TenantProfile, conversation: Conversation, words: str, *, once: str, author: str = ""
) -> ConversationLine | None:
    """A line about something that happened, for the team."""
    line = await tx.conversations.say(conversation.id, Said.EVENT, words, once=once, author=author)
    if line is not None:
        await show(tx, profile, line)
    return line


async def continue_with(
    tx: Tx, profile: TenantProfile, number: str, subscriber: Subscriber, once: str
) -> Conversation:
    """The open conversation with this number, about this subscriber from now on."""
    if profile.sms is None:
        raise LookupError("a provider without texts has no conversations")
    conversation, _ = await tx.conversations.open(number, profile.sms.route.sender)
    if conversation.subscriber_id != subscriber.id:
        await tx.conversations.about(conversation.id, subscriber.id)
        if conversation.subscriber_id is not None:
            told = f"A colleague goes on about account {subscriber.account}."
            await tell(tx, profile, conversation, told, once=once)
        await touch(tx, conversation.id)
    return replace(conversation, subscriber_id=subscriber.id)


async def resume(tx: Tx, conversation: Conversation) -> None:
    """It is decided what a "cancel" was about: what waited for that goes on, and nobody is asked any more."""
    if not conversation.paused:
        return
    await tx.conversations.pause(conversation.id, False)
    await tx.deliveries.release_held(tx.tenant, held_by(conversation))
    for line in await tx.conversations.lines(conversation.id, said=(Said.EVENT,)):
        if line.author == ASK_CANCEL:
            await tx.posts.bump(LINE_SURFACE, [(tx.tenant, str(line.id))])


async def confirm_stop(
    services: Services, tx: Tx, profile: TenantProfile, conversation: Conversation, step: str
) -> None:
    """The one text that confirms an opt-out which a colleague read out of somebody's words."""
    if profile.sms is None:
        return
    subscriber = (
        await tx.subscribers.by_id(conversation.subscriber_id) if conversation.subscriber_id else None
    )
    language = subscriber.language if subscriber else "en"
    body = text_of(Auto.STOPPED, language, brand=profile.brand.name)
    await send_automatic(services, tx, profile, conversation, Auto.STOPPED, body, language, step=step)


async def send_automatic(
    services: Services,
    tx: Tx,
    profile: TenantProfile,
    conversation: Conversation,
    which: Auto,
    body: str,
    language: str,
    *,
    step: str,
) -> None:
    """Queues an automatic text and its line; `step` makes it once."""
    if profile.sms is None:
        return
    queued = await services.outbox.enqueue(
        tx,
        Draft(
            key=f"auto:{step}",
            kind=NotificationKind.AUTO_REPLY,
            language=language,
            context=_context(profile, body),
            recipients=[to_number(conversation.number, conversation.subscriber_id)],
            route=profile.default_route,
            sms_route=profile.sms.route.name,
            requested_by=BY_ITSELF,
            subscriber_id=conversation.subscriber_id,
            priority=Priority.URGENT,
            lifetime=_LIFETIMES.get(which, timedelta(hours=1)),
        ),
    )
    line = await tx.conversations.say(
        conversation.id,
        Said.OUT,
        body,
        once=f"auto:{step}",
        author=f"{AUTO}{which}",
        notification_id=queued.notification_id,
    )
    if line is not None:
        await show(tx, profile, line)


_LIFETIMES = {Auto.STOPPED: timedelta(minutes=5)}
"""47 CFR 64.1200(a)(12): one confirmation, within five minutes."""


def checked(request: CommandRequest) -> Answer:
    """What was written in the dialog, before anything of it is kept: no card number."""
    words = request.inputs.get("words", "")
    wrong = {"words": f"{_CARD[0]} {_CARD[1]}"} if redact_cards(words) != words else {}
    return Answer(errors=FieldErrors(wrong)) if wrong else Answer()


_CARD = ("There is a card number in it.", "Take it out: no card number goes by text.")


async def plan_text(tx: Tx, profile: TenantProfile, conversation: Conversation, words: str) -> TextPlan:
    """How these words would leave. UserError when they cannot."""
    sms = profile.sms
    if sms is None:
        raise UserError(
            "This provider sends no texts.", "An admin can switch them on in app.yaml, section sms."
        )
    if conversation.closed_at is not None:
        raise UserError(
            "This conversation is closed.",
            f"Begin another one: `{profile.command} text` and the account.",
        )
    talk = await load(tx, conversation)
    await refuse_if_unreachable(tx, conversation.number)
    if not words.strip():
        raise UserError("There is nothing to send.", "Write what the subscriber should read.")
    if redact_cards(words) != words or REMOVED_CARD in words:
        raise UserError(*_CARD)
    body = templates.render_sms(
        profile.templates.load(NotificationKind.REPLY, "en"), _context(profile, words) | {"language": "en"}
    )
    if len(body) > LONGEST:
        raise UserError(
            f"This is {len(body) - LONGEST} characters longer than a text can be.", "Say it in fewer words."
        )
    zones = zones_of(talk.subscriber, conversation.number, profile.time_zone)
    return TextPlan(
        talk=talk,
        segments=count_segments(body),
        price=sms.segment_price,
        currency=sms.currency,
        zones=zones,
        now=tx.now,
        in_window=is_open(sms.window, zones, tx.now),
    )


async def refuse_if_unreachable(tx: Tx, number: str) -> None:
    """UserError for a number that must not or cannot be texted."""
    key = (Channel.SMS, number)
    suppression = (await tx.suppressions.active([key])).get(key)
    if await opted_out(tx, number) is not None or (suppression and suppression.reason == OPTED_OUT):
        raise UserError(
            "This subscriber has opted out of texts, so nothing is sent to this number.",
            "Call or mail them. They can text START to get texts again.",
        )
    if suppression is not None:
        raise UserError(
            "Texts do not reach this number: it is on our do-not-send list.", "Call or mail them instead."
        )


def _context(profile: TenantProfile, words: str) -> dict[str, object]:
    return {"brand": brand_context(profile.brand), "body": words.strip()}


async def draft_text(
    tx: Tx, conversation: Conversation, request: CommandRequest, words: str
) -> ConversationLine:
    """Keeps what the preview shows, so that its buttons need not carry it."""
    once = request.step("draft")
    line = await tx.conversations.say(
        conversation.id, Said.DRAFT, words.strip(), once=once, author=request.actor.user_id
    )
    line = line or await tx.conversations.line_once(once)
    if line is None:
        raise LookupError("a draft that is neither new nor there")
    return line


class Sent(StrEnum):
    """What a press on Send came to."""

    NOW = "now"
    BEFORE = "before"


async def send_text(services: Services, request: CommandRequest, draft_id: UUID) -> Sent:
    """Sends a draft, in one transaction with its line, its audit row and its post; once, however often."""
    profile = services.profile(request.tenant)
    key = f"reply:{draft_id}"
    async with services.store.begin(request.tenant) as tx:
        if await tx.notifications.holders([key]):
            return Sent.BEFORE
        draft = await tx.conversations.line(draft_id)
        if draft is None or draft.said is not Said.DRAFT:
            raise UserError("This preview was cancelled or edited.", "Use the newer one, or write again.")
        conversation = await tx.conversations.get(draft.conversation_id, lock=True)
        if conversation is None or profile.sms is None:
            raise UserError("This conversation is gone.", "Look the subscriber up again.")
        if await tx.notifications.holders([key]):  # sent while this press waited for the row
            return Sent.BEFORE
        plan = await plan_text(tx, profile, conversation, draft.body)
        subscriber = plan.talk.subscriber
        queued = await services.outbox.enqueue(
            tx,
            Draft(
                key=key,
                kind=NotificationKind.REPLY,
                language=subscriber.language if subscriber else "en",
                context=_context(profile, draft.body),
                recipients=[to_number(conversation.number, subscriber.id if subscriber else None)],
                route=profile.default_route,
                sms_route=profile.sms.route.name,
                requested_by=request.actor.user_id,
                subscriber_id=subscriber.id if subscriber else None,
                priority=Priority.URGENT,
                lifetime=timedelta(hours=4),
            ),
        )
        line = await tx.conversations.say(
            conversation.id,
            Said.OUT,
            plan.segments.text,
            once=key,
            author=request.actor.user_id,
            notification_id=queued.notification_id,
        )
        await want_thread(tx, profile, conversation)
        if line is not None:
            await show(tx, profile, line)
        await audit(
            tx,
            request,
            "sms.reply",
            f"conversation:{conversation.id}",
            detail={"notification": str(queued.notification_id), "segments": plan.segments.count},
            personal={"to": conversation.number},
        )
    return Sent.NOW
