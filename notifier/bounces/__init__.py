"""Bounces: what came back, about whom, and what it means. Pure: bytes in, reports out.

Follows RFC 3464 and 6533 (delivery reports), RFC 5965 (complaints), RFC 3834 (auto-replies) and the
unstandardised notices of the mail systems in use. Rules are data, in `rules`, `meanings` and `codes`.

The readers and their tables are imported and compiled at the first call of a function below, once, under
Python's import lock; importing this package costs a start nothing but the vocabulary in `verdict`.
"""

from __future__ import annotations

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


def parse_bounce(raw: bytes) -> list[BounceReport]:
    """What `raw` says about each recipient; empty when it is no bounce, complaint or automatic reply.

    Never raises, whatever the bytes. At most 1 MiB of it is looked at. A report may have an empty recipient
    where the notice hides it: the envelope's token still tells whose delivery it was.
    """
    from .parse import parse_bounce as parse  # compiled here, at first use

    return parse(raw)


def classify_reply(code: int | str | None, enhanced: str | None, text: str) -> BounceVerdict:
    """The judgement of a live SMTP answer: reply code, RFC 3463 code if any, and its text.

    `permanent` follows the reply (5xx), not the words: a 4xx is tried again whatever it says. The text may
    still carry the codes; it need not.
    """
    from .classify import classify_reply as classify  # compiled here, at first use

    return classify(code, enhanced, text)


def returned_headers(raw: bytes) -> dict[str, str]:
    """Message-ID and X-Delivery-Ref of the mail that came back, where the bounce holds them."""
    from .parse import returned_headers as headers  # compiled here, at first use

    return headers(raw)
