"""Segments as the network counts them: alphabets, limits, and clusters that stay whole."""

from __future__ import annotations

import time

import pytest
import regex  # type: ignore[import-untyped]  # ships no types
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.sms_text import SMART_ENCODING, Encoding, Segments, count_segments, graphemes, remaining

GSM, UCS = Encoding.GSM_7, Encoding.UCS_2
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = "\f^{}\\[~]|€"
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"  # 8 UTF-16 units, one cluster
FLAG = "\U0001f1fa\U0001f1f8"  # 4 units, one cluster


def units(text: str, encoding: Encoding) -> int:
    """Counted another way than the module does: by encoding, and by membership."""
    if encoding is UCS:
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    return sum(2 if c in EXTENDED else 1 for c in text)


def shape(found: Segments) -> tuple[Encoding, int, int]:
    return found.encoding, found.count, found.units


@pytest.mark.parametrize(
    ("text", "encoding", "count", "length"),
    [
        ("", GSM, 0, 0),
        ("a", GSM, 1, 1),
        ("a" * 160, GSM, 1, 160),
        ("a" * 161, GSM, 2, 161),
        ("a" * 306, GSM, 2, 306),
        ("a" * 307, GSM, 3, 307),
        ("a" * 1600, GSM, 11, 1600),
        ("€" * 80, GSM, 1, 160),
        ("€" * 80 + "a", GSM, 2, 161),
        # 153 is odd: an extension character that would straddle the cut moves on whole, 76 to a part.
        ("€" * 152, GSM, 2, 304),
        ("€" * 153, GSM, 3, 306),
        ("a" * 152 + "{" + "b" * 151, GSM, 2, 305),
        ("a" * 152 + "{" + "b" * 152, GSM, 3, 306),
        ("\r\n" * 80, GSM, 1, 160),
        ("a" * 159 + "\r\n", GSM, 2, 161),
        ("a" * 159 + "\n", GSM, 1, 160),
        ("a" * 152 + "\r\n" + "b" * 152, GSM, 2, 306),
        ("é" * 160, GSM, 1, 160),
        ("e\u0301" * 35, UCS, 1, 70),
        ("e\u0301" * 70, UCS, 3, 140),
        ("á" * 70, UCS, 1, 70),
        ("á" * 71, UCS, 2, 71),
        ("á" * 134, UCS, 2, 134),
        ("á" * 135, UCS, 3, 135),
        ("ç", UCS, 1, 1),
        ("Ç", GSM, 1, 1),
        ("中" * 70, UCS, 1, 70),
        ("中" * 71, UCS, 2, 71),
        # In UCS-2 the extension characters cost one again.
        ("]" * 84 + "\U0001f618", UCS, 2, 86),
        ("\U0001f600" * 35, UCS, 1, 70),
        ("\U0001f600" * 36, UCS, 2, 72),
        # 67 is odd: 33 emoji to a part, not 33 and a half.
        ("\U0001f600" * 66, UCS, 2, 132),
        ("\U0001f600" * 67, UCS, 3, 134),
        ("a" * 69 + "\U0001f600", UCS, 2, 71),
    ],
)
def test_segments_are_counted_as_billed(text: str, encoding: Encoding, count: int, length: int) -> None:
    assert shape(count_segments(text)) == (encoding, count, length)


@pytest.mark.parametrize("char", BASIC)
def test_each_character_of_the_default_alphabet_is_one_septet(char: str) -> None:
    assert shape(count_segments(char * 160)) == (GSM, 1, 160)


@pytest.mark.parametrize("char", EXTENDED)
def test_each_character_of_the_extension_table_is_two_septets_of_one_part(char: str) -> None:
    found = count_segments("a" * 152 + char + "b" * 10)
    assert found.parts == ("a" * 152, char + "b" * 10)
    assert found.units == 164


def test_the_alphabet_is_that_of_the_standard_and_nothing_more() -> None:
    held = [chr(code) for code in range(0x10000) if count_segments(chr(code), smart=False).encoding is GSM]
    assert sorted(held) == sorted(BASIC + EXTENDED)
    assert len(held) == 127 + 10


@pytest.mark.parametrize(
    ("cluster", "length"),
    [
        (FAMILY, 8),
        (FLAG, 4),
        ("\U0001f44d\U0001f3fd", 4),
        ("1\ufe0f\u20e3", 3),
        ("\u1100\u1161\u11a8", 3),
        ("क्षि", 4),
    ],
)
def test_a_cluster_at_the_cut_moves_on_whole(cluster: str, length: int) -> None:
    assert units(cluster, UCS) == length
    before, after = "á" * (67 - length + 1), "z" * 20
    assert count_segments(before + cluster + after).parts == (before, cluster + after)


