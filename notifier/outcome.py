"""The outcome of a delivery as a pure function of the multiset of its events.

Within an attempt bounced > delivered > failed > given back > sent. Across attempts delivered beats all, else
the latest attempt with evidence. Suppressed, cancelled and expired hold only while no attempt has evidence.
Neither the order of arrival nor a repetition changes anything: a status never goes backwards because
news came late. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from store.models import Confidence, Event, EventKind, EventSource, Outcome, Reason

_WITHIN: dict[Outcome, int] = {
    Outcome.BOUNCED: 5,
    Outcome.DELIVERED: 4,
    Outcome.FAILED: 3,
    Outcome.NONE: 2,  # given back: see `gives_back`
    Outcome.SENT: 1,
}

_EVIDENCE: dict[EventKind, Outcome] = {
    EventKind.DELIVERED: Outcome.DELIVERED,
    EventKind.PRESUMED: Outcome.DELIVERED,
    EventKind.BOUNCED: Outcome.BOUNCED,
    EventKind.FAILED: Outcome.FAILED,
    # EventKind.ACCEPTED depends on who accepted: see `evidence`.
}

_DECISIONS: dict[EventKind, Outcome] = {
    EventKind.SUPPRESSED: Outcome.SUPPRESSED,
    EventKind.CANCELLED: Outcome.CANCELLED,
    EventKind.EXPIRED: Outcome.EXPIRED,
}

_CONFIDENCE: dict[Confidence, int] = {
    Confidence.HANDSET_RECEIPT: 5,
    Confidence.ACCEPTED_BY_SERVER: 4,
    Confidence.HANDED_TO_RELAY: 3,
    Confidence.PRESUMED: 2,
    Confidence.UNKNOWN: 1,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the evidence says, and the event that decided (None: nothing is known yet)."""

    outcome: Outcome
    reason: Reason
    confidence: Confidence
    decided_by: Event | None

    @property
    def at(self) -> datetime | None:
        return self.decided_by.at if self.decided_by else None


UNDECIDED = Verdict(Outcome.NONE, Reason.NONE, Confidence.UNKNOWN, None)


def evidence(event: Event) -> Outcome | None:
    """The outcome that this event alone is evidence of; None when it is none.

    An acceptance by the recipient's own server hands over the responsibility (RFC 5321 section 6.1):
    delivered, with that confidence. A relay's acceptance is "sent": the relay may still fail.
    """
    if event.kind is EventKind.ACCEPTED:
        by_server = event.confidence in (Confidence.ACCEPTED_BY_SERVER, Confidence.HANDSET_RECEIPT)
        return Outcome.DELIVERED if by_server else Outcome.SENT
    return _EVIDENCE.get(event.kind)


def gives_back(event: Event) -> bool:
    """Whoever had taken it says that it did not arrive and may be tried again: a passing failure, told later.

    It takes the hand-over of its attempt back, and is no outcome itself.
    """
    return event.kind is EventKind.DEFERRED and event.source in (EventSource.WEBHOOK, EventSource.SWEEP)


def given_back(events: Iterable[Event], attempt: int) -> bool:
    """Whether this attempt came to nothing in that way, whatever order its events came in."""
    strongest = max((e for e in events if e.attempt == attempt and _counts(e)), key=_strength, default=None)
    return strongest is not None and gives_back(strongest)


def _counts(event: Event) -> bool:
    return evidence(event) is not None or gives_back(event)


def _strength(event: Event) -> tuple[int, int, float, str]:
    """A total order on evidence of one attempt; ties fall to the earlier, then to the key."""
    rank = _WITHIN[evidence(event) or Outcome.NONE]
    return rank, _CONFIDENCE[event.confidence], -event.at.timestamp(), event.key


def fold(events: Iterable[Event]) -> Verdict:
    """The verdict over all events of one delivery, in whatever order and however often they came."""
    best: dict[int, Event] = {}
    decision: Event | None = None
    for event in events:
        if _counts(event):
            held = best.get(event.attempt)
            if held is None or _strength(event) > _strength(held):
                best[event.attempt] = event
        elif event.kind in _DECISIONS and (decision is None or _later(event, decision)):
            decision = event
    best = {attempt: event for attempt, event in best.items() if not gives_back(event)}
    if best:
        delivered = [e for e in best.values() if evidence(e) is Outcome.DELIVERED]
        winner = max(delivered, key=_strength) if delivered else best[max(best)]
        return Verdict(evidence(winner) or Outcome.NONE, winner.reason, winner.confidence, winner)
    if decision is not None:
        return Verdict(_DECISIONS[decision.kind], decision.reason, Confidence.UNKNOWN, decision)
    return UNDECIDED


def _later(event: Event, other: Event) -> bool:
    return (event.at, event.attempt, event.key) > (other.at, other.attempt, other.key)


_HEADLINE: tuple[Outcome, ...] = (
    Outcome.DELIVERED,
    Outcome.SENT,
    Outcome.NONE,
    Outcome.BOUNCED,
    Outcome.FAILED,
    Outcome.SUPPRESSED,
    Outcome.CANCELLED,
    Outcome.EXPIRED,
)


def headline(outcomes: Iterable[Outcome]) -> Outcome:
    """One word for a notification: the best that any of its deliveries reached.

    Somebody got it, somebody may get it, it is still under way; else the worst news first.
    """
    present = set(outcomes)
    return next((outcome for outcome in _HEADLINE if outcome in present), Outcome.NONE)
