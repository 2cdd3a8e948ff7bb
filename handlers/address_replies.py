"""What a subscriber's text does to the question about their address that is open, if one is.

A yes mends the address, sends the invoice again and says so; a no and another address go to an agent;
anything else is left to the ordinary conversation. STOP was looked for before, and ends the question.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from handlers.asking import AddressAnswer, AnswerKind, read_answer
from handlers.intents import IntentKind
from handlers.masks import mask_email
from handlers.received import SUBSCRIBER, Received
from handlers.reply import UserError
from handlers.reply_texts import Auto
from handlers.talk import ASK_ADDRESS
from handlers.workflows import filings, resend
from handlers.workflows.address_questions import (
    QUESTION_SURFACE,
    bump,
    bump_offers,
    call_off,
    override_id,
    resent_key,
    spoken_since,
    still_theirs,
    was_asked,
)
from notifier.tracking import FOLLOWED_BY
from store.models import AddressQuestion, AuditEntry, Channel, ContactOverride, QuestionState

_MAY_ANSWER = (IntentKind.YES, IntentKind.FREE_TEXT)
_OPT_OUTS = (IntentKind.STOP, IntentKind.LOOSE_STOP)


async def answered(r: Received) -> bool:
    """True: this text was the answer to a question, and all is done about it."""
    if r.intent.kind not in (*_MAY_ANSWER, *_OPT_OUTS):
        return False
    question = await r.tx.questions.open_for(r.conversation.number, lock=True)
    if question is None:
        return r.intent.kind in _MAY_ANSWER and await _corrected(r)
    if r.intent.kind in _OPT_OUTS:
        await _ended(r, question, QuestionState.STOPPED)
        return False
    answer = read_answer(r.intent.redacted, question.suggested)
    if answer.kind is AnswerKind.UNCLEAR or not await was_asked(r.tx, question):
        return False
    if not await still_theirs(r.tx, question):
        await _overtaken(r, question)
        return False
    if not answer.address and await spoken_since(r.tx, question, r.conversation.id):
        await r.tell(_TO_WHAT, "unsure")
        return False
    await _ANSWERS[answer.kind](r, question, answer)
    return True


_TO_WHAT = (
    "We asked about their address, and have texted them since: this may answer either. "
    "Nothing was mended. Look at it, or ask them to write the address."
)


async def _overtaken(r: Received, question: AddressQuestion) -> None:
    await _ended(r, question, QuestionState.OVERTAKEN)
    await r.tell("They answered a question about their address, which has changed since.", "overtaken")


async def _ended(r: Received, question: AddressQuestion, state: QuestionState, answer: str = "") -> None:
    await r.tx.questions.end(question.id, state, answer=answer or None)
    await call_off(r.tx, [question.id])  # one that waits to be sent again must not be asked once more
    await bump(r.tx, [question.id])


async def _yes(r: Received, question: AddressQuestion, _: AddressAnswer) -> None:
    if not await _mend(r, question):  # an import was quicker
        await _overtaken(r, question)
        await r.want()
        return
    await _ended(r, question, QuestionState.CONFIRMED)
    number = await _send_again(r, question)
    told = f"They confirmed {mask_email(question.suggested)}. The address is mended"
    await r.tell(f"{told}, and invoice {number} goes out again." if number else f"{told}.", "confirmed")
    if number:
        await r.answer(Auto.ADDRESS_SENT, number=number, address=question.suggested)
    else:
        await r.answer(Auto.ADDRESS_NOTED, address=question.suggested)


async def _mend(r: Received, question: AddressQuestion) -> bool:
    """Suggested and asked by an agent, confirmed by the subscriber: both stand in the audit trail.

    False when the address is not on file any more.
    """
    tx, who = r.tx, question.subscriber_id
    old, new = question.old_address, question.suggested
    if not await tx.subscribers.change_point(who, question.role, Channel.EMAIL, old, new):
        return False
    override = ContactOverride(
        id=override_id(question),
        subscriber_id=who,
        role=question.role,
        channel=Channel.EMAIL,
        old_address=old,
        new_address=new,
        actor=question.actor,
        created_at=tx.now,
    )
    await tx.overrides.add(override)
    await _audit(r, question, "contact.mend", {"override": str(override.id)}, {"old": old, "new": new})
    await filings.mended(tx, r.services, override, by=f"{question.actor}, confirmed by the subscriber's text")
    return True


async def _send_again(r: Received, question: AddressQuestion) -> str:
    """The invoice's number; empty where there is none to send, or it has gone there meanwhile."""
    invoice = await r.tx.invoices.by_id(question.invoice_id, lock=True) if question.invoice_id else None
    if invoice is None:
        return ""
    try:
        plan = await resend.plan(r.tx, invoice, [question.suggested], zone=r.profile.time_zone)
    except UserError:  # voided or written off since: nobody is asked to pay it
        return ""
    if plan.payer.id != question.subscriber_id:  # somebody else pays for that account since
        return ""
    if not plan.going or any(d.address == question.suggested for d in plan.earlier):
        return ""
    queued = await resend.queue(
        r.services,
        r.tx,
        r.profile,
        plan,
        key=resent_key(question),
        requested_by=question.actor,
        context={FOLLOWED_BY: [QUESTION_SURFACE, str(question.id)]},
    )
    detail = {"invoice": invoice.number, "notification": str(queued.notification_id)}
    await _audit(r, question, "invoice.resend", detail, {"to": [question.suggested]})
    return invoice.number


