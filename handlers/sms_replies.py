"""What a subscriber's text does: one transaction for each, once, whatever is repeated.

A table names the use case of each intent. What must not wait for a person answers itself, a few times an
hour at most; everything else becomes a line in a thread of the support channel.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from handlers import format as fmt
from handlers.address_replies import answered
from handlers.contract import Services
from handlers.intents import Intent, IntentKind, read_intent
from handlers.profile import TenantProfile
from handlers.received import MOST_AN_HOUR, SUBSCRIBER, Received
from handlers.reply_texts import Auto, options
from handlers.talk import ASK_CANCEL, MEDIA
from handlers.workflows.conversations import (
    BY_ITSELF,
    candidates_of,
    resume,
    show,
    tell,
    touch,
)
from handlers.workflows.optouts import BY_TEXT, opt_in, opt_out, opted_out
from notifier.contexts import locale_of
from notifier.links import link_for
from store.models import (
    AUTO,
    Conversation,
    InvoiceStatus,
    Said,
    Subscriber,
    SubscriberStatus,
)
from store.money import Money
from store.unit import Tx

K = IntentKind
MOST_CHOICES = 5
HAS_CARD = "HasCard"
"""Set at the rim, which removes card numbers before anything is kept."""


class _Known(Exception):
    """This text was taken in before: nothing of this transaction stays."""


async def receive(services: Services, tenant: int, params: Mapping[str, str], interaction_id: str) -> None:
    """`params` are those of Twilio's webhook, verified and without card numbers."""
    try:
        async with services.store.begin(tenant) as tx:
            received = await _taken_in(tx, services, params, interaction_id)
            if not await answered(received):
                await _USE_CASES[received.intent.kind](received)
    except _Known:
        return


async def _taken_in(tx: Tx, services: Services, params: Mapping[str, str], interaction_id: str) -> Received:
    number, sid = params["From"], params["MessageSid"]
    if await tx.conversations.line_once(sid) is not None:
        raise _Known
    conversation, opened = await tx.conversations.open(number, params["To"])
    people = await candidates_of(tx, number)
    conversation = await _about_whom(tx, services.profile(tx.tenant), conversation, people, sid)
    out = await opted_out(tx, number)
    files = int(params.get("NumMedia") or 0)
    intent = read_intent(
        params.get("Body", ""),
        opted_out=out is not None,
        media=files,
        accounts=len(conversation.choices) or 1,
    )
    intent = _with_card(intent) if params.get(HAS_CARD) else intent
    line = await tx.conversations.say(conversation.id, Said.IN, intent.redacted, once=sid)
    if line is None:
        raise _Known
    profile = services.profile(tx.tenant)
    received = Received(
        tx=tx,
        services=services,
        profile=profile,
        conversation=conversation,
        opened=opened,
        people=tuple(people),
        out=out,
        intent=intent,
        line=line,
        sid=sid,
        step=interaction_id,
    )
    await show(tx, profile, line)
    await _keep_files(received, params, files)
    return received


async def _about_whom(
    tx: Tx, profile: TenantProfile, conversation: Conversation, people: Sequence[Subscriber], sid: str
) -> Conversation:
    """About the only one who has the number; about nobody any more when it has moved to somebody else."""
    before = conversation.subscriber_id
    if before is not None and before in {person.id for person in people}:
        return conversation
    only = people[0].id if len(people) == 1 else None
    if only == before:
        return conversation
    await tx.conversations.about(conversation.id, only)
    if before is not None:
        await tell(tx, profile, conversation, _MOVED, once=f"{sid}:moved")
        await touch(tx, conversation.id)
    return replace(conversation, subscriber_id=only, choices=())


_MOVED = "The number is not on the account any more that this was about: somebody else may be writing."


def _with_card(intent: Intent) -> Intent:
    """The rim took a card number out: the text is about that, unless it is about consent."""
    lesser = intent.kind not in (K.TAPBACK, K.STOP, K.LOOSE_STOP, K.AMBIGUOUS_CANCEL, K.START)
    return replace(intent, has_card=True, kind=K.CARD_NUMBER if lesser else intent.kind)


