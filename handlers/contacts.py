"""Addresses to mend, read already, and what became of them. Pure: values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from notifier.addresses import AddressReport, Finding, Gravity, Kind
from store.models import ContactOverride, Point, Subscriber


@dataclass(frozen=True, slots=True)
class Contact:
    """Whose addresses, and which ones invoices go to."""

    subscriber: Subscriber
    points: tuple[Point, ...]


ADDRESS_FIELD = "address"
AGAIN = "again"
"""Fields of the pages after the first, numbered. Each of another name: Slack keeps what was typed in a field
of the same name, and would not show the suggestion."""


def field_of(inputs: Mapping[str, str]) -> str:
    """The field of the page that was submitted."""
    return next((name for name in inputs if name.startswith(AGAIN)), ADDRESS_FIELD)


@dataclass(frozen=True, slots=True)
class Weighed:
    """An address that somebody wants to save, with what speaks against it."""

    contact: Contact
    before: Point | None
    """What it replaces; None: it is one more."""
    typed: str
    report: AddressReport
    refused: str = ""
    """Why it cannot be saved; empty: it can, after a look at `doubts`."""

    @property
    def doubts(self) -> tuple[Finding, ...]:
        return doubts(self.report)

    @property
    def proposed(self) -> str:
        """What to save, unless somebody knows better."""
        return self.report.suggestion or self.report.address


def doubts(report: AddressReport) -> tuple[Finding, ...]:
    """What somebody must have read before the address is saved."""
    return tuple(f for f in report.findings if f.gravity < Gravity.TELLS or f.kind is Kind.SHARED)


class TakenBack(StrEnum):
    """What a press on Undo came to."""

    NOW = "now"
    BEFORE = "before"
    """The change did not stand any more, and the address is not on file."""
    BILLING = "billing"
    """Billing has the same address by now: nothing was taken back."""


@dataclass(frozen=True, slots=True)
class Mended:
    """An address that was changed here, or taken back; `report` is what is known of the new one."""

    subscriber: Subscriber
    override: ContactOverride
    report: AddressReport | None = None
    billing: str | None = None
    """What billing has in its place: an address, or empty for none; None: the same as we."""


def billing_has(overrides: Sequence[ContactOverride], address: str) -> str | None:
    """What billing has in place of `address`: an address, or empty for none; None: the same.

    `overrides` are those that stand, oldest first. What was mended twice is at billing as it was at first.
    """
    found, left = address, list(overrides)
    while before := next((o for o in reversed(left) if o.new_address == found), None):
        found = before.old_address
        # Each once, and backwards in time: what became of another address later has no part in this one.
        left = [o for o in left if o is not before and o.created_at <= before.created_at]
    return None if found == address else found
