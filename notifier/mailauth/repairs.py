"""One token of an SPF record: valid as it is, repaired with a named mistake, or beyond repair.

The rules are a table of (pattern, rule) tried in turn until the token parses as RFC 7208 section 12 wants.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError, ip_address

from notifier.mailauth.record import MECHANISMS, Directive, Modifier, TermError, parse_term
from notifier.mailauth.report import Mistake, Severity

_MAX_REPAIRS = 6


@dataclass(frozen=True, slots=True)
class Finding:
    code: Mistake
    sentence: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Repaired:
    term: Directive | Modifier | None  # None: the token is dropped and nothing is lost
    findings: tuple[Finding, ...] = ()


class RepairError(ValueError):
    """A token whose meaning cannot be guessed."""

    def __init__(self, code: Mistake, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


Rule = Callable[[re.Match[str]], tuple[Mistake, str] | None]


def repair(text: str) -> Repaired:
    findings: list[Finding] = []
    token = text
    for _ in range(_MAX_REPAIRS):
        change = _first_change(token)
        if change is None:
            break
        code, fixed = change
        findings.append(_finding(code, token, fixed))
        if not fixed:
            return Repaired(None, tuple(findings))
        token = fixed
    try:
        term = parse_term(token)
    except TermError as error:
        raise RepairError(_loss_code(token), f"{_upper_first(str(error))}. Correct or remove it.") from error
    if isinstance(term, Modifier) and term.spec is None:
        findings.append(
            Finding(
                Mistake.UNKNOWN_MODIFIER,
                f"Receivers ignore '{token}', since SPF gives '{term.name}=' no meaning.",
                Severity.INFO,
            )
        )
    return Repaired(term, tuple(findings))


def _finding(code: Mistake, token: str, fixed: str) -> Finding:
    if not fixed:
        return Finding(code, f"'{token}' stands in the middle of the record. Remove it.")
    return Finding(code, f"{_WHY.get(code, 'This term is malformed.')} Write '{fixed}' instead of '{token}'.")


_WHY = {
    Mistake.BARE_IP: "An address needs its mechanism in front.",
    Mistake.IP_COLON: "There is no mechanism 'ip:'.",
    Mistake.INCLUDES: "The mechanism is called 'include'.",
    Mistake.MISSPELT: "This mechanism does not exist; it looks like a slip of the pen.",
    Mistake.A_WITH_IP: "'a:' takes a host name, not an address.",
    Mistake.MX_WITH_IP: "'mx:' takes a domain, not an address.",
    Mistake.INCLUDE_WITH_IP: "'include:' takes a domain, not an address.",
    Mistake.IP4_WITH_IPV6: "'ip4:' takes an IPv4 address and this one is IPv6.",
    Mistake.IP6_WITH_IPV4: "'ip6:' takes an IPv6 address and this one is IPv4.",
    Mistake.IP_WITH_NAME: "'ip4:' and 'ip6:' take an address, not a name.",
    Mistake.BAD_ADDRESS: "The numbers of an address have no leading zeros.",
    Mistake.BAD_PREFIX: "The part after the slash is a number of bits: 0 to 32 for IPv4, 0 to 128 for IPv6.",
    Mistake.URL_IN_TERM: "SPF takes a plain domain, not a web address.",
    Mistake.COLON_FOR_EQUALS: "A modifier takes an equals sign.",
    Mistake.EQUALS_FOR_COLON: "A mechanism takes a colon; with an equals sign receivers ignore it.",
    Mistake.DOUBLE_QUALIFIER: "A term takes one sign in front.",
    Mistake.TRAILING_PUNCTUATION: "There is punctuation after the term.",
}


def _first_change(token: str) -> tuple[Mistake, str] | None:
    for pattern, rule in _RULES:
        found = pattern.fullmatch(token)
        change = rule(found) if found is not None else None
        if change is not None and change[1] != token:
            return change
    return None


def _address(text: str) -> tuple[str, str] | None:
    """(ip4 or ip6, the text) when it is an address with an optional prefix."""
    bare = text.partition("/")[0].strip("[]")
    if "%" in bare:
        return None
    try:
        family = ip_address(bare).version
    except ValueError:
        return None
    return f"ip{family}", text.replace("[", "").replace("]", "")


def _bare_ip(found: re.Match[str]) -> tuple[Mistake, str] | None:
    address = _address(found["rest"])
    return (Mistake.BARE_IP, f"{found['sign']}{address[0]}:{address[1]}") if address else None


def _ip_colon(found: re.Match[str]) -> tuple[Mistake, str] | None:
    address = _address(found["rest"])
    mechanism = address[0] if address else "ip4"
    return Mistake.IP_COLON, f"{found['sign']}{mechanism}:{address[1] if address else found['rest']}"


_HOST_MECHANISMS = {
    "a": Mistake.A_WITH_IP,
    "mx": Mistake.MX_WITH_IP,
    "include": Mistake.INCLUDE_WITH_IP,
}


def _host_with_ip(found: re.Match[str]) -> tuple[Mistake, str] | None:
    address = _address(found["rest"])
    if address is None:
        return None
    return _HOST_MECHANISMS[found["name"].lower()], f"{found['sign']}{address[0]}:{address[1]}"


def _ip_family(found: re.Match[str]) -> tuple[Mistake, str] | None:
    rest, written = found["rest"], found["name"].lower()
    address = _address(rest)
    if address is not None:
        if address[0] == written:
            return None
        code = Mistake.IP4_WITH_IPV6 if written == "ip4" else Mistake.IP6_WITH_IPV4
        return code, f"{found['sign']}{address[0]}:{address[1]}"
    name = rest.partition("/")[0]
    if re.fullmatch(r"(?:[A-Za-z0-9_-]+\.)+[A-Za-z]{2,}\.?", name):
        return Mistake.IP_WITH_NAME, f"{found['sign']}a:{name}"
    return None


def _ip4_numbers(found: re.Match[str]) -> tuple[Mistake, str] | None:
    octets = [str(int(octet)) for octet in found["rest"].split(".")]
    return Mistake.BAD_ADDRESS, f"{found['sign']}ip4:{'.'.join(octets)}{found['tail'] or ''}"


def _ip_prefix(found: re.Match[str]) -> tuple[Mistake, str] | None:
    family = int(found["family"])
    prefix = found["prefix"]
    head = f"{found['sign']}ip{family}:{found['rest']}"
    if prefix.isdigit():
        bits = int(prefix.lstrip("0")[:4] or "0")
        if bits <= (32 if family == 4 else 128):
            return Mistake.BAD_PREFIX, f"{head}/{bits}"
        return Mistake.BAD_PREFIX, head
    try:
        return Mistake.BAD_PREFIX, f"{head}/{IPv4Network(f'0.0.0.0/{prefix}').prefixlen}"
    except (AddressValueError, NetmaskValueError, ValueError):
        return Mistake.BAD_PREFIX, head


def _url(found: re.Match[str]) -> tuple[Mistake, str] | None:
    return Mistake.URL_IN_TERM, f"{found['head']}{found['rest'].rstrip('/')}"


def _misspelt(found: re.Match[str]) -> tuple[Mistake, str] | None:
    name = found["name"].lower()
    if name in (*MECHANISMS, "redirect", "exp", "ip", "includes"):
        return None
    sign, rest = found["mark"], found["rest"]
    if not sign and rest and not rest.startswith("/"):
        return None
    known = {"ipv4": "ip4", "ipv6": "ip6"}
    close = [known[name]] if name in known else get_close_matches(name, (*MECHANISMS, "redirect"), 1, 0.7)
    if not close or (sign == "=" and close[0] not in ("redirect",)):
        return None
    mark = "=" if close[0] == "redirect" and sign else sign
    fixed = f"{found['sign']}{close[0]}{mark}{found['rest']}"
    return Mistake.MISSPELT, fixed


def _repeated_version(_: re.Match[str]) -> tuple[Mistake, str] | None:
    return Mistake.VERSION_REPEATED, ""


def _swap(code: Mistake, mark: str) -> Rule:
    def rule(found: re.Match[str]) -> tuple[Mistake, str] | None:
        sign = "" if mark == "=" else found["sign"]
        return code, f"{sign}{found['name']}{mark}{found['rest']}"

    return rule


def _trimmed(found: re.Match[str]) -> tuple[Mistake, str] | None:
    try:
        parse_term(found[0])
    except TermError:
        return Mistake.TRAILING_PUNCTUATION, found["rest"]
    return None


def _one_sign(found: re.Match[str]) -> tuple[Mistake, str] | None:
    return Mistake.DOUBLE_QUALIFIER, f"{found['sign']}{found['rest']}"


def _includes(found: re.Match[str]) -> tuple[Mistake, str] | None:
    return Mistake.INCLUDES, f"{found['sign']}include:{found['rest']}"


def _rule(pattern: str, rule: Rule) -> tuple[re.Pattern[str], Rule]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL | re.ASCII), rule


_SIGN = r"(?P<sign>[-+~?]?)"
_RULES: tuple[tuple[re.Pattern[str], Rule], ...] = (
    _rule(r"v=spf1[;:,.]*", _repeated_version),
    _rule(r"(?P<sign>[-+~?])[-+~?]+(?P<rest>.+)", _one_sign),
    _rule(rf"{_SIGN}(?P<rest>[0-9a-f:.\[\]]+(?:/.*)?)", _bare_ip),
    _rule(rf"{_SIGN}includes:(?P<rest>.*)", _includes),
    _rule(rf"{_SIGN}ip:(?P<rest>.*)", _ip_colon),
    _rule(rf"{_SIGN}(?P<name>redirect|exp):(?P<rest>.+)", _swap(Mistake.COLON_FOR_EQUALS, "=")),
    _rule(
        rf"{_SIGN}(?P<name>include|a|mx|ip4|ip6|exists|ptr)=(?P<rest>.+)",
        _swap(Mistake.EQUALS_FOR_COLON, ":"),
    ),
    _rule(r"(?P<head>.*[:=])(?:https?|mailto|dns)://(?P<rest>.+)", _url),
    _rule(rf"{_SIGN}(?P<name>a|mx|include):(?P<rest>.+)", _host_with_ip),
    _rule(rf"{_SIGN}(?P<name>ip4|ip6):(?P<rest>.+)", _ip_family),
    _rule(rf"{_SIGN}ip4:(?P<rest>\d{{1,3}}(?:\.\d{{1,3}}){{3}})(?P<tail>/.*)?", _ip4_numbers),
    _rule(rf"{_SIGN}(?P<name>[a-z0-9]+)(?P<mark>[:=]?)(?P<rest>.*)", _misspelt),
    _rule(r"(?P<rest>.*[^.:/,;])[.:/,;]+", _trimmed),
    _rule(
        rf"{_SIGN}ip(?P<family>[46]):(?P<rest>[0-9a-f:.]+)/(?P<prefix>0\d+|\d{{3,}}|3[3-9]|[4-9]\d|[\d.]*\.[\d.]*)",
        _ip_prefix,
    ),
)


def _loss_code(token: str) -> Mistake:
    if not token.isascii():
        return Mistake.NON_ASCII
    if "%" in token:
        return Mistake.BAD_MACRO
    if re.fullmatch(r"[-+~?]?ip[46]:.*", token, re.IGNORECASE):
        return Mistake.BAD_ADDRESS
    if re.fullmatch(r"[-+~?]?(?:all|include|a|mx|ptr|exists)(?:[:/].*)?", token, re.IGNORECASE):
        return Mistake.MALFORMED_TERM
    if re.fullmatch(r"(?:redirect|exp)=.*", token, re.IGNORECASE):
        return Mistake.MALFORMED_TERM
    return Mistake.UNKNOWN_MECHANISM


def _upper_first(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