async def _keep_files(received: Received, params: Mapping[str, str], count: int) -> None:
    """One line a file: its place at the provider, fetched when somebody looks."""
    for index in range(min(count, 10)):
        url = params.get(f"MediaUrl{index}", "")
        kind = params.get(f"MediaContentType{index}", "")
        line = await received.tx.conversations.say(
            received.conversation.id, Said.IN, url, once=f"{received.sid}/{index}", author=MEDIA + kind[:60]
        )
        if line is not None:
            await show(received.tx, received.profile, line)


async def _stop(r: Received) -> None:
    """A word of the provider's own or a revocation in other words: the same, but who confirms it."""
    cancelled = await opt_out(r.tx, r.conversation.number, source=BY_TEXT, evidence=r.sid, actor=SUBSCRIBER)
    await r.audit("sms.opt_out")
    await resume(r.tx, r.conversation)  # they have decided it themselves
    if r.out is None:
        waiting = f" {cancelled} text{'s' if cancelled != 1 else ''} that waited will not go out."
        await r.tell(_WHY_OUT.get(r.intent.rule, _OUT) + (waiting if cancelled else ""), "out")
        if not r.intent.answered_by_provider:
            await r.answer(Auto.STOPPED)
    if r.out is None or not r.opened:  # saying it again needs no further card
        await r.want()
    if r.opened and (r.intent.kind is K.STOP or r.out is not None):
        await r.tx.conversations.close(r.conversation.id, BY_ITSELF)


_OUT = "Opted out of texts. Nothing more goes to this number by text; e-mail goes on."
_WHY_OUT = {
    "loose.wrong_number": f"They say that it is a wrong number. {_OUT} Check the number on the account.",
    "loose.es_wrong": f"They say that it is a wrong number. {_OUT} Check the number on the account.",
    "loose.fr_wrong": f"They say that it is a wrong number. {_OUT} Check the number on the account.",
}


async def _cancel(r: Received) -> None:
    """Texts or service? Whoever reads it decides; until then nothing goes out by itself."""
    if r.out is None and not r.conversation.paused:
        await r.tx.conversations.pause(r.conversation.id, True)
        await r.tell(_TEXTS_OR_SERVICE, "cancel", ASK_CANCEL)
        await r.audit("sms.cancel_asked")
    await r.want()


_TEXTS_OR_SERVICE = "Do they mean the texts or the service? Automatic texts to them wait until you decide."


async def _start(r: Received) -> None:
    ours_only = r.out is not None and await _confirmed_by_us(r)
    await opt_in(r.tx, r.conversation.number, source=BY_TEXT, evidence=r.sid, actor=SUBSCRIBER)
    await r.audit("sms.opt_in")
    if r.out is not None:
        await r.tell("Opted in to texts again.", "in")
        await touch(r.tx, r.conversation.id)
        # The provider greets only those whom it had blocked itself.
        if ours_only or not r.intent.answered_by_provider:
            await r.answer(Auto.STARTED)


async def _confirmed_by_us(r: Received) -> bool:
    """Whether the opt-out that stands came in words that the provider does not know."""
    stopped = await r.tx.conversations.line_once(r.out.evidence) if r.out else None
    return stopped is not None and not read_intent(stopped.body).answered_by_provider


async def _help(r: Received) -> None:
    if not r.intent.answered_by_provider:
        await r.answer(Auto.HELP, contact=_contact(r.profile))


async def _balance(r: Received) -> None:
    subscriber = await _whose(r)
    if subscriber is None:
        return
    balance = subscriber.balance
    size = Money(abs(balance.minor), balance.currency)
    amount = fmt.money(size, locale_of(subscriber, r.profile.locale))
    if balance.minor > 0:
        answered = await r.answer(Auto.BALANCE, amount=amount)
    elif balance.minor < 0:
        answered = await r.answer(Auto.BALANCE_CREDIT, amount=amount)
    else:
        answered = await r.answer(Auto.BALANCE_ZERO)
    if not answered:
        await r.want()


async def _invoice(r: Received) -> None:
    subscriber = await _whose(r)
    if subscriber is None:
        return
    if subscriber.payer_account is not None:  # their invoices are another account's to see
        await r.want()
        return
    latest = await r.tx.invoices.latest(subscriber.id, 12)
    shown = [i for i in latest if i.status not in _NOT_SHOWN]
    if not shown:
        answered = await r.answer(Auto.NO_INVOICE)
    else:
        invoice = next((i for i in shown if i.status in _DUE), shown[0])
        link = await link_for(r.tx, r.services.keyring, r.profile.public_url, invoice, key=f"text:{r.sid}")
        answered = await r.answer(Auto.INVOICE, number=invoice.number, link=link)
    if not answered:
        await r.want()