def test_a_cluster_that_just_fits_stays() -> None:
    text = "á" * 59 + FAMILY + "z" * 20
    assert count_segments(text).parts == ("á" * 59 + FAMILY, "z" * 20)


def test_a_text_of_one_part_is_never_cut_even_when_its_cluster_is_longer_than_a_part_of_many() -> None:
    text = "a" + "\u0301" * 69
    assert count_segments(text).parts == (text,)


def test_a_cluster_longer_than_a_part_is_cut_without_losing_anything() -> None:
    text = "a" + "\u0301" * 200
    found = count_segments(text)
    assert "".join(found.parts) == text
    assert [len(part) for part in found.parts] == [67, 67, 67]


def test_a_cut_within_a_cluster_never_parts_a_surrogate_pair() -> None:
    found = count_segments("\u200d".join(["\U0001f469"] * 60))
    assert "".join(found.parts) == found.text
    assert all(units(part, UCS) <= 67 for part in found.parts)


def test_carriage_return_and_line_feed_may_be_parted_as_twilio_parts_them() -> None:
    found = count_segments("a" * 152 + "\r\n" + "b" * 152)
    assert found.parts == ("a" * 152 + "\r", "\n" + "b" * 152)


def test_smart_encoding_writes_what_the_network_can_carry() -> None:
    found = count_segments("“It’s paid” – thanks…\u00a0bye")
    assert found.text == '"It\'s paid" - thanks...  bye'
    assert shape(found) == (GSM, 1, len(found.text))
    assert found.substituted == (
        ("“", '"'),
        ("’", "'"),
        ("”", '"'),
        ("–", "-"),
        ("…", "..."),
        ("\u00a0", "  "),
    )
    assert (found.forcing, found.gsm_alternative) == ((), None)


def test_smart_encoding_can_make_a_text_longer_than_one_segment() -> None:
    assert count_segments("a" * 158 + "…").count == 2
    assert count_segments("a" * 159 + "\u00a0").count == 2


def test_nothing_is_substituted_when_one_character_cannot_be() -> None:
    found = count_segments("It’s on \U0001f600")
    assert (found.text, found.encoding, found.substituted) == ("It’s on \U0001f600", UCS, ())
    assert found.forcing == ("\U0001f600",)
    assert found.gsm_alternative is None


def test_without_smart_encoding_a_curly_quote_forces_ucs_2() -> None:
    found = count_segments("It’s paid", smart=False)
    assert (found.encoding, found.text, found.forcing) == (UCS, "It’s paid", ("’",))


@pytest.mark.parametrize(("seen", "written"), sorted(SMART_ENCODING.items()))
def test_each_smart_character_becomes_gsm_7(seen: str, written: str) -> None:
    assert seen not in BASIC + EXTENDED
    found = count_segments(f"a{seen}b")
    assert (found.encoding, found.text) == (GSM, f"a{written}b")
    assert found.substituted == ((seen, written),)


def test_a_text_of_nothing_visible_has_no_segments() -> None:
    found = count_segments("\u200b\ufeff")
    assert (found.text, found.count, found.parts) == ("", 0, ())


def test_spanish_accents_show_both_costs() -> None:
    text = "Señora Núñez: su factura está lista. ¿Cuál correo usamos? Envíe también su código. Olé, pingüino"
    found = count_segments(text)
    assert shape(found) == (UCS, 2, len(text))
    assert found.forcing == ("ú", "á", "í", "ó")
    other = found.gsm_alternative
    assert other is not None
    assert other.text == (
        "Señora Nuñez: su factura esta lista. ¿Cual correo usamos? Envie también su codigo. Olé, pingüino"
    )
    assert shape(other) == (GSM, 1, len(text))
    assert other.substituted == (("ú", "u"), ("á", "a"), ("í", "i"), ("ó", "o"))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("reçu", "recu"),
        ("Łódź", "Lodz"),
        ("n.º 4", "n.o 4"),
        ("cœur", "coeur"),
        ("e\u0301 o\u0301", "é o"),
        ("canción ’25", "cancion '25"),
        ("ó\u2011b", "o-b"),
    ],
)
def test_what_it_would_be_with_accents_dropped(text: str, plain: str) -> None:
    other = count_segments(text).gsm_alternative
    assert other is not None
    assert other.text == plain


