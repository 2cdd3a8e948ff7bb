"""Parses DMARC records (RFC 9989 sections 4.7 and 4.8). No DNS, no judgement of what is wise.

What a receiver would ignore is ignored here too; `dmarc_lint` is who names it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

# Section 4.8: "v" comes first, and its value, unlike all others, is compared with its case.
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
# A reporting URI; the size limit of RFC 7489 ("!10m") is no part of it any more and is cut off.
_MAILTO = re.compile(r"mailto:([^\s@,;!?]+@([^\s@,;!?]+))(?:\?[^\s,;!]*)?(![0-9]+[kmgt]?)?", re.IGNORECASE)
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[^\s,;]+", re.IGNORECASE)


class Policy(StrEnum):
    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class Mode(StrEnum):
    RELAXED = "relaxed"
    STRICT = "strict"


class Tag(NamedTuple):
    """One tag as written; `start` and `end` are its place in the record. `value` is None without a "="."""

    name: str
    value: str | None
    text: str
    start: int
    end: int


class ReportTo(NamedTuple):
    """A `mailto:` of rua or ruf. `size_limit` is the obsolete "!10m", empty when there is none."""

    uri: str
    address: str
    domain: str
    size_limit: str


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """What receivers make of a record. `usable` is False when section 4.10.1 tells them to apply none of it.

    `subdomains` and `nonexistent` are None when the tag is not there; `psd` is True, False or None (unknown).
    """

    text: str
    tags: tuple[Tag, ...]
    usable: bool
    policy: Policy
    subdomains: Policy | None
    nonexistent: Policy | None
    spf: Mode
    dkim: Mode
    psd: bool | None
    testing: bool
    reports: tuple[ReportTo, ...]
    failure_reports: tuple[ReportTo, ...]


POLICIES = {policy.value: policy for policy in Policy}
MODES = {"r": Mode.RELAXED, "s": Mode.STRICT}
FLAGS = {"y": True, "n": False, "u": None}


def is_dmarc(text: str) -> bool:
    return _VERSION.match(text) is not None


def tags_of(text: str) -> list[Tag]:
    """The tag list, whatever is in it; empty pieces are left out."""
    tags: list[Tag] = []
    position = 0
    for piece in text.split(";"):
        written = piece.strip(" \t")
        start = position + len(piece) - len(piece.lstrip(" \t"))
        position += len(piece) + 1
        if not written:
            continue
        name, sign, value = written.partition("=")
        shown = value.strip(" \t") if sign else None
        tags.append(Tag(name.strip(" \t").lower(), shown, written, start, start + len(written)))
    return tags


def report_uris(value: str) -> tuple[ReportTo, ...]:
    """The addresses of a rua or ruf value; pieces that are no `mailto:` are left out."""
    found = (_MAILTO.fullmatch(piece.strip()) for piece in value.split(","))
    return tuple(
        ReportTo(one.group(), one.group(1), one.group(2).rstrip(".").lower(), one.group(3) or "")
        for one in found
        if one is not None
    )


def is_uri(text: str) -> bool:
    return _URI.fullmatch(text.strip()) is not None


def parse_dmarc(text: str) -> DmarcRecord:
    """Expects `is_dmarc(text)`. The first of a repeated tag counts."""
    tags = tags_of(text)
    values: dict[str, str] = {}
    for tag in tags:
        if tag.value is not None:
            values.setdefault(tag.name, tag.value)
    small = {name: value.lower() for name, value in values.items()}
    policy = POLICIES.get(small.get("p", ""))
    subdomains = POLICIES.get(small.get("sp", ""))
    nonexistent = POLICIES.get(small.get("np", ""))
    reportable = any(is_uri(piece) for piece in values.get("rua", "").split(","))
    usable = True
    broken = policy is None or ("sp" in small and not subdomains) or ("np" in small and not nonexistent)
    if broken:
        # Section 4.10.1: with an address for reports it counts as p=none, without one as nothing at all.
        usable = reportable
        policy, subdomains, nonexistent = Policy.NONE, None, None
    return DmarcRecord(
        text,
        tuple(tags),
        usable,
        policy or Policy.NONE,
        subdomains,
        nonexistent,
        MODES.get(small.get("aspf", "r"), Mode.RELAXED),
        MODES.get(small.get("adkim", "r"), Mode.RELAXED),
        FLAGS.get(small.get("psd", "u")),
        small.get("t") == "y",
        report_uris(values.get("rua", "")),
        report_uris(values.get("ruf", "")),
    )
