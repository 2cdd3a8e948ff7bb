"""When a delivery is tried, and how its stage changes: a total table of stage x event for each channel.

held -> queued -> claimed -> awaiting -> closed. A change is a compare-and-set in notifier.tracking; what
changes nothing is a declared `Ignored`. Back-off: 7.5 minutes doubling, with jitter, until the message
expires. The channels differ in doubt (docs/adr/0009-doubt-in-texts.md): a second mail is folded by its
Message-ID, a second text is a second text. Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from store.models import Channel, EventKind, Stage

FIRST_RETRY = timedelta(minutes=7.5)
ROUTE_RETRY = timedelta(seconds=15)
"""When our own way out was down nobody asked us to wait: the first try comes sooner."""
LAST_RETRY = timedelta(hours=4)
DOUBT_RETRY = timedelta(seconds=5)
"""After a lost connection: soon (then doubling), with the same Message-ID, since it may not have gone."""
STILL_TRYING = timedelta(days=5)
"""A relay that says "delayed" commonly goes on for this long (RFC 5321 section 4.5.4.1: 4 to 5 days)."""
PRESUMED_AFTER = timedelta(hours=72)
"""No bounce for this long after a hand-over is taken as arrival (docs/glossary.md, presumed)."""


class Next(StrEnum):
    """Where an event sends a delivery."""

    RETRY = "retry"  # queued, later
    RETRY_SOON = "retry_soon"  # queued, after DOUBT_RETRY
    SETTLE = "settle"  # held until the provider's list says whether it went out
    REQUEUE = "requeue"  # queued, at once
    AWAIT = "await"  # handed over: awaiting evidence
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Ignored:
    """The stage stays, for this reason; the event counts for the outcome all the same."""

    reason: str


_WORKER_WILL_SAY = Ignored("the worker that holds the claim records the end of the attempt")
_NEWS_ONLY = Ignored("tells the story, changes no stage")
_OVER = Ignored("no attempt is left to make")
_HANDED_OVER = Ignored("handed over already")
_NOT_CLAIMED = Ignored("the attempt it speaks of is over")

_NEWS = (
    EventKind.DELAYED,
    EventKind.COMPLAINT,
    EventKind.ANSWERED,
    EventKind.REQUEUED,
    EventKind.SETTLED,
)
_DECIDED = (EventKind.SUPPRESSED, EventKind.CANCELLED, EventKind.EXPIRED)


def _row(stage: Stage) -> dict[EventKind, Next | Ignored]:
    row: dict[EventKind, Next | Ignored] = dict.fromkeys(_NEWS, _NEWS_ONLY)
    if stage is Stage.CLOSED:
        return dict.fromkeys(EventKind, _OVER)
    row |= dict.fromkeys(_DECIDED, Next.CLOSE)
    row |= {EventKind.FAILED: Next.CLOSE, EventKind.PRESUMED: Next.CLOSE}
    if stage is Stage.CLAIMED:
        row |= {
            EventKind.ACCEPTED: Next.AWAIT,
            EventKind.DEFERRED: Next.RETRY,
            EventKind.IN_DOUBT: Next.RETRY_SOON,
            EventKind.BOUNCED: Next.CLOSE,
            EventKind.DELIVERED: _WORKER_WILL_SAY,
        }
    elif stage is Stage.AWAITING:
        row |= {
            EventKind.ACCEPTED: _HANDED_OVER,
            EventKind.DEFERRED: _NOT_CLAIMED,
            EventKind.IN_DOUBT: _NOT_CLAIMED,
            EventKind.BOUNCED: Next.CLOSE,
            EventKind.DELIVERED: Next.CLOSE,
            EventKind.SETTLED: Next.CLOSE,
        }
        # A decision cannot call back what was handed over.
        row |= dict.fromkeys(_DECIDED, _HANDED_OVER)
    else:  # held, queued: late news of an earlier attempt makes another one needless
        row |= {
            EventKind.ACCEPTED: Next.AWAIT,
            EventKind.DEFERRED: _NOT_CLAIMED,
            EventKind.IN_DOUBT: _NOT_CLAIMED,
            EventKind.BOUNCED: Next.CLOSE,
            EventKind.DELIVERED: Next.CLOSE,
        }
    return row


Table = dict[Stage, dict[EventKind, Next | Ignored]]
TRANSITIONS: Table = {stage: _row(stage) for stage in Stage}
"""Of mails."""
TEXT_TRANSITIONS: Table = {stage: dict(row) for stage, row in TRANSITIONS.items()}
TEXT_TRANSITIONS[Stage.CLAIMED][EventKind.IN_DOUBT] = Next.SETTLE
TEXT_TRANSITIONS[Stage.HELD][EventKind.REQUEUED] = Next.REQUEUE  # of those held for settling, and no other

TRANSITIONS_OF: dict[Channel, Table] = {Channel.EMAIL: TRANSITIONS, Channel.SMS: TEXT_TRANSITIONS}

SETTLING = "settling"
"""Who holds a text in doubt (`stage_by`)."""
A_PERSON = "doubt"
"""Who holds what neither a list nor another try settles: somebody decides (handlers.workflows.doubts)."""
SETTLING_PERIOD = timedelta(minutes=2)
"""Business time from the doubt to the first look at the provider's list, and from there to the second."""
UNCLEAR = "It may have gone out: our text provider cannot say. Ask the customer before sending again"


