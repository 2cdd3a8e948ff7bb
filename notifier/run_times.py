"""How long an invoice run may wait for people, and what a pause does to its notices. Pure."""

from __future__ import annotations

from datetime import timedelta

from store.models import NotificationKind

LONGEST_PAUSE = timedelta(days=14)
"""A run that nobody resumes for so long is cancelled: an invoice is better told anew."""
APPROVE_WITHIN = timedelta(hours=24)
"""A run that nobody approves for so long is cancelled: its audience is another one by then."""


def keeps_its_time(kind: NotificationKind) -> bool:
    """Whether the time of a pause is added to how long a notice is worth sending.

    A reminder speaks of a day that comes all the same: late it would be wrong.
    """
    return kind is not NotificationKind.REMINDER
