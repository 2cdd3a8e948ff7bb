"""Invoice runs, whom they left out, and how far they are."""

from __future__ import annotations

from store.repository import Repository


class Runs(Repository):
    """Invoice runs, whom they left out, and how far they are."""
