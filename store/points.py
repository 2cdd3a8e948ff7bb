"""One address as a source of facts gives it, before it is a row."""

from __future__ import annotations

from dataclasses import dataclass

from store.models import Channel, ContactRole

MAX_RAW = 500
"""Characters of one address as given: PostgreSQL indexes it, in at most 2,704 bytes."""


@dataclass(frozen=True, slots=True)
class PointRecord:
    """One address as a source gives it: `raw` is what it said, `address` what we made of it."""

    role: ContactRole
    channel: Channel
    address: str
    raw: str
    problem: str | None = None
