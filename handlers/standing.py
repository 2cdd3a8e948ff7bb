"""How a subscriber stands before an act of billing: what speaks for it, what against it. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from urllib.parse import quote

from billing.judgement import Case, Refusal
from store.models import BillingAct, Hold, Invoice, Note, Package, Subscriber

OLD_IMPORT = timedelta(hours=24)
"""Payments since an import that is older must be looked for by a person before anybody is suspended."""


OUR_OWN = frozenset({"local", "csv", "here"})
"""Sources of facts that name no other system: what is on file is the record itself."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The system in which it has to be done."""

    name: str
    """As the facts name it; empty: nobody has said."""
    link: str = ""
    """Where the account stands there; empty: not known."""

    @property
    def told(self) -> str:
        return f"in {self.name}" if self.name else "in your billing system"


def elsewhere(billing: str, link: str, subscriber: Subscriber) -> Elsewhere | None:
    """None: it is done here. Facts from files of another system are a copy: what changes in the copy
    reaches nobody's router, and the next file changes it back."""
    source = subscriber.facts.source
    if billing != "local" or (not link and source in OUR_OWN):
        return None
    named = "" if source in OUR_OWN else source
    return Elsewhere(named, link.replace("{account}", quote(subscriber.account, safe="")))


class Proof(StrEnum):
    """Whether the subscriber provably got an invoice (what counts: store.proof), weakest last."""

    PROVEN = "proven"
    """A receipt: by a handset or by the recipient's own server."""
    LIKELY = "likely"
    """Handed over, and no bounce reported."""
    UNDER_WAY = "under_way"
    FAILED = "failed"
    NEVER = "never"
    """Nothing about it went from here to what is on file."""


@dataclass(frozen=True, slots=True)
class DueInvoice:
    invoice: Invoice
    overdue_days: int
    """0: not overdue."""
    proof: Proof
    told: str
    """What became of the best notice about it, in words; empty when there was none."""


@dataclass(frozen=True, slots=True)
class Standing:
    subscriber: Subscriber
    payer: Subscriber
    packages: tuple[Package, ...]
    due: tuple[DueInvoice, ...]
    """Oldest first."""
    last_paid: Invoice | None
    holds: tuple[Hold, ...]
    notes: tuple[Note, ...]
    acts: tuple[BillingAct, ...]
    """Newest first."""
    now: datetime
    today: date
    as_of: datetime | None
    """When billing said so; None: it could not be asked, and this is what was known before."""
    imported_at: datetime | None = None
    unavailable: str = ""
    acts_by_itself: bool = False
    """Billing suspends by a schedule of its own."""
    refusal: Refusal | None = None
    elsewhere: Elsewhere | None = None
    """Set where packages are suspended in another system, of which this is a copy."""

    @property
    def case(self) -> Case:
        return Case(self.subscriber, self.packages, self.holds, self.notes)

    @property
    def overdue(self) -> tuple[DueInvoice, ...]:
        return tuple(d for d in self.due if d.overdue_days > 0)

    @property
    def proof(self) -> Proof:
        """Of what is overdue, else of what is due: the best there is."""
        looked_at = self.overdue or self.due
        return min((d.proof for d in looked_at), key=list(Proof).index, default=Proof.NEVER)

    @property
    def under_way(self) -> BillingAct | None:
        return next((act for act in self.acts if act.open), None)

    @property
    def old_import(self) -> bool:
        return self.imported_at is not None and self.now - self.imported_at > OLD_IMPORT
