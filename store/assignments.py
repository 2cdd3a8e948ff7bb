"""Who takes care of what."""

from __future__ import annotations

from store.repository import Repository


class Assignments(Repository):
    """Who takes care of what."""
