"""How many parts a text has: GSM 03.38 septets where they suffice, else UCS-2 (3GPP TS 23.038, 23.040).

A character of the extension table counts two and, as a grapheme in UCS-2, is not split between parts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

GSM_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
JOINER: Final = "\u200d"
SKIN_TONES: Final = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
SMART: Final = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "…": "...",
        "\u00a0": "  ",
    }
)


def count_segments(text: str, *, smart: bool = False) -> int:
    """Parts of a text of at least one; `smart` as with Twilio's smart encoding."""
    if smart:
        text = text.translate(SMART)
    if all(one in GSM_BASIC or one in GSM_EXTENSION for one in text):
        return _parts((2 if one in GSM_EXTENSION else 1 for one in text), 160, 153)
    return _parts((len(one.encode("utf-16-le")) // 2 for one in _graphemes(text)), 70, 67)


def _graphemes(text: str) -> Iterator[str]:
    """What a reader sees as one character, near enough to UAX #29: marks, joined emoji, flags, CRLF."""
    whole = ""
    for one in text:
        if whole and _joins(whole, one):
            whole += one
        else:
            if whole:
                yield whole
            whole = one
    if whole:
        yield whole


def _joins(whole: str, one: str) -> bool:
    if _is_flag_letter(one):
        return len(whole) % 2 == 1 and all(_is_flag_letter(letter) for letter in whole)
    if whole == "\r":
        return one == "\n"
    extends = unicodedata.category(one) in {"Mn", "Me", "Mc"} or one == JOINER or one in SKIN_TONES
    return extends or whole.endswith(JOINER)


def _is_flag_letter(one: str) -> bool:
    return "\U0001f1e6" <= one <= "\U0001f1ff"


def _parts(sizes: Iterable[int], alone: int, joined: int) -> int:
    sizes = list(sizes)
    if sum(sizes) <= alone:
        return 1
    parts, room = 1, joined
    for size in sizes:
        if size > room and room < joined:
            parts, room = parts + 1, joined
        while size > room:  # a grapheme larger than a whole part
            parts, size, room = parts + 1, size - room, joined
        room -= size
    return parts
