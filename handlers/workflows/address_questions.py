"""Asking by text whether a suggested address is right: the question itself, and how it ends.

A yes confirms what an agent has suggested, and nothing else: any other address needs an agent's press, since
whoever holds the phone could write any (docs/repair.md). One question a number, for three days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta
from uuid import UUID

from handlers.asking import AskPlan
from handlers.contract import CommandRequest, Services, audit, audit_key
from handlers.profile import SmsProfile, TenantProfile
from handlers.question_card import QuestionData
from handlers.reply import UserError
from handlers.talk import ASK_ADDRESS
from handlers.workflows.conversations import LINE_SURFACE, continue_with, show
from handlers.workflows.diagnose import billing_points
from handlers.workflows.profile_card import load_notices
from handlers.workflows.resend import Sent
from handlers.workflows.resend_text import number_of, numbers_of, texting
from notifier import templates
from notifier.contexts import brand_context
from notifier.local_time import zones_of
from notifier.outbox import Draft
from notifier.outbox import text as to_text
from notifier.quiet import next_opening, their_time
from notifier.sms_text import count_segments
from notifier.tracking import FOLLOWED_BY, Report, record, worker_event
from store.models import (
    AUTO,
    AddressQuestion,
    Channel,
    ContactOverride,
    ConversationLine,
    EventKind,
    EventSource,
    NotificationKind,
    Outcome,
    Point,
    Priority,
    QuestionState,
    Reason,
    Said,
    Stage,
    Subscriber,
    SubscriberStatus,
)
from store.types import derived_id, new_id
from store.unit import Tx

QUESTION_SURFACE = "address_question"
"""The card that follows a question to its end; its key is the question's id."""
STANDS_FOR = timedelta(days=3)
TEXT_LIFETIME = timedelta(days=1)
"""A question that could not leave by then is not asked any more."""


async def plan(
    tx: Tx,
    profile: TenantProfile,
    *,
    payer_id: UUID,
    point_id: str,
    suggested: str,
    invoice_id: UUID | None,
) -> AskPlan:
    """UserError when it must not, or need not, be asked."""
    sms = texting(profile)
    payer = await tx.subscribers.by_id(payer_id)
    if payer is None:
        raise UserError("This subscriber is not on file any more.", "Look them up again.")
    if payer.status is SubscriberStatus.ARCHIVED:  # numbers are given to strangers again
        raise UserError(
            f"Account {payer.account} is archived, so nobody is asked by text.", "Call whoever it was."
        )
    points = (await tx.subscribers.points([payer.id]))[payer.id]
    mails = billing_points(points, Channel.EMAIL)
    point = next((p for p in mails if str(p.id) == point_id), None)
    if point is None or any(p.address == suggested for p in mails):
        raise UserError(
            "The address has been changed since, so there is nothing left to ask.", "Diagnose it again."
        )
    await _refuse_if_answered(tx, payer, suggested)
    number = await _number(tx, profile, payer, points)
    text = templates.render_sms(
        profile.templates.load(NotificationKind.ADDRESS_QUESTION, payer.language),
        _context(profile, suggested) | {"language": payer.language},
    )
    zones = zones_of(payer, number, profile.time_zone)
    return AskPlan(
        payer=payer,
        point=point,
        suggested=suggested,
        number=number,
        invoice=await tx.invoices.by_id(invoice_id) if invoice_id else None,
        segments=count_segments(text),
        zones=zones,
        now=tx.now,
        opens_at=next_opening(sms.window, zones, tx.now),
    )


async def _refuse_if_answered(tx: Tx, payer: Subscriber, suggested: str) -> None:
    for question in await tx.questions.of_subscribers([payer.id]):
        if question.suggested == suggested and question.state is QuestionState.DECLINED:
            raise UserError(
                "They have said already that this is not their address.", "Ask for the right one."
            )


