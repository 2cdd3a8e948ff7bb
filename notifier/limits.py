"""How fast a way out may be used: the limits of a tenant, and the slots that a limit deals out. Pure.

A limit is the next moment at which it is free (the generic cell rate algorithm, ITU-T I.371 annex A, as a
virtual schedule): whoever takes n units moves it on by n intervals. That one instant is shared through the
database (store.rate_limits), so that any number of workers together hold it. Real time throughout.

Slots are dealt out at most AHEAD_S ahead, so that urgent work never waits behind what is not due yet; what
finds none waits in a line of its own, by due time, and is not looked at again before its turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

AHEAD_S = 0.25
"""How far ahead slots are dealt out to work that is claimed already."""
BOTH_AHEAD_S = 0.1
"""How far ahead a domain's slots go where the route has a limit too: both are used on time."""
SLACK_S = 0.1
"""What an idle limit makes up for: over any 10 s at most 1% more than it says."""
SLOWED_FOR = timedelta(minutes=10)
"""How long a domain that asked us to slow down is sent to more slowly, from its last such answer on."""
SLOWED_AGAIN = timedelta(seconds=30)
"""Answers that come together are one answer: only after so long is the rate halved again."""
FIRST_SLOWED, SLOWEST = 1.0, 0.05
"""Messages a second to a domain without a limit once it says "too fast", and the least it comes to."""
MOST_KEY = 200
"""Characters (store.tables.rate_limits)."""
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class RouteLimits:
    """What is set for one route; None: no limit. `per_s` counts messages, or a text sender's segments."""

    per_s: float | None = None
    domains: Mapping[str, float] = field(default_factory=dict)
    """By recipient domain; EVERYBODY for each that is not named."""

    def of_domain(self, domain: str) -> float | None:
        return self.domains.get(domain, self.domains.get(EVERYBODY))


NONE = RouteLimits()


@dataclass(frozen=True, slots=True)
class Reservation:
    """`slots` for the first of what was asked for; `free_at` is the limit's next free moment now."""

    slots: tuple[datetime, ...]
    free_at: datetime


def reserve(
    free_at: datetime,
    now: datetime,
    per_s: float,
    weights: Sequence[int],
    *,
    ahead_s: float | None = AHEAD_S,
) -> Reservation:
    """Slots in order, as many as begin within `ahead_s` from `now` (None: all)."""
    start = max(free_at, now - timedelta(seconds=SLACK_S))
    horizon = None if ahead_s is None else now + timedelta(seconds=ahead_s)
    slots: list[datetime] = []
    for weight in weights:
        if horizon is not None and start > horizon:
            break
        slots.append(start)
        start += timedelta(seconds=weight / per_s)
    return Reservation(tuple(slots), start if slots else free_at)


def room(free_at: datetime, now: datetime, per_s: float, ahead_s: float = AHEAD_S) -> int:
    """How many single units would find a slot within `ahead_s`."""
    start = max(free_at, now - timedelta(seconds=SLACK_S))
    left = (now + timedelta(seconds=ahead_s) - start).total_seconds()
    return 0 if left < 0 else int(left * per_s) + 1


def slower(current: float | None, set_to: float | None) -> float:
    """The rate of a domain that asks us to slow down: half of what it had."""
    had = current if current is not None else set_to
    return max(had / 2, SLOWEST) if had is not None else FIRST_SLOWED


def route_key(route: str) -> str:
    return f"route:{route}"


def segments_key(route: str) -> str:
    return f"segments:{route}"


def domain_key(route: str, domain: str) -> str:
    return _short(f"domain:{route}:{domain}")


def slowed_key(route: str, domain: str) -> str:
    """Until when a domain is sent to more slowly."""
    return _short(f"slowed:{route}:{domain}")


def line_key(key: str, priority: int) -> str:
    """The line of those that wait for a limit: its end is the next free place."""
    return _short(f"line:{priority}:{key}")


def by_of(key: str) -> str:
    """A limit's key as `stage_by` of what waits in its line (80 characters)."""
    return _short(f"limit:{key}", 80)


def _short(key: str, most: int = MOST_KEY) -> str:
    if len(key) <= most:
        return key
    return f"{key[: most - 17]}#{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def rate_words(per_s: float, what: str = "") -> str:
    """`5 a second`, `12 a minute`: as people say it."""
    unit = f" {what}" if what else ""
    if per_s >= 1:
        return f"{per_s:g}{unit} a second"
    return f"{per_s * 60:g}{unit} a minute"
