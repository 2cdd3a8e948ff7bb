"""The same mail by two routes, side by side: how each stands and what that proves. Pure.

Only the way differs, so a refusal of one route alone is about that route. A hand-over to a relay is not yet
an arrival: what it proves is said when a report, or a bounce, has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from handlers.cards import Notice
from handlers.words import bounce_words
from store.models import Confidence, Delivery, Event, EventKind, Outcome, RouteTrial


class Stand(StrEnum):
    WAITING = "waiting"
    HANDED = "handed"
    """A relay has it."""
    TAKEN = "taken"
    """The mailbox's own server has it, or no bounce came in 72 hours."""
    REFUSED = "refused"
    UNSENT = "unsent"
    """It never got so far that anybody could refuse it."""


_STANDS: dict[Outcome, Stand] = {
    Outcome.NONE: Stand.WAITING,
    Outcome.SENT: Stand.HANDED,
    Outcome.DELIVERED: Stand.TAKEN,
    Outcome.BOUNCED: Stand.REFUSED,
    Outcome.FAILED: Stand.UNSENT,
    Outcome.SUPPRESSED: Stand.UNSENT,
    Outcome.CANCELLED: Stand.UNSENT,
    Outcome.EXPIRED: Stand.UNSENT,
}
_ANSWERS = (EventKind.ACCEPTED, EventKind.BOUNCED, EventKind.DEFERRED, EventKind.FAILED)


@dataclass(frozen=True, slots=True)
class Side:
    """One route's half. `letter` stands behind the code in its subject."""

    route: str
    letter: str
    notice: Notice

    @property
    def delivery(self) -> Delivery:
        return self.notice.deliveries[0]

    @property
    def events(self) -> Sequence[Event]:
        return self.notice.events[self.delivery.id]

    @property
    def stand(self) -> Stand:
        return _STANDS[self.delivery.outcome]

    @property
    def answer(self) -> Event | None:
        """The last that our own dialogue with a server came to."""
        said = [e for e in self.events if e.kind in _ANSWERS and e.took_ms is not None]
        return said[-1] if said else None

    @property
    def took_ms(self) -> int | None:
        return self.answer.took_ms if self.answer else None

    @property
    def failed_sender_checks(self) -> bool:
        return self.stand is Stand.REFUSED and self.delivery.cls == "blocked_auth"

    @property
    def reported_after(self) -> timedelta | None:
        """From the hand-over to the report, or bounce, that decided; None where the answer itself did."""
        handed = [e for e in self.events if e.kind is EventKind.ACCEPTED]
        later = [e for e in self.events if e.kind in (EventKind.DELIVERED, EventKind.BOUNCED)]
        if not handed or not later or later[-1].at < handed[-1].at:
            return None
        return later[-1].at - handed[-1].at


@dataclass(frozen=True, slots=True)
class TrialData:
    trial: RouteTrial
    sides: tuple[Side, ...]


def seconds(took_ms: int | None) -> str:
    """`0.4 s`; one decimal, and never "0.0"."""
    return (
        "" if took_ms is None else f"{max(took_ms, 100) / 1000:.1f} s" if took_ms >= 50 else f"{took_ms} ms"
    )


def verdict(sides: Sequence[Side]) -> str:
    """What it shows so far, in a sentence or two."""
    by = {stand: [side for side in sides if side.stand is stand] for stand in Stand}
    if by[Stand.WAITING]:
        rest = [f"{side.route} {_DONE[side.stand]}" for side in sides if side.stand is not Stand.WAITING]
        return f"Still under way: {_names(by[Stand.WAITING])}." + (
            f" So far: {', '.join(rest)}." if rest else ""
        )
    if by[Stand.UNSENT]:
        return f"Nothing proven: it was not sent by {_names(by[Stand.UNSENT])}. {_alone(by)}".rstrip()
    if not by[Stand.REFUSED]:
        return _none_refused(sides, by)
    if not by[Stand.TAKEN] and not by[Stand.HANDED]:
        return _both_refused(sides)
    if not by[Stand.TAKEN]:
        handed = _names(by[Stand.HANDED])
        return (
            f"Refused by {_names(by[Stand.REFUSED])}; {handed} handed it over, and no bounce has come so far."
        )
    only = _names(by[Stand.REFUSED])
    if _presumed(by[Stand.TAKEN]):
        return (
            f"Refused by {only} only; by {_names(by[Stand.TAKEN])} no bounce came in 72 hours: "
            f"it is probably our server {only}, not the message."
        )
    return f"Refused by {only} only: it is our server {only}, not the message."


def _both_refused(sides: Sequence[Side]) -> str:
    """Two refusals point to one thing only where both say the same."""
    if all(side.failed_sender_checks for side in sides):
        return f"Refused by both for the same reason: {bounce_words('blocked_auth')}."
    if len({side.delivery.cls for side in sides}) == 1:
        return "Refused by both: it is not the route. Look at the message, or at the mailbox."
    why = "; ".join(f"{side.route}: {bounce_words(side.delivery.cls)}" for side in sides)
    return f"Refused by both, each for another reason. {why}."


_DONE = {
    Stand.HANDED: "handed it over",
    Stand.TAKEN: "got through",
    Stand.REFUSED: "was refused",
    Stand.UNSENT: "could not send it",
}


def _none_refused(sides: Sequence[Side], by: dict[Stand, list[Side]]) -> str:
    times = ", ".join(
        f"{side.route} in {seconds(side.took_ms)}" for side in sides if side.took_ms is not None
    )
    behind = f": {times}" if times else ""
    if by[Stand.HANDED]:
        return f"Both were handed over{behind}. No bounce so far; whether they arrived is not known yet."
    if _presumed(sides):
        return f"Both were probably taken{behind}: no bounce in 72 hours."
    return f"Both were taken{behind}."


def _presumed(sides: Sequence[Side]) -> bool:
    return any(side.delivery.confidence is Confidence.PRESUMED for side in sides)


def _alone(by: dict[Stand, list[Side]]) -> str:
    """What the other route came to, where one was not even tried."""
    told = [f"{s.route} {_DONE[s.stand]}" for k in (Stand.TAKEN, Stand.HANDED, Stand.REFUSED) for s in by[k]]
    return f"{', '.join(told)}.".capitalize() if told else ""


def _names(sides: Sequence[Side]) -> str:
    return " and ".join(side.route for side in sides)


__all__ = ["Side", "Stand", "TrialData", "seconds", "verdict"]
