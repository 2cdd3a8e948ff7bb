"""What holds up the mail of a tenant right now, as data: which limit is the ceiling, with its numbers.

Answers "why is it slow": everything that waits is under exactly one ceiling, the largest first. Read from
what the workers share (limits, breakers, stages), so that any process can answer; writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from notifier.breaker import WHOLE_ROUTE, State, by_of
from notifier.limits import rate_words
from store.breakers import BreakerRow
from store.lines import Standing
from store.rate_limits import Limit
from store.unit import Tx

FRESH = timedelta(seconds=5)
"""A route whose limit was drawn on so lately is going as fast as it may."""


class Kind(StrEnum):
    ROUTE_RATE = "route_rate"
    SEGMENTS = "segments"
    DOMAIN = "domain"
    SLOWED = "slowed"
    BREAKER = "breaker"
    ROUTE_DEAD = "route_dead"
    CONNECTIONS = "connections"
    RETRY = "retry"
    """Tried and put off by the other side; its next attempt has a time."""
    LATER = "later"
    """Quiet hours, or a day that was asked for."""
    PAUSED = "paused"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """`subject`: the domain, operator, run or holder. `waiting` messages; `per_s` where a rate holds them;
    `until`: when the next of them goes, where that is known (business time)."""

    kind: Kind
    route: str
    subject: str
    waiting: int
    sentence: str
    per_s: float | None = None
    until: datetime | None = None

    @property
    def lasts_s(self) -> float | None:
        """How long it takes for all of them, at this rate."""
        return None if not self.per_s else self.waiting / self.per_s


async def ceilings(tx: Tx) -> list[Ceiling]:
    """Of this transaction's tenant; the one with the most behind it first, none when nothing waits."""
    standing = await tx.lines.standing()
    limits = {limit.key: limit for limit in await tx.limits.all()}
    breakers = {by_of(row.route, row.operator): row for row in await tx.breakers.all()}
    real = await tx.limits.real_now()
    found = [c for s in standing if (c := _of(s, limits, breakers, real)) is not None]
    return sorted(_joined(found), key=lambda c: (-c.waiting, c.kind, c.route, c.subject))


def _of(
    s: Standing, limits: Mapping[str, Limit], breakers: Mapping[str, BreakerRow], real: datetime
) -> Ceiling | None:
    by = s.by or ""
    if s.held:
        return _held(s, by, breakers)
    if by.startswith("limit:") and not s.due:
        return _in_line(s, by.removeprefix("limit:"), limits, real)
    if s.due:
        return _due(s, limits, real)
    kind = Kind.RETRY if s.tried else Kind.LATER
    words = (
        "They were put off by the other side and are tried again" if s.tried else "They go later, as asked"
    )
    return Ceiling(kind, s.route, "", s.count, words, until=s.next_at)


def _held(s: Standing, by: str, breakers: Mapping[str, BreakerRow]) -> Ceiling:
    row = breakers.get(by)
    if row is not None and row.state != State.CLOSED:
        dead = row.operator == WHOLE_ROUTE
        who = f"The route {row.route}" if dead else row.operator
        does = "cannot be used" if dead else f"refuses our mail on {row.route}"
        return Ceiling(
            Kind.ROUTE_DEAD if dead else Kind.BREAKER,
            s.route,
            row.operator,
            s.count,
            f"{who} {does}; one mail at a time tries it",
            until=row.probe_at,
        )
    if by.startswith("run:"):
        return Ceiling(Kind.PAUSED, s.route, by.removeprefix("run:"), s.count, "Their run is paused")
    return Ceiling(Kind.HELD, s.route, by, s.count, s.reason or "Somebody holds them")


def _in_line(s: Standing, key: str, limits: Mapping[str, Limit], real: datetime) -> Ceiling:
    domain = key.rpartition(":")[2]
    slowed = limits.get(f"slowed:{s.route}:{domain}")
    is_slowed = slowed is not None and slowed.free_at > real
    limit = limits.get(key)
    per_s = float(limit.per_s) if limit is not None else None
    rate = rate_words(per_s) if per_s else "a few at a time"
    words = f"{domain} asked us to slow down: {rate}" if is_slowed else f"{domain} gets {rate} at most"
    return Ceiling(
        Kind.SLOWED if is_slowed else Kind.DOMAIN, s.route, domain, s.count, words, per_s, s.next_at
    )


def _due(s: Standing, limits: Mapping[str, Limit], real: datetime) -> Ceiling:
    for kind, unit in ((Kind.ROUTE_RATE, ""), (Kind.SEGMENTS, "segments")):
        prefix = "segments" if kind is Kind.SEGMENTS else "route"
        limit = limits.get(f"{prefix}:{s.route}")
        if limit is not None and limit.free_at > real - FRESH:
            words = f"{s.route} sends {rate_words(float(limit.per_s), unit)} at most"
            return Ceiling(kind, s.route, "", s.count, words, float(limit.per_s), s.next_at)
    words = f"{s.route} takes them as fast as its connections answer"
    return Ceiling(Kind.CONNECTIONS, s.route, "", s.count, words, None, s.next_at)


def _joined(found: Sequence[Ceiling]) -> list[Ceiling]:
    """One a ceiling: what waits in several priorities waits for the same."""
    groups: dict[tuple[Kind, str, str], list[Ceiling]] = defaultdict(list)
    for ceiling in found:
        groups[ceiling.kind, ceiling.route, ceiling.subject].append(ceiling)
    return [
        Ceiling(
            kind,
            route,
            subject,
            sum(c.waiting for c in group),
            group[0].sentence,
            group[0].per_s,
            min((c.until for c in group if c.until is not None), default=None),
        )
        for (kind, route, subject), group in groups.items()
    ]
