"""What billing's facts say right before a message leaves: may this still go, to this address, now?

Fills the port notifier.truth asks: suppressed, opted out, void, paid, in credit, archived, notices switched
off, held by account, town or tag, run paused or cancelled, window closed, and the deployment's own send mode.
It stands between every claim and every send: one statement a batch, and a few more for what that one finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from billing import holds, pauses
from notifier.local_time import zones_of
from notifier.quiet import QuietHours, next_opening, waits_until
from notifier.truth import Decision, Go, Later, Stop, Wait
from store.consents import Consent
from store.models import (
    Channel,
    ConsentState,
    Delivery,
    EventKind,
    Facts,
    Invoice,
    InvoiceStatus,
    Notification,
    NotificationKind,
    Priority,
    QuestionState,
    Reason,
    Subscriber,
    SubscriberStatus,
    Suppression,
)
from store.unit import Tx

SEND_MODE = "send_mode"
"""Who holds what the send mode does not let out; released when the mode is changed."""


@dataclass(frozen=True, slots=True)
class SendMode:
    """off: nothing leaves; only_to: only to these addresses; live: everything."""

    mode: Literal["off", "only_to", "live"]
    only_to: frozenset[str] = frozenset()

    def allows(self, address: str) -> bool:
        """`address` is a mailbox or a number in E.164; `only_to` names either."""
        return self.mode == "live" or (self.mode == "only_to" and address.casefold() in self.only_to)


def _any_time(tenant: int) -> QuietHours | None:
    """No window: texts go at any hour."""
    return None


class BillingTruth:
    def __init__(
        self,
        send_mode: Callable[[int], SendMode],
        quiet: Callable[[int], QuietHours | None] = _any_time,
    ) -> None:
        self._send_mode, self._quiet = send_mode, quiet

    async def check(
        self, tx: Tx, deliveries: Sequence[tuple[Delivery, Notification]]
    ) -> Mapping[UUID, Decision]:
        # Only what speaks against a message is read: of a run of thousands that is next to nothing.
        against = await tx.objections.to(
            addresses={d.address for d, _ in deliveries},
            invoices={n.invoice_id for _, n in deliveries if n.invoice_id},
            people={n.subscriber_id for _, n in deliveries if n.subscriber_id and n.kind in _NOTICES},
            runs={n.run_id for _, n in deliveries if n.run_id},
        )
        suppressed = await tx.suppressions.active(
            [(d.channel, d.address) for d, _ in deliveries if d.address in against.addresses]
        )
        invoices = await tx.invoices.not_due(list(against.invoices))
        owners = await tx.subscribers.not_to_notify(list(against.people))
        withdrawn = await _withdrawn(tx, [d.address for d, _ in deliveries if d.channel is Channel.SMS])
        paused = await pauses.standing(tx, [d for d, _ in deliveries])
        settled = await _settled(tx, [n for _, n in deliveries])
        mode, quiet = self._send_mode(tx.tenant), self._quiet(tx.tenant)
        held = await _holds(tx, [n for _, n in deliveries], areas=against.areas)
        readers = await _readers(tx, quiet, deliveries)
        states = await tx.runs.states(list(against.runs))
        decisions: dict[UUID, Decision] = {}
        for delivery, notification in deliveries:
            invoice = invoices.get(notification.invoice_id) if notification.invoice_id else None
            person = owners.get(notification.subscriber_id) if notification.subscriber_id else None
            key = (Channel(delivery.channel), delivery.address)
            decisions[delivery.id] = (
                _expired(delivery, tx)
                or _opted_out(withdrawn.get(key), suppressed.get(key), notification)
                or _suppressed(suppressed.get(key), withdrawn.get(key), notification)
                or settled.get(notification.id)
                or _billing(notification, invoice, person, tx.now)
                or pauses.of_run(notification, states)
                or holds.wait_for(notification, held)
                or pauses.wait_for(delivery, notification, paused)
                or _mode(mode, delivery)
                or _quiet(quiet, delivery, notification, readers, tx.now)
                or Go()
            )
        return decisions


async def _holds(tx: Tx, notifications: Sequence[Notification], *, areas: bool) -> holds.Touching:
    """Asked only for those whom a hold may stop: by account for reminders, by area only where one stands."""
    notices = {n.subscriber_id for n in notifications if n.subscriber_id and n.kind in holds.AREA_KINDS}
    reminders = any(n.kind in holds.HELD_KINDS for n in notifications)
    if not notices or not (reminders or areas):
        return {}
    people = await tx.subscribers.by_ids(list(notices))
    return await holds.standing(tx, list(people.values()), accounts=reminders)


async def _readers(
    tx: Tx, quiet: QuietHours | None, deliveries: Sequence[tuple[Delivery, Notification]]
) -> Mapping[UUID, Subscriber]:
    """Who gets texts that may have to wait for the morning where they live."""
    if quiet is None:
        return {}
    ids = {d.subscriber_id for d, n in deliveries if d.subscriber_id and _waits_for_morning(d, n)}
    return await tx.subscribers.by_ids(list(ids)) if ids else {}


def _waits_for_morning(delivery: Delivery, notification: Notification) -> bool:
    if delivery.channel is not Channel.SMS:
        return False
    return delivery.priority is not Priority.URGENT and notification.kind not in _ANY_HOUR


async def _settled(tx: Tx, notifications: Sequence[Notification]) -> dict[UUID, Stop]:
    """Questions about an address that has changed since, by an import too, or that are over."""
    stops: dict[UUID, Stop] = {}
    for one in notifications:
        if one.kind is not NotificationKind.ADDRESS_QUESTION:
            continue
        question = await tx.questions.get(one.id)  # which has its text's id
        if question is None:
            continue
        points = (await tx.subscribers.points([question.subscriber_id])).get(question.subscriber_id, [])
        on_file = any(p.channel is Channel.EMAIL and p.address == question.old_address for p in points)
        if question.state is not QuestionState.ASKED or not on_file:
            sentence = "The question was over before it was asked."
            stops[one.id] = Stop(EventKind.CANCELLED, Reason.STALE, sentence)
    return stops


def _expired(delivery: Delivery, tx: Tx) -> Stop | None:
    if tx.now < delivery.expires_at:
        return None
    return Stop(EventKind.EXPIRED, Reason.STALE, "It could not be sent in time and is out of date now.")


async def _withdrawn(tx: Tx, numbers: Sequence[str]) -> dict[tuple[Channel, str], Consent]:
    """The withdrawals of consent to texts that stand."""
    found = await tx.consents.current([(Channel.SMS, number) for number in numbers])
    return {key: consent for key, consent in found.items() if consent.state is ConsentState.WITHDRAWN}


OPTED_OUT = "opted_out"
CONFIRMED_WITHIN = timedelta(minutes=5)
"""47 CFR 64.1200(a)(12): one text may confirm an opt-out, within five minutes of it."""


def _confirms(
    notification: Notification, withdrawal: Consent | None, suppression: Suppression | None
) -> bool:
    """Whether this is the one text that an opt-out leaves us; that it is one is its sender's matter."""
    since = withdrawal.at if withdrawal else suppression.created_at if suppression else None
    if notification.kind is not NotificationKind.AUTO_REPLY or since is None:
        return False
    return timedelta(0) <= notification.created_at - since <= CONFIRMED_WITHIN


