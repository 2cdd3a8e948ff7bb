"""What is said of an account's notes and holds. Pure: values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from store.models import Hold, Note, Subscriber

REASON_MAX = 200
"""Characters of a hold's reason."""
TEXT_MAX = 400
"""Characters of a note."""
MOST = 20
"""Notes on one account."""


@dataclass(frozen=True, slots=True)
class HoldData:
    subscriber: Subscriber
    holds: tuple[Hold, ...]
    """Those that stand, soonest end first."""
    today: date
    acts_by_itself: bool
    """Billing may suspend by its own schedule, whatever is held here."""
    instead_of: tuple[Hold, ...] = ()
    """What the newest one took the place of."""


@dataclass(frozen=True, slots=True)
class AreaData:
    """A town or a tag, and whom holding it touches."""

    scope: str
    key: str
    accounts: int
    waiting: int
    """Notices of theirs that wait now; at most store.models.MOST_COUNTED + 1."""
    holds: tuple[Hold, ...]
    today: date
    instead_of: tuple[Hold, ...] = ()


@dataclass(frozen=True, slots=True)
class NoteData:
    subscriber: Subscriber
    notes: tuple[Note, ...]
    """Newest first."""
