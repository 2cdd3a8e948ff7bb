"""Many rows into one table by one statement that is always the same, where what is there already stays.

An INSERT with a VALUES list is written anew for each number of rows: that costs more than the database does.
PostgreSQL takes a column as an array; SQLite, which has one writer, is asked first which keys are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from store.unit import Tx


@dataclass(frozen=True)
class Insert:
    """`columns`: name -> PostgreSQL's type, in the order of the rows' values; the first two are the key.

    `more`: columns that have one expression for all rows, for PostgreSQL and for SQLite; a value in them is
    the placeholder `?`, of which there is one at most in all.
    """

    table: str
    columns: dict[str, str]
    more: dict[str, tuple[str, str]] = field(default_factory=dict)

    async def new(self, tx: Tx, rows: Sequence[Sequence[Any]], value: Any = None) -> set[tuple[Any, Any]]:
        """Gives the keys of the rows that were not there. Of two with one key the first counts.

        Values are as the driver takes them: on SQLite UUIDs as hexadecimal, instants as microseconds.
        """
        first = {(row[0], row[1]): row for row in reversed(rows)}
        fresh = [first[key] for key in sorted(first)]  # in one order: two writers never wait for each other
        return await (self._sqlite if tx.sqlite else self._postgresql)(tx, fresh, value)

    async def _postgresql(self, tx: Tx, rows: Sequence[Sequence[Any]], value: Any) -> set[tuple[Any, Any]]:
        names = list(self.columns)
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(self.columns.values(), 1))
        more = [pg.replace("?", f"${len(names) + 1}") for pg, _ in self.more.values()]
        statement = (
            f"INSERT INTO {self.table} ({', '.join([*names, *self.more])}) "  # noqa: S608  # names of ours
            f"SELECT {', '.join([*(f'r.{name}' for name in names), *more])} "
            f"FROM unnest({arrays}) AS r({', '.join(names)}) "
            f"ON CONFLICT DO NOTHING RETURNING {names[0]}, {names[1]}"
        )
        given = [list(column) for column in zip(*rows, strict=True)]
        values = (*given, value) if any("?" in pg for pg, _ in self.more.values()) else tuple(given)
        return _keys(await tx.conn.exec_driver_sql(statement, values))

    async def _sqlite(self, tx: Tx, rows: Sequence[Sequence[Any]], value: Any) -> set[tuple[Any, Any]]:
        names = list(self.columns)
        known = (
            f"SELECT t.{names[0]}, t.{names[1]} FROM json_each(?) k CROSS JOIN {self.table} t "  # noqa: S608
            f"ON t.{names[0]} = k.value ->> 0 AND t.{names[1]} = k.value ->> 1"
        )
        asked = json.dumps([(row[0], row[1]) for row in rows])
        there = _keys(await tx.conn.exec_driver_sql(known, (asked,)))
        fresh = [row for row in rows if (row[0], row[1]) not in there]
        if fresh:
            lite = [sqlite for _, sqlite in self.more.values()]
            given = (value,) if any("?" in one for one in lite) else ()
            statement = (
                f"INSERT INTO {self.table} ({', '.join([*names, *self.more])}) "  # noqa: S608
                f"VALUES ({', '.join([*('?' * len(names)), *lite])})"
            )
            await tx.conn.exec_driver_sql(statement, [(*row, *given) for row in fresh])
        return {(row[0], row[1]) for row in fresh}


def _keys(rows: Iterable[Sequence[Any]]) -> set[tuple[Any, Any]]:
    return {(first, second) for first, second in rows}


__all__ = ["Insert"]
