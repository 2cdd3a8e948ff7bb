"""Billing fields as people fill them: what is read, what is put right, and what is left for a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.addresses import meant_by, parse_field
from store.addresses import Repair


def test_a_field_gives_its_addresses_with_what_was_put_right() -> None:
    ann, bob, cy = parse_field('"Lee, Ann" <ann@x.example>; mailto:bob@x.example\ncy@x.example ,')
    assert [i.address for i in (ann, bob, cy)] == ["ann@x.example", "bob@x.example", "cy@x.example"]
    assert (ann.repairs, bob.repairs, cy.repairs) == (
        (Repair.NAME,),
        (Repair.SCHEME,),
        (Repair.PUNCTUATION,),
    )


@pytest.mark.parametrize(
    "field", ["ann@x.example,", "ann@x.example;", ",ann@x.example", "ann@x.example\uff0c"]
)
def test_a_stray_comma_is_said(field: str) -> None:
    (item,) = parse_field(field)
    assert (item.address, item.repairs) == ("ann@x.example", (Repair.PUNCTUATION,))


def test_an_address_that_stands_there_twice_is_marked_and_kept() -> None:
    first, second = parse_field("ann@x.example, ANN@x.example")
    assert (first.twice, second.twice) == (False, True)


def test_a_part_that_is_no_address_is_reported_and_never_dropped() -> None:
    items = parse_field('ann@x.example, ask at the desk, "ann lee"@x.example, bob@@x.example')
    assert [i.problem is None for i in items] == [True, False, False, False]
    assert [i.raw for i in items][1:] == ["ask at the desk", '"ann lee"@x.example', "bob@@x.example"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ann@gmailcom", "ann@gmail.com"),
        ("ann@gmail", "ann@gmail.com"),
        ("ann@yahoo", "ann@yahoo.com"),
        ("ann@hotmailcom", "ann@hotmail.com"),
        ("ann@gmail,com", "ann@gmail.com"),
        ("ann@gmail, com", "ann@gmail.com"),
        ("ann@gmail com", "ann@gmail.com"),
        ("ann@gmail. com", "ann@gmail.com"),
        ("ann@gmail .com", "ann@gmail.com"),
        ("ann@gmail..com", "ann@gmail.com"),
        ("ann@gmial,com", "ann@gmail.com"),
        ("ann@@gmail.com", "ann@gmail.com"),
        ("ann @ gmail.com", "ann@gmail.com"),
        ("ann@ cedar.example", "ann@cedar.example"),
        ("ann (at) gmail.com", "ann@gmail.com"),
        ("ann[at]cedar.example", "ann@cedar.example"),
        ("ann at gmail dot com", "ann@gmail.com"),
        ("ann(at)cedar(dot)example", "ann@cedar.example"),
        ("ann.gmail.com", "ann@gmail.com"),
        ("ann2gmail.com", "ann@gmail.com"),
        ("ann#yahoo.com", "ann@yahoo.com"),
        ("ann@gmail.com/", "ann@gmail.com"),
        ("\u0430nn@gmail.com", "ann@gmail.com"),
        # unsure: whose mailbox it is, or which domain
        ("ann lee@gmail.com", None),
        ("ann@bob@gmail.com", None),
        ("ann", None),
        ("none", None),
        ("ann@cedar", None),
        ("look at this", None),
        ("jos\u00e9@gmail.com", None),
        ("gmail.com", None),
        ("541-555-0142", None),
        ("a" * 400 + "@gmailcom", None),
    ],
)
def test_what_one_slip_explains_is_suggested_and_nothing_else(typed: str, meant: str | None) -> None:
    assert meant_by(typed) == meant
    (item,) = parse_field(typed)
    assert item.problem is not None
    assert item.suggestion == meant


@given(st.text(alphabet="ab@.,;<>\"'() |:\n\u200f\uff20atdo", max_size=60))
def test_no_text_makes_reading_raise_and_every_suggestion_is_an_address(text: str) -> None:
    for item in parse_field(text):
        if item.suggestion is not None:
            (again,) = parse_field(item.suggestion)
            assert (again.problem, again.address) == (None, item.suggestion)


@given(st.text(alphabet="ab@. ,", max_size=40))
def test_no_letter_of_a_field_is_lost(text: str) -> None:
    kept = "".join(item.raw for item in parse_field(text))
    assert [c for c in kept if c not in " ,"] == [c for c in text if c not in " ,"]
