"""Any text in the letters of cp1252, which the PDF's built-in fonts can show.

What Western European languages write stays as it is. Other Latin letters lose their marks (ł -> l), Greek and
Cyrillic are written in Latin letters as passports do (ICAO 9303, simplified), kana and hangul by their
Unicode names. What has no such spelling (Chinese, Arabic, emoji) is left out, never a question mark:
`spelled` then says that letters are missing, so that the caller can name somebody by account instead. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def _table(text: str) -> dict[str, str]:
    """`łl жzh`: each word is a character and how it is written."""
    return {word[0]: word[1:] for word in text.split()}


_SPECIAL = _table(
    "ŁL łl ĐD đd ĦH ħh ıi ŦT ŧt ŊN ŋn ĸk ſs ẞSS ƏE əe ƁB ɓb ƊD ɗd ƐE ɛe ƆO ɔo ƘK ƙk ĿL ŀl ŉ'n ǤG "
    "ǥg №No. ‐- ‑- ‒- ―- −- ′' ʹ' ʼ' ʻ' ‛' ⁄/ ∕/ ″''"
)
_CYRILLIC = _table(
    "аa бb вv гg ґg дd ђd ѓg еe ёe єie жzh зz ѕdz иi іi їi йi јj кk лl љlj мm нn њnj оo пp рr сs "
    "тt ћc ќk уu ўu фf хkh цts чch џdz шsh щshch ъ ыy ь эe юiu яia"
)
_GREEK = _table("αa βv γg δd εe ζz ηi θth ιi κk λl μm νn ξx οo πp ρr σs ςs τt υy φf χch ψps ωo")
_LETTERS = _CYRILLIC | _GREEK
_BY_NAME = re.compile(r"(?:HANGUL SYLLABLE|(?:HIRAGANA|KATAKANA) LETTER(?: SMALL)?) ([A-Z]+)")


def latin(text: str) -> str:
    """The text in printable cp1252 on one line."""
    return spelled(text)[0]


def spelled(text: str) -> tuple[str, bool]:
    """The text in printable cp1252 on one line, and whether letters of it had to be left out."""
    missing = False
    pieces: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        piece = _piece(char)
        if piece is None:
            missing = missing or unicodedata.category(char)[0] == "L"
            continue
        pieces.append(piece)
    return " ".join("".join(pieces).split()), missing


@lru_cache(maxsize=4096)
def _piece(char: str) -> str | None:
    """How one character is written; None when it cannot be."""
    if char.isspace():
        return " "
    if _shown(char):
        return char
    if char in _SPECIAL:
        return _SPECIAL[char]
    plain = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    if plain and plain != char:
        parts = [_piece(c) for c in plain]
        joined = "".join(part for part in parts if part is not None)
        if joined and None not in parts:
            return joined
    lower = char.lower()
    if lower in _LETTERS:
        spelling = _LETTERS[lower]
        return spelling if char == lower else spelling.capitalize()
    if unicodedata.combining(char):
        return ""
    named = _BY_NAME.fullmatch(unicodedata.name(char, ""))
    return named.group(1).lower() if named else None


def _shown(char: str) -> bool:
    """Whether the built-in fonts have it: cp1252 without control and formatting characters."""
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn"):
        return False
    try:
        char.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True
