"""Short links to invoice pages, with the wrong ZIP codes counted."""

from __future__ import annotations

from store.repository import Repository


class Links(Repository):
    """Short links to invoice pages, with the wrong ZIP codes counted."""
