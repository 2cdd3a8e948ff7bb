"""Days as people write them: 2026-12-05, Dec 5, 5 dec, friday, tomorrow, +7d. Pure.

"Today" is the caller's, in the tenant's zone. 12/5 is not read: half the world means another day by it.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from handlers.reply import UserError

FURTHEST = timedelta(days=180)
EXAMPLES = "`Dec 5`, `friday`, `+7d` or `2026-12-05`"

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january ene enero",
            "feb february febrero",
            "mar march marzo",
            "apr april abr abril",
            "may mayo",
            "jun june junio",
            "jul july julio",
            "aug august ago agosto",
            "sep sept september septiembre",
            "oct october octubre",
            "nov november noviembre",
            "dec december dic diciembre",
        ),
        start=1,
    )
    for name in names.split()
}
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "mon monday lunes",
            "tue tues tuesday martes",
            "wed wednesday miercoles miércoles",
            "thu thur thurs thursday jueves",
            "fri friday viernes",
            "sat saturday sabado sábado",
            "sun sunday domingo",
        )
    )
    for name in names.split()
}
_WORDS = {"yesterday": -1, "ayer": -1, "today": 0, "hoy": 0, "tomorrow": 1, "mañana": 1, "manana": 1}
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_AHEAD = re.compile(r"(?:\+|in )(\d{1,3}) ?(d|days?|w|weeks?)")
_MONTH_DAY = re.compile(r"([a-zñáéíóú]+) (\d{1,2})(?:st|nd|rd|th)?(?: (\d{4}))?")
_DAY_MONTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?(?: de| of)? ([a-zñáéíóú]+)(?:(?: de)? (\d{4}))?")
_MOST_WORDS = 5
_STOPS = str.maketrans(",.:;", "    ")


def read_day(text: str, today: date) -> date | None:
    """The day that was written; None when it is none. A day without a year is the next one of that name."""
    text = " ".join(text.casefold().translate(_STOPS).split())
    text = text.removeprefix("next ").removeprefix("on ")
    if text in _WORDS:
        return today + timedelta(days=_WORDS[text])
    if text in _WEEKDAYS:
        return today + timedelta(days=(_WEEKDAYS[text] - today.weekday() - 1) % 7 + 1)
    if found := _AHEAD.fullmatch(text):
        return today + timedelta(days=int(found[1]) * (7 if found[2].startswith("w") else 1))
    if found := _ISO.fullmatch(text):
        return _day(int(found[1]), int(found[2]), int(found[3]))
    if (found := _MONTH_DAY.fullmatch(text)) and found[1] in _MONTHS:
        return _named(found[3], _MONTHS[found[1]], int(found[2]), today)
    if (found := _DAY_MONTH.fullmatch(text)) and found[2] in _MONTHS:
        return _named(found[3], _MONTHS[found[2]], int(found[1]), today)
    return None


def _named(year: str | None, month: int, day: int, today: date) -> date | None:
    if year is not None:
        return _day(int(year), month, day)
    this_year = _day(today.year, month, day)
    if this_year is not None and this_year >= today:
        return this_year
    # Last month's days were meant for last month: told as past, not as next year's.
    if this_year is not None and today - this_year <= FURTHEST:
        return this_year
    return _day(today.year + 1, month, day)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def leading_day(text: str, today: date) -> tuple[date, str] | None:
    """A day at the beginning and what follows it: `Dec 5 promised to pay`. The longest reading counts."""
    words = text.split()
    for count in range(min(len(words), _MOST_WORDS), 0, -1):
        day = read_day(" ".join(words[:count]), today)
        if day is not None:
            return day, " ".join(words[count:]).lstrip(",:;- ")
    return None


def ahead(day: date, today: date) -> date:
    """The day itself, if something can be put off until then; UserError when not."""
    if day < today:
        raise UserError(f"{_shown(day)} is past.", f"Give a day to come, such as {EXAMPLES}.")
    if day - today > FURTHEST:
        raise UserError(
            f"{_shown(day)} is more than {FURTHEST.days} days away.",
            "Give a nearer day; it can be moved again later.",
        )
    return day


def _shown(day: date) -> str:
    return f"{day:%b} {day.day}, {day.year}"


__all__ = ["EXAMPLES", "FURTHEST", "ahead", "leading_day", "read_day"]