_DUE = (InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID)
_NOT_SHOWN = (InvoiceStatus.DRAFT, InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE)


async def _whose(r: Received) -> Subscriber | None:
    """The one account that the number stands for. None: they were asked, or a person has to look."""
    if r.subscriber is not None:
        if r.subscriber.status is SubscriberStatus.ARCHIVED:  # numbers are given to strangers again
            await r.want()
            return None
        return r.subscriber
    if not await _ask_which(r):
        await r.want()
    return None


async def _ask_which(r: Received) -> bool:
    """Asks between two and a few accounts; no word about any of them until one is chosen."""
    if not 2 <= len(r.people) <= MOST_CHOICES:
        return False
    asked = await r.answer(Auto.WHICH, options=options([p.account for p in r.people], r.language))
    if asked:
        await r.tx.conversations.asked(r.conversation.id, [p.id for p in r.people])
        await touch(r.tx, r.conversation.id)
    return asked


async def _choice(r: Received) -> None:
    """They said which account: what they had asked before is answered now."""
    chosen_id = r.conversation.choices[(r.intent.choice or 1) - 1]
    chosen = next((person for person in r.people if person.id == chosen_id), None)
    if chosen is None:  # the account lost this number meanwhile
        await r.want()
        return
    await r.tx.conversations.about(r.conversation.id, chosen.id)
    await r.tell(f"They chose account {chosen.account}.", "chosen")
    await touch(r.tx, r.conversation.id)
    pending = await _pending(r)
    if pending is not None:
        conversation = replace(r.conversation, subscriber_id=chosen.id, choices=())
        await _USE_CASES[pending.kind](replace(r, conversation=conversation, intent=pending))


async def _pending(r: Received) -> Intent | None:
    """What was asked right before we asked back, if it answers itself."""
    before = [line for line in await r.tx.conversations.lines(r.conversation.id, 20) if line.id < r.line.id]
    asked_at = max((line.id for line in before if line.author == f"{AUTO}{Auto.WHICH}"), default=None)
    said = [
        line
        for line in before
        if asked_at is not None and line.id < asked_at and line.said is Said.IN and not line.author
    ]
    intent = read_intent(said[-1].body) if said else None
    return intent if intent is not None and intent.kind in (K.BALANCE, K.INVOICE) else None


async def _pay(r: Received) -> None:
    way = r.profile.portal_url
    answered = await (
        r.answer(Auto.PAY, portal=way) if way else r.answer(Auto.PAY_BY_PHONE, contact=_contact(r.profile))
    )
    if not answered:
        await r.want()


async def _card(r: Received) -> None:
    await r.answer(Auto.CARD, way=r.profile.portal_url or _contact(r.profile))
    await r.tell("They texted a card number. It was removed before anything was kept.", "card")
    await r.want()


async def _tapback(r: Received) -> None:
    """A reaction in the thread, if there is one; nobody has to act on it."""


async def _to_a_person(r: Received) -> None:
    await r.want()
    if r.subscriber is None and not r.conversation.choices and r.intent.kind is not K.MEDIA:
        await _ask_which(r)


def _contact(profile: TenantProfile) -> str:
    return profile.brand.support_phone or profile.brand.support_email


_USE_CASES: dict[IntentKind, Callable[[Received], Awaitable[None]]] = {
    K.STOP: _stop,
    K.LOOSE_STOP: _stop,
    K.AMBIGUOUS_CANCEL: _cancel,
    K.START: _start,
    K.YES: _to_a_person,  # a yes to no question of ours: it may be Twilio's own word for opting in
    K.HELP: _help,
    K.BALANCE: _balance,
    K.INVOICE: _invoice,
    K.PAY: _pay,
    K.CHOICE: _choice,
    K.CARD_NUMBER: _card,
    K.TAPBACK: _tapback,
    K.MEDIA: _to_a_person,
    K.FREE_TEXT: _to_a_person,
}

__all__ = ["HAS_CARD", "MOST_AN_HOUR", "receive"]
