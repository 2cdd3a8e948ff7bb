"""What is kept of messages, and who may not lose it, as values (store.notices, store.legal_holds)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from store.models import Delivery, Event, Notification


@dataclass(frozen=True, slots=True)
class Filed:
    """One message to one address, with everything that is kept of it."""

    notification: Notification
    delivery: Delivery
    events: tuple[Event, ...]
    """In the order in which they were recorded."""
    content_hash: str | None
    """SHA-256 of the bytes of the latest attempt; None: not recorded."""
    pdf_hash: str | None
    archived_at: datetime | None = None
    """When it was moved out of the live tables; None: it is still there."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many messages a question would show."""

    live: int
    archived: int
    first: datetime | None = None
    """When the oldest of them was asked for."""

    @property
    def total(self) -> int:
        return self.live + self.archived


@dataclass(frozen=True, slots=True)
class Asked:
    """Which messages: an account's or an invoice's, asked for in [since, until)."""

    subscriber_id: UUID
    invoice_id: UUID | None
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class LegalHold:
    """While it stands, nothing of the account is removed by age."""

    id: UUID
    subscriber_id: UUID
    reason: str
    actor: str
    created_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The audit's last sealed row: who knows its hash can tell whether anything before it was changed."""

    seq: int
    hash: str
    at: datetime
