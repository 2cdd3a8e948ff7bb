"""Parses SPF records (RFC 7208 sections 3, 4.6.1, 5, 6 and 12). No DNS, no judgement of what is wise.

`parse_term` is strict and says in a sentence what is wrong; `parse_record` keeps the first such error, since
a syntax error anywhere is permerror before anything is evaluated.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple, TypeGuard

from notifier.mailauth.domains import ends_in_toplabel, fit_name, is_plain, is_queryable
from notifier.mailauth.macros import (
    DOMAIN_LETTERS,
    EXPLANATION_LETTERS,
    MacroError,
    MacroText,
    compile_macros,
    plain_text,
)

VERSION = "v=spf1"
QUALIFIERS = "+-~?"
MECHANISMS = ("all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists")
# RFC 7208 section 4.6.4: these (and redirect) count towards the ten.
QUERYING = frozenset({"include", "a", "mx", "ptr", "exists"})

_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)", re.DOTALL)
_DIRECTIVE = re.compile(r"([-+?~]?)([A-Za-z][A-Za-z0-9]*)(?:([:/])(.*))?", re.DOTALL)
_DUAL_CIDR = re.compile(r"(.*?)(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?", re.DOTALL)
_VISIBLE = re.compile(r"[!-~]*")
_HEX_GROUPS = re.compile(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4})+")
# The value of each octet at each of its four places: a look-up also knows that the text is canonical.
_FIRST, _SECOND, _THIRD, _FOURTH = (
    {str(octet): octet << shift for octet in range(256)} for shift in (24, 16, 8, 0)
)

ALL_ONES = {4: (1 << 32) - 1, 6: (1 << 128) - 1}
WIDTH = {4: 32, 6: 128}
_MASKS = {
    family: {str(n): (n, ones ^ (ones >> n)) for n in range(WIDTH[family] + 1)}
    for family, ones in ALL_ONES.items()
}
_FULL = {4: "32", 6: "128"}
_new = tuple.__new__  # a NamedTuple's own constructor costs three times as much


class TermError(ValueError):
    """A sentence about a term that the grammar does not allow."""


_NO_MACROS = plain_text("")


class DomainSpec(NamedTuple):
    """`name` is the target when there are no macros (`fixed`, and then `macros` is of no use); None then
    means that DNS cannot be asked about it."""

    macros: MacroText
    fixed: bool
    name: str | None


class Directive(NamedTuple):
    """A mechanism with its qualifier. `network`, `mask` and `family` are set for ip4 and ip6."""

    text: str
    start: int
    qualifier: str
    mechanism: str
    spec: DomainSpec | None = None
    prefix4: int = 32
    prefix6: int = 128
    family: int = 0
    network: int = 0
    mask: int = 0


class Modifier(NamedTuple):
    text: str
    start: int
    name: str
    value: str
    spec: DomainSpec | None = None


class Record(NamedTuple):
    """A parsed record. When `problem` is set the rest is what could be read before it."""

    text: str
    directives: tuple[Directive, ...]
    redirect: Modifier | None
    explanation: Modifier | None
    has_all: bool
    problem: str | None


def is_spf(text: str) -> bool:
    """RFC 7208 section 4.5: "v=spf1" in any case, then a space or the end."""
    return text[:6].lower() == VERSION and (len(text) == 6 or text[6] == " ")


@lru_cache(maxsize=2048)
def parse_record(text: str) -> Record:
    directives: list[Directive] = []
    modifiers: dict[str, Modifier] = {}
    problem: str | None = None
    has_all = False
    position = len(VERSION) + 1  # is_spf() holds: a space follows, or nothing
    for piece in text[position:].split(" "):
        start = position
        position += len(piece) + 1
        directive = _quick_term(piece, start)
        if directive is None:
            if not piece:
                continue
            try:
                term = parse_term(piece, start)
            except TermError as error:
                problem = problem or str(error)
                continue
            if isinstance(term, Modifier):
                repeated = _take_modifier(term, modifiers)
                problem = problem or repeated
                continue
            directive = term
        if directive[3] == "all":
            has_all = True
        directives.append(directive)
    redirect, explanation = modifiers.get("redirect"), modifiers.get("exp")
    return _new(Record, (text, tuple(directives), redirect, explanation, has_all, problem))


def _take_modifier(term: Modifier, modifiers: dict[str, Modifier]) -> str | None:
    """Section 6: unrecognised modifiers are ignored, the two known ones may appear once each."""
    if term.spec is None:
        return None
    if term.name in modifiers:
        return f"'{term.name}=' appears more than once; it may appear only once"
    modifiers[term.name] = term
    return None


_QUICK = {
    sign + name: (sign or "+", name, family)
    for sign in ("", *QUALIFIERS)
    for name, family in (
        ("all", 0),
        ("ip4", 4),
        ("ip6", 6),
        ("include", 0),
        ("a", 0),
        ("mx", 0),
        ("exists", 0),
    )
}


def _quick_term(text: str, start: int) -> Directive | None:
    """The plain shapes of nearly all published terms at a third of `parse_term`'s cost; None for any other
    shape, right or wrong. A test holds the two to the same answers."""
    head, colon, rest = text.partition(":")
    found = _QUICK.get(head)
    if found is None:
        return None
    qualifier, name, family = found
    if family:
        address, slash, cidr = rest.partition("/")
        value = parse_ip4(address) if family == 4 else parse_ip6(address)
        found_mask = _MASKS[family].get(cidr if slash else _FULL[family])
        if value is None or found_mask is None:
            return None
        prefix, mask = found_mask
        return _new(
            Directive, (text, start, qualifier, name, None, prefix, prefix, family, value & mask, mask)
        )
    if not colon:
        if name in ("all", "a", "mx"):
            return _new(Directive, (text, start, qualifier, name, None, 32, 128, 0, 0, 0))
        return None
    if name == "all":
        return None
    if is_plain(rest):
        spec = _new(DomainSpec, (_NO_MACROS, True, rest.lower()))
    elif "%" in rest and name in ("exists", "include") and _VISIBLE.fullmatch(rest):
        try:
            spec = parse_domain_spec(rest, text)
        except TermError:
            return None  # and is told so in a sentence
    else:
        return None
    return _new(Directive, (text, start, qualifier, name, spec, 32, 128, 0, 0, 0))


def parse_term(text: str, start: int = 0) -> Directive | Modifier:
    """One term, without the spaces around it. `start` is its offset in the record."""
    if not _VISIBLE.fullmatch(text):
        raise TermError(f"'{text}' contains a character that is not visible ASCII")
    modifier = _MODIFIER.fullmatch(text) if "=" in text else None
    if modifier is not None:
        return _modifier(text, start, modifier.group(1).lower(), modifier.group(2))
    found = _DIRECTIVE.fullmatch(text)
    name = found.group(2).lower() if found else ""
    if found is None or name not in MECHANISMS:
        raise TermError(f"'{text}' is not a mechanism that SPF knows")
    qualifier = found.group(1) or "+"
    separator, rest = found.group(3), found.group(4)
    if name == "all":
        if separator:
            raise TermError(f"'{text}': 'all' takes nothing after it")
        return Directive(text, start, qualifier, name)
    if name in ("ip4", "ip6"):
        return _network(text, start, qualifier, name, rest if separator == ":" else "")
    return _domain_directive(text, start, qualifier, name, separator, rest)


def _modifier(text: str, start: int, name: str, value: str) -> Modifier:
    if name in ("redirect", "exp"):
        return Modifier(text, start, name, value, parse_domain_spec(value, text))
    try:
        # Section 7.1: the grammar knows all letters everywhere; an unknown modifier has no rule against some.
        compile_macros(value, EXPLANATION_LETTERS)
    except MacroError as error:
        raise TermError(f"'{text}': {error}") from error
    return Modifier(text, start, name, value)


def _domain_directive(
    text: str, start: int, qualifier: str, name: str, separator: str | None, rest: str | None
) -> Directive:
    body = "" if separator is None else f"{separator}{rest}"
    prefix4, prefix6 = 32, 128
    if "/" in body and name in ("a", "mx"):
        split = _DUAL_CIDR.fullmatch(body)
        if split is not None:  # always matches: the first group takes what the prefixes do not
            body = split.group(1)
            prefix4 = int(split.group(2)) if split.group(2) else 32
            prefix6 = int(split.group(3)) if split.group(3) else 128
        if prefix4 > 32 or prefix6 > 128:
            raise TermError(f"'{text}' has a prefix length beyond /32 for IPv4 or //128 for IPv6")
    if not body:
        if name in ("include", "exists"):
            raise TermError(f"'{text}' needs a domain, written '{name}:domain'")
        return Directive(text, start, qualifier, name, None, prefix4, prefix6)
    if body[0] != ":":
        raise TermError(f"'{text}' has a malformed prefix length")
    return Directive(text, start, qualifier, name, parse_domain_spec(body[1:], text), prefix4, prefix6)


def parse_domain_spec(value: str, term: str) -> DomainSpec:
    """RFC 7208 section 7.1: a macro-string that ends in a top label or in a macro."""
    if is_plain(value):
        return DomainSpec(_NO_MACROS, True, value.lower())
    if not value:
        raise TermError(f"'{term}' needs a domain")
    try:
        macros = compile_macros(value, DOMAIN_LETTERS)
    except MacroError as error:
        raise TermError(f"'{term}': {error}") from error
    if not macros.ends_in_macro and not ends_in_toplabel(value):
        raise TermError(f"'{value}' in '{term}' is not a full domain name")
    if macros.literal is None:
        return DomainSpec(macros, False, None)
    name = fit_name(macros.literal)
    return DomainSpec(macros, True, name if is_queryable(name) else None)


def _network(text: str, start: int, qualifier: str, name: str, body: str) -> Directive:
    family = 4 if name == "ip4" else 6
    address, slash, cidr = body.partition("/")
    value = parse_ip4(address) if family == 4 else parse_ip6(address)
    if value is None:
        raise TermError(f"'{text}' needs an IPv{family} address after '{name}:'")
    width = WIDTH[family]
    found = _MASKS[family].get(cidr if slash else _FULL[family])
    if found is None:
        raise TermError(f"'{text}' has a prefix length that is not 0 to {width}")
    prefix, mask = found
    return Directive(text, start, qualifier, name, None, prefix, prefix, family, value & mask, mask)


def includes(term: Directive | Modifier, domain: str | None) -> TypeGuard[Directive]:
    """Whether the term is an include of exactly this domain, whatever its sign."""
    return (
        isinstance(term, Directive)
        and term.mechanism == "include"
        and term.spec is not None
        and term.spec.name == domain
    )


def mask_of(prefix: int, family: int) -> int:
    return ALL_ONES[family] ^ (ALL_ONES[family] >> prefix)


def parse_ip4(text: str) -> int | None:
    try:
        first, second, third, fourth = text.split(".")
        return _FIRST[first] + _SECOND[second] + _THIRD[third] + _FOURTH[fourth]
    except (ValueError, KeyError):
        return None


def parse_ip6(text: str) -> int | None:
    if not _HEX_GROUPS.fullmatch(text):
        return _parse_mixed_ip6(text)
    head, gap, tail = text.partition("::")
    left = head.split(":") if head else []
    right = tail.split(":") if tail else []
    missing = 8 - len(left) - len(right)
    if (missing < 1) if gap else missing:
        return None
    try:
        value = 0
        for group in (*left, *("0",) * missing, *right):
            value = value << 16 | int(group, 16)
    except ValueError:  # an empty group: a third colon, or one at an end
        return None
    return value


def _parse_mixed_ip6(text: str) -> int | None:
    """With an IPv4 address at its end (RFC 4291 section 2.2), or no address at all."""
    if "%" in text:  # a zone index is a local matter and no part of ip6-network
        return None
    try:
        return int(IPv6Address(text))
    except AddressValueError:
        return None
