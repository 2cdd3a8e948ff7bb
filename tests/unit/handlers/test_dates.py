"""Days as people write them, seen from a Wednesday."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from handlers.dates import FURTHEST, ahead, leading_day, read_day
from handlers.reply import UserError

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-05", date(2026, 12, 5)),
        ("2026-12-5", date(2026, 12, 5)),
        ("Dec 5", date(2026, 12, 5)),
        ("dec. 5th", date(2026, 12, 5)),
        ("December 5, 2026", date(2026, 12, 5)),
        ("5 dec", date(2026, 12, 5)),
        ("5th of December", date(2026, 12, 5)),
        ("5 de diciembre", date(2026, 12, 5)),
        ("5 de diciembre de 2026", date(2026, 12, 5)),
        ("Jan 3", date(2027, 1, 3)),
        ("3 jan 2027", date(2027, 1, 3)),
        ("Nov 25", TODAY),
        ("Nov 24", date(2026, 11, 24)),  # yesterday was meant, not next year
        ("may 1", date(2027, 5, 1)),
        ("yesterday", date(2026, 11, 24)),
        ("today", TODAY),
        ("Tomorrow", date(2026, 11, 26)),
        ("mañana", date(2026, 11, 26)),
        ("friday", date(2026, 11, 27)),
        ("Fri", date(2026, 11, 27)),
        ("next friday", date(2026, 11, 27)),
        ("wednesday", date(2026, 12, 2)),
        ("viernes", date(2026, 11, 27)),
        ("+7d", date(2026, 12, 2)),
        ("+ 7d", None),
        ("+2w", date(2026, 12, 9)),
        ("in 3 days", date(2026, 11, 28)),
        ("on Dec 5", date(2026, 12, 5)),
        ("", None),
        ("soon", None),
        ("12/5", None),
        ("5", None),
        ("Dec", None),
        ("Dec 32", None),
        ("Feb 30", None),
        ("2026-13-01", None),
        ("0000-01-01", None),
        ("Dec 5 promised", None),
    ],
)
def test_a_day_is_read_as_it_was_meant_or_not_at_all(text: str, expected: date | None) -> None:
    assert read_day(text, TODAY) == expected


@pytest.mark.parametrize("days", range(7))
def test_a_weekday_is_the_next_one_and_never_today(days: int) -> None:
    today = TODAY + timedelta(days=days)
    for name in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"):
        day = read_day(name, today)
        assert day is not None
        assert 1 <= (day - today).days <= 7
        assert f"{day:%a}".casefold() == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dec 5 promised to pay", (date(2026, 12, 5), "promised to pay")),
        ("Dec 5, 2026: promised", (date(2026, 12, 5), "promised")),
        ("friday", (date(2026, 11, 27), "")),
        ("+7d payday", (date(2026, 12, 2), "payday")),
        ("in 3 days he said", (date(2026, 11, 28), "he said")),
        ("promised Dec 5", None),
        ("", None),
    ],
)
def test_the_day_leads_and_the_reason_follows(text: str, expected: tuple[date, str] | None) -> None:
    assert leading_day(text, TODAY) == expected


def test_only_days_ahead_and_near_enough_can_be_waited_for() -> None:
    assert ahead(TODAY, TODAY) == TODAY
    assert ahead(TODAY + FURTHEST, TODAY) == TODAY + FURTHEST
    with pytest.raises(UserError, match=r"Nov 24, 2026 is past\."):
        ahead(TODAY - timedelta(days=1), TODAY)
    with pytest.raises(UserError, match="more than 180 days away"):
        ahead(TODAY + FURTHEST + timedelta(days=1), TODAY)
