"""A stored message as the inbox shows it: decoded headers, text, HTML, attachments. Never raises.

The library's older `compat32` policy is used on purpose: it keeps broken headers as they are.
"""

from __future__ import annotations

import binascii
import email
import email.policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from typing import Any, TypeAlias

# Generic for type checkers only.
Mail: TypeAlias = "Message[str, str]"


def text_of(content: bytes) -> str:
    """The octets as text: UTF-8 where they are, else one character for each octet."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_mail(content: bytes) -> dict[str, Any]:
    """`{subject, headers, text, html, attachments}`; a header that repeats is a list of its values."""
    message: Mail = email.message_from_bytes(content, policy=email.policy.compat32)
    headers: dict[str, Any] = {}
    for name, raw in message.raw_items():  # items() would replace raw 8-bit characters
        value = decoded(str(raw))
        if name not in headers:
            headers[name] = value
        elif isinstance(headers[name], list):
            headers[name].append(value)
        else:
            headers[name] = [headers[name], value]
    subject = next((value for name, value in headers.items() if name.lower() == "subject"), "")
    text = html = None
    for part in message.walk():
        kind = part.get_content_type()
        if part.is_multipart() or _is_attachment(part):
            continue
        if kind == "text/plain" and text is None:
            text = _text(part)
        elif kind == "text/html" and html is None:
            html = _text(part)
    return {
        "subject": subject if isinstance(subject, str) else subject[0],
        "headers": headers,
        "text": text,
        "html": html,
        "attachments": [
            {"filename": name, "content_type": kind, "size": len(octets)}
            for name, kind, octets in attachments(content)
        ],
    }


def attachments(content: bytes) -> list[tuple[str, str, bytes]]:
    """(file name, content type, octets) of every attached part, in order."""
    message: Mail = email.message_from_bytes(content, policy=email.policy.compat32)
    return [
        (decoded(part.get_filename() or ""), part.get_content_type(), _octets(part))
        for part in message.walk()
        if not part.is_multipart() and _is_attachment(part)
    ]


def decoded(raw: str) -> str:
    """A header's value in words: unfolded, encoded words decoded (RFC 2047), as it is when that fails."""
    unfolded = raw.replace("\r\n", "").replace("\n", "")
    # Raw UTF-8 in a header (RFC 6532) comes out of the parser as surrogates.
    unfolded = text_of(unfolded.encode("utf-8", "surrogateescape"))
    try:
        return str(make_header(decode_header(unfolded)))
    except (HeaderParseError, LookupError, UnicodeError, binascii.Error, ValueError):
        return unfolded


def _is_attachment(part: Mail) -> bool:
    return part.get_content_disposition() == "attachment" or (
        part.get_filename() is not None and part.get_content_maintype() != "text"
    )


def _octets(part: Mail) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Mail) -> str:
    octets = _octets(part)
    try:
        return octets.decode(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return text_of(octets)
