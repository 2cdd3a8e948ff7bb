"""Names in letters that a built-in font can show: written as people would, never as question marks."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.latin import latin, spelled


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Dana Whitfield", "Dana Whitfield"),
        ("José Núñez “Pepe” – 5 €", "José Núñez “Pepe” – 5 €"),
        ("Łukasz Żółć", "Lukasz Zólc"),
        ("İstanbul Şule Ğ", "Istanbul Sule G"),
        ("Nguyễn Thị Hồng", "Nguyen Thi Hong"),
        ("Андрей Щербаков", "Andrei Shcherbakov"),
        ("Юлія Їжак", "Iuliia Izhak"),
        ("Αθηνά Παππά", "Athina Pappa"),
        ("さくら", "sakura"),
        ("김", "gim"),
        ("ﬁne １２", "fine 12"),
        ("e\u0301toile", "étoile"),
        ("O\u02bcBrien", "O'Brien"),
        ("a\u202eb\u200fc\u00add", "abcd"),
        ("Ann\r\n\tBell\x00\x07", "Ann Bell"),
        ("😀 Ann 👩\u200d👩\u200d👧", "Ann"),
        ("half \ud83d of it", "half of it"),
    ],
)
def test_a_name_is_written_in_letters_that_the_font_has(name: str, written: str) -> None:
    assert spelled(name) == (written, False)


@pytest.mark.parametrize("name", ["王小明", "محمد", "דוד Levi", "ราม"])
def test_letters_that_have_no_spelling_are_told_as_missing(name: str) -> None:
    text, missing = spelled(name)
    assert missing
    assert "?" not in text


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    shown = latin(text)
    shown.encode("cp1252")
    assert shown == " ".join(shown.split())
    assert shown.count("?") <= unicodedata.normalize("NFKD", text).count("?"), "none that was not there"
    assert latin(shown) == shown
