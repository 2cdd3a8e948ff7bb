"""Drawings of invoices, one for each revision."""

from __future__ import annotations

from store.repository import Repository


class Pdfs(Repository):
    """Drawings of invoices, one for each revision."""