def _opted_out(
    withdrawal: Consent | None, suppression: Suppression | None, notification: Notification
) -> Stop | None:
    """Whoever opted out gets no text of any kind, an agent's own words included (docs/texts.md).

    Whoever is on call is a colleague: what they said as a subscriber is about their subscription.
    """
    if withdrawal is None or notification.kind is NotificationKind.ONCALL:
        return None
    if _confirms(notification, withdrawal, suppression):
        return None
    return Stop(EventKind.SUPPRESSED, Reason.OPTED_OUT, "The subscriber has opted out of texts.")


def _suppressed(
    suppression: Suppression | None, withdrawal: Consent | None, notification: Notification
) -> Stop | None:
    if suppression is None:
        return None
    if suppression.channel is not Channel.SMS:
        return Stop(EventKind.SUPPRESSED, Reason.RECIPIENT, "This address is on our do-not-send list.")
    if suppression.reason != OPTED_OUT:
        return Stop(EventKind.SUPPRESSED, Reason.RECIPIENT, "This number is on our do-not-text list.")
    if _confirms(notification, withdrawal, suppression):
        return None
    return Stop(EventKind.SUPPRESSED, Reason.OPTED_OUT, "The subscriber has opted out of texts.")


def _billing(
    notification: Notification, invoice: Invoice | None, person: Subscriber | None, now: datetime
) -> Stop | None:
    """What billing has learnt since the notice was written. Whoever asks for a copy by hand gets it, but
    never one of a voided invoice."""
    told: tuple[str, Facts] | None = None
    if invoice is not None and invoice.status is InvoiceStatus.VOID:
        told = "The invoice was voided", invoice.facts
    elif notification.kind in _NOTICES:
        told = _of_invoice(invoice) or _of_account(notification, person)
    if told is None:
        return None
    sentence, facts = told
    return Stop(EventKind.CANCELLED, Reason.STALE, sentence + _age(facts, now))


