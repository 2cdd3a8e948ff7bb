"""Buckets: so many at once, then so many a second, each key for itself."""

from __future__ import annotations

from bot import buckets
from bot.buckets import Buckets


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_size_at_once_and_then_its_rate() -> None:
    time = Time()
    found = Buckets(size=3, per_s=0.5, now=time)
    assert [found.take("a") for _ in range(4)] == [True, True, True, False]
    assert found.take("b"), "each key has a bucket of its own"
    assert found.wait_s("a") == 2
    time.now += 1.9
    assert not found.take("a")
    time.now += 0.2
    assert found.take("a")
    assert not found.take("a")


def test_asking_in_vain_costs_nothing_and_no_bucket_runs_over() -> None:
    time = Time()
    found = Buckets(size=2, per_s=1, now=time)
    for _ in range(50):
        found.take("a")
    time.now += 1000
    assert [found.take("a") for _ in range(3)] == [True, True, False]


def test_what_is_given_back_can_be_taken_again() -> None:
    found = Buckets(size=1, per_s=0.001, now=Time())
    for _ in range(5):
        assert found.take("a")
        found.give_back("a")
    found.give_back("a")
    assert found.left("a") == 1


def test_many_keys_do_not_fill_the_memory() -> None:
    found = Buckets(size=1, per_s=0.001, now=Time())
    for n in range(buckets._MOST_KEYS + 10):
        found.take(str(n))
    assert len(found._left) == buckets._MOST_KEYS
