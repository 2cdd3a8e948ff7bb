"""The slots of a limit, in virtual time: never more than it says, and all of it."""

from __future__ import annotations

import random
from bisect import bisect_left
from datetime import UTC, datetime, timedelta

import pytest

from notifier.limits import (
    AHEAD_S,
    FIRST_SLOWED,
    SLACK_S,
    SLOWEST,
    by_of,
    domain_key,
    line_key,
    rate_words,
    reserve,
    room,
    slower,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def _seconds(*values: float) -> list[datetime]:
    return [NOW + timedelta(seconds=value) for value in values]


def test_slots_are_an_interval_apart_and_end_at_the_horizon() -> None:
    dealt = reserve(NOW, NOW, 10, [1] * 5)
    assert list(dealt.slots) == _seconds(0, 0.1, 0.2)
    assert dealt.free_at == NOW + timedelta(seconds=0.3)
    assert reserve(dealt.free_at, NOW, 10, [1]).slots == ()


def test_a_text_of_three_segments_takes_three_units() -> None:
    dealt = reserve(NOW, NOW, 10, [3, 1, 1], ahead_s=None)
    assert list(dealt.slots) == _seconds(0, 0.3, 0.4)


def test_an_idle_limit_makes_up_for_a_moment_only() -> None:
    long_ago = NOW - timedelta(hours=1)
    assert reserve(long_ago, NOW, 100, [1]).slots == (NOW - timedelta(seconds=SLACK_S),)
    assert room(long_ago, NOW, 100) == int((AHEAD_S + SLACK_S) * 100) + 1


def _send(
    per_s: float, workers: int, seconds: float, seed: int, weights: tuple[int, ...]
) -> list[tuple[float, int]]:
    """Workers that look, claim and reserve, each at its own pace, over one shared instant: what left when."""
    chance = random.Random(seed)
    free_at, sent = NOW, []
    turns = [(chance.random() * 0.1, worker) for worker in range(workers)]
    while turns:
        turns.sort()
        at, worker = turns.pop(0)
        if at > seconds:
            continue
        now = NOW + timedelta(seconds=at)
        there = room(free_at, now, per_s)
        if there:
            claimed = [chance.choice(weights) for _ in range(min(there, 16))]
            dealt = reserve(free_at, now, per_s, claimed, ahead_s=None)
            free_at = dealt.free_at
            sent += [
                (max((slot - NOW).total_seconds(), at), w)
                for slot, w in zip(dealt.slots, claimed, strict=True)
            ]
        turns.append((at + 0.005 + chance.random() * 0.05, worker))
    return sorted(sent)


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("per_s", [1.0, 7.0, 50.0])
@pytest.mark.parametrize("weights", [(1,), (1, 2, 3)])
def test_any_ten_seconds_hold_the_limit_within_two_percent_and_use_it(
    per_s: float, workers: int, weights: tuple[int, ...]
) -> None:
    sent = _send(per_s, workers, 60, seed=7, weights=weights)
    times = [at for at, _ in sent]
    for index, (at, _) in enumerate(sent):
        if at > 45:
            break
        units = sum(weight for _, weight in sent[index : bisect_left(times, at + 10)])
        # One message more than the rate is its granularity: a window is closed at one end.
        assert units <= 10 * per_s * 1.02 + max(weights)
        assert units >= 10 * per_s * 0.98 - max(weights)


def test_a_domain_that_asks_to_be_spared_gets_half_and_never_nothing() -> None:
    assert slower(None, None) == FIRST_SLOWED
    assert slower(None, 20) == 10
    assert slower(10, 20) == 5
    assert slower(SLOWEST, None) == SLOWEST


def test_long_names_stay_within_their_columns() -> None:
    key = domain_key("visp", "a" * 250 + ".example")
    assert len(line_key(key, 1)) <= 200
    assert len(by_of(key)) <= 80
    assert by_of(domain_key("visp", "gmail.com")) == "limit:domain:visp:gmail.com"


def test_rates_in_words() -> None:
    assert rate_words(5) == "5 a second"
    assert rate_words(0.2) == "12 a minute"
