"""How long it takes to send many messages at the limits that hold, and which of them decides. Pure.

All ways out work at once: the slowest decides. Refusals and tries that come later are not foreseen, so this
is the least that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

PER_CONNECTION = 10.0
"""Mails a second that an ordinary relay takes on one connection, where no limit is configured."""
LONG_CODE = 1.0
"""Segments a second of a US long code; toll-free numbers do 3, short codes 100 (Twilio, sending limits)."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A limit in messages (texts: segments) a second. `words` follow "limited by"."""

    per_s: float
    words: str


@dataclass(frozen=True, slots=True)
class Estimate:
    seconds: float
    decides: str
    """The words of the limit that decides."""


def no_ceiling(domain: str) -> Ceiling | None:
    """No domain has a limit of its own."""
    return None


def estimate(
    mails: Mapping[str, int],
    segments: int,
    *,
    route: Ceiling,
    sender: Ceiling | None = None,
    domain: Callable[[str], Ceiling | None] = no_ceiling,
) -> Estimate | None:
    """`mails` by domain, `segments` of texts; None where there is nothing to send."""
    ways = [(sum(mails.values()), route)]
    ways += [(count, limit) for name, count in mails.items() if (limit := domain(name)) is not None]
    if sender is not None:
        ways.append((segments, sender))
    times = [Estimate(count / limit.per_s, limit.words) for count, limit in ways if count]
    return max(times, key=lambda found: found.seconds, default=None)
