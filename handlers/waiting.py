"""What waits now, who or what holds it, and the one limit that decides how fast the rest goes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from billing.hold_words import held_thing, thing
from store.models import Held, Hold, Incident, Queued, Run


class Decision(StrEnum):
    """What a person says about a message that may have gone out."""

    AGAIN = "again"
    ARRIVED = "arrived"
    GIVE_UP = "giveup"


FEW = 30
"""Handed over within the last minute: from so many on they tell a rate."""


@dataclass(frozen=True, slots=True)
class Way:
    """One route, as it stands now."""

    name: str
    channel: str
    connections: int
    queued: Queued | None
    in_hand: int = 0
    later: Mapping[str, int] = field(default_factory=dict)
    """Why those queued for later wait; of the next ones."""
    last_minute: int = 0
    """Handed over within it."""
    limit: float | None = None
    """Units a second that all workers together may use, where that limit is in use now."""
    trouble: Incident | None = None
    """An unresolved incident of the route itself."""


@dataclass(frozen=True, slots=True)
class Waiting:
    ways: tuple[Way, ...]
    held: tuple[Held, ...]
    lines: Mapping[str, int]
    """Limit -> how many wait in its line."""
    rates: Mapping[str, float]
    """Limit -> units a second."""
    holds: Mapping[str, Hold]
    """Holder -> the hold behind it, where one stands."""
    runs: Mapping[str, Run]
    works: bool
    """A worker has given a sign of life."""
    send_mode: str
    now: datetime

    @property
    def due(self) -> int:
        return sum(w.queued.due for w in self.ways if w.queued)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What decides how fast a route is now. `ends_in`: when what is due has left, if nothing changes."""

    way: str
    sentence: str
    ends_in: timedelta | None = None


def ceilings(waiting: Waiting) -> list[Ceiling]:
    """The one answer to "why is it slow" for each route on which something is due or waits in line."""
    if not waiting.works:
        return [Ceiling("", "No worker is running: nothing is sent until one is started.")]
    if waiting.send_mode == "off":
        return [Ceiling("", "Sending is switched off (send_mode: off): everything is held.")]
    found: list[Ceiling] = []
    for way in waiting.ways:
        found += _lines(way, waiting)
        if way.queued is not None and way.queued.due:
            found.append(_of_way(way, way.queued.due))
    return found


def _lines(way: Way, waiting: Waiting) -> list[Ceiling]:
    """Limits of single domains: only mail there waits for them."""
    found = []
    for key, count in sorted(waiting.lines.items(), key=lambda item: -item[1]):
        kind, _, rest = key.removeprefix("limit:").partition(":")
        route, _, domain = rest.partition(":")
        if kind != "domain" or route != way.name:
            continue
        rate = waiting.rates.get(f"domain:{rest}")
        told = f", {_rate(rate)} at most" if rate else ""
        sentence = f"{count:,} to {domain} wait for its limit{told}; other mail passes them."
        found.append(Ceiling(way.name, sentence, timedelta(seconds=count / rate) if rate else None))
    return found


def _of_way(way: Way, due: int) -> Ceiling:
    if way.trouble is not None:
        return Ceiling(way.name, f"{way.trouble.title}: what is due is tried again until it can.")
    if way.limit:
        unit = "parts of texts" if way.channel == "text" else "messages"
        sentence = f"The limit of this route decides: {_rate(way.limit, unit)}, over all workers."
        return Ceiling(way.name, sentence, timedelta(seconds=due / way.limit))
    ends = timedelta(seconds=due * 60 / way.last_minute) if way.last_minute >= FEW else None
    rate = f" ({way.last_minute:,} in the last minute)" if way.last_minute >= FEW else ""
    if way.in_hand >= way.connections:
        sentence = f"The other side decides: all connections are busy{rate}. More connections may help."
        return Ceiling(way.name, sentence, ends)
    if way.in_hand:
        return Ceiling(way.name, f"Nothing holds it up: it is being sent{rate}.", ends)
    return Ceiling(way.name, "It is due, and no worker has taken it yet.", ends)


def _rate(per_s: float, unit: str = "messages") -> str:
    if per_s >= 1:
        return f"{per_s:g} {unit} a second"
    return f"{per_s * 60:g} {unit} a minute"


_PLAIN = {
    "send_mode": "our send mode, which lets out nothing, or only to test addresses",
    "settling": "our text provider's list: was it sent or not? Looked at again by itself",
    "doubt": "a person's decision: it may have gone out, and nobody knows",
    "": "nobody that is known",
}


def holder_words(by: str, waiting: Waiting) -> str:
    """Who or what holds, as people say it."""
    if (named := held_thing(by)) is not None:
        hold = waiting.holds.get(by)
        until = f" until {hold.until:%b} {hold.until.day}" if hold else ""
        return f"the hold on {thing(*named)}{until}"
    kind, _, rest = by.partition(":")
    if kind == "run":
        run = waiting.runs.get(by)
        return f"its run, which is paused: {run.label}" if run else "its run, which is paused"
    if kind == "breaker":
        route, _, operator = rest.partition(":")
        whom = f"{operator} refuses our mail by {route}" if operator.strip("*") else f"{route} is dead"
        return f"a breaker: {whom}. One mail at a time tries; the rest follows by itself"
    if kind == "conversation":
        return "a conversation in which somebody has to decide whether they want texts"
    return _PLAIN.get(by, by)


def age(since: datetime, now: datetime) -> str:
    """`3 minutes`, `2 hours`, `5 days`."""
    seconds = max((now - since).total_seconds(), 0)
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count != 1 else ''}"
    return "under a minute"


def span(value: timedelta) -> str:
    """`about 40 seconds`, `about 12 minutes`, `about 3 hours`."""
    seconds = value.total_seconds()
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size * 1.5:
            return f"about {round(seconds / size)} {name}s"
    return f"about {max(round(seconds), 1)} second{'s' if round(seconds) > 1 else ''}"
