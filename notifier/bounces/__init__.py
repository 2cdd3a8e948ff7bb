"""Bounces: what came back, about whom, and what it means. Pure: bytes in, reports out.

Follows RFC 3464 and 6533 (delivery reports), RFC 5965 (complaints), RFC 3834 (auto-replies) and the
unstandardised notices of the mail systems in use. Rules are data, in `rules` and `codes`.
"""

from __future__ import annotations

from .classify import classify_reply
from .parse import parse_bounce, returned_headers
from .verdict import BounceClass, BounceReport, BounceVerdict, Fault

__all__ = [
    "BounceClass",
    "BounceReport",
    "BounceVerdict",
    "Fault",
    "classify_reply",
    "parse_bounce",
    "returned_headers",
]