async def _audit(
    r: Received, question: AddressQuestion, action: str, detail: dict[str, str], personal: dict[str, object]
) -> None:
    account = next(person.account for person in r.people if person.id == question.subscriber_id)
    about = {"question": str(question.id), "asked_by": question.actor, "message": r.sid}
    entry = AuditEntry(r.tx.now, SUBSCRIBER, action, f"account:{account}", about | detail, personal)
    await r.tx.audit.append(f"{r.step}:{action}", entry)


async def _no(r: Received, question: AddressQuestion, _: AddressAnswer) -> None:
    await _ended(r, question, QuestionState.DECLINED)
    await r.tell(f"They say that {mask_email(question.suggested)} is not their address.", "declined")
    await r.want()


async def _corrected(r: Received) -> bool:
    """An address after a no, or after another one: the newest is offered, and nothing is mended."""
    asked = await r.tx.questions.of_subscribers([person.id for person in r.people])
    question = next((q for q in asked if q.number == r.conversation.number), None)
    if question is None or question.state not in _CORRECTED or question.expires_at <= r.tx.now:
        return False
    answer = read_answer(r.intent.redacted, question.suggested)
    if answer.kind is not AnswerKind.ADDRESS or not await still_theirs(r.tx, question):
        return False
    if not await r.tx.questions.correct(question.id, answer.address):
        return False
    await bump(r.tx, [question.id])
    await _offer(r, question, "They wrote an address after their answer. Look at it before you mend with it.")
    return True


_CORRECTED = (QuestionState.DECLINED, QuestionState.OTHER)


async def _offer(r: Received, question: AddressQuestion, told: str) -> None:
    await r.tell(told, "other", ASK_ADDRESS + str(question.id))
    await bump_offers(r.tx, question)
    await r.want()


async def _other(r: Received, question: AddressQuestion, answer: AddressAnswer) -> None:
    await _ended(r, question, QuestionState.OTHER, answer.address)
    told = "They wrote another address than the one that was asked about. Look at it before you mend with it."
    await _offer(r, question, told)


_ANSWERS: dict[AnswerKind, Callable[[Received, AddressQuestion, AddressAnswer], Awaitable[None]]] = {
    AnswerKind.YES: _yes,
    AnswerKind.NO: _no,
    AnswerKind.ADDRESS: _other,
}

__all__ = ["answered"]