async def takes_texts(tx: Tx, subscriber: Subscriber) -> bool:
    """Whether a colleague could text them at all."""
    if subscriber.status is SubscriberStatus.ARCHIVED:
        return False
    points = (await tx.subscribers.points([subscriber.id]))[subscriber.id]
    numbers = [
        await number_of(tx, number, subscriber, zone=UTC, on_file=True) for number in numbers_of(points)
    ]
    return any(not n.refusal for n in numbers)


async def _number(tx: Tx, profile: TenantProfile, payer: Subscriber, points: Sequence[Point]) -> str:
    """Where it is asked: a number of theirs alone, that takes texts, and that waits for no other answer."""
    zone = profile.time_zone
    numbers = [await number_of(tx, number, payer, zone=zone, on_file=True) for number in numbers_of(points)]
    if not numbers:
        raise UserError(
            f"Account {payer.account} has no number that can be texted.", "Ask by mail or on the phone."
        )
    reachable = [n for n in numbers if not n.refusal]
    if not reachable:
        raise UserError(f"They cannot be asked by text: {numbers[0].refusal}.", "Call them instead.")
    theirs = next((n for n in reachable if not n.shared_with), None)
    if theirs is None:
        others = ", ".join(reachable[0].shared_with[:3])
        raise UserError(
            f"This number is on account {others} too, so an address of one is not told to the other.",
            "Call them instead.",
        )
    question = await tx.questions.open_for(theirs.number)
    if question is not None and not await _not_reached(tx, [question]):
        raise UserError(await _standing(tx, profile, payer, question), "The card in the channel follows it.")
    return theirs.number


async def _standing(tx: Tx, profile: TenantProfile, payer: Subscriber, question: AddressQuestion) -> str:
    """How far the question that is open has come."""
    if await was_asked(tx, question):
        return "They were asked by text already, and have not answered yet."
    until = await waits_until(tx, profile, payer, question)
    return f"The question waits until {until}." if until else "The question has not got through to them yet."


async def waits_until(tx: Tx, profile: TenantProfile, payer: Subscriber, question: AddressQuestion) -> str:
    """When it is asked, in their time; empty once it was tried, or where nothing holds it back."""
    found = await tx.deliveries.of_notifications([question.notification_id])
    waiting = [
        d.due_at
        for d in found[question.notification_id]
        if d.stage is Stage.QUEUED and d.attempt == 0 and d.due_at > tx.now
    ]
    zones = zones_of(payer, question.number, profile.time_zone)
    return their_time(waiting[0], zones[0], tx.now) if waiting else ""


async def asked_when(services: Services, tenant: int, preview: str) -> str:
    """When what was asked from this preview goes out, in their time; empty: at once."""
    key = _key(preview)
    async with services.store.read(tenant) as tx:
        held = (await tx.notifications.holders([key])).get(key)
        question = await tx.questions.get(held) if held else None
        payer = await tx.subscribers.by_id(question.subscriber_id) if question else None
        if question is None or payer is None:
            return ""
        return await waits_until(tx, services.profile(tenant), payer, question)


def _key(preview: str) -> str:
    return f"ask:{preview}"


def _context(profile: TenantProfile, suggested: str) -> dict[str, object]:
    return {"brand": brand_context(profile.brand), "address": suggested}


