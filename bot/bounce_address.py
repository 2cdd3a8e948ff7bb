"""Which address of ours a bounce came to, where only its headers tell: from a file or a mailbox. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.parser import BytesHeaderParser

from bot.bounce_listener import OUR_LOCAL_PARTS

# Where the envelope recipient was written down, surest first: Postfix, most MTAs, Exim, Sendmail; To last.
_ENVELOPE = ("X-Original-To", "Delivered-To", "Envelope-To", "X-Envelope-To", "To")
_ADDRESS = re.compile(r"[^\s<>()\[\]\",;:]{1,130}@[^\s<>()\[\]\",;:]{1,255}")


def envelope_to(raw: bytes, domains: Sequence[str]) -> str:
    """The address of ours that it came to, as its headers tell; empty when they name none."""
    headers = BytesHeaderParser().parsebytes(raw[: 64 * 1024])
    for field in _ENVELOPE:
        # By a pattern: the library's parser of addresses goes down one call for each bracket of a comment.
        for found in _ADDRESS.finditer(" ".join(str(value) for value in headers.get_all(field, []))):
            address = found[0]
            local, _, domain = address.rpartition("@")
            if domain.casefold() in domains and OUR_LOCAL_PARTS.fullmatch(local):
                return address
    return ""


__all__ = ["envelope_to"]
