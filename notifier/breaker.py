"""A breaker: one route to one mailbox operator, which stops what would be refused anyhow. Pure.

closed -> open when an operator refuses us (not the recipient, not the content) often enough; open -> half
open for one probe at a time; a probe that gets through closes it, one that is refused opens it for twice as
long. The whole route is a breaker too (WHOLE_ROUTE), for a way out that cannot be reached. Silence is a
declared Ignored. The circuit breaker of Nygard, "Release It!", chapter 5; what opens it is our own table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from notifier.bounces import BounceClass
from notifier.channels import Accepted, Deferred, InDoubt, Refused, SubmitOutcome

WHOLE_ROUTE = "*"
"""The operator of the breaker of a route that is dead altogether."""
THRESHOLD = 5
"""So many refusals in WINDOW, and at least half as many as got through, open it."""
WINDOW = timedelta(minutes=5)
FIRST_PROBE, LAST_PROBE = timedelta(minutes=1), timedelta(minutes=30)
ROUTE_PROBE = timedelta(seconds=15)
LAST_ROUTE_PROBE = timedelta(minutes=2)
"""A dead route is probed sooner: a probe there costs nobody's patience."""
PROBE_LEASE = timedelta(minutes=2)
PROBE_SETTLES = timedelta(minutes=10)
"""A relay takes the probe in any case: no refusal by report for so long is its success."""


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Happened(StrEnum):
    REFUSED = "refused"
    """For a reason that is about us."""
    TAKEN = "taken"
    """Accepted by the operator's own server, or refused for the recipient's or the content's sake."""
    HANDED_ON = "handed_on"
    """Taken by a relay, which says nothing of the operator behind it."""
    PROBE_REFUSED = "probe_refused"
    PROBE_TAKEN = "probe_taken"
    PROBE_HANDED_ON = "probe_handed_on"
    PROBE_LOST = "probe_lost"
    """In doubt, put aside, or never sent: it says nothing."""
    PROBE_LEAVES = "probe_leaves"
    TIME = "time"
    """The probe's time is over."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """`failures` and `successes` since `window_from`; `probe` is the delivery that probes."""

    state: State
    window_from: datetime
    failures: int = 0
    successes: int = 0
    cause: str = ""
    said: str = ""
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    probes: int = 0
    probe: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    reason: str


def closed(now: datetime) -> Breaker:
    return Breaker(State.CLOSED, now)


def after(
    breaker: Breaker,
    happened: Happened,
    now: datetime,
    *,
    cause: str = "",
    said: str = "",
    first: timedelta = FIRST_PROBE,
    probe: str = "",
    jitter: float = 0.0,
    times: int = 1,
) -> Breaker | Ignored:
    """What becomes of it. `first`: how long until the first probe, once it is open. `times`: of what got
    through."""
    if breaker.state is State.CLOSED:
        return _closed(breaker, happened, now, cause, said, first, jitter, times)
    if breaker.state is State.OPEN:
        return _open(breaker, happened, now, cause, said, probe)
    return _half_open(breaker, happened, now, cause, said, first, jitter)


def _closed(
    b: Breaker,
    happened: Happened,
    now: datetime,
    cause: str,
    said: str,
    first: timedelta,
    jitter: float,
    times: int,
) -> Breaker | Ignored:
    counted = b if now - b.window_from < WINDOW else closed(now)
    if happened in (Happened.TAKEN, Happened.HANDED_ON):
        return replace(counted, successes=counted.successes + times)
    if happened in (Happened.REFUSED, Happened.PROBE_REFUSED):
        counted = replace(counted, failures=counted.failures + 1, cause=cause, said=said)
        if counted.failures >= THRESHOLD and counted.failures * 2 >= counted.successes:
            return replace(_opened(counted, now, first, 0, jitter), opened_at=now)
        return counted
    return Ignored("it is closed: there is nothing to probe")


def _open(
    b: Breaker, happened: Happened, now: datetime, cause: str, said: str, probe: str
) -> Breaker | Ignored:
    if happened is Happened.PROBE_LEAVES:
        if b.probe_at is not None and now < b.probe_at:
            return Ignored("it is too early for a probe")
        return replace(b, state=State.HALF_OPEN, probe=probe, probe_at=now + PROBE_LEASE, successes=0)
    if happened is Happened.REFUSED:
        return replace(b, failures=b.failures + 1, cause=cause, said=said)
    if happened is Happened.TAKEN and b.probe_at is not None and now < b.probe_at:
        return replace(b, probe_at=now)  # something urgent got through: worth a look at once
    return Ignored("only a probe closes it")


def _half_open(
    b: Breaker, happened: Happened, now: datetime, cause: str, said: str, first: timedelta, jitter: float
) -> Breaker | Ignored:
    if happened in (Happened.REFUSED, Happened.PROBE_REFUSED):
        return _opened(
            replace(b, failures=b.failures + 1, cause=cause, said=said), now, first, b.probes + 1, jitter
        )
    if happened is Happened.PROBE_TAKEN:
        return closed(now)
    if happened is Happened.PROBE_HANDED_ON:
        return replace(b, successes=1, probe_at=now + PROBE_SETTLES)
    if happened is Happened.TIME and b.probe_at is not None and now >= b.probe_at:
        if b.successes:  # handed on, and no refusal was reported
            return closed(now)
        return replace(b, state=State.OPEN, probe="", probe_at=now)  # its worker is gone: another one
    if happened is Happened.PROBE_LOST:
        return replace(b, state=State.OPEN, probe="", probe_at=now)
    if happened is Happened.PROBE_LEAVES:
        return Ignored("one probe at a time")
    return Ignored("the probe decides")


def _opened(b: Breaker, now: datetime, first: timedelta, probes: int, jitter: float) -> Breaker:
    last = LAST_ROUTE_PROBE if first < FIRST_PROBE else LAST_PROBE
    wait = min(first * (1 << min(probes, 10)), last) * (1 + 0.2 * jitter)
    return replace(
        b, state=State.OPEN, probe_at=now + wait, probes=probes, probe="", opened_at=b.opened_at or now
    )


ABOUT_US = frozenset(
    {
        BounceClass.BLOCKED_AUTH,
        BounceClass.BLOCKED_REPUTATION,
        BounceClass.RATE_LIMITED,
        BounceClass.RELAY_OR_SECURITY,
    }
)
UNREACHABLE, SENDER_REFUSED, ROUTE_DOWN, LOGIN_REFUSED = (
    "unreachable",
    "sender_refused",
    "route_down",
    "login_refused",
)


@dataclass(frozen=True, slots=True)
class Counted:
    """What an attempt's end says of us. `whole_route`: of the way out, not of the operator behind it."""

    happened: Happened
    cause: str = ""
    said: str = ""
    whole_route: bool = False


