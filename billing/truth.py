"""What billing's facts say right before a message leaves: may this still go, to this address, now?

Fills the port notifier.truth asks: suppressed, void, archived, notices switched off, window closed, and
the deployment's own send mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from notifier.truth import Decision, Go, Stop, Wait
from store.models import (
    Channel,
    Delivery,
    EventKind,
    Invoice,
    InvoiceStatus,
    Notification,
    NotificationKind,
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
        return self.mode == "live" or (self.mode == "only_to" and address.casefold() in self.only_to)


class BillingTruth:
    def __init__(self, send_mode: Callable[[int], SendMode]) -> None:
        self._send_mode = send_mode

    async def check(
        self, tx: Tx, deliveries: Sequence[tuple[Delivery, Notification]]
    ) -> Mapping[UUID, Decision]:
        suppressed = await tx.suppressions.active([(d.channel, d.address) for d, _ in deliveries])
        invoices = await tx.invoices.by_ids(list({n.invoice_id for _, n in deliveries if n.invoice_id}))
        people = await tx.subscribers.by_ids(
            list({n.subscriber_id for _, n in deliveries if n.subscriber_id})
        )
        mode = self._send_mode(tx.tenant)
        decisions: dict[UUID, Decision] = {}
        for delivery, notification in deliveries:
            invoice = invoices.get(notification.invoice_id) if notification.invoice_id else None
            person = people.get(notification.subscriber_id) if notification.subscriber_id else None
            decisions[delivery.id] = (
                _expired(delivery, tx)
                or _suppressed(suppressed.get((Channel(delivery.channel), delivery.address)))
                or _billing(notification, invoice, person)
                or _mode(mode, delivery)
                or Go()
            )
        return decisions


def _expired(delivery: Delivery, tx: Tx) -> Stop | None:
    if tx.now < delivery.expires_at:
        return None
    return Stop(EventKind.EXPIRED, Reason.STALE, "It could not be sent in time and is out of date now.")


def _suppressed(suppression: Suppression | None) -> Stop | None:
    if suppression is None:
        return None
    return Stop(EventKind.SUPPRESSED, Reason.RECIPIENT, "This address is on our do-not-send list.")


def _billing(notification: Notification, invoice: Invoice | None, person: Subscriber | None) -> Stop | None:
    def cancelled(sentence: str) -> Stop:
        return Stop(EventKind.CANCELLED, Reason.STALE, sentence)

    if invoice is not None and invoice.status is InvoiceStatus.VOID:
        return cancelled("The invoice was voided.")
    if notification.kind is NotificationKind.INVOICE_ISSUED:
        if invoice is not None and invoice.status is InvoiceStatus.PAID:
            return cancelled("The invoice is paid.")
        if person is not None and person.status is SubscriberStatus.ARCHIVED:
            return cancelled("The account is archived.")
        if person is not None and not person.invoice_notices:
            return cancelled("Invoice notices are switched off for this account.")
    return None


def _mode(mode: SendMode, delivery: Delivery) -> Wait | None:
    if mode.allows(delivery.address):
        return None
    if mode.mode == "off":
        return Wait("Sending is switched off (send_mode: off).", SEND_MODE)
    return Wait("Only test addresses get mail now (send_mode: only_to).", SEND_MODE)