class Look(StrEnum):
    """What the provider's list says of a text in doubt."""

    FOUND = "found"
    ABSENT = "absent"
    UNCLEAR = "unclear"  # something is there that may be it
    NO_ANSWER = "no_answer"


class Settle(StrEnum):
    """What is done about a text in doubt."""

    ADOPT = "adopt"  # it went out: its sid and its status are ours
    LOOK_AGAIN = "look_again"  # after another settling period
    QUEUE = "queue"  # absent twice: it did not go out
    ASK_A_PERSON = "ask_a_person"


SETTLE: dict[tuple[Look, bool], Settle] = {
    (Look.FOUND, False): Settle.ADOPT,
    (Look.FOUND, True): Settle.ADOPT,
    (Look.ABSENT, False): Settle.LOOK_AGAIN,
    (Look.ABSENT, True): Settle.QUEUE,
    (Look.UNCLEAR, False): Settle.LOOK_AGAIN,
    (Look.UNCLEAR, True): Settle.ASK_A_PERSON,
    (Look.NO_ANSWER, False): Settle.LOOK_AGAIN,
    (Look.NO_ANSWER, True): Settle.LOOK_AGAIN,
}
"""By what the list says and whether an earlier look was answered without finding it."""

RECEIPT_CHECKS = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=24))
"""When a text without a final status is asked for, counted from its hand-over."""


def next_check(handed_over: datetime, checks: int) -> datetime:
    """When to ask for a receipt after `checks` times; after the last it settles at once."""
    return handed_over + RECEIPT_CHECKS[min(checks, len(RECEIPT_CHECKS) - 1)]


NAMED_TRIES = 4
"""So often a time that the other side names is taken at its word; then ours counts if it is later."""


def next_attempt(
    attempts: int,
    now: datetime,
    jitter: float,
    first: timedelta = FIRST_RETRY,
    named: timedelta | None = None,
) -> datetime:
    """When to try again after `attempts` tries; `jitter` in [0, 1) spreads it by up to a fifth.

    `named`: for how long the other side asked us to wait (notifier.retry_after); never tried earlier.
    Callers compare with `expires_at`: a retry that would come later is a failure now.
    """
    doublings = min(max(attempts - 1, 0), 10)
    wait = min(first * (1 << doublings), LAST_RETRY)
    if named is not None:
        wait = named if attempts <= NAMED_TRIES else max(named, wait)
    return now + wait * (1 + 0.2 * jitter)
