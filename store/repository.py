"""What all repositories share: the transaction they belong to and small pieces of SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Column, ColumnElement, Row, Table, any_, bindparam, collate, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

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
        """`column` is one of these. PostgreSQL gets them as one array: one text, prepared and planned once,
        for however many there are."""
        if self._tx.sqlite:
            return column.in_(list(values))
        return column == any_(literal(list(values), postgresql.ARRAY(column.type)))

    async def _upsert(self, table: Table, key: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows; where `key` exists, take the new values but keep id and created_at.

        Of two rows with one key the later counts (PostgreSQL refuses both in one statement); rows go in the
        order of their keys, so that two writers never wait for each other.
        """
        latest = {tuple(row[name] for name in ("tenant_id", *key)): row for row in rows}
        for batch in batched([latest[name] for name in sorted(latest)], BATCH):
            # As VALUES of one statement it would be compiled anew for each number of rows, at three times
            # the cost of the writing itself.
            insert = self._insert(table).values({name: bindparam(name) for name in batch[0]})
            kept = {*key, "id", "created_at", "tenant_id"}
            values = {name: insert.excluded[name] for name in batch[0] if name not in kept}
            index = ["tenant_id", *key]
            statement = (
                insert.on_conflict_do_update(index_elements=index, set_=values)
                if values
                else insert.on_conflict_do_nothing(index_elements=index)
            )
            await self._tx.conn.execute(statement, batch)

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
