"""Values as JSON: what programs get, with addresses masked unless they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from bot.terminal.jsonable import as_json
from store.models import Stage
from store.money import Money


@dataclass(frozen=True)
class Thing:
    name: str
    later: Any
    told: Callable[[], str] = lambda: ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Money(4990, "USD"), {"amount": "49.90", "currency": "USD"}),
        (Money(1200, "JPY"), {"amount": "1200", "currency": "JPY"}),
        (datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=1))), "2026-01-02T02:04:00Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2026-01-02T03:04:05.000006Z"),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(minutes=1.5), 90.0),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Decimal("0.10"), "0.10"),
        (Stage.QUEUED, "queued"),
        (b"\x01\xff", "01ff"),
        ({Stage.QUEUED: 1, ("a", 2): None}, {"queued": 1, "a/2": None}),
        (frozenset({"b", "a"}), ["a", "b"]),
        (Thing("x", (True, 1.5)), {"name": "x", "later": [True, 1.5]}),
    ],
)
def test_each_kind_of_value_has_one_form(value: object, expected: object) -> None:
    assert as_json(value) == expected


def test_addresses_are_masked_wherever_they_stand_unless_asked_for() -> None:
    value = Thing("dana.whitfield@inbox.example", {"+15415550142": ["550 <dana@inbox.example> unknown"]})
    masked = str(as_json(value))
    assert "dana" not in masked
    assert "5550142" not in masked
    assert "inbox.example" in masked
    assert as_json(value, contacts=True) == {
        "name": "dana.whitfield@inbox.example",
        "later": {"+15415550142": ["550 <dana@inbox.example> unknown"]},
    }


def test_what_has_no_form_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(TypeError, match="object has no form"):
        as_json([object()])