async def ask(
    services: Services,
    request: CommandRequest,
    *,
    payer_id: UUID,
    point_id: str,
    suggested: str,
    invoice_id: UUID | None,
    preview: str,
    seen: str,
) -> tuple[Sent, AskPlan | None]:
    """Asks, in one transaction with its line, its audit row and its card; once a preview.

    The plan is None where it was asked before.
    """
    profile = services.profile(request.tenant)
    sms = texting(profile)
    key = _key(preview)
    async with services.store.begin(request.tenant) as tx:
        held = (await tx.notifications.holders([key])).get(key)
        if held is not None:
            asked = await tx.subscribers.by_id(payer_id)
            subject = f"account:{asked.account}" if asked else ""
            mine = await tx.audit.stands(audit_key(request, "address.ask", subject))
            return (Sent.NOW if mine else Sent.BEFORE), None
        await _expire(tx)
        await _end_unreached(tx, await tx.questions.of_subscribers([payer_id]))
        current = await plan(
            tx, profile, payer_id=payer_id, point_id=point_id, suggested=suggested, invoice_id=invoice_id
        )
        if current.seen != seen:
            return Sent.CHANGED, current
        question = _question(tx, current, request)
        if not await tx.questions.add(question):
            raise UserError("Somebody has asked them a moment ago.", "The card in the channel follows it.")
        await services.outbox.enqueue(tx, _draft(profile, sms, current, question, key))
        conversation = await continue_with(tx, profile, current.number, current.payer, request.step("about"))
        line = await tx.conversations.say(
            conversation.id,
            Said.OUT,
            current.segments.text,
            once=key,
            author=request.actor.user_id,
            notification_id=question.id,
        )
        if line is not None:
            await show(tx, profile, line)
        await audit(
            tx,
            request,
            "address.ask",
            f"account:{current.payer.account}",
            detail={"question": str(question.id), "segments": current.segments.count},
            personal={"to": current.number, "old": question.old_address, "suggested": suggested},
        )
        await tx.posts.want(QUESTION_SURFACE, str(question.id), request.channel)
    return Sent.NOW, current


def _question(tx: Tx, current: AskPlan, request: CommandRequest) -> AddressQuestion:
    question_id = new_id()
    starts = current.opens_at or tx.now
    return AddressQuestion(
        id=question_id,
        subscriber_id=current.payer.id,
        role=current.point.role,
        old_address=current.point.address,
        suggested=current.suggested,
        number=current.number,
        invoice_id=current.invoice.id if current.invoice else None,
        notification_id=question_id,
        state=QuestionState.ASKED,
        actor=request.actor.user_id,
        channel_id=request.channel,
        created_at=tx.now,
        expires_at=starts + STANDS_FOR,
    )


def _draft(
    profile: TenantProfile, sms: SmsProfile, current: AskPlan, question: AddressQuestion, key: str
) -> Draft:
    return Draft(
        id=question.notification_id,
        key=key,
        kind=NotificationKind.ADDRESS_QUESTION,
        language=current.payer.language,
        context=_context(profile, current.suggested) | {FOLLOWED_BY: [QUESTION_SURFACE, str(question.id)]},
        recipients=[to_text(current.number, current.payer.id)],
        route=profile.default_route,
        sms_route=sms.route.name,
        requested_by=question.actor,
        subscriber_id=current.payer.id,
        # Not urgent: it waits for the morning. Without the invoice: it is no attempt to bring one.
        priority=Priority.NORMAL,
        not_before=current.opens_at,
        lifetime=TEXT_LIFETIME,
    )


def resent_key(question: AddressQuestion) -> str:
    """Under which the invoice goes out again, once."""
    return f"resend:question:{question.id}"


def override_id(question: AddressQuestion) -> UUID:
    return derived_id(question.id, "override")


async def bump(tx: Tx, ids: Sequence[UUID]) -> None:
    """Their cards are drawn again."""
    await tx.posts.bump(QUESTION_SURFACE, [(tx.tenant, str(question_id)) for question_id in ids])


async def address_changed(tx: Tx, subscriber_id: UUID, old_address: str) -> None:
    """Somebody has mended it (or taken that back): an open question about it is over, or never asked."""
    await call_off(tx, await tx.questions.overtake(subscriber_id, old_address))
    questions = await tx.questions.of_subscribers([subscriber_id])
    await bump(tx, [question.id for question in questions])
    for question in questions:
        if question.answer:
            await bump_offers(tx, question)


