"""What a look-up may find. Pure: values only."""

from __future__ import annotations

from dataclasses import dataclass

from store.models import Invoice, Subscriber


@dataclass(frozen=True, slots=True)
class One:
    """One subscriber; with the invoice when that is what was named."""

    subscriber: Subscriber
    invoice: Invoice | None = None


@dataclass(frozen=True, slots=True)
class Several:
    """More than one subscriber fits."""

    subscribers: tuple[Subscriber, ...]
    more: bool
    close: bool = False
    """Nobody fits as it was typed; these are one slip away, so that even a single one is asked about."""


@dataclass(frozen=True, slots=True)
class AccountOrInvoice:
    """The number is an account's and an invoice's."""

    number: str
    account: Subscriber
    invoice: Invoice
    invoice_of: Subscriber


Found = One | Several | AccountOrInvoice
