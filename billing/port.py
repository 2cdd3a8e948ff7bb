"""The port to a system of record: it fills the mirror and carries out acts. One file in billing/systems each.

Both calls talk to the network (or may), so they refuse to run inside a transaction. Acts are repeatable:
asking twice to suspend a suspended package is the same as asking once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol, runtime_checkable
from uuid import UUID
from zoneinfo import ZoneInfo

from store.filings import Filing
from store.models import ActKind, Invoice, Package, Subscriber
from store.unit import Store, in_transaction

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


def outside_transactions() -> None:
    """RuntimeError inside one: nobody waits for a stranger's server while others wait for the database."""
    if in_transaction():
        raise RuntimeError("billing is asked inside a database transaction")


class BillingSystem(Protocol):
    """One provider's system of record."""

    @property
    def acts_by_itself(self) -> bool:
        """It suspends by a schedule of its own, whatever holds say here."""
        ...

    @property
    def pauses(self) -> bool:
        """It takes a package out of use until a day, and brings it back then by itself."""
        ...

    async def refresh(self, subscriber_id: UUID) -> AccountFacts | Unavailable:
        """Fetches the subscriber's facts into the mirror and gives them."""
        ...

    async def carry_out(
        self,
        kind: ActKind,
        subscriber_id: UUID,
        package_id: UUID,
        reason: str,
        until: date | None = None,
    ) -> Applied | Rejected | Unclear:
        """The package with all its services. `until`: the day on which a pause ends."""
        ...

    async def close(self) -> None:
        """Lets connections go."""
        ...


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What one round over a remote system has brought."""

    full: bool
    clients: int = 0
    services: int = 0
    invoices: int = 0
    archived: int = 0
    """Clients that it does not have any more."""
    problems: tuple[tuple[str, str], ...] = ()
    """What could not be taken in: (kind and id there, sentence without values)."""


Progress = Callable[[str, int, int], None]
"""(section, done so far, how many there were the last time; 0: not known)"""


@runtime_checkable
class Followed(Protocol):
    """A remote system that the mirror follows, by rounds and by what it tells of itself."""

    @property
    def every(self) -> tuple[timedelta, timedelta]:
        """How often the mirror catches up, and how often it reads everything."""
        ...

    @property
    def webhook_secret(self) -> str:
        """The last part of the URL that it calls; empty: it is not listened to."""
        ...

    async def sync(self, *, full: bool, progress: Progress | None = None) -> SyncResult | Unavailable:
        """One round; a round that was broken off is gone on with."""
        ...

    async def heard(self, event_id: str) -> str:
        """It is said to have told of something: asked back, and read anew. Gives what became of it, in a
        word. Raises while it cannot be asked."""
        ...


@runtime_checkable
class GivesPdfs(Protocol):
    """A system that has the documents of its invoices itself."""

    async def invoice_pdf(self, invoice: Invoice) -> bytes | Unavailable: ...


@runtime_checkable
class TakesFilings(Protocol):
    """A system in whose own log and tickets something can be written about a client."""

    @property
    def label(self) -> str:
        """What people call it."""
        ...

    async def file(self, filing: Filing) -> Applied | Rejected | Unclear:
        """Once, however often it is asked: what was tried before is looked for first."""
        ...


@dataclass(frozen=True, slots=True)
class Remote:
    """How a provider's remote system is reached, and what it cannot tell of itself."""

    url: str
    app_key: str = field(repr=False)
    webhook_secret: str = field(default="", repr=False)
    language: str = "en"
    region: str = "US"
    """Reads telephone numbers without a country code."""
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    timeout_s: float = 10.0
    catch_up_every: timedelta = timedelta(minutes=15)
    read_all_every: timedelta = timedelta(days=1)
    suspends_by_itself: bool = True
    suspension_reason: int | None = None
    """Its id there; None: the first that there is."""


class BillingProvider(Protocol):
    """What a module of billing/systems exposes as BILLING."""

    @property
    def name(self) -> str: ...

    def open(self, store: Store, tenant: int, remote: Remote | None = None) -> BillingSystem:
        """`remote` is given where app.yaml has a section for it."""
        ...
