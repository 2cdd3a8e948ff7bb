"""Addresses to mend, read already, and what became of them. Pure: values only."""

from __future__ import annotations

from dataclasses import dataclass

from notifier.addresses import AddressReport, Finding, Gravity, Kind
from store.models import ContactOverride, Point, Subscriber


@dataclass(frozen=True, slots=True)
class Contact:
    """Whose addresses, and which ones invoices go to."""

    subscriber: Subscriber
    points: tuple[Point, ...]


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


@dataclass(frozen=True, slots=True)
class Mended:
    """An address that was changed here, or taken back; `report` is what is known of the new one."""

    subscriber: Subscriber
    override: ContactOverride
    report: AddressReport | None = None
