"""What time it is where somebody lives: zones from what is known of them, and whether a window is open.

The mirror's own time zone first, else the state of the service address, else the telephone number's area.
A state or an area may lie in several zones: then a window is open only while it is open in all of them.
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone

from store.models import Subscriber

_EASTERN, _CENTRAL, _MOUNTAIN = "America/New_York", "America/Chicago", "America/Denver"
_PACIFIC, _ARIZONA = "America/Los_Angeles", "America/Phoenix"
# 49 CFR part 71 and the zone maps of Canada; where a state is split, both zones.
_STATES: dict[tuple[str, ...], str] = {
    (_EASTERN,): "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV",
    (_EASTERN, _CENTRAL): "FL IN KY MI TN",
    (_CENTRAL,): "AL AR IA IL LA MN MO MS OK WI",
    (_CENTRAL, _MOUNTAIN): "KS ND NE SD TX",
    (_MOUNTAIN,): "CO MT NM UT WY",
    (_MOUNTAIN, _PACIFIC): "ID OR",
    (_ARIZONA, _MOUNTAIN): "AZ",
    (_PACIFIC,): "CA WA",
    (_PACIFIC, _MOUNTAIN): "NV",
    ("America/Anchorage",): "AK",
    ("Pacific/Honolulu",): "HI",
    ("America/Puerto_Rico",): "PR VI",
    ("Pacific/Guam",): "GU MP",
    ("America/Halifax",): "NB NS PE",
    ("America/St_Johns",): "NL",
    ("America/Toronto",): "ON QC",
    ("America/Winnipeg",): "MB",
    ("America/Regina",): "SK",
    ("America/Edmonton",): "AB",
    ("America/Vancouver",): "BC",
}
_OF_STATE = {state: zones for zones, states in _STATES.items() for state in states.split()}
# ZIP codes of counties that lie in the other zone of their state (USPS three-digit areas). 979 is eastern
# Oregon (Malheur County and Baker), 835 and 838 northern Idaho, 324 and 325 western Florida, 798, 799 and
# 885 El Paso.
_OF_ZIP: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("970", "971", "972", "973", "974", "975", "976", "977", "978"), (_PACIFIC,)),
    **dict.fromkeys(("835", "838"), (_PACIFIC,)),
    **dict.fromkeys(("832", "833", "834", "836", "837"), (_MOUNTAIN,)),
    **dict.fromkeys(("324", "325"), (_CENTRAL,)),
    **dict.fromkeys(("798", "799", "885"), (_MOUNTAIN,)),
    **dict.fromkeys(("890", "891", "893", "894", "895", "897", "898"), (_PACIFIC,)),
}
_UNKNOWN = timezone.UNKNOWN_TIMEZONE


def zones_of(subscriber: Subscriber | None, number: str, home: ZoneInfo) -> tuple[ZoneInfo, ...]:
    """The zones in which whoever has this number may be; `home` (the provider's own) when nothing tells."""
    if subscriber is not None:
        if subscriber.time_zone:
            return (ZoneInfo(subscriber.time_zone),)
        state = subscriber.region.strip().upper()
        by_zip = _OF_ZIP.get(subscriber.postal_code.strip()[:3]) if state in _OF_STATE else None
        if found := by_zip or _OF_STATE.get(state):
            return tuple(map(ZoneInfo, found))
    return _of_number(number) or (home,)


def _of_number(number: str) -> tuple[ZoneInfo, ...]:
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return ()
    names = timezone.time_zones_for_number(parsed)
    # A toll-free or mobile number of a whole country says nothing.
    return tuple(map(ZoneInfo, names)) if len(names) <= _MOST and _UNKNOWN not in names else ()


_MOST = 4


def is_open(window: tuple[time, time], zones: Sequence[ZoneInfo], now: datetime) -> bool:
    """Whether `now` is within the window (its end excluded) in every one of these zones."""
    start, end = window
    return all(start <= now.astimezone(zone).time() < end for zone in zones)


__all__ = ["is_open", "zones_of"]
