"""The time that a record of notices is asked for: days as people write them, all of them past. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from handlers.dates import read_day
from handlers.reply import UserError

EXAMPLES = "`2026`, `Jan 5 to Mar 31`, `since 2025-06-01`, `last 90 days` or `all`"
USUAL = 365
"""Days back, where nothing was said."""
_EVERYTHING = date(2000, 1, 1)
_PREFIXES = frozenset({"account", "acct", "invoice", "inv"})
_YEAR = re.compile(r"(20\d\d)")
_MONTH = re.compile(r"(20\d\d)-(\d{1,2})")
_BACK = re.compile(r"(?:last |past )?(\d{1,4}) (day|week|month|year)s?")
_RANGE = re.compile(r"(?:from |between )?(.+?) (?:to|until|till|and|-) (.+)")
_DAYS = {"day": 1, "week": 7, "month": 31, "year": 366}


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days in the provider's zone, the last one included."""

    first: date
    last: date

    def instants(self, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
        """[since, until) in UTC; what is yet to come is no part of a record."""
        since = datetime.combine(self.first, time(), zone).astimezone(UTC)
        until = datetime.combine(self.last + timedelta(days=1), time(), zone).astimezone(UTC)
        return since, min(until, now)


def usual(today: date) -> Period:
    return Period(today - timedelta(days=USUAL), today)


def split(text: str, today: date) -> tuple[str, Period | None]:
    """`1042 Jan 5 to Mar 31` -> ("1042", the period); UserError when the words behind it are no time."""
    words = text.split()
    head = 2 if words and words[0].casefold().rstrip(":#") in _PREFIXES else 1
    for count in range(len(words) - head, 0, -1):
        found = read_period(" ".join(words[-count:]), today)
        if found is not None:
            return " ".join(words[:-count]), found
    named, rest = words[:head], words[head:]
    if rest and any(c.isdigit() for c in " ".join(named)):
        raise UserError("I do not understand that time.", f"Write it as {EXAMPLES}.")
    return text, None


def read_period(text: str, today: date) -> Period | None:
    """None when these words are no time. A day without a year is the last one of that name."""
    text = " ".join(text.casefold().split())
    if text in ("all", "everything"):
        return Period(_EVERYTHING, today)
    if found := _YEAR.fullmatch(text):
        return _checked(date(int(found[1]), 1, 1), date(int(found[1]), 12, 31), today)
    if (found := _MONTH.fullmatch(text)) and 1 <= int(found[2]) <= 12:
        first = date(int(found[1]), int(found[2]), 1)
        return _checked(first, (first + timedelta(days=32)).replace(day=1) - timedelta(days=1), today)
    if found := _BACK.fullmatch(text):
        back = min(int(found[1]) * _DAYS[found[2]], (today - _EVERYTHING).days)
        return Period(today - timedelta(days=back), today)
    if text.startswith("since ") and (first_day := _past(text.removeprefix("since "), today)):
        return _checked(first_day, today, today)
    if found := _RANGE.fullmatch(text):
        first_day, last_day = _past(found[1], today), _past(found[2], today)
        if first_day and last_day:
            return _checked(first_day, last_day, today)
    day = _past(text, today)
    return _checked(day, day, today) if day else None


def _past(text: str, today: date) -> date | None:
    day = read_day(text, today)
    if day is None or day <= today or str(day.year) in text:
        return day
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # Feb 29
        return day.replace(year=day.year - 1, day=28)


def _checked(first: date, last: date, today: date) -> Period:
    if first > last:
        raise UserError("That time ends before it begins.", f"Write it as {EXAMPLES}.")
    if first > today:
        raise UserError("That day has not come yet.", "A record tells what was sent until now.")
    return Period(first, last)


__all__ = ["EXAMPLES", "Period", "read_period", "split", "usual"]
