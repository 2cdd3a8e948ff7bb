"""Quiet hours: when a text may next go out, in the time of whoever reads it.

A window (9:00 to 20:00, say) has to be open in every zone in which they may be (notifier.local_time).
Openings are found in local wall-clock time, so that a change of the clocks moves nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from notifier.local_time import is_open

Window = tuple[time, time]
_DAYS = 4


@dataclass(frozen=True, slots=True)
class QuietHours:
    """`home` is the provider's own zone, for whoever may be anywhere."""

    window: Window
    home: ZoneInfo


def next_opening(window: Window, zones: Sequence[ZoneInfo], now: datetime) -> datetime | None:
    """None: open now. Else the first instant at which it is open in all `zones`.

    Zones so far apart that no hour suits them all: the opening of the first one decides.
    """
    if is_open(window, zones, now):
        return None
    # The windows' common part begins where one of them opens.
    candidates = sorted(opening for zone in zones for opening in _openings(window, zone, now))
    suits = (at for at in candidates if is_open(window, zones, at))
    found = next(suits, None)
    return found if found is not None else next(_openings(window, zones[0], now))


def waits_until(opening: datetime, zone: ZoneInfo, now: datetime) -> str:
    """`Waits until 9:00 AM their time`, with the day when it is not today there."""
    return f"Waits until {their_time(opening, zone, now)}"


def their_time(opening: datetime, zone: ZoneInfo, now: datetime) -> str:
    """`9:00 AM their time`, `Thursday 9:00 AM their time`."""
    local = opening.astimezone(zone)
    day = "" if local.date() == now.astimezone(zone).date() else f"{local:%A} "
    return f"{day}{local.hour % 12 or 12}:{local:%M %p} their time"


def _openings(window: Window, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """After `now`, in order."""
    today = now.astimezone(zone).date()
    for days in range(_DAYS):
        # 2:30 does not exist on the day the clocks go forward: it is then the instant that 3:30 is.
        local = datetime.combine(today + timedelta(days=days), window[0], tzinfo=zone)
        instant = local.astimezone(UTC)
        if instant > now:
            yield instant
