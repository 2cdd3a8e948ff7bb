"""Times as the provider's people read them: in its zone, which is also the one of Slack's users here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sandbox.cast import TIME_ZONE

ZONE: Final = ZoneInfo(TIME_ZONE)


def clock(ts: str) -> str:
    """A message's time of day: `10:04 AM`."""
    return hour(datetime.fromtimestamp(float(ts), UTC))


def day(ts: str) -> str:
    """A message's day: `Wednesday, November 25, 2026`."""
    return _day(datetime.fromtimestamp(float(ts), UTC))


def hour(when: datetime | str) -> str:
    return _local(when).strftime("%I:%M %p").lstrip("0")


def date_of(when: datetime | str) -> str:
    return _day(_local(when))


def moment(when: datetime | str) -> str:
    """`Nov 25, 2026, 10:04:30 AM PST`."""
    local = _local(when)
    return f"{local:%b} {local.day}, {local:%Y}, {local.strftime('%I:%M:%S %p').lstrip('0')} {local:%Z}"


def brief(when: datetime | str, now: datetime) -> str:
    """The time of today's, the day of older ones, with its year when that is another."""
    local, today = _local(when), _local(now)
    if local.date() == today.date():
        return hour(when)
    return f"{local:%b} {local.day}" + ("" if local.year == today.year else f", {local:%Y}")


def _day(when: datetime) -> str:
    local = _local(when)
    return f"{local:%A, %B} {local.day}, {local:%Y}"


def _local(when: datetime | str) -> datetime:
    return (datetime.fromisoformat(when) if isinstance(when, str) else when).astimezone(ZONE)