async def bump_offers(tx: Tx, question: AddressQuestion) -> None:
    """What they wrote is offered no more, or in another line."""
    lines = await _offers(tx, question)
    await tx.posts.bump(LINE_SURFACE, [(tx.tenant, str(line.id)) for line in lines])


async def call_off(tx: Tx, ids: Sequence[UUID]) -> None:
    """Texts of these that still wait (for the morning, say) do not go out. A question has its text's id."""
    found = await tx.deliveries.of_notifications(ids)
    waiting = [d for ds in found.values() for d in ds if d.stage in (Stage.QUEUED, Stage.HELD)]
    reports = [
        Report(
            tx.tenant,
            worker_event(
                d,
                EventKind.CANCELLED,
                tx.now,
                source=EventSource.OPERATOR,
                reason=Reason.STALE,
                diagnostic="The question was over before it was asked.",
            ),
        )
        for d in waiting
    ]
    if reports:
        await record(tx, reports)


async def _expire(tx: Tx) -> int:
    expired = await tx.questions.expire()
    await call_off(tx, expired)
    await bump(tx, expired)
    return len(expired)


async def was_asked(tx: Tx, question: AddressQuestion) -> bool:
    """Its text has left, as far as is known: a yes before that, or to what never came, answers nothing."""
    sent = (await tx.deliveries.of_notifications([question.notification_id]))[question.notification_id]
    told = await tx.events.of([(tx.tenant, d.id) for d in sent])
    for d in sent:
        doubtful = any(e.kind is EventKind.IN_DOUBT for e in told[tx.tenant, d.id])
        under_way = d.outcome is Outcome.NONE and (d.stage is Stage.CLAIMED or doubtful)
        if under_way or d.outcome in (Outcome.SENT, Outcome.DELIVERED):
            return True
    return False


async def spoken_since(tx: Tx, question: AddressQuestion, conversation_id: UUID) -> bool:
    """Whether a colleague has texted them since: a mere yes may answer that."""
    asked = await tx.conversations.line_of(question.notification_id)
    lines = await tx.conversations.lines(conversation_id, said=(Said.OUT,))
    by_people = [line for line in lines if not line.author.startswith(AUTO)]
    return any(asked is None or line.id > asked.id for line in by_people)


async def still_theirs(tx: Tx, question: AddressQuestion) -> bool:
    """The number is theirs alone, and what is to be mended is still on file."""
    people = await tx.subscribers.by_address(Channel.SMS, question.number)
    alive = [person for person in people if person.status is not SubscriberStatus.ARCHIVED]
    if [person.id for person in alive] != [question.subscriber_id]:
        return False
    return await _point(tx, question) is not None


async def _point(tx: Tx, question: AddressQuestion) -> Point | None:
    points = (await tx.subscribers.points([question.subscriber_id])).get(question.subscriber_id, [])
    wanted = (question.role, Channel.EMAIL, question.old_address)
    return next((p for p in points if (p.role, p.channel, p.address) == wanted), None)


async def sweep(services: Services, tenant: int) -> int:
    """Ends questions whose time is over, or that an import has answered; how many."""
    async with services.store.read(tenant) as tx:
        waiting = await tx.questions.open_ones()
        lost = await _not_reached(tx, waiting)
        over = [
            q.id for q in waiting if q.expires_at <= tx.now or q.id in lost or not await still_theirs(tx, q)
        ]
    if not over:
        return 0
    async with services.store.begin(tenant) as tx:
        ended = await _expire(tx)
        ended += await _end_unreached(tx, await tx.questions.open_ones())
        for question in await tx.questions.open_ones():
            if question.id in over and not await still_theirs(tx, question):
                ended += await tx.questions.end(question.id, QuestionState.OVERTAKEN)
                await call_off(tx, [question.id])
                await bump(tx, [question.id])
    return ended


_LOST = (Outcome.BOUNCED, Outcome.FAILED, Outcome.SUPPRESSED, Outcome.CANCELLED, Outcome.EXPIRED)


