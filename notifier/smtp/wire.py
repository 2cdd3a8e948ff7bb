"""SMTP as octets: replies read in pieces, commands and mails written so that nothing in them can break out.

RFC 5321, 1870 (SIZE), 3461 (DSN), 4954 (AUTH), 6152 (8BITMIME). Pure: no I/O.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Generator
from dataclasses import dataclass, field

from notifier.mailauth.canonical import wire_form

LONGEST_LINE = 8_192
"""Octets; RFC 5321 section 4.5.3.1.5 promises 512, and servers write more."""
LONGEST_REPLY = 65_536
_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_OLD_AUTH = re.compile(r"auth=(.*)", re.IGNORECASE)
_AFTER_CODE = (b" ", b"-", b"")
READY, START_DATA, CLOSING = 220, 354, 421
LOGGED_IN, GO_ON_LOGIN = 235, 334
LOGINS = ("cram-md5", "plain", "login")
"""In the order in which they are tried, of those that are offered."""


class BadReply(Exception):
    """What the server said is no SMTP, or no answer to what it was asked; a sentence."""


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    text: str
    """Lines joined by newlines, without the codes."""


class ReplyReader:
    """Octets in any pieces to whole replies; what it keeps is bounded."""

    __slots__ = ("_at", "_buffer", "_kept", "_lines")

    def __init__(self) -> None:
        self._buffer, self._at = b"", 0
        self._lines: list[bytes] = []
        self._kept = 0

    def feed(self, octets: bytes) -> None:
        self._buffer = self._buffer[self._at :] + octets
        self._at = 0

    @property
    def empty(self) -> bool:
        """Nothing was said beyond the last whole reply."""
        return self._at >= len(self._buffer) and not self._lines

    def next(self) -> tuple[int, bytes] | None:
        """Code and text of the next reply, None until it is whole; BadReply for what can be none."""
        while True:
            end = self._buffer.find(b"\n", self._at)
            if (len(self._buffer) if end < 0 else end) - self._at > LONGEST_LINE:
                raise BadReply("it answers in a line that does not end")
            if end < 0:
                return None
            line = self._buffer[self._at : end].rstrip(b"\r")
            self._at = end + 1
            mark = line[3:4]
            if not (len(line) >= 3 and line[:3].isdigit() and b"2" <= line < b"6" and mark in _AFTER_CODE):
                raise BadReply(f"it does not speak SMTP: {shown(line[:80])}")
            if mark != b"-":
                break
            self._kept += len(line)
            if self._kept > LONGEST_REPLY:
                raise BadReply("it answers without an end")
            self._lines.append(line[4:].strip())
        text = line[4:].strip()
        if self._lines:
            text = b"\n".join([*self._lines, text])
            self._lines, self._kept = [], 0
        return int(line[:3]), text


def shown(octets: bytes) -> str:
    """What a server said, as text that any database takes."""
    return octets.decode("utf-8", "replace").replace("\x00", "\ufffd")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server's EHLO offers; keywords in lower case, with their parameters."""

    extensions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, ehlo: str) -> Offer:
        found: dict[str, str] = {}
        for line in ehlo.split("\n")[1:]:  # the first line is the server's name
            old = _OLD_AUTH.fullmatch(line.strip())
            keyword, _, parameters = ("auth", "", old[1]) if old else line.strip().partition(" ")
            if keyword.lower() == "auth" and "auth" in found:
                parameters = f"{found['auth']} {parameters}"
            found[keyword.lower()] = parameters
        return cls(found)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.extensions

    @property
    def logins(self) -> list[str]:
        offered = self.extensions.get("auth", "").lower().split()
        return [name for name in LOGINS if name in offered]


def command(line: str) -> bytes:
    """One command with its line end; ValueError for what would be more than one."""
    octets = line.encode("ascii")
    if _CONTROL.search(octets):
        raise ValueError("a command holds a control character")
    return octets + b"\r\n"


def xtext(value: str) -> str:
    """RFC 3461 section 4: `+` and `=` and whatever is not printable as +HH."""
    return _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", value)


def envelope(
    offer: Offer, *, sender: str, recipient: str, content: bytes, envelope_id: str, receipt: bool
) -> tuple[bytes, bytes]:
    """MAIL and RCPT with what is offered of SIZE, BODY and DSN. The addresses are plain addr-specs."""
    mail, rcpt = f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"
    if "size" in offer:  # RFC 1870 section 6: so that what is too big is refused before it is sent
        mail += f" SIZE={len(content)}"
    if "8bitmime" in offer and not content.isascii():  # RFC 6152 section 3
        mail += " BODY=8BITMIME"
    if "dsn" in offer:
        notify = "SUCCESS,FAILURE,DELAY" if receipt else "FAILURE,DELAY"
        mail += f" RET=HDRS ENVID={xtext(envelope_id)}"
        rcpt += f" NOTIFY={notify} ORCPT=rfc822;{xtext(recipient)}"
    return command(mail), command(rcpt)


def mail_data(content: bytes) -> bytes:
    """A mail after DATA, with its end. Every line end is CRLF and every dot at a line's start is doubled (RFC
    5321 section 4.5.2), so that no server can see an end earlier (SMTP smuggling)."""
    content = wire_form(content)
    if content.startswith(b"."):
        content = b"." + content
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    return content + b".\r\n"


def login_steps(method: str, username: str, password: str) -> Generator[str, str, None]:
    """What to say next; what was answered to it (334's text) is sent in. ValueError: no challenge at all."""
    name, secret = username.encode(), password.encode()
    if method == "plain":
        together = b"\0".join([b"", name, secret])
        yield f"AUTH PLAIN {_b64(together)}"
    elif method == "login":
        yield f"AUTH LOGIN {_b64(name)}"
        yield _b64(secret)
    else:  # RFC 2195
        challenge = b64decode((yield "AUTH CRAM-MD5"), validate=True)
        yield _b64(name + b" " + hmac.new(secret, challenge, "md5").hexdigest().encode())


def _b64(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")
