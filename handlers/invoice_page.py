"""What an invoice's page shows and what stands before its PDF, as facts are now. Pure.

Whoever holds the link sees an amount and a date, no name and no address. The PDF asks for the ZIP code of
the service address of whoever the link was sent to (`InvoiceLink.subscriber_id`): the payer, where another
account pays.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from handlers.profile import TenantProfile
from store.models import Invoice, InvoiceLink, InvoiceStatus, Subscriber

MOST_TRIES = 5
"""On one link."""
MOST_TRIES_IN_ALL = 15
"""On all links of one reader that still work."""
NUMERIC_REGIONS = frozenset({"US", "PR", "MX"})
"""Where a postal code is five digits, with or without four more."""
_LONGEST = 32
_BETWEEN = " \t-.\u2010\u2011\u2013"
"""What people write between the digits."""


class PageState(StrEnum):
    DUE = "due"
    OVERDUE = "overdue"
    PAID = "paid"
    VOID = "void"
    CALL = "call"
    """Neither to be paid nor paid: somebody should talk about it."""


class Gate(StrEnum):
    """What stands before the PDF."""

    ASK = "ask"
    LOCKED = "locked"
    NO_ZIP = "no_zip"
    """No ZIP code that could be asked for is on file."""
    NONE = "none"
    """There is no PDF to be had."""


class Tried(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    UNREADABLE = "unreadable"
    """No ZIP code at all: says nothing about the right one and counts for nothing."""
    REFUSED = "refused"
    """Not offered (any more)."""


@dataclass(frozen=True, slots=True)
class InvoicePage:
    profile: TenantProfile
    link: InvoiceLink
    invoice: Invoice
    reader: Subscriber
    """Who got the link."""
    today: date
    expired: bool
    failed_in_all: int = 0
    """Wrong ZIP codes on all working links of this reader."""

    @property
    def state(self) -> PageState:
        return state_of(self.invoice, self.today)

    @property
    def tries_left(self) -> int:
        return max(min(MOST_TRIES - self.link.failed, MOST_TRIES_IN_ALL - self.failed_in_all), 0)

    @property
    def gate(self) -> Gate:
        if self.expired or self.state in (PageState.VOID, PageState.CALL):
            return Gate.NONE
        if zip_key(self.reader.postal_code, self.profile.region) is None:
            return Gate.NO_ZIP
        return Gate.ASK if self.tries_left else Gate.LOCKED


def state_of(invoice: Invoice, today: date) -> PageState:
    """`today` in the provider's zone; the due date itself is not late yet."""
    settled = {
        InvoiceStatus.PAID: PageState.PAID,
        InvoiceStatus.VOID: PageState.VOID,
        InvoiceStatus.DRAFT: PageState.CALL,
        InvoiceStatus.UNCOLLECTIBLE: PageState.CALL,
    }
    if invoice.status in settled:
        return settled[invoice.status]
    if invoice.due.minor <= 0:
        return PageState.PAID
    return PageState.OVERDUE if today > invoice.due_on else PageState.DUE


def zip_key(text: str, region: str) -> str | None:
    """What ZIP codes are compared by; None for what cannot be one. The four digits behind do not count."""
    if len(text) > _LONGEST:
        return None
    plain = "".join(
        c for c in unicodedata.normalize("NFKC", text).upper() if c not in " -\u2010\u2011\u2013.\t"
    )
    if not plain.isascii() or not plain.isalnum():
        return None
    if region in NUMERIC_REGIONS:
        return plain[:5] if plain.isdigit() and len(plain) in (5, 9) else None
    return plain if 3 <= len(plain) <= 10 else None
