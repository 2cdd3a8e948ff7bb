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
    trouble: Incident | None = None
    """An unresolved incident of the route itself."""


@dataclass(frozen=True, slots=True)
class Limited:
    """What waits for one limit that is in use now (notifier.ceilings)."""

    way: str
    subject: str
    """A recipient domain; empty: the limit of the route itself."""
    waiting: int
    sentence: str
    lasts: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    ways: tuple[Way, ...]
    held: tuple[Held, ...]
    limited: tuple[Limited, ...]
    """What waits for a limit."""
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
            limit = next((x for x in waiting.limited if x.way == way.name and not x.subject), None)
            found.append(_of_way(way, way.queued.due, limit))
    return found


def _lines(way: Way, waiting: Waiting) -> list[Ceiling]:
    """Limits of single domains, and domains that asked us to slow down: only mail there waits for them."""
    return [
        Ceiling(
            way.name,
            f"{one.waiting:,} to {one.subject} wait in its line ({one.sentence}); other mail passes them.",
            one.lasts,
        )
        for one in waiting.limited
        if one.way == way.name and one.subject
    ]


def _of_way(way: Way, due: int, limit: Limited | None) -> Ceiling:
    if way.trouble is not None:
        return Ceiling(way.name, f"{way.trouble.title}: what is due is tried again until it can.")
    if limit is not None:
        return Ceiling(
            way.name, f"The limit of this route decides: {limit.sentence}, all workers together.", limit.lasts
        )
    ends = timedelta(seconds=due * 60 / way.last_minute) if way.last_minute >= FEW else None
    rate = f" ({way.last_minute:,} in the last minute)" if way.last_minute >= FEW else ""
    if way.in_hand >= way.connections:
        sentence = f"The other side decides: all connections are busy{rate}. More connections may help."
        return Ceiling(way.name, sentence, ends)
    if way.in_hand:
        return Ceiling(way.name, f"Nothing holds it up: it is being sent{rate}.", ends)
    return Ceiling(way.name, "It is due, and no worker has taken it yet.", ends)


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
