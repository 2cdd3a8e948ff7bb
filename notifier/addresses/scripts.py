"""Names in other scripts: how an A-label (RFC 5890) reads, and whether it only looks like another name.

A label that mixes scripts, or whose letters all look like Latin ones (UTS 39, sections 4 and 5.2), is how
one domain passes for another. Pure.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import idna

_LATIN: Final = "LATIN"
# UTS 39 section 5.2, "highly restrictive": what is written together in one language.
_TOGETHER: Final = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
# Cyrillic and Greek letters that most fonts draw like a Latin one (Unicode's confusables.txt).
_LIKE: Final = str.maketrans(
    {
        **dict(zip("асԁеһіјӏорԛѕυѡхуԝ", "acdehijlopqsuwxyw", strict=True)),
        **dict(zip("вгкмнтѵ", "brkmhtv", strict=True)),
        **dict(zip("αινορτυχκ", "aivoptuxk", strict=True)),
    }
)
_COMMON: Final = frozenset({"DIGIT", "HYPHEN-MINUS", "MIDDLE", "KATAKANA-HIRAGANA"})


def readable(domain: str) -> str:
    """The domain with its A-labels as people read them; a label that cannot be read stays as it is."""
    return ".".join(_read(label) for label in domain.split("."))


def looks_like(domain: str) -> str | None:
    """The Latin name that this one, readable, passes for; itself in Latin when it only mixes scripts.

    None: nothing suspicious. An ASCII name never is.
    """
    labels = domain.split(".")
    if all(not _suspicious(label) for label in labels):
        return None
    return ".".join(latinised(label) for label in labels)


def latinised(text: str) -> str:
    """Letters that look like Latin ones, as those; the rest as it is."""
    return text.translate(_LIKE)


def _read(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return idna.decode(label)
    except (idna.IDNAError, UnicodeError):
        return label


def _suspicious(label: str) -> bool:
    if label.isascii():
        return False
    scripts = {_script(c) for c in label} - _COMMON
    if len(scripts) > 1:
        return not any(scripts <= together for together in _TOGETHER)
    return scripts != {_LATIN} and latinised(label).isascii()


def _script(character: str) -> str:
    """The first word of its Unicode name, which is the script for every letter."""
    return unicodedata.name(character, "UNKNOWN").partition(" ")[0]


__all__ = ["latinised", "looks_like", "readable"]
