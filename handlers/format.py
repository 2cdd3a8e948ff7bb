"""Money, dates and ages as people write them, in the tenant's zone and locale. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_time

from notifier.contexts import day, money

__all__ = ["age", "clock_time", "day", "moment", "money"]


def moment(value: datetime, zone: ZoneInfo, locale: str = "en_US") -> str:
    """`Nov 3, 2026, 10:12:05 AM PST`: in the tenant's zone, which it names."""
    text = format_datetime(value, format="medium", tzinfo=zone, locale=locale).replace("\u202f", " ")
    return f"{text} {value.astimezone(zone):%Z}"


def clock_time(value: datetime, zone: ZoneInfo, locale: str = "en_US", *, seconds: bool = False) -> str:
    return format_time(value, format="medium" if seconds else "short", tzinfo=zone, locale=locale).replace(
        "\u202f", " "
    )


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
