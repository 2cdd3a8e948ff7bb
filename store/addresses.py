"""Addresses as people and billing systems write them, and the one form that we store, compare and send to.

E-mail: RFC 5321 with a local part of at most 64 octets (section 4.5.3.1.1), ASCII before the @ (SMTPUTF8 is
not supported yet), the domain as A-labels (RFC 5890). Phone: E.164. Pure: nobody is asked whether it exists.

The normal form of an e-mail address is lower case as a whole. RFC 5321 section 2.4 lets a server tell
`Ann@` from `ann@`; none in use does, billing data is full of case noise, and two spellings of one mailbox
must be one recipient, one suppression. What was typed is kept beside it (`raw` of a point).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

MAX_LOCAL_OCTETS: Final = 64
MAX_ADDRESS: Final = 254
"""RFC 3696 erratum 1690: a path of 256 octets less its angle brackets."""


@dataclass(frozen=True, slots=True)
class NormalEmail:
    """`address` is fit to send to unless `problem` says why not; then it is the text as given, stripped."""

    address: str
    problem: str | None = None
    """One plain sentence, without the address in it; None when there is nothing wrong."""
    repaired: str | None = None
    """The address again when the text was usable only after a repair (`mailto:`, a trailing comma ...)."""


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
_FULL_WIDTH_AT: Final = "\uff20"
_TOKEN: Final = re.compile(
    r"(?P<name>\"[^\"]*\"(?=\s*<))"  # a display name, which may hold commas
    r"|(?P<angle><[^<>]*>)"
    r"|(?P<between>[,;\n\r\uff0c\uff1b\u3001]+)"
    r"|(?P<space>\s+)"
    r"|(?P<word>[^\s,;<\uff0c\uff1b\u3001]+|<)"
)


def split_addresses(field: str) -> list[str]:
    """The addresses of one field, in order and as typed: commas, semicolons and white space are between them.

    A display name stays with its address (`"Lee, Ann" <ann@x.example>`). A word without an @ stays with
    what follows it: from `maria santos@x.example` nobody can tell whose mailbox is meant, so that it is
    one item with a problem and not an invoice for a stranger.
    """
    found: list[str] = []
    waiting = ""  # words that are no address by themselves, with the space after them

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
            case "space":
                waiting += text if waiting else ""
            case "angle":
                close(text)
            case "word" if "@" in text or _FULL_WIDTH_AT in text:
                close(text)
            case _:
                waiting += text
    close()
    return found


def normalise_email(text: str) -> NormalEmail:
    """One address in its normal form, after plain repairs; never raises and never asks the network."""
    tidy = _tidied(text, scheme="mailto:")
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
            return NormalEmail(address, repaired=address if tidy != text else None)
    return NormalEmail(text.strip(), problem)


_ALLOWED_BEFORE_AT: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+")


def _email_problem(text: str) -> str | None:
    """What is wrong, in a sentence of ours that quotes nothing of the address."""
    local, _, domain = text.rpartition("@")
    labels = domain.lower().split(".")
    checks = (
        (not text, "There is no address."),
        ("@" not in text, "There is no @ sign."),
        (text.count("@") > 1, "There is more than one @ sign: one address is expected here."),
        ('"' in local, "Quotes before the @ sign are not supported."),
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
    tidy = _tidied(text, scheme="tel:")
    regions = _REGIONS.get(region, {region}) if allowed is None else allowed
    try:
        number = phonenumbers.parse(tidy, region)
    except phonenumbers.NumberParseException:
        number = None
    problem = _phone_problem(tidy, number, regions)
    if number is None or problem is not None:
        return NormalPhone(text.strip(), problem)
    address = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return NormalPhone(address, repaired=address if tidy != text else None)


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
    if not phonenumbers.is_valid_number(number):
        return "This number is incomplete or not in use."
    if phonenumbers.region_code_for_number(number) not in regions:
        return "This number is in a country that is not texted from here."
    return None


_ANGLED: Final = re.compile(r"(?P<name>[^<>]*)<(?P<inner>[^<>|]*)(?P<label>\|[^<>]*)?>")
_SLACK_ESCAPES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def _tidied(text: str, scheme: str) -> str:
    """The text without what surrounds an address: marks, quotes, brackets, a scheme, end punctuation."""
    text = text.translate(_INVISIBLE).replace(_FULL_WIDTH_AT, "@")
    for _ in range(4):  # each layer may hold another: "<mailto:a@b|a@b>",
        before = text
        text = text.strip().strip('"\u201c\u201d').lstrip(",;").rstrip(",;.").strip()
        if len(text) > 1 and text[0] == text[-1] == "'":
            text = text[1:-1]
        angled = _ANGLED.fullmatch(text)
        if angled and _is_mere_name(angled["name"], angled["inner"]):
            text = angled["inner"]
            if angled["label"]:  # Slack's own wrapping, which escapes three characters
                for escaped, plain in _SLACK_ESCAPES:
                    text = text.replace(escaped, plain)
        elif text.count("<") + text.count(">") == 1:  # its other half was lost
            text = text.strip("<>")
        if text[: len(scheme)].lower() == scheme:
            # RFC 6068 section 2: header fields after a question mark, percent-encoding before it
            text = unquote(text[len(scheme) :].partition("?")[0])
        if text == before:
            break
    return text


def _is_mere_name(name: str, inner: str) -> bool:
    """Outlook writes an address as the name of itself; two different ones must not become the second."""
    return "@" not in name or name.strip(" \t\"'").lower() == inner.strip().lower()
