"""The rule tables compiled once, and how a text is held against them.

A rule is one of: an operator's token (found in the lower-case text as it stands), a phrase (found in the
normalised text), a meaning (a pattern over the normalised text). Each is a string with a name of its own, so
that a benchmark can leave some out and see what is still right without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from . import meanings, rules
from .verdict import HARD_CLASSES, BounceClass

_ADDRESS = re.compile(r"<?[^\s<>()\[\]:;,\"'@]{1,64}@[^\s<>()\[\]:;,\"']{1,255}>?")
_PUNCTUATION = str.maketrans(dict.fromkeys('"`“”„()<>[]{},;:!?*|=_-–—\t\n\r~\\', " ") | dict.fromkeys("'’‘´"))

# What Google prints before every answer that it quotes; Zoho puts its own guess before every 550.
_BOILERPLATE = (
    "invalid address, error_code",
    "rejected by the recipient domain",
    "rejected by the server for the recipient domain",
)
# "Our anti-spam system": the name of a filter is no reason.
_FILTER_NAME = re.compile(r" anti ?(?:spam|virus|malware|abuse)(?=[ .])")
_BRIDGE = 80
MAX_MEANING = 1500


def normalised(text: str) -> str:
    """Lower case, single spaces, addresses and most punctuation gone: what phrases are written in."""
    flat = _ADDRESS.sub(" addr ", text) if "@" in text else text
    for words in _BOILERPLATE:
        if words in flat:
            flat = flat.replace(words, " ")
    words = " " + " ".join(flat.lower().translate(_PUNCTUATION).split()) + " "
    if " anti" in words:
        words = _FILTER_NAME.sub(" ", words)
    return words


class Found(NamedTuple):
    """The class that a rule stands for."""

    cls: BounceClass
    hard: bool
    firm: bool = False  # neither the stage nor the status bends it


class _Tokens(NamedTuple):
    found: Found
    single: tuple[str, ...]
    joint: tuple[tuple[str, ...], ...]  # one of these, each wholly


class _Bridged(NamedTuple):
    first: str
    rest: tuple[str, ...]


class _Phrases(NamedTuple):
    found: Found
    whole: tuple[str, ...]
    bridged: tuple[_Bridged, ...]


class _Meaning(NamedTuple):
    found: Found
    pattern: re.Pattern[str]


def _phrase(text: str) -> str:
    inner = normalised(text).strip()
    return (" " if text.startswith(" ") else "") + inner + (" " if text.endswith(" ") else "")


def _hard(rule: rules.Rule) -> bool:
    return rule.cls in HARD_CLASSES if rule.hard is None else rule.hard


def _in_order(phrase: _Bridged, text: str) -> bool:
    """Whether the pieces follow one another, each at most 80 characters on."""
    start = text.find(phrase.first)
    tries = 0
    while start >= 0 and tries < 20:  # bounded: a hostile text repeats the first piece for ever
        at = start + len(phrase.first)
        for piece in phrase.rest:
            found = text.find(piece, at, at + _BRIDGE + len(piece))
            if found < 0:
                break
            at = found + len(piece)
        else:
            return True
        start = text.find(phrase.first, start + 1)
        tries += 1
    return False


class Rulebook:
    """The compiled tables. `keep` leaves rules out by name (for benchmarks); without it all count."""

    def __init__(self, keep: Callable[[str], bool] | None = None) -> None:
        kept = keep or (lambda _: True)
        self._tokens = tuple(_tokens(rules.PROVIDER, kept))
        self._strong = tuple(_phrases(rules.MAIL_LESS + rules.STRONG, kept))
        self._meanings = tuple(
            _Meaning(
                Found(m.cls, m.cls in HARD_CLASSES if m.hard is None else m.hard, m.firm),
                re.compile(m.pattern),
            )
            for m in meanings.MEANINGS
            if kept(m.name)
        )
        self._late = tuple(_phrases(rules.LATE, kept))
        self._weak = tuple(_phrases(rules.WEAK, kept))
        # A report about hundreds of recipients says the same of each.
        self._meant = lru_cache(maxsize=256)(self._by_meaning)

    def by_operator(self, raw: str) -> Found | None:
        """The first operator's token in a lower-case text."""
        for rule in self._tokens:
            for token in rule.single:
                if token in raw:
                    return rule.found
            for first, *others in rule.joint:
                if first in raw and all(token in raw for token in others):
                    return rule.found
        return None

    def telling(self, words: str) -> Found | None:
        """The first telling sentence in a normalised text, as it is known to be printed."""
        return _first(self._strong, words)

    def by_meaning(self, words: str) -> Found | None:
        """The first meaning in a normalised text; only its beginning is looked at."""
        return self._meant(words[:MAX_MEANING])

    def _by_meaning(self, words: str) -> Found | None:
        core = meanings.core(words)
        for meaning in self._meanings:
            if meaning.pattern.search(core):
                return meaning.found
        return None

    def late(self, words: str) -> Found | None:
        """The first phrase about machines, networks and the protocol."""
        return _first(self._late, words)

    def vague(self, words: str) -> Found | None:
        """The first word that says something where no code does."""
        return _first(self._weak, words)


def phrases() -> frozenset[str]:
    """The names of all rules that are phrases: no operator's tokens, no meanings."""
    tables = rules.MAIL_LESS + rules.STRONG + rules.LATE + rules.WEAK
    return frozenset(name for rule in tables for name in rule.phrases)


def names() -> list[str]:
    """The names of all rules: tokens, phrases, meanings."""
    tokens = [name for rule in rules.PROVIDER for name in rule.phrases]
    return [*tokens, *sorted(phrases()), *(meaning.name for meaning in meanings.MEANINGS)]


def _tokens(table: Iterable[rules.Rule], kept: Callable[[str], bool]) -> Iterable[_Tokens]:
    for rule in table:
        names = [name for name in rule.phrases if kept(name)]
        joint = tuple(tuple(name.split(" & ")) for name in names if " & " in name)
        single = tuple(name for name in names if " & " not in name)
        yield _Tokens(Found(rule.cls, _hard(rule), rule.firm), single, joint)


def _phrases(table: Iterable[rules.Rule], kept: Callable[[str], bool]) -> Iterable[_Phrases]:
    for rule in table:
        texts = [text for text in rule.phrases if kept(text)]
        whole = tuple(dict.fromkeys(_phrase(text) for text in texts if " * " not in text))
        # A phrase that contains a shorter one of the same rule can never be the one that decides.
        whole = tuple(p for p in whole if not any(q != p and q in p for q in whole))
        bridged = []
        for text in texts:
            if " * " in text:
                first, *rest = (_phrase(part) for part in text.split(" * "))
                bridged.append(_Bridged(first, tuple(rest)))
        yield _Phrases(Found(rule.cls, _hard(rule), rule.firm), whole, tuple(bridged))


def _first(table: tuple[_Phrases, ...], text: str) -> Found | None:
    for rule in table:
        for phrase in rule.whole:
            if phrase in text:
                return rule.found
        for bridge in rule.bridged:
            if bridge.first in text and _in_order(bridge, text):
                return rule.found
    return None
