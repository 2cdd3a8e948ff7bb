"""What all repositories share: the transaction they belong to and small pieces of SQL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Row, Table, any_, collate, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from store import bulk

if TYPE_CHECKING:
    from store.unit import Tx

T = TypeVar("T")

BATCH = 500
"""Rows in one statement: well under SQLite's 32,766 and PostgreSQL's 32,767 parameters."""


class Repository:
    """One aggregate inside one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    @property
    def _tenant(self) -> int:
        return self._tx.tenant

    def _insert(self, table: Table) -> Any:
        """INSERT with `on_conflict_*`: the two dialects spell it alike, in classes of their own."""
        return (sqlite.insert if self._tx.sqlite else postgresql.insert)(table)

    def _among(self, column: Column[Any], values: Iterable[Any]) -> ColumnElement[bool]:
        """`column` is one of these texts or ids, as one parameter: one statement, prepared and planned once,
        for however many there are. As so many parameters it would be written anew, at 30 µs each."""
        if self._tx.sqlite:
            given = json.dumps([value.hex if isinstance(value, UUID) else value for value in values])
            each = func.json_each(given).table_valued("value")
            return column.in_(select(each.c.value))
        return column == any_(literal(list(values), postgresql.ARRAY(column.type)))

    async def _upsert(self, table: Table, key: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows; where `key` exists, take the new values but keep id and created_at.

        Of two rows with one key the later counts (PostgreSQL refuses both in one statement); rows go in the
        order of their keys, so that two writers never wait for each other.
        """
        latest = {tuple(row[name] for name in ("tenant_id", *key)): row for row in rows}
        for batch in batched([latest[name] for name in sorted(latest)], BATCH):
            names = list(batch[0])
            values = [tuple(row[name] for name in names) for row in batch]
            await bulk.upsert(self._tx.conn, table, ["tenant_id", *key], names, values)

    async def _whole(self, table: Table, key: Column[Any]) -> AsyncIterator[Sequence[Row[Any]]]:
        """Every row of this provider, some hundred at a time, in the order of the code points of `key`."""
        order: ColumnElement[Any] = key if self._tx.sqlite else collate(key, "C")
        statement = select(table).where(table.c.tenant_id == self._tenant).order_by(order)
        async with self._tx.conn.stream(statement.execution_options(yield_per=BATCH)) as rows:
            async for some in rows.partitions():
                yield some

    async def _number_of(self, table: Table) -> int:
        statement = select(func.count()).select_from(table).where(table.c.tenant_id == self._tenant)
        return int((await self._tx.conn.execute(statement)).scalar_one())


def batched(items: Iterable[T], size: int) -> Iterable[list[T]]:
    """itertools.batched is 3.12's."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def storable(text: str, limit: int | None = None) -> str:
    """Foreign text that both databases take: PostgreSQL refuses NUL, and neither takes lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:limit]


def prefix_pattern(text: str) -> str:
    """A LIKE pattern for "starts with", with the wildcards in `text` taken literally (ESCAPE '\\\\')."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped + "%"
