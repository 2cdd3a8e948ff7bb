"""Addresses mended here that billing does not have yet."""

from __future__ import annotations

from store.repository import Repository


class Overrides(Repository):
    """Addresses mended here that billing does not have yet."""
