"""What a bounce message holds: its reports, the tokens of ours in it, and what it is known by. Pure.

Everything here is somebody else's text: a token counts only once the keyring has verified it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from notifier.bounces import BounceReport, parse_bounce, returned_headers

MOST_TOKENS = 50
"""Of one message; our mails have one recipient each, so that a digest of more is none of our relays'."""

_QUEUE_ID = re.compile(
    rb"^X-Postfix-Queue-ID:[ \t]*([A-Za-z0-9]{5,40})[ \t\r]*$", re.IGNORECASE | re.MULTILINE
)
_OUR_FIELD = re.compile(
    rb"^[ \t>|]{0,8}(?:X-Delivery-Ref:[ \t]*(b[a-z2-7]{47})|Message-ID:[ \t]*<(b[a-z2-7]{47})@)",
    re.IGNORECASE | re.MULTILINE,
)
_MESSAGE_ID = re.compile(r"<(b[a-z2-7]{47})@", re.IGNORECASE)
_VERP = re.compile(r"(?:[a-z0-9._-]{1,15}\+)?(b[a-z2-7]{47})(?:[+=-].*)?", re.IGNORECASE | re.DOTALL)
_IDENTITY = (b"from", b"subject", b"date", b"message-id")
"""Headers that a second delivery of the same mail leaves alone; Received and the like it adds to."""


@dataclass(frozen=True, slots=True)
class Returned:
    reports: tuple[BounceReport, ...]
    tokens: tuple[str, ...]
    """What stands where our returned mail has its token, surest first; not verified."""
    queue_id: str
    fingerprint: str
    """SHA-256 of the message without trace headers and white space: a replay has the same."""


def read(raw: bytes) -> Returned:
    """Never raises. CPU only: up to some 100 ms for 2 MB made to be slow, so a thread's work."""
    headers = returned_headers(raw)
    found = [headers.get("X-Delivery-Ref", "").strip()]
    found += _MESSAGE_ID.findall(headers.get("Message-ID", ""))
    found += [(a or b).decode("ascii") for a, b in _OUR_FIELD.findall(raw)[:MOST_TOKENS]]
    reports = tuple(parse_bounce(raw))
    found += [r.envelope_id for r in reports if r.envelope_id]  # RFC 3461 section 4.4: our ENVID comes back
    tokens = tuple(dict.fromkeys(t.lower() for t in found if t))[:MOST_TOKENS]
    queue_id = _QUEUE_ID.search(raw)
    return Returned(
        reports=reports,
        tokens=tokens,
        queue_id=queue_id[1].decode("ascii") if queue_id else "",
        fingerprint=fingerprint(raw),
    )


def verp_token(envelope_to: str) -> str:
    """The token of an address of ours, behind a mailbox's name or not, tagged by a relay or not; or empty."""
    found = _VERP.fullmatch(envelope_to.rpartition("@")[0])
    return found[1].lower() if found else ""


def fingerprint(raw: bytes) -> str:
    """The same for the same mail however often it was relayed, and however its lines end."""
    head, _, body = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n").partition(b"\n\n")
    unfolded = re.sub(rb"\n[ \t]+", b" ", head)
    fields = sorted(
        name.lower() + b":" + b"".join(value.split())
        for name, _, value in (line.partition(b":") for line in unfolded.split(b"\n"))
        if name.lower() in _IDENTITY
    )
    return hashlib.sha256(b"\n".join(fields) + b"\n\n" + b"".join(body.split())).hexdigest()


def printable(text: str) -> str:
    """Foreign text for a terminal: without control sequences and halves of characters."""
    return "".join(c if c.isprintable() else "�" for c in text)


__all__ = ["MOST_TOKENS", "Returned", "fingerprint", "printable", "read", "verp_token"]
