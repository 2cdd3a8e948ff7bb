"""MAIL and RCPT as they are written: paths and ESMTP parameters, pure (RFC 5321, 3461, 1870, 6152, 6531).

A line that the grammar does not allow raises `CommandError`, whose text is the reply to give.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LONGEST_LOCAL_PART: Final = 64  # RFC 5321 section 4.5.3.1.1
LONGEST_DOMAIN: Final = 255
LONGEST_ENVID: Final = 100  # RFC 3461 section 4.4
LONGEST_ORCPT: Final = 500

ATOM: Final = r"[^\s\"(),:;<>@\[\]\\.\x00-\x1f\x7f]+"
LOCAL_PART: Final = re.compile(rf'(?:{ATOM}(?:\.{ATOM})*|"(?:[^"\\\r\n]|\\.)*")')
DOMAIN: Final = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)*|\[[0-9A-Fa-f:.]+\])")
SOURCE_ROUTE: Final = re.compile(r"@[^\s:<>]+:")
XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
NOTIFY_WORDS: Final = frozenset({"SUCCESS", "FAILURE", "DELAY"})


class CommandError(Exception):
    """The command is not well formed; `reply` is the SMTP reply that says so."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass(frozen=True)
class MailCommand:
    """`sender` is empty for the null sender; `envid` is decoded; sizes are octets."""

    sender: str
    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None


@dataclass(frozen=True)
class Recipient:
    """`notify` is None when the client did not say; `orcpt` is "type;address", decoded."""

    address: str
    notify: frozenset[str] | None = None
    orcpt: str | None = None

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2].lower()

    def wants(self, event: str) -> bool:
        """Whether a DSN for "SUCCESS", "FAILURE" or "DELAY" is due; RFC 3461 section 4.1 on the default."""
        return event in ({"FAILURE", "DELAY"} if self.notify is None else self.notify)


@dataclass(frozen=True)
class Offer:
    """Which extensions the server has announced: parameters of others are refused."""

    dsn: bool = True


def parse_mail(argument: str, offer: Offer) -> MailCommand:
    """What follows "MAIL ": `FROM:<path> [parameters]`."""
    path, parameters = _split(argument, "FROM")
    command = MailCommand(sender=_address(path, null=True) if path else "")
    size, eight_bit, smtputf8 = None, False, False
    ret = envid = None
    for name, value in parameters.items():
        match name:
            case "SIZE" if value.isdigit():
                size = int(value)
            case "BODY" if value.upper() in {"7BIT", "8BITMIME"}:
                eight_bit = value.upper() == "8BITMIME"
            case "SMTPUTF8" if not value:
                smtputf8 = True
            case "AUTH" if value:
                pass  # RFC 4954 section 5: an untrusted client's AUTH= is taken as AUTH=<>
            case "RET" if offer.dsn and value.upper() in {"FULL", "HDRS"}:
                ret = value.upper()
            case "ENVID" if offer.dsn and value and len(value) <= LONGEST_ENVID:
                envid = decode_xtext(value)
            case _:
                raise _bad_parameter(name, {"SIZE", "BODY", "SMTPUTF8", "AUTH"}, offer, {"RET", "ENVID"})
    if not command.sender.isascii() and not smtputf8:
        raise CommandError("553 5.6.7 Non-ASCII addresses need SMTPUTF8")
    return MailCommand(command.sender, size, eight_bit, smtputf8, ret, envid)


def parse_rcpt(argument: str, offer: Offer, *, smtputf8: bool) -> Recipient:
    """What follows "RCPT ": `TO:<path> [parameters]`."""
    path, parameters = _split(argument, "TO")
    address = _address(path, null=False)
    if not address.isascii() and not smtputf8:
        raise CommandError("553 5.6.7 Non-ASCII addresses need SMTPUTF8 at MAIL")
    notify = orcpt = None
    for name, value in parameters.items():
        match name:
            case "NOTIFY" if offer.dsn:
                notify = _notify(value)
            case "ORCPT" if offer.dsn and len(value) <= LONGEST_ORCPT:
                kind, separator, encoded = value.partition(";")
                if not separator or not kind or not encoded:
                    raise CommandError("501 5.5.4 ORCPT is address-type;xtext")
                orcpt = f"{kind};{encoded if kind.lower() == 'utf-8' else decode_xtext(encoded)}"
            case _:
                raise _bad_parameter(name, set(), offer, {"NOTIFY", "ORCPT"})
    return Recipient(address, notify, orcpt)


def decode_xtext(text: str) -> str:
    """RFC 3461 section 4: `+41` is "A"; everything outside the grammar is a CommandError."""
    if XTEXT.fullmatch(text) is None:
        raise CommandError("501 5.5.4 Bad xtext: encode '+', '=', spaces and non-ASCII as +HH")
    return re.sub(r"\+([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text)


def _split(argument: str, keyword: str) -> tuple[str, dict[str, str]]:
    """The path without its brackets, and the parameters."""
    match = re.fullmatch(
        rf'{keyword}:<((?:[^<>"]|"(?:[^"\\]|\\.)*")*)>((?: [^\s]+)*) *', argument, re.IGNORECASE
    )
    if match is None:
        raise CommandError(f"501 5.5.4 Syntax: {keyword}:<address> [parameters]")
    parameters: dict[str, str] = {}
    for word in match[2].split():
        name, _, value = word.partition("=")
        if name.upper() in parameters:
            raise CommandError(f"501 5.5.4 {name.upper()} was given twice")
        parameters[name.upper()] = value
    return match[1], parameters


def _address(path: str, *, null: bool) -> str:
    # RFC 5321 appendix C: a source route is accepted and ignored.
    path = SOURCE_ROUTE.sub("", path, count=1) if path.startswith("@") else path
    if not null and path.lower() == "postmaster":
        return path
    local, separator, domain = path.rpartition("@")
    code = "5.1.7" if null else "5.1.3"
    if not separator or LOCAL_PART.fullmatch(local) is None or DOMAIN.fullmatch(domain) is None:
        raise CommandError(f"553 {code} <{path}>: not a mail address")
    if len(local.encode()) > LONGEST_LOCAL_PART:
        raise CommandError(f"553 {code} The local part is over {LONGEST_LOCAL_PART} octets")
    if len(domain.encode()) > LONGEST_DOMAIN:
        raise CommandError(f"553 {code} The domain is over {LONGEST_DOMAIN} octets")
    return path


def _notify(value: str) -> frozenset[str]:
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return frozenset()
    if not set(words) <= NOTIFY_WORDS or len(set(words)) != len(words):
        raise CommandError("501 5.5.4 NOTIFY is NEVER, or some of SUCCESS,FAILURE,DELAY")
    return frozenset(words)


def _bad_parameter(name: str, known: set[str], offer: Offer, dsn_words: set[str]) -> CommandError:
    if name in known or (offer.dsn and name in dsn_words):
        return CommandError(f"501 5.5.4 Bad value for {name}")
    return CommandError(f"555 5.5.4 Parameter {name} is not supported")
