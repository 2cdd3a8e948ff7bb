"""SPF macros: compiled once, expanded per message (RFC 7208 section 7)."""

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

_MACRO = re.compile(r"%(?:\{([A-Za-z])([0-9]*)([rR]?)([-.+,/_=]*)\}|([%_-]))")
_SPLIT_AT_DOT = "."
_new = tuple.__new__  # cheaper than a NamedTuple's own constructor
DOMAIN_LETTERS = frozenset("slodiphv")
EXPLANATION_LETTERS = DOMAIN_LETTERS | frozenset("crt")  # section 7.2: c, r, t only in explanation text
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}


class MacroError(ValueError):
    """A sentence about a macro that section 7.1 does not allow."""


class Macro(NamedTuple):
    letter: str
    keep: int  # right-hand parts to keep, 0 for all
    reverse: bool
    delimiters: str
    escape: bool


class MacroText(NamedTuple):
    """A macro-string: literals and macros in turn. `literal` is set when it needs no expansion."""

    text: str
    parts: tuple[str | Macro, ...]
    literal: str | None
    needs_ptr: bool
    ends_in_macro: bool


Values = Callable[[str], str]


def plain_text(text: str) -> MacroText:
    return MacroText(text, (text,), text, False, False)


def compile_macros(text: str, letters: frozenset[str] = DOMAIN_LETTERS) -> MacroText:
    if "%" not in text:
        return plain_text(text)
    parts: list[str | Macro] = []
    position = 0
    while (at := text.find("%", position)) >= 0:
        found = _MACRO.match(text, at)
        if found is None:
            raise MacroError(f"'{_around(text, at)}' is not a macro; a plain percent sign is written %%")
        parts.append(text[position:at])
        parts.append(_macro(found, letters))
        position = found.end()
    parts.append(text[position:])
    kept = _merged(parts)
    literal = kept[0] if len(kept) == 1 and isinstance(kept[0], str) else None
    needs_ptr = False
    for part in kept:
        if isinstance(part, Macro) and part.letter == "p":
            needs_ptr = True
    return _new(MacroText, (text, kept, literal, needs_ptr, position == len(text)))


def _macro(found: re.Match[str], letters: frozenset[str]) -> str | Macro:
    letter, digits, reverse, delimiters, escape = found.groups()
    if escape is not None:
        return _ESCAPES[escape]
    if letter.lower() not in letters:
        if letter.lower() in EXPLANATION_LETTERS:
            raise MacroError(f"'{found.group()}' is allowed only in the text of an explanation")
        raise MacroError(f"'{found.group()}' uses a macro letter that does not exist")
    keep = digits.lstrip("0")
    if digits and not keep:
        raise MacroError(f"'{found.group()}' keeps zero parts; the number must be at least 1")
    kept = int(keep[:4]) if keep else 0  # four digits already mean all of any name
    parts = (letter.lower(), kept, bool(reverse), delimiters or _SPLIT_AT_DOT, letter.isupper())
    return _new(Macro, parts)


def _merged(parts: list[str | Macro]) -> tuple[str | Macro, ...]:
    merged: list[str | Macro] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, str) and isinstance(last, str):
            merged[-1] = last + part
        elif part != "":
            merged.append(part)
    return tuple(merged) or ("",)


def _around(text: str, at: int) -> str:
    return text[at : at + 8]


def expand(text: MacroText, values: Values) -> str:
    if text.literal is not None:
        return text.literal
    return "".join([part if isinstance(part, str) else _value(part, values) for part in text.parts])


def _value(macro: Macro, values: Values) -> str:
    value = values(macro.letter)
    if macro.keep or macro.reverse or macro.delimiters != _SPLIT_AT_DOT:
        pieces = _split(value, macro.delimiters)
        if macro.reverse:
            pieces.reverse()
        if macro.keep:
            pieces = pieces[-macro.keep :]
        value = ".".join(pieces)  # section 7.3: rejoined with dots, not with what they were split at
    return quote(value, safe="") if macro.escape else value


def _split(value: str, delimiters: str) -> list[str]:
    if len(delimiters) == 1:
        return value.split(delimiters)
    return re.split(f"[{re.escape(delimiters)}]", value)