async def _end_unreached(tx: Tx, questions: Sequence[AddressQuestion]) -> int:
    """Those of them that nobody can answer; how many."""
    lost = await _not_reached(tx, [q for q in questions if q.state is QuestionState.ASKED])
    done = [q for q in lost if await tx.questions.end(q, QuestionState.EXPIRED)]
    await bump(tx, done)
    return len(done)


async def _not_reached(tx: Tx, questions: Sequence[AddressQuestion]) -> list[UUID]:
    """Those whose text has ended without reaching the phone: nobody can answer them."""
    found = await tx.deliveries.of_notifications([q.notification_id for q in questions])
    texts = {q.id: found.get(q.notification_id, []) for q in questions}
    return [
        question_id
        for question_id, sent in texts.items()
        if sent and all(d.stage is Stage.CLOSED and d.outcome in _LOST for d in sent)
    ]


async def load(tx: Tx, question_id: UUID) -> QuestionData | None:
    """What the card shows."""
    question = await tx.questions.get(question_id)
    payer = await tx.subscribers.by_id(question.subscriber_id) if question else None
    if question is None or payer is None:
        return None
    key = resent_key(question)
    resent_id = (await tx.notifications.holders([key])).get(key)
    ids = [question.notification_id, *([resent_id] if resent_id else [])]
    found = await tx.notifications.get_many(ids)
    notices = {n.notification.id: n for n in await load_notices(tx, list(found.values()))}
    override = await tx.overrides.get(override_id(question))
    return QuestionData(
        question=question,
        payer=payer,
        asked=notices.get(question.notification_id),
        resent=notices.get(resent_id) if resent_id else None,
        override=override,
        mended=override is not None and await is_on_file(tx, override),
        mend=await mend_value(tx, question),
    )


async def is_on_file(tx: Tx, override: ContactOverride) -> bool:
    """Whether the address that it brought is there, whoever it is that says so by now."""
    points = (await tx.subscribers.points([override.subscriber_id])).get(override.subscriber_id, [])
    wanted = (override.role, override.channel, override.new_address)
    return any((p.role, p.channel, p.address) == wanted for p in points)


async def mend_value(tx: Tx, question: AddressQuestion) -> dict[str, str] | None:
    """What opens the dialog that mends it; None when the address is not on file any more."""
    point = await _point(tx, question)
    if point is None:
        return None
    value = {"s": str(question.subscriber_id), "p": str(point.id)}
    value |= {"g": question.answer, "t": "1"} if question.answer else {}
    return value | ({"i": str(question.invoice_id)} if question.invoice_id else {})


async def mend_of_line(tx: Tx, line: ConversationLine) -> dict[str, str] | None:
    """What the line in a conversation's thread offers, where it tells of another address."""
    if not line.author.startswith(ASK_ADDRESS):
        return None
    question = await tx.questions.get(UUID(line.author.removeprefix(ASK_ADDRESS)))
    offers = await _offers(tx, question) if question else []
    newest = question is not None and bool(offers) and offers[-1].id == line.id
    return await mend_value(tx, question) if question and newest else None


async def _offers(tx: Tx, question: AddressQuestion) -> list[ConversationLine]:
    """The lines that offer what they wrote, oldest first: each was replaced by the next."""
    asked = await tx.conversations.line_of(question.notification_id)
    told = await tx.conversations.lines(asked.conversation_id, said=(Said.EVENT,)) if asked else []
    return [line for line in told if line.author == ASK_ADDRESS + str(question.id)]


__all__ = [
    "QUESTION_SURFACE",
    "address_changed",
    "ask",
    "asked_when",
    "bump",
    "bump_offers",
    "call_off",
    "is_on_file",
    "load",
    "plan",
    "spoken_since",
    "still_theirs",
    "sweep",
    "takes_texts",
    "was_asked",
]
