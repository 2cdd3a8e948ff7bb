"""What is about to be done, worked out already. Pure: values only."""

from __future__ import annotations

from dataclasses import dataclass

from store.models import Delivery, Invoice, Subscriber, SubscriberStatus


@dataclass(frozen=True, slots=True)
class Target:
    """One address and whether the invoice can go there."""

    address: str
    on_file: bool
    refusal: str = ""
    """Why it is left out; empty when it goes."""


@dataclass(frozen=True, slots=True)
class ResendPlan:
    invoice: Invoice
    subscriber: Subscriber
    payer: Subscriber
    targets: tuple[Target, ...]
    earlier: tuple[Delivery, ...]
    """Deliveries of this invoice that arrived or may still arrive, newest first."""

    @property
    def going(self) -> tuple[str, ...]:
        return tuple(t.address for t in self.targets if not t.refusal)

    @property
    def archived(self) -> bool:
        return self.subscriber.status is SubscriberStatus.ARCHIVED
