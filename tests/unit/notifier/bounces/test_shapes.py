"""Mail systems that report in words of their own: nobody is lost, and what is said is understood."""

from __future__ import annotations

import pytest

from notifier.bounces import parse_bounce

from .shapes import SHAPES, Expected


@pytest.mark.parametrize(("raw", "expected"), SHAPES.values(), ids=SHAPES)
def test_systems_notice_is_understood(raw: str, expected: Expected) -> None:
    assert tuple((r.recipient, r.cls) for r in parse_bounce(raw.encode())) == expected


@pytest.mark.parametrize("raw", [raw for raw, _ in SHAPES.values()], ids=SHAPES)
def test_line_ends_change_nothing(raw: str) -> None:
    plain = [(r.recipient, r.cls, r.hard) for r in parse_bounce(raw.encode())]
    for line_end in ("\r\n", "\r"):
        other = raw.replace("\n", line_end).encode()
        assert [(r.recipient, r.cls, r.hard) for r in parse_bounce(other)] == plain
