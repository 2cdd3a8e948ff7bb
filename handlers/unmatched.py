"""Bounce reports that belong to no message: what is shown of them. Pure: values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from handlers.words import bounce_words
from store.models import Delivery, Invoice, Notification, Orphan, Subscriber

PAGE = 6
_CLASSES = {
    "feedback": "the recipient marked our mail as spam",
    "delivered": "it arrived",
    "auto_reply": "the mailbox answered automatically",
}


def class_words(cls: str) -> str:
    """What a report says, without codes."""
    return _CLASSES.get(cls) or bounce_words(cls)


@dataclass(frozen=True, slots=True)
class Queue:
    """One page of what waits."""

    rows: Sequence[Orphan]
    offset: int
    total: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A mail that a report may be about."""

    delivery: Delivery
    notification: Notification
    invoice: Invoice | None
    whose: Subscriber | None


@dataclass(frozen=True, slots=True)
class Matching:
    """A report and the mails that it may be about, the newest first."""

    orphan: Orphan
    candidates: Sequence[Candidate]
