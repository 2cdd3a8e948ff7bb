"""When the other side says when to come back: a Retry-After header, or a time in an SMTP text.

RFC 9110 section 10.2.3 for the header; greylisting servers name a time in words (RFC 6647 section 2.2:
postgrey "try again in 300 seconds", sqlgrey "00:05:00"). What is not understood names nothing. Pure.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

SHORTEST, LONGEST = timedelta(seconds=30), timedelta(hours=4)
"""Sooner would be a hammer, later would be their word against our own patience."""

_UNITS = {"s": 1, "m": 60, "h": 3600}
_ASKED = r"(?:try again|retry|come back|resend|wait|greylist\w*|graylist\w*|deferred|delayed)"
_IN_WORDS = re.compile(
    _ASKED + r"[^\d\n]{0,40}?\b(\d{1,5})\s*(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b", re.IGNORECASE
)
_CLOCK = re.compile(_ASKED + r"[^\d\n]{0,40}?\b(\d{1,2}):([0-5]\d):([0-5]\d)\b", re.IGNORECASE)


def in_words(text: str) -> timedelta | None:
    """`451 4.7.1 Greylisted, please try again in 300 seconds` -> five minutes."""
    if found := _CLOCK.search(text):
        hours, minutes, seconds = (int(part) for part in found.groups())
        return _bounded(timedelta(hours=hours, minutes=minutes, seconds=seconds))
    if found := _IN_WORDS.search(text):
        return _bounded(timedelta(seconds=int(found[1]) * _UNITS[found[2][0].lower()]))
    return None


def header(value: str, now: datetime) -> timedelta | None:
    """Seconds, or an HTTP date; `now` is real time."""
    value = value.strip()
    if value.isascii() and value.isdecimal() and len(value) < 9:
        return _bounded(timedelta(seconds=int(value)))
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return _bounded((at if at.tzinfo else at.replace(tzinfo=UTC)) - now)


def _bounded(wait: timedelta) -> timedelta:
    return min(max(wait, SHORTEST), LONGEST)
