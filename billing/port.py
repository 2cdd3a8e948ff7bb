"""The port to a system of record: it fills the mirror and carries out acts. One file in billing/systems each.

Both calls talk to the network (or may), so they refuse to run inside a transaction. Acts are repeatable:
asking twice to suspend a suspended package is the same as asking once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from store.models import ActKind, Package, Subscriber
from store.unit import Store

FRESH = timedelta(seconds=60)
"""No act on facts that are older (facts/billing.md); they are fetched again, or the act waits."""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What the system of record says of one subscriber."""

    subscriber: Subscriber
    packages: tuple[Package, ...]
    as_of: datetime
    """When it said so."""
    imported_at: datetime | None = None
    """Set where the record is fed by files: what happened elsewhere since then is not in it."""

    def package(self, package_id: UUID) -> Package | None:
        return next((p for p in self.packages if p.id == package_id), None)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """It could not be asked; `sentence` says why to an agent, without codes."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Applied:
    """It says that it did it. Believed once reading back shows so."""

    ref: str = ""
    """The system's own name for the act."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """It says no, and did nothing."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """The answer was lost: it may or may not have done it."""

    sentence: str


class BillingSystem(Protocol):
    """One provider's system of record."""

    @property
    def acts_by_itself(self) -> bool:
        """It suspends by a schedule of its own, whatever holds say here."""
        ...

    async def refresh(self, subscriber_id: UUID) -> AccountFacts | Unavailable:
        """Fetches the subscriber's facts into the mirror and gives them."""
        ...

    async def carry_out(
        self, kind: ActKind, subscriber_id: UUID, package_id: UUID, reason: str
    ) -> Applied | Rejected | Unclear:
        """The package with all its services."""
        ...


class BillingProvider(Protocol):
    """What a module of billing/systems exposes as BILLING."""

    @property
    def name(self) -> str: ...

    def open(self, store: Store, tenant: int) -> BillingSystem: ...
