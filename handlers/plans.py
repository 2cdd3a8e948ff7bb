"""What is about to be done, worked out already. Pure: values only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from handlers.spf_look import SpfState
from notifier.addresses import AddressReport
from notifier.sms_text import Segments
from store.models import Delivery, Event, Invoice, Note, Subscriber, SubscriberStatus


@dataclass(frozen=True, slots=True)
class Target:
    """One address and whether the invoice can go there."""

    address: str
    on_file: bool
    refusal: str = ""
    """Why it is left out; empty when it goes."""
    payers: bool = True
    """On file for whoever pays, too: what arrives there is a proof (store.proof)."""
    last_failure: Delivery | None = None
    """The newest mail to this address, when it did not arrive."""
    report: AddressReport | None = None
    """What DNS says of it; None: nobody has looked yet."""


@dataclass(frozen=True, slots=True)
class ResendPlan:
    invoice: Invoice
    subscriber: Subscriber
    payer: Subscriber
    targets: tuple[Target, ...]
    earlier: tuple[Delivery, ...]
    """Deliveries of this invoice that arrived or may still arrive, newest first."""
    events: Mapping[UUID, tuple[Event, ...]] = field(default_factory=dict)
    """Of the newest of `earlier`: why it waits, when it does."""
    test_of: str | None = None
    """The mail server that is put to the test; None: it goes by the usual one."""
    notes: tuple[Note, ...] = ()
    """Those that warn or block; nothing is blocked here, but all of them are read first."""
    spf: SpfState | None = None
    """Our own record as it is now; None: no last mail failed for it."""

    @property
    def newest(self) -> str:
        return str(self.earlier[0].id) if self.earlier else ""

    @property
    def seen(self) -> str:
        """What the preview showed: the newest sending, and whether an address was not on file."""
        return f"{self.newest}:{'elsewhere' if self.elsewhere else ''}"

    def still(self, seen: str) -> bool:
        """Whether it holds at the press; an address that was left off file since is news."""
        newest, _, elsewhere = seen.partition(":")
        return newest == self.newest and (bool(elsewhere) or not self.elsewhere)

    @property
    def elsewhere(self) -> bool:
        return any(not t.on_file for t in self.targets if not t.refusal)

    @property
    def meant(self) -> str | None:
        """What was probably meant by an address that looks mistyped."""
        suggestions = (t.report.suggestion for t in self.targets if t.report is not None)
        return next((address for address in suggestions if address), None)

    @property
    def to_file(self) -> bool:
        """All of it goes to what is on file for whoever pays."""
        return all(t.payers for t in self.targets if not t.refusal)

    @property
    def going(self) -> tuple[str, ...]:
        return tuple(t.address for t in self.targets if not t.refusal)

    @property
    def archived(self) -> bool:
        return self.subscriber.status is SubscriberStatus.ARCHIVED


@dataclass(frozen=True, slots=True)
class Number:
    """One number and whether a text may go there."""

    number: str
    """E.164."""
    on_file: bool
    refusal: str = ""
    """Why it is left out; empty when a text may go."""
    payers: bool = True
    """On file for whoever pays, too: what arrives there is a proof (store.proof)."""
    shared_with: tuple[str, ...] = ()
    """Other accounts that have it on file."""


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """An invoice's link by text: to one number, in these very words."""

    invoice: Invoice
    subscriber: Subscriber
    payer: Subscriber
    numbers: tuple[Number, ...]
    """As looked at, in their order; the first without a refusal gets it."""
    segments: Segments | None
    """Of the exact text; None where no number can be texted."""
    link: str
    zones: tuple[ZoneInfo, ...]
    now: datetime
    in_window: bool
    earlier: tuple[Delivery, ...]
    """Deliveries of this invoice that arrived or may still arrive, newest first."""
    events: Mapping[UUID, tuple[Event, ...]] = field(default_factory=dict)

    @property
    def number(self) -> Number | None:
        return next((n for n in self.numbers if not n.refusal), None)

    @property
    def seen(self) -> str:
        """What the preview showed: the newest sending, the number and the words; compared at the press."""
        newest = str(self.earlier[0].id) if self.earlier else ""
        shown = (
            newest,
            self.number.number if self.number else "",
            self.segments.text if self.segments else "",
        )
        return hashlib.sha256("\n".join(shown).encode()).hexdigest()[:24]