@pytest.mark.parametrize("text", ["canción \U0001f600", "счёт", "请求 á", "❤\ufe0f á", "á\ud83d"])
def test_there_is_no_plain_form_of_emoji_or_another_script(text: str) -> None:
    found = count_segments(text)
    assert (found.encoding, found.gsm_alternative) == (UCS, None)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", 160),
        ("a" * 160, 0),
        ("a" * 161, 145),
        ("[", 158),
        ("á", 69),
        ("á" * 70, 0),
        ("á" * 71, 63),
        ("\U0001f600", 68),
        ("a" * 306, 0),
    ],
)
def test_what_is_left_of_the_last_part(text: str, left: int) -> None:
    assert remaining(count_segments(text)) == left


SAMPLES = st.one_of(
    st.sampled_from([*BASIC, *EXTENDED, *SMART_ENCODING]),
    st.sampled_from(
        [FAMILY, FLAG, FLAG[0], "\r\n", "\u200d", "\u0301", "á", "\ufe0f", "\U0001f3fd", "\ud83d"]
    ),
    st.characters(),
)
TEXTS = st.lists(SAMPLES, max_size=400).map("".join)


@given(TEXTS, st.booleans())
@example("a" * 153 + "\r\n" * 90, False)
@example("\u0301" * 71, True)
@example(FLAG * 40, True)
def test_parts_are_the_text_and_none_is_over_its_limit(text: str, smart: bool) -> None:
    found = count_segments(text, smart=smart)
    assert "".join(found.parts) == found.text
    assert all(found.parts)
    assert found.units == units(found.text, found.encoding)
    alone, many = (160, 153) if found.encoding is GSM else (70, 67)
    assert found.per_part == (alone if found.count < 2 else many)
    assert all(units(part, found.encoding) <= found.per_part for part in found.parts)
    assert (found.count < 2) == (found.units <= alone)
    if not smart:
        assert found.text == text
    assert (found.encoding is UCS) == bool(found.forcing)
    assert 0 <= remaining(found) <= found.per_part


@given(TEXTS)
def test_cuts_fall_between_clusters_and_no_part_has_room_for_the_next(text: str) -> None:
    found = count_segments(text, smart=False)
    whole: list[str] = regex.findall(r"\X", text)
    edges, at = set(), 0
    for cluster in whole:
        edges.add(at)
        at += len(cluster)
    edges |= {i + 1 for i in range(len(text)) if text[i : i + 2] == "\r\n"}
    at = 0
    for part, following in zip(found.parts, found.parts[1:], strict=False):
        at += len(part)
        assert at in edges or any(units(c, UCS) > 67 for c in whole)
        first = "\r" if following[0] == "\r" else regex.match(r"\X", following)[0]
        assert units(part, found.encoding) + units(first, found.encoding) > found.per_part


@given(TEXTS)
def test_the_alternative_is_gsm_7_and_changes_only_what_it_says(text: str) -> None:
    other = count_segments(text).gsm_alternative
    if other is not None:
        assert other.encoding is GSM
        assert set(other.text) <= set(BASIC + EXTENDED)
        swaps = dict(other.substituted)
        assert other.text == "".join(swaps.get(c, c) for c in graphemes(text))


@given(TEXTS)
@example(FLAG * 200 + "\u0301")
@example("a" + FLAG[0] * 131 + "\u200d" + FLAG * 64)
def test_clusters_are_those_of_the_library(text: str) -> None:
    assert graphemes(text) == regex.findall(r"\X", text)


@pytest.mark.parametrize(
    "text",
    [
        "á" + "\u0301\u0316" * 50_000,
        "a\u0301" * 50_000,
        FLAG * 50_000,
        "\U0001f469\u200d" * 50_000,
        "\u1100" * 100_000,
        "\r\n" * 50_000 + "á",
        "€" * 100_000,
        "\ufdfa" * 20_000,
        "\u0600" * 100_000,
    ],
    ids=["marks", "letters", "flags", "joined", "jamo", "lines", "euro", "ligature", "prepended"],
)
def test_hostile_text_takes_time_in_proportion_to_its_length(text: str) -> None:
    started = time.process_time()
    found = count_segments(text)
    assert time.process_time() - started < 60
    assert "".join(found.parts) == found.text
