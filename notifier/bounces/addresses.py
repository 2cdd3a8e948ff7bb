"""Finding addresses in what mail systems write: RFC 5321 mailboxes, RFC 6533 utf-8 forms, and near misses."""

from __future__ import annotations

import re

MAX_ADDRESS = 320

# Loose on purpose: a bounce quotes what was sent, valid or not. Bounded, so that no text is slow.
ADDRESS = re.compile(
    r"(?<![^\s<>()\[\]:;,\"'=*|«“：，；。、（【「『《])"
    r"(\"[^\"\n@]{1,64}\"|[^\s<>()\[\]:;,\"'@=«“*|\\：，；。、（【「『《][^\s<>()\[\]:;,\"@=«“*|\\：，；。、（【「『《]{0,127})"
    r"@((?:\[[0-9A-Fa-f:.]{3,45}\])|[^\s<>()\[\]:;,\"'@=»”/\\|*：，；。、）】」』》]{1,255})"
)
_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
# The field holds one address and nothing else: then it may contain whatever it likes.
_PLAIN = re.compile(r"[^\s@<>/|\"][^\s@<>|\"]{0,127}@[^\s@<>()|\\\",;]{1,255}")
# Scripts without spaces write on right after the address: `user@example.jp您好`.
_GLUED = re.compile(r"[A-Za-z0-9.-]+\.[A-Za-z]{2,24}(?=[\u0590-\uffff])")
_TRIM = ".!?-»”"


def unescaped(text: str) -> str:
    """RFC 6533 section 3: `\\x{E9}` in a utf-8 address is one code point."""
    if "\\x{" not in text:
        return text
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)) if _is_scalar(int(m[1], 16)) else m[0], text)


def _is_scalar(point: int) -> bool:
    return point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF


def first_address(text: str) -> str:
    """The first address of a text, or an empty string."""
    if "@" not in text:
        return ""
    match = ADDRESS.search(text)
    return tidy(match) if match else ""


def addresses(text: str, limit: int = 200) -> list[str]:
    """Every address of a text in order, without repeats."""
    found: dict[str, None] = {}
    if "@" in text:
        for match in ADDRESS.finditer(text):
            found.setdefault(tidy(match))
            if len(found) >= limit:
                break
    return list(found)


def tidy(match: re.Match[str]) -> str:
    """One match as an address: a sentence's full stop is not part of the domain."""
    domain = match[2].rstrip(_TRIM)
    glued = _GLUED.match(domain)
    return f"{match[1]}@{glued[0] if glued else domain}"[:MAX_ADDRESS]


def typed_address(value: str) -> str:
    """`rfc822; a@example.org` or `utf-8; ...` -> the address; an empty string for paths and X.400 names."""
    kind, semicolon, rest = value.partition(";")
    text = rest if semicolon and "@" not in kind else value
    text = unescaped(text.strip())
    bare = text.strip().strip("<>").strip()
    if _PLAIN.fullmatch(bare):
        return bare
    found = first_address(text)
    if found:
        return found
    # A few systems state a bare local part; a path (a spool file, a pipe) names nobody.
    if (
        bare
        and len(bare) <= MAX_ADDRESS
        and not re.search(r"[\s/|\\:=@]", bare)
        and kind.strip().lower() == "rfc822"
    ):
        return bare
    return ""
