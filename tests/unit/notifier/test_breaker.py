"""The breaker's table: every state with everything that can happen, and what counts against us."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from notifier.bounces import BounceClass, BounceVerdict, Fault
from notifier.breaker import (
    FIRST_PROBE,
    LAST_PROBE,
    LAST_ROUTE_PROBE,
    PROBE_LEASE,
    PROBE_SETTLES,
    ROUTE_PROBE,
    THRESHOLD,
    WINDOW,
    Breaker,
    Counted,
    Happened,
    Ignored,
    State,
    after,
    by_of,
    closed,
    counted,
)
from notifier.channels import Accepted, Deferred, InDoubt, Refused, SubmitOutcome

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
H, S = Happened, State


def _step(breaker: Breaker, happened: Happened, now: datetime = NOW, **more: object) -> Breaker:
    found = after(breaker, happened, now, **more)  # type: ignore[arg-type]  # of one test at a time
    assert isinstance(found, Breaker), found
    return found


def _open(now: datetime = NOW) -> Breaker:
    breaker = closed(now)
    for _ in range(THRESHOLD):
        breaker = _step(breaker, H.REFUSED, now, cause="blocked_reputation", said="550 5.7.1 blocked")
    return breaker


def _half_open() -> Breaker:
    return _step(_open(), H.PROBE_LEAVES, NOW + FIRST_PROBE, probe="d1")


LATER = NOW + timedelta(hours=1)
TABLE: dict[tuple[State, Happened], State | None] = {
    (S.CLOSED, H.REFUSED): S.CLOSED,  # the first of five
    (S.CLOSED, H.TAKEN): S.CLOSED,
    (S.CLOSED, H.HANDED_ON): S.CLOSED,
    (S.CLOSED, H.PROBE_REFUSED): S.CLOSED,  # of a probe that came back after it was closed
    (S.CLOSED, H.PROBE_TAKEN): None,
    (S.CLOSED, H.PROBE_HANDED_ON): None,
    (S.CLOSED, H.PROBE_LOST): None,
    (S.CLOSED, H.PROBE_LEAVES): None,
    (S.CLOSED, H.TIME): None,
    (S.OPEN, H.REFUSED): S.OPEN,  # what was on its way
    (S.OPEN, H.TAKEN): None,
    (S.OPEN, H.HANDED_ON): None,
    (S.OPEN, H.PROBE_REFUSED): None,
    (S.OPEN, H.PROBE_TAKEN): None,
    (S.OPEN, H.PROBE_HANDED_ON): None,
    (S.OPEN, H.PROBE_LOST): None,
    (S.OPEN, H.PROBE_LEAVES): S.HALF_OPEN,
    (S.OPEN, H.TIME): None,
    (S.HALF_OPEN, H.REFUSED): S.OPEN,
    (S.HALF_OPEN, H.TAKEN): None,
    (S.HALF_OPEN, H.HANDED_ON): None,
    (S.HALF_OPEN, H.PROBE_REFUSED): S.OPEN,
    (S.HALF_OPEN, H.PROBE_TAKEN): S.CLOSED,
    (S.HALF_OPEN, H.PROBE_HANDED_ON): S.HALF_OPEN,
    (S.HALF_OPEN, H.PROBE_LOST): S.OPEN,
    (S.HALF_OPEN, H.PROBE_LEAVES): None,
    (S.HALF_OPEN, H.TIME): S.OPEN,
}
"""None: a declared Ignored."""


def test_the_table_is_total() -> None:
    assert set(TABLE) == {(state, happened) for state in State for happened in Happened}


@pytest.mark.parametrize(("state", "happened"), TABLE, ids=lambda value: value.value)
def test_every_state_with_everything_that_can_happen(state: State, happened: Happened) -> None:
    breaker = {S.CLOSED: closed(NOW), S.OPEN: _open(), S.HALF_OPEN: _half_open()}[state]
    found = after(breaker, happened, LATER, probe="d2")
    wanted = TABLE[state, happened]
    if wanted is None:
        assert isinstance(found, Ignored)
        assert found.reason
    else:
        assert isinstance(found, Breaker)
        assert found.state is wanted


def test_five_refusals_open_it_and_tell_what_was_said() -> None:
    opened = _open()
    assert (opened.state, opened.cause, opened.said) == (S.OPEN, "blocked_reputation", "550 5.7.1 blocked")
    assert (opened.opened_at, opened.probe_at) == (NOW, NOW + FIRST_PROBE)


def test_a_few_refusals_among_much_that_gets_through_open_nothing() -> None:
    breaker = _step(closed(NOW), H.TAKEN, times=100)
    for _ in range(THRESHOLD):
        breaker = _step(breaker, H.REFUSED)
    assert breaker.state is S.CLOSED


def test_refusals_far_apart_never_add_up() -> None:
    breaker, now = closed(NOW), NOW
    for _ in range(THRESHOLD * 2):
        now += WINDOW
        breaker = _step(breaker, H.REFUSED, now)
    assert (breaker.state, breaker.failures) == (S.CLOSED, 1)


def test_each_refused_probe_doubles_the_wait_up_to_half_an_hour() -> None:
    breaker, waits = _open(), []
    for _ in range(8):
        assert breaker.probe_at is not None
        now = breaker.probe_at
        breaker = _step(_step(breaker, H.PROBE_LEAVES, now, probe="d"), H.PROBE_REFUSED, now)
        assert breaker.probe_at is not None
        waits.append(breaker.probe_at - now)
    assert waits[:3] == [FIRST_PROBE * 2, FIRST_PROBE * 4, FIRST_PROBE * 8]
    assert waits[-1] == LAST_PROBE
    assert breaker.opened_at == NOW


def test_a_dead_route_is_probed_sooner() -> None:
    breaker = closed(NOW)
    for _ in range(THRESHOLD):
        breaker = _step(breaker, H.REFUSED, first=ROUTE_PROBE)
    assert breaker.probe_at == NOW + ROUTE_PROBE
    for _ in range(8):
        assert breaker.probe_at is not None
        now = breaker.probe_at
        breaker = _step(_step(breaker, H.PROBE_LEAVES, now), H.PROBE_REFUSED, now, first=ROUTE_PROBE)
    assert breaker.probe_at == now + LAST_ROUTE_PROBE


def test_a_probe_that_is_too_early_stays_where_it_is() -> None:
    assert isinstance(after(_open(), H.PROBE_LEAVES, NOW, probe="d"), Ignored)


def test_a_probe_whose_worker_is_gone_makes_room_for_another() -> None:
    breaker = _half_open()
    assert breaker.probe_at is not None
    assert isinstance(after(breaker, H.TIME, breaker.probe_at - timedelta(seconds=1)), Ignored)
    again = _step(breaker, H.TIME, breaker.probe_at)
    assert (again.state, again.probe, again.probe_at) == (S.OPEN, "", NOW + FIRST_PROBE + PROBE_LEASE)


def test_what_a_relay_takes_counts_only_when_no_report_refuses_it() -> None:
    handed_on = _step(_half_open(), H.PROBE_HANDED_ON, NOW)
    assert handed_on.state is S.HALF_OPEN
    assert _step(handed_on, H.REFUSED, NOW).state is S.OPEN
    assert _step(handed_on, H.TIME, NOW + PROBE_SETTLES).state is S.CLOSED


def test_something_urgent_that_got_through_brings_the_probe_forward() -> None:
    assert _step(_open(), H.TAKEN, NOW).probe_at == NOW


def _verdict(cls: BounceClass, permanent: bool = True) -> BounceVerdict:
    return BounceVerdict(cls, hard=False, fault=Fault.POLICY, permanent=permanent)


def _refused(cls: BounceClass, text: str = "no") -> Refused:
    return Refused("mx", "550", "5.7.1", text, _verdict(cls))


COUNTED: dict[str, tuple[SubmitOutcome, bool, Counted | None]] = {
    "accepted by their server": (Accepted("mx", "250", "q"), False, Counted(H.TAKEN)),
    "accepted by a relay": (Accepted("mx", "250", "q"), True, Counted(H.HANDED_ON)),
    "in doubt": (InDoubt("mx", "gone"), False, None),
    "blocked": (
        _refused(BounceClass.BLOCKED_REPUTATION),
        False,
        Counted(H.REFUSED, "blocked_reputation", "no"),
    ),
    "our checks fail": (_refused(BounceClass.BLOCKED_AUTH), True, Counted(H.REFUSED, "blocked_auth", "no")),
    "no such user": (_refused(BounceClass.NO_SUCH_USER), False, Counted(H.TAKEN)),
    "taken for spam": (_refused(BounceClass.SPAM_CONTENT), False, Counted(H.TAKEN)),
    "mailbox full": (_refused(BounceClass.MAILBOX_FULL), False, Counted(H.TAKEN)),
    "too fast": (
        Deferred("mx", "421", "4.7.28", "too fast", _verdict(BounceClass.RATE_LIMITED)),
        False,
        Counted(H.REFUSED, "rate_limited", "too fast"),
    ),
    "greylisted": (
        Deferred("mx", "450", "4.7.1", "Greylisted, come back", _verdict(BounceClass.RATE_LIMITED)),
        False,
        Counted(H.TAKEN),
    ),
    "nobody there": (
        Deferred("mx", "", "", "refused"),
        False,
        Counted(H.REFUSED, "unreachable", "refused"),
    ),
    "the route is down": (
        Deferred("relay", "", "", "no route", route_down=True),
        True,
        Counted(H.REFUSED, "route_down", "no route", whole_route=True),
    ),
    "the relay refuses our login": (
        Deferred("relay", "535", "5.7.8", "bad login", route_down=True),
        True,
        Counted(H.REFUSED, "login_refused", "bad login", whole_route=True),
    ),
    "a relay refuses our sender": (
        Refused("relay", "553", "", "who", _verdict(BounceClass.OTHER), about_sender=True),
        True,
        Counted(H.REFUSED, "sender_refused", "who", whole_route=True),
    ),
    "never written": (Refused("", "", "", "x", _verdict(BounceClass.OTHER), about_sender=True), True, None),
}


@pytest.mark.parametrize("case", COUNTED.values(), ids=COUNTED.keys())
def test_what_counts_against_us(case: tuple[SubmitOutcome, bool, Counted | None]) -> None:
    outcome, relay, wanted = case
    assert counted(outcome, relay=relay) == wanted


def test_who_holds_fits_its_column() -> None:
    assert by_of("own", "Google") == "breaker:own:Google"
    assert len(by_of("r" * 40, "o" * 80)) == 80
