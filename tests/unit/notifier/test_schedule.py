"""The table of stage x event is total, and back-off stays within its bounds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.schedule import (
    DOUBT_RETRY,
    FIRST_RETRY,
    LAST_RETRY,
    PRESUMED_AFTER,
    ROUTE_RETRY,
    SETTLE,
    TRANSITIONS,
    TRANSITIONS_OF,
    Ignored,
    Look,
    Next,
    Settle,
    next_attempt,
    next_check,
)
from store.models import Channel, EventKind, Stage
from tests.builders import NOW

K, N = EventKind, Next
KEEP = None
"""The stage stays, for a declared reason."""

# One row per event; the columns are held, queued, claimed, awaiting, closed.
TABLE: dict[EventKind, tuple[Next | None, ...]] = {
    K.ACCEPTED: (N.AWAIT, N.AWAIT, N.AWAIT, KEEP, KEEP),
    K.DELIVERED: (N.CLOSE, N.CLOSE, KEEP, N.CLOSE, KEEP),
    K.PRESUMED: (N.CLOSE, N.CLOSE, N.CLOSE, N.CLOSE, KEEP),
    K.BOUNCED: (N.CLOSE, N.CLOSE, N.CLOSE, N.CLOSE, KEEP),
    K.FAILED: (N.CLOSE, N.CLOSE, N.CLOSE, N.CLOSE, KEEP),
    K.DEFERRED: (KEEP, KEEP, N.RETRY, KEEP, KEEP),
    K.IN_DOUBT: (KEEP, KEEP, N.RETRY_SOON, KEEP, KEEP),
    K.DELAYED: (KEEP, KEEP, KEEP, KEEP, KEEP),
    K.REQUEUED: (KEEP, KEEP, KEEP, KEEP, KEEP),
    K.SETTLED: (KEEP, KEEP, KEEP, N.CLOSE, KEEP),
    K.COMPLAINT: (KEEP, KEEP, KEEP, KEEP, KEEP),
    K.ANSWERED: (KEEP, KEEP, KEEP, KEEP, KEEP),
    K.SUPPRESSED: (N.CLOSE, N.CLOSE, N.CLOSE, KEEP, KEEP),
    K.CANCELLED: (N.CLOSE, N.CLOSE, N.CLOSE, KEEP, KEEP),
    K.EXPIRED: (N.CLOSE, N.CLOSE, N.CLOSE, KEEP, KEEP),
}
PAIRS = [(stage, kind) for stage in Stage for kind in EventKind]
# What is different for texts, and nothing else is.
TEXTS: dict[EventKind, tuple[Next | None, ...]] = {
    K.IN_DOUBT: (KEEP, KEEP, N.SETTLE, KEEP, KEEP),
    K.REQUEUED: (N.REQUEUE, KEEP, KEEP, KEEP, KEEP),
}
TABLES = {Channel.EMAIL: TABLE, Channel.SMS: TABLE | TEXTS}


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize(("stage", "kind"), PAIRS, ids=lambda value: str(value))
def test_every_stage_says_what_every_event_does(channel: Channel, stage: Stage, kind: EventKind) -> None:
    step = TRANSITIONS_OF[channel][stage][kind]
    expected = TABLES[channel][kind][list(Stage).index(stage)]
    if expected is KEEP:
        assert isinstance(step, Ignored)
        assert step.reason, "silence has a reason"
    else:
        assert step is expected


def test_the_table_has_no_other_rows() -> None:
    assert set(TRANSITIONS_OF) == set(Channel)
    for table in TRANSITIONS_OF.values():
        assert set(table) == set(Stage)
        assert all(set(row) == set(EventKind) for row in table.values())


def test_a_retry_follows_only_from_a_claim() -> None:
    retrying = {stage for stage, kind in PAIRS if TRANSITIONS[stage][kind] in (Next.RETRY, Next.RETRY_SOON)}
    assert retrying == {Stage.CLAIMED}


def test_a_text_in_doubt_is_never_queued_by_the_doubt_itself() -> None:
    steps = [TRANSITIONS_OF[Channel.SMS][stage][EventKind.IN_DOUBT] for stage in Stage]
    assert [step for step in steps if not isinstance(step, Ignored)] == [Next.SETTLE]


# What the provider's list says, whether it was looked at before -> what is done.
LOOKS: dict[tuple[Look, bool], Settle] = {
    (Look.FOUND, False): Settle.ADOPT,
    (Look.FOUND, True): Settle.ADOPT,
    (Look.ABSENT, False): Settle.LOOK_AGAIN,
    (Look.ABSENT, True): Settle.QUEUE,
    (Look.UNCLEAR, False): Settle.LOOK_AGAIN,
    (Look.UNCLEAR, True): Settle.ASK_A_PERSON,
    (Look.NO_ANSWER, False): Settle.LOOK_AGAIN,
    (Look.NO_ANSWER, True): Settle.LOOK_AGAIN,
}


@pytest.mark.parametrize("looked_before", [False, True])
@pytest.mark.parametrize("look", Look)
def test_every_look_at_the_providers_list_says_what_is_done(look: Look, looked_before: bool) -> None:
    assert SETTLE[look, looked_before] is LOOKS[look, looked_before]


def test_a_text_goes_again_only_when_it_was_absent_twice() -> None:
    assert [pair for pair, step in SETTLE.items() if step is Settle.QUEUE] == [(Look.ABSENT, True)]


def test_a_missing_receipt_is_asked_for_after_ten_minutes_an_hour_and_a_day() -> None:
    waits = [next_check(NOW, checks) - NOW for checks in range(5)]
    assert waits[:3] == [timedelta(minutes=10), timedelta(hours=1), timedelta(hours=24)]
    assert waits[3:] == [timedelta(hours=24)] * 2


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [(0, 7.5), (1, 7.5), (2, 15), (3, 30), (4, 60), (5, 120), (6, 240), (7, 240), (50, 240)],
)
def test_the_wait_doubles_up_to_four_hours(attempts: int, minutes: float) -> None:
    assert next_attempt(attempts, NOW, 0.0) - NOW == timedelta(minutes=minutes)


def test_when_our_own_way_out_was_down_the_first_tries_come_sooner() -> None:
    waits = [next_attempt(n, NOW, 0.0, ROUTE_RETRY) - NOW for n in (1, 2, 3, 30)]
    assert waits == [timedelta(seconds=15), timedelta(seconds=30), timedelta(minutes=1), LAST_RETRY]


@given(st.integers(-5, 10**9), st.floats(0, 1, exclude_max=True))
def test_the_wait_stays_within_its_bounds(attempts: int, jitter: float) -> None:
    wait = next_attempt(attempts, NOW, jitter) - NOW
    assert FIRST_RETRY <= wait <= LAST_RETRY * 1.2


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_jitter_spreads_a_retry_by_at_most_a_fifth(attempts: int, one: float, two: float) -> None:
    low = next_attempt(attempts, NOW, 0.0) - NOW
    waits = [next_attempt(attempts, NOW, jitter) - NOW for jitter in sorted((one, two))]
    assert low <= waits[0] <= waits[1] <= low * 1.2


@given(st.integers(0, 40))
def test_a_later_attempt_never_waits_less(attempts: int) -> None:
    assert next_attempt(attempts, NOW, 0.0) <= next_attempt(attempts + 1, NOW, 0.0)


def test_a_doubt_is_resolved_long_before_an_ordinary_retry_and_presumption_long_after() -> None:
    assert DOUBT_RETRY < FIRST_RETRY < LAST_RETRY < PRESUMED_AFTER
