"""What cards show, read already. Pure: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from notifier.breaker import State
from store.filed import LegalHold
from store.models import (
    Aside,
    ContactOverride,
    Delivery,
    DomainRecord,
    Event,
    FailedAttempt,
    Hold,
    Incident,
    Invoice,
    InvoiceStatus,
    Note,
    Notification,
    Package,
    Point,
    Subscriber,
)


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification with what became of it."""

    notification: Notification
    invoice: Invoice | None
    deliveries: tuple[Delivery, ...]
    events: Mapping[UUID, tuple[Event, ...]]
    incidents: Mapping[UUID, Incident] = field(default_factory=dict)
    """By delivery: the unresolved incident that caught it."""
    aside: Mapping[UUID, Aside] = field(default_factory=dict)
    """By delivery: why it counts less than others as proof (store.proof); most simply count."""
    archived_at: datetime | None = None
    """Moved out of the live tables by age: its events are all kept, but nothing more can come."""

    def counts(self, delivery: Delivery) -> bool:
        """Whether it tells anything of whoever gets the invoices."""
        return self.aside.get(delivery.id) in (None, Aside.KEPT)


@dataclass(frozen=True, slots=True)
class KnownIncident:
    """An unresolved incident that caught messages of a subscriber, and of how many subscribers in all."""

    incident: Incident
    people: int


@dataclass(frozen=True, slots=True)
class Example:
    """One delivery that an incident caught, and what was said of it last."""

    delivery: Delivery
    subscriber: Subscriber | None
    failure: FailedAttempt | None


@dataclass(frozen=True, slots=True)
class BreakerLine:
    """A breaker that an incident has to do with. `operator` is empty for a whole route."""

    route: str
    operator: str
    state: State
    held: int
    probe_at: datetime | None = None
    closed_at: datetime | None = None
    to: str = ""
    """The other way out of a failover; `trial` is how that goes (a notifier.failover.Trial, or empty)."""
    trial: str = ""
    moved: int = 0


@dataclass(frozen=True, slots=True)
class IncidentData:
    incident: Incident
    people: int
    examples: tuple[Example, ...]
    waiting: int
    """Messages that are still to go out once it is mended."""
    over: bool
    """Nothing has failed for a while, and something has got through since."""
    earlier: Incident | None
    texts: tuple[Delivery, ...]
    """The newest text to the on-call numbers; empty while there was none."""
    now: datetime
    record: DomainRecord | None = None
    """Of an incident about one: the record as it was seen last."""
    breakers: tuple[BreakerLine, ...] = ()
    refused: int = 0
    """Once it seems over: how many of what it caught could be sent again."""


@dataclass(frozen=True, slots=True)
class CardData:
    subscriber: Subscriber
    payer: Subscriber
    billed_for: tuple[Subscriber, ...]
    points: tuple[Point, ...]
    payer_points: tuple[Point, ...]
    suppressed: frozenset[str]
    packages: tuple[Package, ...]
    invoices: tuple[Invoice, ...]
    notes: tuple[Note, ...]
    holds: tuple[Hold, ...]
    last_notice: Notice | None
    now: datetime
    today: date
    overrides: tuple[ContactOverride, ...] = ()
    """Addresses mended here that billing does not have yet."""
    named: Invoice | None = None
    """The invoice by which the subscriber was looked up."""
    incidents: tuple[KnownIncident, ...] = ()
    """Newest first."""
    legal_holds: tuple[LegalHold, ...] = ()
    """Those that stand: nothing of this account is removed by age."""


def is_overdue(invoice: Invoice, today: date) -> bool:
    """Derived: open or partly paid, and past its due date in the tenant's zone."""
    return invoice.status in (InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID) and invoice.due_on < today
