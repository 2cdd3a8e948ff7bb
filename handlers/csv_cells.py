"""Cells of a CSV file that a spreadsheet will open. Pure."""

from __future__ import annotations

import unicodedata

from handlers.blocks import clean

_FORMULA = frozenset("=+-@")


def safe(text: str) -> str:
    """Foreign text that no spreadsheet reads as a formula (OWASP, CSV injection)."""
    text = clean(text)
    # Their full-width forms too, and behind white space: some programs fold the one and cut the other.
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return f"'{text}" if first in _FORMULA or text[:1] in ("\t", "\r", "\n") else text
