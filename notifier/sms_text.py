"""How many segments a text costs, and where the network cuts it.

GSM 03.38 (3GPP TS 23.038) for the alphabets, TS 23.040 for the six octets of header that a part of a longer
message loses, UAX #29 for what must stay together, and Twilio's published list of smart-encoded characters.
Counts what Twilio bills; sends nothing and knows no prices. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import regex  # type: ignore[import-untyped]  # ships no types

LONGEST_TEXT = 1600
"""Characters that Twilio takes in one text."""

# TS 23.038 section 6.2.1, without the escape at 0x1B. Of the accented vowels only these are in it: Spanish
# a, i, o, u with an acute accent are not, and neither is the French small c with a cedilla.
_DEFAULT = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Section 6.2.1.1: each is an escape and one more septet, which may not be in different parts.
_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM_7 = _DEFAULT | _EXTENSION

# What Twilio's smart encoding writes -> what it writes it for. Its choices are kept even where one would
# choose otherwise (single angle quotes turn round, a combining tilde becomes a character of its own):
# the segments billed are those of the text that goes out.
_SMART_GROUPS: dict[str, str] = {
    '"': "\u00ab\u00bb\u201c\u201d\u201e\u201f\u02ba\u02ee\u275d\u275e\u301d\u301e",
    "'": "\u2018\u2019\u201b\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u00b4\u0060\u275b\u275c\u0313\u0314"
    "\ufe10\ufe11",
    "-": "\u2010\u2013\u2014\u2015\u2022\u2043\u23bc\u23bd\ufe63",
    "...": "\u2026",
    "  ": "\u00a0\u2000\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
    "\u0080\u008d\u0090\u009b\u009f",
    " ": "\u2001\u2028\u2029",
    "       ": "\t",
    "": "\x00\x03\x04\x10\x11\x12\x13\x14\x17\x19\u200b\u200c\u2060\ufeff",
    "1/4": "\u00bc",
    "1/2": "\u00bd",
    "3/4": "\u00be",
    "/": "\u00f7\u0337\u0338\u2044\u2215\u29f8",
    "\\": "\u20e5\u29f5\u29f9\ufe68",
    "_": "\u0332\u2017",
    "|": "\u20d2\u20d3\u2223\u239c\u239f\u23b8\u23b9\u23d0",
    "@": "\ufe6b",
    "$": "\ufe69",
    "!": "\u01c3\ufe15\ufe57",
    "!!": "\u203c",
    "#": "\ufe5f",
    "%": "\ufe6a",
    "&": "\ufe60",
    ",": "\u201a\u0326\u3001\ufe50\ufe51\uff64",
    "(": "\u2768\u276a\u27ee\u2985\ufe59",
    ")": "\u2769\u276b\u27ef\u2986\ufe5a",
    "*": "\u204e\u2217\u229b\u2722\u2723\u2724\u2725\u2731\u2732\u2733\u273a\u273b\u273c\u273d\u2743\u2749"
    "\u274a\u274b\u29c6\ufe61",
    "+": "\u02d6\ufe62",
    ".": "\u3002\ufe52\uff61",
    ":": "\u02d0\u02f8\u2982\ua789\ufe13",
    ";": "\u204f\ufe14\ufe54",
    "<": "\u203a\ufe64",
    ">": "\u2039\ufe65",
    "=": "\u0347\ua78a\ufe66",
    "?": "\ufe16\ufe56",
    "^": "\u02c6\u0302\u1dcd",
    "{": "\u2774\ufe5b",
    "}": "\u2775\ufe5c",
    "~": "\u02dc\u02f7\u0303\u0330\u0334\u223c",
}
_SMALL_CAPITALS = zip(
    "ABCDEFGHIJKLMNOPRSTUVWYZ",
    "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274\u1d0f\u1d18\u0280\ua731"
    "\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22",
    strict=True,
)
# Fullwidth forms stand 0xFEE0 above ASCII; the list leaves out the grave accent and the small letters.
_FULLWIDTH = [*range(0xFF01, 0xFF40), *range(0xFF5B, 0xFF5F)]

SMART_ENCODING: dict[str, str] = {
    **{seen: written for written, group in _SMART_GROUPS.items() for seen in group},
    **{seen: written for written, seen in _SMALL_CAPITALS},
    **{chr(code): chr(code - 0xFEE0) for code in _FULLWIDTH},
}

# Letters whose stroke or ligature Unicode does not take apart.
_PLAIN_LETTERS = {
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ı": "i",
    "œ": "oe",
    "Œ": "OE",
    "ð": "d",
    "Ð": "D",
    "þ": "th",
    "Þ": "Th",
}
# An accented letter is two or three code points; a longer cluster is no letter, and normalising a hostile
# one takes time that grows with the square of its length.
_LONGEST_LETTER = 8

# `regex` looks back over a whole run of flags at each of them. Cutting such a run after an even number is
# always a boundary (UAX #29, GB12 and GB13) and keeps the time linear.
_FLAGS = re.compile("(?:[\U0001f1e6-\U0001f1ff]{2}){32}(?=[\U0001f1e6-\U0001f1ff])")
_CLUSTER = regex.compile(r"\X")


class Encoding(StrEnum):
    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


# Septets or UTF-16 code units: of a message that is alone, and of each part of a longer one.
_LIMITS: dict[Encoding, tuple[int, int]] = {Encoding.GSM_7: (160, 153), Encoding.UCS_2: (70, 67)}


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text costs. `"".join(parts) == text` always holds.

    `text` is what the handset shows, after smart encoding; `substituted` says what that replaced by what.
    `units` and `per_part` are septets (GSM-7) or UTF-16 code units (UCS-2), headers not counted.
    `forcing` are the characters, each once, for whose sake it is UCS-2; `gsm_alternative` is the same text
    with its accents dropped, None when it is GSM-7 already or no accent is to blame (emoji, other scripts).
    """

    encoding: Encoding
    text: str
    parts: tuple[str, ...]
    units: int
    per_part: int
    substituted: tuple[tuple[str, str], ...] = ()
    forcing: tuple[str, ...] = ()
    gsm_alternative: Segments | None = None

    @property
    def count(self) -> int:
        return len(self.parts)


