"""What a record of notices is made of, read already. Pure: values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from handlers.profile import TenantProfile
from handlers.proofs.period import Period
from handlers.reply import File
from store.filed import Asked, ChainHead, Count, Filed, LegalHold
from store.models import AuditEntry, Channel, ContactOverride, Exclusion, Hold, Invoice, Run, Subscriber

REASON_MAX = 300
"""Characters of why a record is made, or held."""
MOST_NOTICES = 2000
"""In one document: about 1,000 pages, which nobody reads to the end. More are asked for in parts."""


@dataclass(frozen=True, slots=True)
class SuppressionChange:
    """An address was put on the do-not-send list, or taken off it."""

    channel: Channel
    address: str
    change: str
    """suppressed, released"""
    reason: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """Somebody allowed or forbade texts to a number."""

    address: str
    state: str
    source: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ProofCase:
    """Everything that the document tells; what is outside of the period is not in here."""

    profile: TenantProfile
    subscriber: Subscriber
    payer: Subscriber
    invoice: Invoice | None
    asked: Asked
    filed: Sequence[Filed]
    """Oldest first; at most MOST_NOTICES."""
    invoices: Mapping[UUID, Invoice]
    templates: Mapping[str, str]
    """Hash -> what the template is called."""
    contact_changes: Sequence[ContactOverride]
    suppressions: Sequence[SuppressionChange]
    consents: Sequence[ConsentChange]
    left_out: Sequence[tuple[Run, Exclusion, datetime]]
    """Runs that left the account out, why, and when."""
    holds: Sequence[Hold]
    legal_holds: Sequence[LegalHold]
    deeds: Sequence[AuditEntry]
    """What colleagues did with the account, oldest first; looks are left out."""
    head: ChainHead | None
    """The last sealed row of the audit when this was read; None: nothing is sealed yet."""
    made_at: datetime
    made_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What the document would tell of."""

    subscriber: Subscriber
    invoice_number: str
    invoice_id: UUID | None
    period: Period
    count: Count
    ever: Count
    """Whatever the time."""
    holds: tuple[LegalHold, ...]
    """Legal holds that stand."""

    @property
    def too_many(self) -> bool:
        return self.count.total > MOST_NOTICES


@dataclass(frozen=True, slots=True)
class Made:
    file: File
    sha256: str
    notices: int
