"""What the planner knows of the mirror's tables, renewed while they grow fast (PostgreSQL's ANALYZE).

A session keeps the plan it made of a table when that was empty: a sequential scan, also of every foreign key
that is checked. Autovacuum looks once a minute; an import has put in a hundred thousand rows by then, each
row slower than the one before. https://www.postgresql.org/docs/current/sql-analyze.html
"""

from __future__ import annotations

from store.repository import Repository
from store.tables import (
    contacts,
    invoices,
    packages,
    points,
    search_cuts,
    search_terms,
    services,
    subscribers,
)

_GROWING = (subscribers, contacts, points, search_terms, search_cuts, packages, services, invoices)


class Statistics(Repository):
    async def renew(self) -> None:
        """A sample is read: some tenths of a second, however large they are. Plans are made anew."""
        if not self._tx.sqlite:
            await self._tx.conn.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in _GROWING)}")


__all__ = ["Statistics"]
