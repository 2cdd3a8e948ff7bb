"""What a diagnosis is made from, gathered already. Pure: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from handlers.cards import KnownIncident, Notice
from handlers.spf_look import SpfState
from notifier.addresses import AddressReport
from notifier.mailauth.identity import SendingIdentity
from store.models import (
    ContactOverride,
    Exclusion,
    Hold,
    Invoice,
    Package,
    Point,
    Subscriber,
    Suppression,
)


@dataclass(frozen=True, slots=True)
class SpfFact:
    """Whether the envelope domain authorises the route's servers right now."""

    domain: str
    state: SpfState


@dataclass(frozen=True, slots=True)
class AddressFact:
    """One e-mail address that invoices go to."""

    point: Point
    finding: AddressReport
    suppression: Suppression | None = None
    blamed: Invoice | None = None
    """The invoice whose bounce put the address on the do-not-send list."""
    override: ContactOverride | None = None
    """It was mended here."""
    billing: str | None = None
    """What billing has in its place: an address, or empty for none; None: the same as we."""
    others: int = 0
    """How many other accounts have it on file: how many, never who."""


@dataclass(frozen=True, slots=True)
class PhoneFact:
    """One number that a text could go to."""

    point: Point
    withdrawn_at: datetime | None = None
    """Since when its owner does not want texts."""
    suppression: Suppression | None = None


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """One invoice with all that was sent about it, newest first."""

    invoice: Invoice
    notices: tuple[Notice, ...] = ()
    exclusion: Exclusion | None = None
    """Why the latest run left it out."""


@dataclass(frozen=True, slots=True)
class Company:
    """Others in the same case: mail to the same operator, refused for the same reason."""

    subscribers: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    subscriber: Subscriber
    payer: Subscriber
    """Who gets the invoices; the subscriber unless they are billed to another."""
    addresses: tuple[AddressFact, ...]
    """The payer's, in the order of billing."""
    phones: tuple[PhoneFact, ...]
    invoices: tuple[InvoiceFacts, ...]
    """Newest first: the last three, or the one that was asked for."""
    asked: Invoice | None
    draft: Invoice | None
    """A draft, where there is no invoice."""
    packages: tuple[Package, ...]
    holds: tuple[Hold, ...]
    spf: SpfFact | None
    """None: not checked."""
    company: Company | None
    incidents: tuple[KnownIncident, ...]
    """All that are unresolved, the most urgent first."""
    caught: frozenset[UUID]
    """Those of them that caught a delivery of the newest invoice."""
    route: str
    """By which the deciding mail went, or would go."""
    relays: frozenset[str]
    """Our routes that are relays: what they say is not what the recipient's server says."""
    other_route: str | None
    """The provider's own mail server, for the test by another server."""
    send_mode: str
    texts: bool
    """Whether this provider sends texts at all."""
    now: datetime
    today: date
    newest: UUID | None = None
    """The account's newest invoice; None: it is the first of `invoices`."""
    late: int | None = None
    """How many invoices are past due; None: of `invoices` alone."""
    identity: SendingIdentity | None = None
    """What recipients make of the route's mail right now: SPF, DKIM and DMARC; None: not asked."""
    operators: frozenset[str] = frozenset()
    """Who runs the mail of these addresses: domains, as incidents name them."""
    reports: Mapping[str, datetime] = field(default_factory=dict)
    """Address -> since when the newest report about it waits unmatched."""

    @property
    def relay(self) -> bool:
        return self.route in self.relays
