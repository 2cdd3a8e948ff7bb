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
# ZIP codes that lie in one zone for certain (USPS three-digit areas, a few by all five). What is not here has
# all zones of its state: 324 (Port St. Joe is Eastern), 798 (Van Horn is Central), 835 (Riggins is Mountain),
# 898 (West Wendover is Mountain) and 979 (Drewsey is Pacific) are mixed.
_OF_ZIP: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("970", "971", "972", "973", "974", "975", "976", "977", "978"), (_PACIFIC,)),
    **dict.fromkeys(("97913", "97914", "97918"), (_MOUNTAIN,)),  # Nyssa, Ontario, Vale
    **dict.fromkeys(("838",), (_PACIFIC,)),
    **dict.fromkeys(("832", "833", "834", "836", "837"), (_MOUNTAIN,)),
    **dict.fromkeys(("325",), (_CENTRAL,)),
    **dict.fromkeys([*map(str, range(326, 350)), "320", "321", "322", "323"], (_EASTERN,)),  # Florida
    **dict.fromkeys(("799", "885"), (_MOUNTAIN,)),
    **dict.fromkeys([str(n) for n in range(750, 798)], (_CENTRAL,)),  # Texas but its west
    **dict.fromkeys(("370", "371", "372", "380", "381", "382", "383", "384", "385"), (_CENTRAL,)),
    **dict.fromkeys(("374", "376", "377", "378", "379"), (_EASTERN,)),  # eastern Tennessee
    **dict.fromkeys(("402", "403", "404", "405", "406", "410", "411", "412"), (_EASTERN,)),
    **dict.fromkeys(("420", "421", "422", "423", "424"), (_CENTRAL,)),  # western Kentucky
    **dict.fromkeys([str(n) for n in range(480, 498)], (_EASTERN,)),  # Michigan's lower peninsula
    **dict.fromkeys(("460", "461", "462", "466", "467", "468"), (_EASTERN,)),
    **dict.fromkeys(("463", "464", "476", "477"), (_CENTRAL,)),  # Gary and Evansville
    **dict.fromkeys(("680", "681", "683", "684", "685", "686", "687", "688", "689"), (_CENTRAL,)),
    **dict.fromkeys(("693", "577"), (_MOUNTAIN,)),  # Scottsbluff, Rapid City
    **dict.fromkeys(("570", "571", "572", "573", "574", "580", "581", "582"), (_CENTRAL,)),
    **dict.fromkeys([str(n) for n in range(660, 677)], (_CENTRAL,)),  # Kansas but its west
    **dict.fromkeys(("890", "891", "894", "895", "897"), (_PACIFIC,)),
}
_UNKNOWN = timezone.UNKNOWN_TIMEZONE


def zones_of(subscriber: Subscriber | None, number: str, home: ZoneInfo) -> tuple[ZoneInfo, ...]:
    """The zones in which whoever has this number may be; `home` (the provider's own) when nothing tells."""
    if subscriber is not None:
        if subscriber.time_zone:
            return (ZoneInfo(subscriber.time_zone),)
        state = subscriber.region.strip().upper()
        code = subscriber.postal_code.strip()
        of_state = _OF_STATE.get(state, ())
        by_zip = _OF_ZIP.get(code[:5]) or _OF_ZIP.get(code[:3]) or ()
        # A ZIP code of another state is a mistake somewhere: then all that the state may be.
        if found := by_zip if by_zip and set(by_zip) <= set(of_state) else of_state:
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
    """Whether `now` is within the window (its end excluded) in every one of these zones.

    A window may go over midnight (21:00 to 6:00); from and to the same is always open.
    """
    return all(_within(window, now.astimezone(zone).time()) for zone in zones)


def _within(window: tuple[time, time], local: time) -> bool:
    start, end = window
    if start < end:
        return start <= local < end
    return start == end or local >= start or local < end


__all__ = ["is_open", "zones_of"]
