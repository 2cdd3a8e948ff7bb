"""Incidents: one row for each unresolved cause of failures, with the deliveries it caught."""

from __future__ import annotations

from store.repository import Repository


class Incidents(Repository):
    """Incidents: one row for each unresolved cause of failures, with the deliveries it caught."""
