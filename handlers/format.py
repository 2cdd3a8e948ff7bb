"""Money, dates and ages as people write them, in the tenant's zone and locale. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time

from notifier.contexts import day, money

__all__ = ["age", "clock_time", "day", "lately", "moment", "money", "month_day"]


def moment(value: datetime, zone: ZoneInfo, locale: str = "en_US") -> str:
    """`Nov 3, 2026, 10:12:05 AM PST`: in the tenant's zone, which it names."""
    text = format_datetime(value, format="medium", tzinfo=zone, locale=locale).replace("\u202f", " ")
    return f"{text} {value.astimezone(zone):%Z}"


def clock_time(value: datetime, zone: ZoneInfo, locale: str = "en_US", *, seconds: bool = False) -> str:
    return format_time(value, format="medium" if seconds else "short", tzinfo=zone, locale=locale).replace(
        "\u202f", " "
    )


def lately(value: datetime, now: datetime, zone: ZoneInfo, locale: str = "en_US") -> str:
    """`1:02 PM` of today, else `Nov 24, 1:02 PM`: for what is at most some weeks old."""
    clock, on = clock_time(value, zone, locale), value.astimezone(zone).date()
    return clock if on == now.astimezone(zone).date() else f"{month_day(on, locale)}, {clock}"


def month_day(value: date, locale: str = "en_US") -> str:
    """`Nov 24`."""
    return format_date(value, format="MMM d", locale=locale)


def age(since: datetime, now: datetime) -> str:
    """How old a fact is, in the largest sensible unit."""
    seconds = max((now - since) / timedelta(seconds=1), 0)
    if seconds < 90:
        return "just now"
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size * 1.5 or unit == "minute":
            count = round(seconds / size)
            return f"{count} {unit}{'s' if count != 1 else ''} ago"
    raise AssertionError