def count_segments(text: str, *, smart: bool = True) -> Segments:
    """The segments of `text`; empty text has none. `smart` says whether the sender has smart encoding on.

    Twilio substitutes only when that makes the whole text GSM-7: beside one emoji the curly quotes stay.
    """
    if _GSM_7.issuperset(text):
        return _segments(Encoding.GSM_7, text)
    encodable = _GSM_7.union(SMART_ENCODING) if smart else _GSM_7
    if encodable.issuperset(text):
        pairs = {char: SMART_ENCODING[char] for char in text if char not in _GSM_7}
        return _segments(Encoding.GSM_7, _written(text, pairs), substituted=tuple(pairs.items()))
    clusters = graphemes(text)
    return _segments(
        Encoding.UCS_2,
        text,
        clusters,
        forcing=tuple(dict.fromkeys(c for c in clusters if not encodable.issuperset(c))),
        gsm_alternative=_without_accents(clusters),
    )


def smart_encoded(text: str) -> str:
    """As Twilio's smart encoding writes it, whether or not all of it fits the plain alphabet then."""
    found = {char: SMART_ENCODING[char] for char in text if char not in _GSM_7 and char in SMART_ENCODING}
    return _written(text, found)


def remaining(segments: Segments) -> int:
    """Units left in the last part before the next character costs one more; a whole message's when empty.

    In UCS-2 an emoji needs two or more of them at once, in GSM-7 a bracket or the euro sign needs two.
    """
    used = _units(segments.parts[-1], segments.encoding) if segments.parts else 0
    return segments.per_part - used


def graphemes(text: str) -> list[str]:
    """User-perceived characters (UAX #29 extended grapheme clusters) in time linear in the text."""
    found: list[str] = []
    start = 0
    for run in _FLAGS.finditer(text):
        found += _CLUSTER.findall(text[start : run.end()])
        start = run.end()
    found += _CLUSTER.findall(text[start:])
    return found


def _segments(
    encoding: Encoding,
    text: str,
    clusters: Iterable[str] | None = None,
    *,
    substituted: tuple[tuple[str, str], ...] = (),
    forcing: tuple[str, ...] = (),
    gsm_alternative: Segments | None = None,
) -> Segments:
    alone, per_part = _LIMITS[encoding]
    units = _units(text, encoding)
    parts: tuple[str, ...] = (text,) if text else ()
    if units > alone:
        # In GSM-7 every character is a cluster of its own but CR LF, which is two to Twilio as well.
        parts = tuple(_pack(text if clusters is None else clusters, encoding, per_part))
    else:
        per_part = alone
    return Segments(encoding, text, parts, units, per_part, substituted, forcing, gsm_alternative)


def _pack(clusters: Iterable[str], encoding: Encoding, limit: int) -> Iterator[str]:
    """Fills each part as far as whole clusters go."""
    part: list[str] = []
    used = 0
    for piece in _unbreakable(clusters, encoding, limit):
        cost = _units(piece, encoding)
        if used + cost > limit:
            yield "".join(part)
            part, used = [], 0
        part.append(piece)
        used += cost
    if part:
        yield "".join(part)


def _unbreakable(clusters: Iterable[str], encoding: Encoding, limit: int) -> Iterator[str]:
    for cluster in clusters:
        # Twilio counts CR and LF apart. A cluster that no part can hold is cut between code points (never
        # within a surrogate pair): losing the end of it would be worse.
        if cluster == "\r\n" or _units(cluster, encoding) > limit:
            yield from cluster
        else:
            yield cluster


def _units(text: str, encoding: Encoding) -> int:
    if encoding is Encoding.GSM_7:
        return len(text) + sum(char in _EXTENSION for char in text)
    return len(text) + sum(char > "\uffff" for char in text)


def _written(text: str, pairs: Mapping[str, str]) -> str:
    return "".join(pairs.get(char, char) for char in text)


def _without_accents(clusters: Iterable[str]) -> Segments | None:
    """The text in GSM-7 with `ó` as `o`; None when a character of it has no such form."""
    pairs: dict[str, str] = {}
    written: list[str] = []
    for cluster in clusters:
        if not _GSM_7.issuperset(cluster):
            plain = pairs.get(cluster)
            if plain is None:
                plain = _plain(cluster)
            if plain is None:
                return None
            pairs[cluster] = plain
            written.append(plain)
        else:
            written.append(cluster)
    return _segments(Encoding.GSM_7, "".join(written), substituted=tuple(pairs.items()))


def _plain(cluster: str) -> str | None:
    if len(cluster) > _LONGEST_LETTER:
        return None
    # Composed first: e with a combining acute is a letter that GSM-7 has.
    letters = [_plain_letter(char) for char in unicodedata.normalize("NFC", cluster)]
    return None if None in letters else "".join(letter or "" for letter in letters)


def _plain_letter(char: str) -> str | None:
    if char in _GSM_7:
        return char
    if unicodedata.category(char).startswith("M"):
        return ""  # an accent that belongs to the letter before
    if (written := SMART_ENCODING.get(char, _PLAIN_LETTERS.get(char))) is not None:
        return written
    base = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    # A base that is itself a look-alike (the non-breaking hyphen is a compatibility form of the hyphen).
    base = _written(base, SMART_ENCODING)
    return base if base and _GSM_7.issuperset(base) else None
