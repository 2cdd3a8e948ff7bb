"""A file of `export NAME='value'` lines, as a shell would read it; a value may have several lines (a key)."""

from __future__ import annotations

import shlex


def variables(text: str) -> dict[str, str]:
    """ValueError, without any of the values, where a quotation has no end."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        raise ValueError("a quotation in it has no end") from None
    pairs = (word.partition("=") for word in words)
    return {name: value for name, separator, value in pairs if separator}


__all__ = ["variables"]
