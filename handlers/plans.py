"""What is about to be done, worked out already. Pure: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from store.models import Delivery, Event, Invoice, Subscriber, SubscriberStatus


@dataclass(frozen=True, slots=True)
class Target:
    """One address and whether the invoice can go there."""

    address: str
    on_file: bool
    refusal: str = ""
    """Why it is left out; empty when it goes."""
    last_failure: Delivery | None = None
    """The newest mail to this address, when it did not arrive."""


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

    @property
    def newest(self) -> str:
        """What the preview knew of earlier sendings; compared again at the press."""
        return str(self.earlier[0].id) if self.earlier else ""

    @property
    def going(self) -> tuple[str, ...]:
        return tuple(t.address for t in self.targets if not t.refusal)

    @property
    def archived(self) -> bool:
        return self.subscriber.status is SubscriberStatus.ARCHIVED