def counted(outcome: SubmitOutcome, *, relay: bool) -> Counted | None:
    """None: it says nothing of either."""
    if isinstance(outcome, InDoubt):
        return None
    if isinstance(outcome, Accepted):
        return Counted(Happened.HANDED_ON if relay else Happened.TAKEN)
    if isinstance(outcome, Deferred) and outcome.route_down:
        cause = LOGIN_REFUSED if outcome.reply_code.startswith("53") else ROUTE_DOWN
        return Counted(Happened.REFUSED, cause, outcome.text, whole_route=True)
    if isinstance(outcome, Refused) and outcome.about_sender:
        if not outcome.reply_code:  # it was never written: nobody refused anything
            return None
        return Counted(Happened.REFUSED, SENDER_REFUSED, outcome.text, whole_route=relay)
    verdict = outcome.verdict
    if verdict is None:  # no connection to the recipient's servers, or their DNS did not answer
        return Counted(Happened.REFUSED, UNREACHABLE, outcome.text)
    if verdict.cls in ABOUT_US and not greylisted(outcome):
        return Counted(Happened.REFUSED, str(verdict.cls), outcome.text)
    return Counted(Happened.TAKEN)


_GREYLISTING = ("greylist", "graylist", "grey list", "gray list")


def greylisted(outcome: Refused | Deferred) -> bool:
    """It is about one pair of addresses and passes by itself (RFC 6647)."""
    said = outcome.text.casefold()
    return any(word in said for word in _GREYLISTING)


def by_of(route: str, operator: str) -> str:
    """Who holds what a breaker holds (`stage_by`, 80 characters)."""
    return f"breaker:{route}:{operator}"[:80]
