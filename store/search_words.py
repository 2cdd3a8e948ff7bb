"""The words by which a subscriber is found, and which words are one slip apart. Pure.

A term is a word of the name as it is, a word of the address after `~`, an e-mail address after `@`, or the
last seven digits of a telephone number after `#`: what somebody types is looked for among names before
places, by the beginning of a range in one index.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from rapidfuzz.distance import OSA

PLACE: Final = "~"
MAIL: Final = "@"
PHONE: Final = "#"
LAST: Final = 7
"""Digits of a number without its area code, as people give it."""
LONGEST: Final = 60
"""Letters of a term; an index holds a bounded length, and nobody types more."""
SHORTEST_MEND: Final = 4
"""Letters of a word in which a slip is looked for: of three letters nearly everything is one slip apart."""
MOST_WORDS: Final = 6
"""Of one question."""

_INSIDE: Final = re.compile(r"['’`´.]")
_BETWEEN: Final = re.compile(r"[^\w]+")


def search_key(name: str) -> str:
    """What names are compared by: no accents, no apostrophes, case folded, one space between words."""
    plain = name if name.isascii() else _without_accents(name)
    return " ".join(_BETWEEN.sub(" ", _INSIDE.sub("", plain.casefold())).split())


def _without_accents(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))


def words_of(text: str) -> list[str]:
    """What is asked for, each word once."""
    return list(dict.fromkeys(word[:LONGEST] for word in search_key(text).split()))[:MOST_WORDS]


def name_terms(name: str, *places: str) -> set[str]:
    own = {word[:LONGEST] for word in search_key(name).split()}
    return own | {PLACE + word[:LONGEST] for place in places for word in search_key(place).split()}


def mail_term(address: str) -> str:
    return MAIL + address.casefold()[:LONGEST]


def phone_term(number: str) -> str | None:
    """None: too short to say anything."""
    digits = re.sub(r"\D", "", number)
    return PHONE + digits[-LAST:] if len(digits) >= LAST else None


def mendable(term: str) -> str | None:
    """The word of a term in which slips are looked for."""
    word = term.removeprefix(PLACE)
    return word if len(word) >= SHORTEST_MEND and word.isalpha() else None


def cuts(word: str) -> set[str]:
    """The word, and it without each of its letters.

    Two words that are one slip apart (a letter more, less, another, or two neighbours swapped) share one of
    these: so a slip is found by looking up keys, without comparing with every word there is.
    """
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def one_slip(asked: str, words: Iterable[str]) -> list[str]:
    """Of these the ones that are one slip from `asked`, those with its first letter first."""
    close = {word for word in words if OSA.distance(asked, word, score_cutoff=1) == 1}
    return sorted(close, key=lambda word: (word[:1] != asked[:1], len(word) != len(asked), word))


__all__ = [
    "LAST",
    "MAIL",
    "PHONE",
    "PLACE",
    "cuts",
    "mail_term",
    "mendable",
    "name_terms",
    "one_slip",
    "phone_term",
    "search_key",
    "words_of",
]
