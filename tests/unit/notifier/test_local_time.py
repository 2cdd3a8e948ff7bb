"""Where somebody lives, and whether a window is open there."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from notifier.local_time import is_open, zones_of
from store.models import Subscriber, SubscriberKind, SubscriberStatus
from store.types import new_id
from tests.builders import FACTS, usd

HOME = ZoneInfo("America/Chicago")
WINDOW = (time(9), time(20))


def subscriber(region: str = "", postal_code: str = "", time_zone: str | None = None) -> Subscriber:
    return Subscriber(
        id=new_id(),
        account="1001",
        kind=SubscriberKind.RESIDENTIAL,
        status=SubscriberStatus.ACTIVE,
        name="Dana Whitfield",
        language="en",
        time_zone=time_zone,
        address="12 Alder Street",
        city="Bend",
        region=region,
        postal_code=postal_code,
        payer_account=None,
        balance=usd("0.00"),
        invoice_notices=True,
        facts=FACTS,
    )


@pytest.mark.parametrize(
    ("person", "number", "zones"),
    [
        (subscriber("OR", "97701", "Pacific/Honolulu"), "+15415550142", ["Pacific/Honolulu"]),
        (subscriber("WA", "98672"), "+12125550142", ["America/Los_Angeles"]),
        (subscriber("or", "97701"), "+12125550142", ["America/Los_Angeles"]),
        (subscriber("OR", "97914"), "+12125550142", ["America/Denver"]),
        (subscriber("OR", "97904"), "+12125550142", ["America/Denver", "America/Los_Angeles"]),
        (subscriber("OR", "32601"), "+12125550142", ["America/Denver", "America/Los_Angeles"]),
        (subscriber("FL", "32601-1234"), "+15415550142", ["America/New_York"]),
        (subscriber("FL", "32456"), "+15415550142", ["America/New_York", "America/Chicago"]),
        (subscriber("TN"), "+12125550142", ["America/New_York", "America/Chicago"]),
        (subscriber("Jalisco", "44100"), "+523312345678", ["America/Mexico_City"]),
        (None, "+12125550142", ["America/New_York"]),
        (None, "+18005550142", ["America/Chicago"]),
        (None, "12345", ["America/Chicago"]),
    ],
)
def test_zone_comes_from_the_mirror_then_the_address_then_the_number(
    person: Subscriber | None, number: str, zones: list[str]
) -> None:
    assert [zone.key for zone in zones_of(person, number, HOME)] == zones


@pytest.mark.parametrize(
    ("utc_hour", "zones", "opened"),
    [
        (14, ["America/New_York"], True),  # 9 or 10 a.m.
        (14, ["America/New_York", "America/Chicago"], False),  # 8 a.m. in Chicago
        (15, ["America/New_York", "America/Chicago"], True),
        (1, ["America/New_York"], False),  # 8 p.m.: the end is excluded
        (0, ["America/New_York"], True),
    ],
)
def test_a_window_is_open_only_where_it_is_open_everywhere(
    utc_hour: int, zones: list[str], opened: bool
) -> None:
    now = datetime(2026, 1, 15, utc_hour, 0, tzinfo=UTC)
    assert is_open(WINDOW, [ZoneInfo(zone) for zone in zones], now) is opened
