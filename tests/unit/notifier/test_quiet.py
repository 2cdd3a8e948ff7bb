"""Quiet hours: open now, or the next instant at which the window is open wherever they may be."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from notifier.local_time import is_open
from notifier.quiet import next_opening

DAY = (time(9), time(20))
NEW_YORK, CHICAGO, LOS_ANGELES, HONOLULU = map(
    ZoneInfo, ("America/New_York", "America/Chicago", "America/Los_Angeles", "Pacific/Honolulu")
)


def local(zone: ZoneInfo, *moment: int) -> datetime:
    return datetime(*moment, tzinfo=zone).astimezone(UTC)  # type: ignore[arg-type,misc]  # year, month, ...


@pytest.mark.parametrize(
    ("hour", "minute", "day", "opens"),
    [(8, 59, 3, 3), (9, 0, 3, None), (19, 59, 3, None), (20, 0, 3, 4), (23, 30, 3, 4), (0, 0, 3, 3)],
)
def test_a_text_waits_for_nine_in_the_morning_of_its_reader(
    hour: int, minute: int, day: int, opens: int | None
) -> None:
    now = local(LOS_ANGELES, 2026, 3, day, hour, minute)
    expected = None if opens is None else local(LOS_ANGELES, 2026, 3, opens, 9)
    assert next_opening(DAY, [LOS_ANGELES], now) == expected


def test_who_may_be_in_two_zones_is_texted_only_while_both_are_open() -> None:
    zones = [CHICAGO, NEW_YORK]
    assert next_opening(DAY, zones, local(NEW_YORK, 2026, 3, 3, 9, 30)) == local(CHICAGO, 2026, 3, 3, 9)
    assert next_opening(DAY, zones, local(NEW_YORK, 2026, 3, 3, 10)) is None
    assert next_opening(DAY, zones, local(NEW_YORK, 2026, 3, 3, 20, 10)) == local(CHICAGO, 2026, 3, 4, 9)


def test_zones_without_a_common_hour_are_decided_by_the_first() -> None:
    early = (time(9), time(10))
    now = local(NEW_YORK, 2026, 3, 3, 12)
    assert next_opening(early, [NEW_YORK, HONOLULU], now) == local(NEW_YORK, 2026, 3, 4, 9)


@pytest.mark.parametrize(
    ("evening", "morning"), [((2026, 3, 7, 21), (2026, 3, 8, 9)), ((2026, 10, 31, 21), (2026, 11, 1, 9))]
)
def test_nine_is_nine_also_on_the_morning_after_the_clocks_changed(
    evening: tuple[int, ...], morning: tuple[int, ...]
) -> None:
    opening = next_opening(DAY, [NEW_YORK], local(NEW_YORK, *evening))
    assert opening == local(NEW_YORK, *morning)
    assert opening - local(NEW_YORK, *evening) in (timedelta(hours=11), timedelta(hours=13))


def test_a_window_that_begins_in_the_hour_that_is_skipped_opens_after_it() -> None:
    night = (time(2, 30), time(5))
    opening = next_opening(night, [NEW_YORK], local(NEW_YORK, 2026, 3, 8, 1))
    assert opening == local(NEW_YORK, 2026, 3, 8, 3, 30)


def test_a_window_may_go_over_midnight_or_be_always_open() -> None:
    night = (time(21), time(6))
    assert is_open(night, [NEW_YORK], local(NEW_YORK, 2026, 3, 3, 23))
    assert is_open(night, [NEW_YORK], local(NEW_YORK, 2026, 3, 3, 5, 59))
    assert next_opening(night, [NEW_YORK], local(NEW_YORK, 2026, 3, 3, 6)) == local(NEW_YORK, 2026, 3, 3, 21)
    assert next_opening((time(0), time(0)), [NEW_YORK], local(NEW_YORK, 2026, 3, 3, 3)) is None


@pytest.mark.parametrize("zones", [[LOS_ANGELES], [CHICAGO, NEW_YORK], [HONOLULU, NEW_YORK]])
def test_every_hour_of_a_year_gives_an_instant_that_is_open_and_less_than_two_days_away(
    zones: list[ZoneInfo],
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(0, 365 * 24, 5):
        now += timedelta(hours=5)
        opening = next_opening(DAY, zones, now)
        assert (opening is None) == is_open(DAY, zones, now)
        if opening is not None:
            assert is_open(DAY, zones, opening)
            assert now < opening < now + timedelta(days=2)
            assert not is_open(DAY, zones, opening - timedelta(minutes=1))
