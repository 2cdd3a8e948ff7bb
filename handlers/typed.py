"""What people really type into Slack, made plain: smart quotes, em dashes, Slack's link wrapping. Pure."""

from __future__ import annotations

import re

_LINK = re.compile(
    r"<(?:mailto:|tel:)?([^<>|]+)\|([^<>|]*)>|<(?:mailto:|tel:)([^<>|]+)>|<(https?://[^<>|\s]+)>"
)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'"})
_FLAG_DASH = re.compile(r"(?:(?<=\s)|^)[—–―]{1,2}(?=[A-Za-z])")
_DASH = re.compile(r"[—–―‐‑‒]")
_SPACE = re.compile(r"[\s\u00a0\u2000-\u200a\u202f\u3000]+")
# Control characters too: PostgreSQL takes no U+0000 in a text.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
MAX_TYPED = 2000


def plain_text(text: str) -> str:
    """One line of plain text: `<mailto:a@b|a@b>` is a@b again, `—warn` is --warn, `“x”` is "x"."""
    text = _LINK.sub(_unwrapped, text[:MAX_TYPED])
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    text = _FLAG_DASH.sub("--", text.translate(_QUOTES))
    text = _DASH.sub("-", text)
    return _SPACE.sub(" ", _INVISIBLE.sub("", text)).strip()


def _unwrapped(match: re.Match[str]) -> str:
    """What the person typed: for mail and telephone links that is the target, for web links the label."""
    target, label, bare, web = match.groups()
    if bare is not None or web is not None:
        return bare or web
    is_link = "://" in target
    return (label or target) if is_link else target


def split_to(text: str) -> tuple[str, str | None]:
    """`1001 to me@inbox.example` -> ("1001", "me@inbox.example"); the address is None when none is given.

    "to" may be forgotten before an address; "to" with nothing behind it gives an empty address.
    """
    words = text.split()
    if "to" in words:
        at = len(words) - 1 - words[::-1].index("to")
        return " ".join(words[:at]), " ".join(words[at + 1 :])
    if len(words) > 1 and "@" in words[-1]:
        return " ".join(words[:-1]), words[-1]
    return text.strip(), None


def split_by(text: str) -> tuple[str, str | None]:
    """`1001 by text` -> ("1001", "text"). None when no way is named, empty when none stands behind "by"."""
    words = text.split()
    if "by" not in words[1:]:
        return text.strip(), None
    at = len(words) - 1 - words[::-1].index("by")
    way = words[at + 1].casefold() if at + 1 < len(words) else ""
    return " ".join([*words[:at], *words[at + 2 :]]), way
