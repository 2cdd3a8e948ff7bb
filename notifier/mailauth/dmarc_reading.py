"""Reads a DMARC record the way its author meant it, and names each mistake by its place. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from notifier.mailauth.dmarc_record import (
    FLAGS,
    MODES,
    POLICIES,
    Policy,
    Tag,
    is_dmarc,
    report_uris,
    tags_of,
)
from notifier.mailauth.dmarc_report import DmarcMistake, DmarcProblem
from notifier.mailauth.report import Severity

_KNOWN = ("v", "p", "sp", "np", "adkim", "aspf", "fo", "t", "psd", "rua", "ruf")
_OBSOLETE = {
    "pct": "'pct' means nothing any more (RFC 9989). Remove it; to try a policy out write 't=y'.",
    "rf": "'rf' means nothing any more (RFC 9989). Remove it.",
    "ri": "'ri' means nothing any more (RFC 9989). Remove it.",
}
_ANY = "|".join((*_KNOWN, *_OBSOLETE))
_NEAR = re.compile(r"[\"'\s\u201c\u201d]*v\s*[=:]?\s*dmarc", re.IGNORECASE)
_VERSION = re.compile(r"\s*(?:v\s*[=:]?\s*)?dmarc\s*1?\s*", re.IGNORECASE)
_POLICY = re.compile(r"\bs?p\s*=\s*(?:none|quarantine|reject)\b|\bdmarc1\b", re.IGNORECASE)
_QUOTES = re.compile("[\"'\u201c\u201d\u201e\u2018\u2019]")
# A tag that begins where the one before it was never ended.
_UNENDED = re.compile(rf"(?<=[^;\s,])(?:[ \t]*,[ \t]*|[ \t]+)(?=(?:{_ANY})[ \t]*=)", re.IGNORECASE)
_FO = re.compile(r"[01ds](?:\s*:\s*[01ds])*", re.IGNORECASE)
_STRENGTH = {Policy.NONE: 0, Policy.QUARANTINE: 1, Policy.REJECT: 2}
_ALLOWED = {
    "p": "none, quarantine or reject",
    "sp": "none, quarantine or reject",
    "np": "none, quarantine or reject",
    "adkim": "r (relaxed) or s (strict)",
    "aspf": "r (relaxed) or s (strict)",
    "fo": "0, 1, d and s, separated by colons",
    "t": "y or n",
    "psd": "y, n or u",
}


@dataclass(slots=True)
class DmarcReading:
    """`values` holds what is valid, by tag, in its corrected form."""

    values: dict[str, str] = field(default_factory=dict)
    problems: list[DmarcProblem] = field(default_factory=list)

    def corrected(self, domain: str) -> str:
        """The record to publish: what was valid, `p=none` and an address for reports where there was none."""
        values = {"p": "none", "rua": f"mailto:postmaster@{domain}", **self.values}
        tags = [f"{name}={values[name]}" for name in _KNOWN if name in values and name != "v"]
        return "; ".join(["v=DMARC1", *tags])


def looks_like_dmarc(text: str) -> bool:
    """Whether somebody meant it to be a DMARC record, wherever it stands."""
    return _NEAR.match(text) is not None


def meant_as_dmarc(text: str) -> bool:
    """The same at a name that begins with `_dmarc`, where a policy alone says enough."""
    return looks_like_dmarc(text) or _POLICY.search(text) is not None


def read_dmarc(text: str) -> DmarcReading:
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._reading = DmarcReading()

    def read(self) -> DmarcReading:
        # Replaced one for one, so that every place stays where it was.
        text = _QUOTES.sub(" ", self._text)
        if text != self._text:
            at = next(_QUOTES.finditer(self._text)).start()
            sentence = (
                "There are quotation marks inside the record. Remove them; the zone editor adds its own."
            )
            self._problem(DmarcMistake.QUOTES, at, at + 1, sentence)
        text = self._after_version(text)
        seen: set[str] = set()
        for tag in tags_of(self._ended(text)):
            if tag.name in seen:
                sentence = f"'{tag.name}' may stand there once. Remove this one."
                self._problem(DmarcMistake.DUPLICATE_TAG, tag.start, tag.end, sentence)
                continue
            seen.add(tag.name)
            self._take(tag)
        self._missing(seen)
        self._judge()
        self._reading.problems.sort(key=lambda problem: (problem.start, problem.end))
        return self._reading

    def _after_version(self, text: str) -> str:
        """The text with its version blanked out, whatever was written there."""
        found = _VERSION.match(text)
        if found is None:
            sentence = "The record must begin with exactly 'v=DMARC1;'."
            self._problem(DmarcMistake.BAD_VERSION, 0, 0, sentence)
            return text
        end = found.end()
        # Quotation marks are told apart already; what they left is no mistake of its own.
        if not is_dmarc(text.strip() if text != self._text else text):
            written = self._text[:end].strip()
            sentence = (
                f"The record begins with '{written}'; it must begin with exactly 'v=DMARC1;': nothing "
                "before it and a semicolon after it."
            )
            self._problem(DmarcMistake.BAD_VERSION, 0, end, sentence)
        rest = text[end:]
        return " " * end + (f";{rest[1:]}" if rest.startswith(",") else rest)

    def _ended(self, text: str) -> str:
        for found in _UNENDED.finditer(text):
            sentence = "Tags are separated by semicolons. Put one here."
            self._problem(DmarcMistake.MISSING_SEMICOLON, found.start(), found.end(), sentence)
        return _UNENDED.sub(lambda found: ";".ljust(len(found.group())), text)

    def _take(self, tag: Tag) -> None:
        name, value = tag.name, tag.value
        if name in _OBSOLETE:
            self._at(tag, DmarcMistake.OBSOLETE_TAG, _OBSOLETE[name], Severity.WARNING)
        elif value is None:
            self._at(tag, DmarcMistake.MALFORMED_TAG, f"'{tag.text}' is no tag; tags look like 'p=none'.")
        elif name not in _KNOWN:
            self._at(
                tag, DmarcMistake.UNKNOWN_TAG, f"DMARC knows no tag '{name}'. Remove it.", Severity.WARNING
            )
        elif name in ("rua", "ruf"):
            self._reports(tag, value)
        elif _valid(name, value):
            self._reading.values[name] = value.lower()
        else:
            code = DmarcMistake.POLICY_INVALID if name in ("p", "sp", "np") else DmarcMistake.VALUE_INVALID
            self._at(tag, code, f"'{name}' is {_ALLOWED.get(name, 'DMARC1')}, not '{value}'.")

    def _reports(self, tag: Tag, value: str) -> None:
        good: list[str] = []
        for piece in filter(None, (piece.strip() for piece in value.split(","))):
            found = report_uris(piece) or report_uris(f"mailto:{piece}")
            if not found:
                sentence = f"'{piece}' is no address for reports. Write it like 'mailto:dmarc@example.net'."
                self._at(tag, DmarcMistake.REPORT_ADDRESS_INVALID, sentence)
                continue
            (one,) = found
            if not piece.lower().startswith("mailto:"):
                sentence = f"'{piece}' needs 'mailto:' before it, else no reports go there."
                self._at(tag, DmarcMistake.REPORT_ADDRESS_INVALID, sentence)
            if one.size_limit:
                sentence = f"The size limit '{one.size_limit}' means nothing any more (RFC 9990). Remove it."
                self._at(tag, DmarcMistake.REPORT_SIZE_LIMIT, sentence, Severity.WARNING)
            good.append(f"mailto:{one.address}")
        if good:
            self._reading.values[tag.name] = ",".join(good)

    def _missing(self, seen: set[str]) -> None:
        end = len(self._text)
        if "p" not in seen:
            sentence = "The record has no policy. Begin with 'p=none' and watch the reports."
            self._problem(DmarcMistake.POLICY_MISSING, end, end, sentence)
        if "rua" not in seen:
            sentence = "Nobody learns how your mail fares: add 'rua=mailto:...' with an address that is read."
            self._problem(DmarcMistake.REPORTS_MISSING, end, end, sentence, Severity.WARNING)

    def _judge(self) -> None:
        """What is valid and still not wise."""
        values = self._reading.values
        policy = POLICIES.get(values.get("p", ""))
        if policy is Policy.NONE:
            sentence = (
                "'p=none' asks receivers to do nothing about forged mail. When the reports show that your "
                "own mail passes, go on to 'p=quarantine' and then 'p=reject'."
            )
            self._said("p", DmarcMistake.POLICY_NONE, sentence)
        for name, who in (("sp", "subdomains"), ("np", "subdomains that do not exist")):
            weaker = POLICIES.get(values.get(name, ""))
            if policy is not None and weaker is not None and _STRENGTH[weaker] < _STRENGTH[policy]:
                sentence = (
                    f"'{name}={weaker}' protects {who} less than '{policy}' protects the domain itself."
                )
                self._said(name, DmarcMistake.SUBDOMAINS_WEAKER, sentence)
        if values.get("t") == "y":
            sentence = (
                "'t=y' marks a test: receivers do one step less than the policy says. Remove it when done."
            )
            self._said("t", DmarcMistake.TESTING, sentence)
        if values.get("psd") == "y":
            sentence = (
                "'psd=y' says that others register names below this domain, which then counts for nobody."
            )
            self._said("psd", DmarcMistake.PUBLIC_SUFFIX, sentence, Severity.ERROR)
            del values["psd"]

    def _said(
        self, name: str, code: DmarcMistake, sentence: str, severity: Severity = Severity.WARNING
    ) -> None:
        tag = next((tag for tag in tags_of(self._text) if tag.name == name), None)
        self._problem(code, tag.start if tag else 0, tag.end if tag else 0, sentence, severity)

    def _at(self, tag: Tag, code: DmarcMistake, sentence: str, severity: Severity = Severity.ERROR) -> None:
        self._problem(code, tag.start, tag.end, sentence, severity)

    def _problem(
        self, code: DmarcMistake, start: int, end: int, sentence: str, severity: Severity = Severity.ERROR
    ) -> None:
        term = self._text[start:end]
        self._reading.problems.append(DmarcProblem(severity, code, start, end, term, sentence))


def _valid(name: str, value: str) -> bool:
    small = value.lower()
    match name:
        case "p" | "sp" | "np":
            return small in POLICIES
        case "adkim" | "aspf":
            return small in MODES
        case "fo":
            return _FO.fullmatch(value) is not None
        case "t":
            return small in ("y", "n")
        case "psd":
            return small in FLAGS
        case _:
            return False  # a second version
