"""A billing field read as addresses: split, repaired where that is plain, and never a part of it dropped.

What is repaired is said. What cannot be used is reported with why, and with what was probably meant where
one slip explains it: a suggestion is for a person to confirm and is never sent to. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from notifier.addresses.scripts import latinised
from notifier.addresses.spelling import WELL_KNOWN, respelled, undotted
from store.addresses import NormalEmail, Repair, normalise_email, split_addresses


@dataclass(frozen=True, slots=True)
class FieldItem:
    """One address of a field. Usable: `problem` is None and `address` its normal form."""

    raw: str
    address: str
    problem: str | None = None
    """One plain sentence that quotes nothing of the address."""
    repairs: tuple[Repair, ...] = ()
    suggestion: str | None = None
    """With a problem: the address that one slip explains."""
    twice: bool = False
    """It stands further up in the field already."""


def parse_field(text: str) -> tuple[FieldItem, ...]:
    """The addresses of one field in order; empty only when the field holds no word."""
    items: list[FieldItem] = []
    seen: set[str] = set()
    for raw in split_addresses(text):
        item = read_item(raw)
        items.append(replace(item, twice=item.address in seen))
        seen.add(item.address)
    if items and _ENDS.search(text):
        items[-1] = _also(items[-1], Repair.PUNCTUATION)
    if items and _STARTS.match(text):
        items[0] = _also(items[0], Repair.PUNCTUATION)
    return tuple(items)


def read_item(raw: str) -> FieldItem:
    """One address as typed. Two in one text are a problem, not two."""
    found: NormalEmail = normalise_email(raw)
    suggestion = meant_by(raw) if found.problem else None
    return FieldItem(raw, found.address, found.problem, found.repairs, suggestion)


_ENDS: Final = re.compile(r"[,;\uff0c\uff1b\u3001]\s*\Z")
_STARTS: Final = re.compile(r"\s*[,;\uff0c\uff1b\u3001]")


def _also(item: FieldItem, repair: Repair) -> FieldItem:
    if item.problem is not None or repair in item.repairs:
        return item
    return replace(item, repairs=(*item.repairs, repair))


_LONGEST: Final = 320
"""Characters of a text in which a slip is looked for; longer ones are damaged fields."""
_SPELLED_AT: Final = re.compile(r"\s*[(\[{<]\s*at\s*[)\]}>]\s*|\s+at\s+|\s*[(\[{<]@[)\]}>]\s*", re.IGNORECASE)
_SPELLED_DOT: Final = re.compile(r"\s*[(\[{]\s*(?:dot|punto|\.)\s*[)\]}]\s*|\s+dot\s+", re.IGNORECASE)
_AROUND_AT: Final = re.compile(r"\s*@\s*")
_MOST_COMMON: Final = WELL_KNOWN[:8]
_FOR_AT: Final = ".,#!2_-'`\u00a9\u00ae "
"""What is typed in place of the @: its neighbours, and the key without Shift."""


def _at_spelled(text: str) -> str:
    return text if "@" in text else _SPELLED_DOT.sub(".", _SPELLED_AT.sub("@", text, count=1))


def _at_missing(text: str) -> str:
    if "@" in text:
        return text
    for known in _MOST_COMMON:
        head = text[: -len(known)]
        if text.lower().endswith(known) and len(head) > 1 and head[-1] in _FOR_AT:
            return f"{head[:-1]}@{known}"
    return text


def _domain_mended(text: str) -> str:
    """Commas, spaces, doubled dots and underscores are no part of a domain; its dot may be missing."""
    local, at, domain = text.rpartition("@")
    if not at or "@" in local:
        return text
    domain = re.sub(r"\s*[.,\u3002]+\s*", ".", domain.strip()).strip(".").lower()
    domain = re.sub(rf"\s+(?=(?:{_END})\Z)", ".", domain)
    domain = domain.rstrip("/\\'`*|)]}>")
    return f"{local}@{undotted(domain) or domain}"


_END: Final = "com|net|org|edu|gov"
_STEPS: Final[Sequence[Callable[[str], str]]] = (
    _at_spelled,
    lambda t: re.sub(r"@{2,}", "@", t),
    lambda t: _AROUND_AT.sub("@", t),
    latinised,
    _at_missing,
    _domain_mended,
)


def meant_by(raw: str) -> str | None:
    """The address that was meant by a text that is none, when plain slips explain it; None when unsure."""
    text = raw.strip() if len(raw) <= _LONGEST else ""
    for step in _STEPS:
        text = step(text)
    found = normalise_email(text)
    if found.problem is not None:
        return None
    local, _, domain = found.address.rpartition("@")
    return f"{local}@{respelled(domain, takes_mail=None) or domain}"


__all__ = ["FieldItem", "meant_by", "parse_field", "read_item"]
