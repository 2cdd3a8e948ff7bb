"""Addresses as people and billing systems write them, and the one form that we store, compare and send to.

E-mail: RFC 5321 with a local part of at most 64 octets (section 4.5.3.1.1), ASCII before the @ (SMTPUTF8 is
not supported yet), the domain as A-labels (RFC 5890). Phone: E.164. Pure: nobody is asked whether it exists.

The normal form of an e-mail address is lower case as a whole. RFC 5321 section 2.4 lets a server tell
`Ann@` from `ann@`; none in use does, billing data is full of case noise, and two spellings of one mailbox
must be one recipient, one suppression. What was typed is kept beside it (`raw` of a point).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

MAX_LOCAL_OCTETS: Final = 64
MAX_ADDRESS: Final = 254
"""RFC 3696 erratum 1690: a path of 256 octets less its angle brackets."""


class Repair(StrEnum):
    """What was plainly wrong around an address and was put right, in words."""

    INVISIBLE = "invisible characters were taken out"
    WIDE = "full-width characters were made ordinary ones"
    SPACE = "the space around it was taken off"
    PUNCTUATION = "the stray comma, semicolon or dot was taken off"
    QUOTES = "the quotes around it were taken off"
    BRACKETS = "the brackets around it were taken off"
    NAME = "the name before it was taken off"
    REMARK = "the remark in brackets beside it was taken off"
    SCHEME = "mailto: was taken off"


@dataclass(frozen=True, slots=True)
class NormalEmail:
    """`address` is fit to send to unless `problem` says why not; then it is the text as given, stripped."""

    address: str
    problem: str | None = None
    """One plain sentence, without the address in it; None when there is nothing wrong."""
    repaired: str | None = None
    """The address again when the text was usable only after a repair (`mailto:`, a trailing comma ...)."""
    repairs: tuple[Repair, ...] = ()
    """What was put right, in the order in which it was found."""


@dataclass(frozen=True, slots=True)
class NormalPhone:
    """As NormalEmail; `address` is E.164 unless there is a problem."""

    address: str
    problem: str | None = None
    repaired: str | None = None


# Soft hyphen, zero-width characters, bidirectional marks and overrides, byte-order mark: never part of an
# address, often part of what is pasted. phonenumbers lets right-to-left marks pass.
_INVISIBLE: Final = dict.fromkeys(
    [0xAD, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF]
)
# U+FF01..FF5E are ASCII in full width (an @ typed on a Japanese or Chinese keyboard is U+FF20); the full
# stops of those keyboards end labels too (RFC 3490 section 3.1), and U+FE6B is the small @.
_WIDE: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    **dict.fromkeys((0x3002, 0xFF61), ord(".")),
    0xFE6B: ord("@"),
}
_AT: Final = "@\uff20\ufe6b"
_BETWEEN: Final = ",;\uff0c\uff1b\u3001"
_TLD: Final = "com|net|org|edu|gov|biz|info|us|ca|mx|es|co|me|io|uk|de|fr|it|br"
_GAP: Final = r"[^\S\r\n]{0,3}"
_WORD: Final = rf"[^\s<\"{_AT}{_BETWEEN}]{{1,80}}"
_END: Final = rf"(?![\w.{_AT}-])"
# What may be long has a bound: a damaged field must not take seconds.
_TOKEN: Final = re.compile(
    rf"(?P<quoted>\"[^\"\r\n]{{0,80}}\"[{_AT}][^\s<{_BETWEEN}]+)"  # RFC 5321 section 4.1.2: quoted local part
    r"|(?P<name>\"[^\"]{0,200}\"(?=\s{0,9}<))"  # a display name, which may hold commas
    r"|(?P<angle><[^<>]{0,500}>)"
    rf"|(?P<between>[\n\r{_BETWEEN}]+)"
    r"|(?P<space>\s+)"
    rf"|(?P<remark>\((?!\s{{0,3}}at\s{{0,3}}\))[^(){_AT}]{{0,80}}\))"
    # `and` between two addresses; before a name it may belong to that
    rf"|(?P<and>(?:and|or|y|o|e|et|ou|und|oder|[&+/|])(?=\s[^{_AT}{_BETWEEN}\r\n]{{0,80}}[{_AT}<]))"
    # One address with a slip in it, whose parts would look like several: `ann@gmail,com`, `ann @ x.com`
    rf"|(?P<torn>{_WORD}[{_AT}][A-Za-z0-9-]{{1,63}}{_GAP}[.,]?{_GAP}(?<=[\s,])(?:{_TLD}){_END}"
    rf"|{_WORD}[{_AT}][A-Za-z0-9-]{{1,63}}[^\S\r\n]{_GAP}\.(?:{_TLD}){_END}"
    rf"|{_WORD}{_GAP}[{_AT}][^\S\r\n]{_GAP}[A-Za-z0-9-]{{1,63}}(?:\.[A-Za-z0-9-]{{1,63}}){{1,9}}{_END})"
    rf"|(?P<word>[^\s<{_BETWEEN}]+|<)"
)
_HAS_AT: Final = re.compile(f"[{_AT}]")


def split_addresses(field: str) -> list[str]:
    """The addresses of one field, in order and as typed: commas, semicolons and white space are between them.

    A display name stays with its address (`"Lee, Ann" <ann@x.example>`), a quoted local part is whole, a
    remark in brackets stays with the address before it. A word without an @ stays with what follows it:
    from `maria santos@x.example` nobody can tell whose mailbox is meant, so that it is one item with a
    problem and not an invoice for a stranger.
    """
    found: list[str] = []
    waiting = ""  # words that are no address by themselves, with the space after them
    open_end = False  # nothing but space since the last address

    def close(last: str = "") -> None:
        nonlocal waiting
        if item := (waiting + last).strip():
            found.append(item)
        waiting = ""

    for token in _TOKEN.finditer(field):
        text = token.group()
        match token.lastgroup:
            case "between":
                close()
                open_end = False
                continue
            case "space":
                waiting += text if waiting else ""
                continue
            case "remark" if open_end:
                found[-1] += f" {text}"
                continue
            case "and" if open_end:
                continue
            case "angle" | "quoted" | "torn":
                close(text)
            case "word" if _HAS_AT.search(text):
                first, *more = _glued(text)
                close(first)
                found += more
            case _:
                waiting += text
        open_end = not waiting
    close()
    return found


def _glued(word: str) -> list[str]:
    """`ann@x.example/bob@y.example`: a slash may stand before an @, and never behind one."""
    parts = re.split(r"[/|]", word)
    return parts if all(len(_HAS_AT.findall(part)) == 1 for part in parts) else [word]


def normalise_email(text: str) -> NormalEmail:
    """One address in its normal form, after plain repairs; never raises and never asks the network."""
    tidy, repairs = _tidied(text, scheme="mailto:")
    problem = _email_problem(tidy)
    if problem is None:
        try:
            # The library alone accepts 65 octets before the @: strict adds the limit of RFC 5321.
            valid = validate_email(tidy, check_deliverability=False, allow_smtputf8=False, strict=True)
        except EmailNotValidError:
            # Not its sentence: that may quote parts of the address.
            problem = "The part after the @ sign is not a valid domain name."
        else:
            address = f"{valid.local_part}@{valid.ascii_domain}".lower()
            return NormalEmail(address, repaired=address if repairs else None, repairs=repairs)
    return NormalEmail(text.strip(), problem)


_ALLOWED_BEFORE_AT: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+")


def _email_problem(text: str) -> str | None:
    """What is wrong, in a sentence of ours that quotes nothing of the address."""
    local, _, domain = text.rpartition("@")
    labels = domain.lower().split(".")
    checks = (
        (not text, "There is no address."),
        ("@" not in text, "There is no @ sign."),
        ("@@" in text, "The @ sign stands there twice."),
        (text.count("@") > 1, "There is more than one @ sign: one address is expected here."),
        ('"' in local, "Quotes before the @ sign are not supported."),
        ("," in domain, "There is a comma in the domain name, where a dot should be."),
        (bool(re.search(r"\s", text)), "There is a space inside the address."),
        (not local, "There is nothing before the @ sign."),
        (not domain, "There is nothing after the @ sign."),
        (not local.isascii(), "Letters outside ASCII before the @ sign are not supported yet."),
        (
            len(local) > MAX_LOCAL_OCTETS,
            f"The part before the @ sign is longer than {MAX_LOCAL_OCTETS} characters.",
        ),
        (len(text) > MAX_ADDRESS, f"The address is longer than {MAX_ADDRESS} characters."),
        (
            local.startswith(".") or local.endswith(".") or ".." in local,
            "The dots before the @ sign are not where an address can have them.",
        ),
        (
            not _ALLOWED_BEFORE_AT.fullmatch(local),
            "A character before the @ sign cannot be part of an address.",
        ),
        (domain.startswith("["), "After the @ sign a domain name is needed, not an IP address."),
        ("" in labels, "The dots after the @ sign are not where a domain name can have them."),
        (labels[-1] in SPECIAL_USE_DOMAIN_NAMES, "This domain is reserved: it receives no mail."),
        (len(labels) < 2, "The domain name after the @ sign is not complete."),
    )
    return next((sentence for wrong, sentence in checks if wrong), None)


# Numbers of the United States' territories are domestic texts; other +1 islands are not.
_NORTH_AMERICA: Final = frozenset({"US", "CA", "PR", "VI", "GU", "AS", "MP"})
_REGIONS: Final = {"US": _NORTH_AMERICA, "CA": _NORTH_AMERICA}
_WRITTEN_NUMBER: Final = re.compile(r"[\d\s()+./\u2010-\u2015\u2212-]+")


def normalise_phone(text: str, region: str = "US", allowed: Collection[str] | None = None) -> NormalPhone:
    """One number in E.164. `region` (ISO 3166) reads numbers without a country code.

    `allowed` regions may be texted; None is `region` alone, or the whole of the US and Canada for either.
    """
    tidy, repairs = _tidied(text, scheme="tel:")
    regions = _REGIONS.get(region, {region}) if allowed is None else allowed
    try:
        number = phonenumbers.parse(tidy, region)
    except phonenumbers.NumberParseException:
        number = None
    problem = _phone_problem(tidy, number, regions)
    if number is None or problem is not None:
        return NormalPhone(text.strip(), problem)
    address = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return NormalPhone(address, repaired=address if repairs else None)


def _phone_problem(
    text: str, number: phonenumbers.PhoneNumber | None, regions: Collection[str]
) -> str | None:
    if not text:
        return "There is no number."
    if number is not None and number.extension:
        return "The number has an extension, which no text can reach."
    # The library reads past words (`whatsapp:+1...`) and turns letters into digits: neither is meant here.
    if number is None or not _WRITTEN_NUMBER.fullmatch(text):
        return "This is not one telephone number: write it as +1 541 555 0142."
    region = phonenumbers.region_code_for_number(number)  # None: no region has such a number
    if region is None or not phonenumbers.is_valid_number_for_region(number, region):
        return "This number is incomplete or not in use."
    if region not in regions:
        return "This number is in a country that is not texted from here."
    return None


_ANGLED: Final = re.compile(r"(?P<name>[^<>]*)<(?P<inner>[^<>|]*)(?P<label>\|[^<>]*)?>")
_ENCLOSED: Final = re.compile(r"^\(([^()]*@[^()]*)\)$|^\[([^\[\]]*@[^\[\]]*)\]$")
_REMARK: Final = re.compile(r"^\([^()@]*\)\s+(?=\S*@)|(?<=\S)\s+\([^()@]*\)$")
_SLACK_ESCAPES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


_TIDY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_@-]*[A-Za-z0-9]|\+[0-9]+")
"""Nothing that any step takes away: as nearly all are, and an import has a hundred thousand."""


def _tidied(text: str, scheme: str) -> tuple[str, tuple[Repair, ...]]:
    """The text without what surrounds an address (marks, quotes, brackets, a scheme, end punctuation), and
    what was done to it."""
    if _TIDY.fullmatch(text):
        return text, ()
    done: dict[Repair, None] = {}

    def mend(repair: Repair, change: Callable[[str], str]) -> None:
        nonlocal text
        after = change(text)
        if after != text:
            done[repair] = None
            text = after

    mend(Repair.INVISIBLE, lambda t: t.translate(_INVISIBLE))
    mend(Repair.WIDE, lambda t: t.translate(_WIDE))
    for _ in range(4):  # each layer may hold another: "<mailto:a@b|a@b>",
        before = text
        mend(Repair.SPACE, str.strip)
        mend(Repair.REMARK, lambda t: _REMARK.sub("", t))
        mend(Repair.QUOTES, _unquoted)
        mend(Repair.PUNCTUATION, lambda t: t.strip().lstrip(",;").rstrip(",;.").strip())
        angled = _ANGLED.fullmatch(text)
        if angled and _is_mere_name(angled["name"], angled["inner"]):
            mend(Repair.NAME if angled["name"].strip() else Repair.BRACKETS, _inside)
        elif text.count("<") + text.count(">") == 1:  # its other half was lost
            mend(Repair.BRACKETS, lambda t: t.strip("<>"))
        mend(Repair.BRACKETS, lambda t: _ENCLOSED.sub(lambda m: m[1] or m[2], t, count=1))
        if text[: len(scheme)].lower() == scheme:
            # RFC 6068 section 2: header fields after a question mark, percent-encoding before it
            mend(Repair.SCHEME, lambda t: unquote(t[len(scheme) :].partition("?")[0]))
        if text == before:
            break
    return text, tuple(done)


_NAMED: Final = re.compile(r"\"[^\"]*\"\s*<")


def _unquoted(text: str) -> str:
    if _NAMED.match(text):
        return text
    text = text.strip('"\u201c\u201d')
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text


def _inside(text: str) -> str:
    """What stands between angle brackets; of Slack's own wrapping, which escapes three characters, the link
    alone."""
    angled = _ANGLED.fullmatch(text)
    if angled is None:
        return text
    inner: str = angled["inner"]
    if angled["label"]:
        for escaped, plain in _SLACK_ESCAPES:
            inner = inner.replace(escaped, plain)
    return inner


def _is_mere_name(name: str, inner: str) -> bool:
    """Outlook writes an address as the name of itself; two different ones must not become the second."""
    return "@" not in name or name.strip(" \t\"'").lower() == inner.strip().lower()