def _of_invoice(invoice: Invoice | None) -> tuple[str, Facts] | None:
    if invoice is None:
        return None
    if invoice.status is InvoiceStatus.PAID or invoice.due.minor <= 0:
        return "The invoice is paid", invoice.facts
    if invoice.status is InvoiceStatus.UNCOLLECTIBLE:
        return "The invoice was written off", invoice.facts
    return None


def _of_account(notification: Notification, person: Subscriber | None) -> tuple[str, Facts] | None:
    if person is None:
        return None
    if person.status is SubscriberStatus.ARCHIVED:
        return "The account is archived", person.facts
    if not person.invoice_notices:
        return "Invoice notices are switched off for this account", person.facts
    covered = nothing_to_ask(notification.kind, person)
    return (_COVERED[covered], person.facts) if covered else None


_COVERED = {
    "in_credit": "The account is in credit, which covers the invoice",
    "owes_nothing": "The account owes nothing any more",
}


def nothing_to_ask(kind: NotificationKind, person: Subscriber) -> Literal["in_credit", "owes_nothing"] | None:
    """Nobody in credit is asked for money by a notice; nobody who owes nothing is reminded of it.

    The rehearsal of a run asks here too, so that it promises no notice that the last look would cancel.
    """
    if kind in _NOTICES and person.balance.minor < 0:
        return "in_credit"
    if kind in holds.HELD_KINDS and person.balance.minor == 0:
        return "owes_nothing"
    return None


OLD = timedelta(days=1)
"""Facts of billing older than this are said to be."""


def _age(facts: Facts, now: datetime) -> str:
    """How old the facts were by which it was decided, where that is not plain; and a full stop."""
    age = now - facts.as_of
    if age <= OLD:
        return "."
    return f", by what billing said {age.days} day{'s' if age.days != 1 else ''} before."


_NOTICES = frozenset({NotificationKind.INVOICE_ISSUED, NotificationKind.REMINDER, NotificationKind.OVERDUE})
_ANY_HOUR = frozenset({NotificationKind.REPLY, NotificationKind.AUTO_REPLY, NotificationKind.ONCALL})
"""An answer is waited for, and whoever is on call is called."""


def _quiet(
    quiet: QuietHours | None,
    delivery: Delivery,
    notification: Notification,
    people: Mapping[UUID, Subscriber],
    now: datetime,
) -> Later | None:
    """Texts that nobody waits for come by day, in the time of whoever gets them."""
    if quiet is None or not _waits_for_morning(delivery, notification):
        return None
    person = people.get(delivery.subscriber_id) if delivery.subscriber_id else None
    zones = zones_of(person, delivery.address, quiet.home)
    opening = next_opening(quiet.window, zones, now)
    return None if opening is None else Later(opening, waits_until(opening, zones[0], now))


def _mode(mode: SendMode, delivery: Delivery) -> Wait | None:
    if mode.allows(delivery.address):
        return None
    if mode.mode == "off":
        return Wait("Sending is switched off (send_mode: off).", SEND_MODE)
    if delivery.channel is Channel.SMS:
        return Wait("Only test numbers get texts now (send_mode: only_to).", SEND_MODE)
    return Wait("Only test addresses get mail now (send_mode: only_to).", SEND_MODE)
