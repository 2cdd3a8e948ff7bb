"""Cells of a CSV file that a spreadsheet will open. Pure."""

from __future__ import annotations

from handlers.blocks import clean


def safe(text: str) -> str:
    """Foreign text that no spreadsheet reads as a formula (OWASP, CSV injection)."""
    text = clean(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
