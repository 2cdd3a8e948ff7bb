"""What in a message points at a subscriber, as people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.pointers import MOST, pointers

SAID = {
    "1042 has no invoice": ["1042"],
    "#1042 again": ["1042"],
    "account 1042 and invoice #20042": ["account 1042", "invoice 20042"],
    "Acct. no. 1042, inv. 20042": ["account 1042", "invoice 20042"],
    "write to <mailto:maria@x.example|maria@x.example>, please": ["maria@x.example"],
    "maria@x.example. And Maria@x.example": ["maria@x.example", "Maria@x.example"],
    "call (541) 555-0142 or +34 612 345 678": ["+34612345678", "+15415550142"],
    "she owes $1042.50, since 2026-11-05, 50% of it": [],
    "see https://desk.example/1042 and 192.0.2.17": [],
    "the line is fine": [],
    "": [],
    "1042 1042 1042": ["1042"],
}


@pytest.mark.parametrize(("text", "found"), SAID.items())
def test_what_a_message_points_at(text: str, found: list[str]) -> None:
    assert pointers(text) == found


def test_a_list_is_cut() -> None:
    assert len(pointers(" ".join(str(number) for number in range(1000, 1100)))) == MOST


@given(st.text())
def test_no_text_breaks_it_and_nothing_stands_twice(text: str) -> None:
    found = pointers(text)
    assert len(found) == len(set(found)) <= MOST
    assert all(word.strip() for word in found)
