"""What comes out of what people, phones and Slack's own client type."""

from __future__ import annotations

import pytest

from handlers.typed import MAX_TYPED, plain_text, split_to


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("find 1042", "find 1042"),
        ("  find   1042 ", "find 1042"),
        ("find\u00a01042", "find 1042"),
        ("find\u20091042\u3000now", "find 1042 now"),
        ("10\u200b42\ufeff", "1042"),
        ("<mailto:a.b@x.example|a.b@x.example>", "a.b@x.example"),
        ("<mailto:a@x.example>", "a@x.example"),
        ("1001 to <mailto:me@inbox.example|me@inbox.example>", "1001 to me@inbox.example"),
        ("<tel:+15415550142|541 555 0142>", "+15415550142"),
        ("<tel:5415550142>", "5415550142"),
        ("spf <http://example.net|example.net>", "spf example.net"),
        ("spf <https://example.net>", "spf https://example.net"),
        ("“Dana Whitfield”", '"Dana Whitfield"'),
        ("O’Brien", "O'Brien"),
        ("—warn late payer", "--warn late payer"),
        ("note 1042 —warn", "note 1042 --warn"),
        ("Smith–Jones", "Smith-Jones"),
        ("541‑555‑0142", "541-555-0142"),
        ("\u202a+1 541 555 0142\u202c", "+1 541 555 0142"),
        ("Cedar &amp; Sons &lt;LLC&gt;", "Cedar & Sons <LLC>"),
        ("10\x0042", "1042"),
        ("half \ud83d of it", "half of it"),
        ("", ""),
    ],
)
def test_what_was_meant_is_found_in_what_was_typed(typed: str, meant: str) -> None:
    assert plain_text(typed) == meant


def test_an_escaped_entity_is_unescaped_once_only() -> None:
    assert plain_text("&amp;lt;") == "&lt;"


def test_only_the_first_two_thousand_characters_are_looked_at() -> None:
    assert len(plain_text("x" * 50_000)) == MAX_TYPED


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1001", ("1001", None)),
        ("1001 to me@x.example", ("1001", "me@x.example")),
        ("invoice 20001 to me@x.example", ("invoice 20001", "me@x.example")),
        ("to me@x.example", ("", "me@x.example")),
        ("Road to Ruin LLC to me@x.example", ("Road to Ruin LLC", "me@x.example")),
        ("Tomas Ott", ("Tomas Ott", None)),
        ("", ("", None)),
    ],
)
def test_the_address_stands_behind_the_last_to(text: str, parts: tuple[str, str | None]) -> None:
    assert split_to(text) == parts
