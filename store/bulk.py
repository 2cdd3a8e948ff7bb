"""Rows by the thousand into one table: COPY on PostgreSQL, one executemany in the writer's thread on SQLite.

Beside SQLAlchemy, whose compiling and binding costs more a row than the database does, and inside its very
transaction. Values are what the columns hold: enums as their text, JSON written already.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Date, Table, Uuid
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from store.models import Confidence, Outcome, Reason, Stage
from store.tables import deliveries, idempotency, notifications
from store.types import UtcDateTime, micros

Row = tuple[Any, ...]


NOTIFICATION = (
    "tenant_id",
    "id",
    "kind",
    "subscriber_id",
    "invoice_id",
    "template_hash",
    "language",
    "context",
    "requested_by",
    "priority",
    "receipt",
    "expires_at",
    "created_at",
    "run_id",
    "attach_pdf",
    "fallback",
)
DELIVERY = (
    "tenant_id",
    "id",
    "notification_id",
    "subscriber_id",
    "channel",
    "address",
    "route",
    "priority",
    "due_at",
    "message_id",
    "expires_at",
    "created_at",
    "stage",
    "stage_reason",
    "stage_by",
    "attempt",
    "outcome",
    "reason",
    "confidence",
    "outcome_at",
    "cls",
    "diagnostic",
    "remote",
)
"""Columns in the order of the rows that are given; plain tuples, since a run makes a million of them."""
UNTRIED: Row = (
    *(Stage.QUEUED.value, None, None, 0, Outcome.NONE.value, Reason.NONE.value),
    *(Confidence.UNKNOWN.value, None, "", "", ""),
)
"""The last eleven of a delivery that nobody has begun to send."""


async def add_notifications(conn: AsyncConnection, rows: Sequence[Row]) -> None:
    """Rows of NOTIFICATION."""
    await _put(conn, notifications, NOTIFICATION, rows)


async def add_deliveries(conn: AsyncConnection, rows: Sequence[Row]) -> None:
    """Rows of DELIVERY."""
    await _put(conn, deliveries, DELIVERY, rows)


KEY = ("tenant_id", "key", "content_hash", "notification_id", "created_at")


_RESERVE = (
    "INSERT INTO idempotency (tenant_id, key, content_hash, notification_id, created_at) "
    "SELECT $1, key, content, id, $2 "
    "FROM unnest($3::text[], $4::text[], $5::uuid[]) AS t(key, content, id) "
    "ON CONFLICT DO NOTHING"
)


async def reserve_keys(
    conn: AsyncConnection, tenant: int, keys: Sequence[tuple[str, str, UUID]], now: datetime
) -> int:
    """(key, content hash, notification id), each once; those that are held already stay as they are. How
    many were free.
    """
    if conn.dialect.name == "sqlite":
        rows = ((tenant, key, content, notification_id, now) for key, content, notification_id in keys)
        return await _insert(conn, idempotency, KEY, rows, " ON CONFLICT DO NOTHING")
    raw = await _driver(conn)
    names, contents, ids = zip(*keys, strict=True)
    with _in_sqlalchemys_words(_RESERVE):
        done = await raw.execute(_RESERVE, tenant, now, names, contents, ids)
    return int(done.rpartition(" ")[2])  # "INSERT 0 500"


async def upsert(
    conn: AsyncConnection, table: Table, key: Sequence[str], names: Sequence[str], rows: Sequence[Row]
) -> None:
    """Rows of `names`; where `key` stands, new values are taken, but not an id or the time of its making.

    No two rows may have one key. PostgreSQL takes each column as an array: one text for any number of rows.
    """
    if not rows:
        return
    kept = {*key, "id", "created_at", "tenant_id"}
    values = ", ".join(f"{name} = excluded.{name}" for name in names if name not in kept)
    done = f"DO UPDATE SET {values}" if values else "DO NOTHING"
    conflict = f" ON CONFLICT ({', '.join(key)}) {done}"
    if conn.dialect.name == "sqlite":
        await _insert(conn, table, names, rows, conflict)
        return
    arrays = ", ".join(f"${n}::{_array(table, name)}" for n, name in enumerate(names, 1))
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays}){conflict}"  # noqa: S608
    raw = await _driver(conn)
    with _in_sqlalchemys_words(statement):
        await raw.execute(statement, *(list(column) for column in zip(*rows, strict=True)))


def _array(table: Table, name: str) -> str:
    """PostgreSQL's type of an array of this column's; without lengths, which the column itself has."""
    return f"{str(table.c[name].type.compile(_POSTGRESQL)).partition('(')[0]}[]"


_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


async def _put(conn: AsyncConnection, table: Table, names: Sequence[str], rows: Sequence[Row]) -> None:
    if conn.dialect.name == "sqlite":
        await _insert(conn, table, names, rows)
    elif rows:
        raw = await _driver(conn)
        with _in_sqlalchemys_words(f"COPY {table.name}"):
            await raw.copy_records_to_table(table.name, columns=names, records=rows)


async def _insert(
    conn: AsyncConnection, table: Table, names: Sequence[str], rows: Iterable[Row], more: str = ""
) -> int:
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}){more}"  # noqa: S608
    raw = await _driver(conn)
    with _in_sqlalchemys_words(statement):
        cursor = await raw.executemany(statement, _plain(table, names, rows))
    count = int(cursor.rowcount)
    await cursor.close()
    return count


def _plain(table: Table, names: Sequence[str], rows: Iterable[Row]) -> Iterator[list[Any]]:
    """As SQLAlchemy writes them to SQLite (store.types); read in the driver's thread, row by row."""
    ids = [place for place, name in enumerate(names) if isinstance(table.c[name].type, Uuid)]
    times = [place for place, name in enumerate(names) if isinstance(table.c[name].type, UtcDateTime)]
    days = [place for place, name in enumerate(names) if isinstance(table.c[name].type, Date)]
    known: dict[datetime | None, int | None] = {None: None}  # a batch has few different ones
    for row in rows:
        values = list(row)
        for place in ids:
            if (value := values[place]) is not None:
                values[place] = value.hex
        for place in times:
            moment = values[place]
            if moment not in known:
                known[moment] = micros(moment)
            values[place] = known[moment]
        for place in days:
            if (value := values[place]) is not None:
                values[place] = value.isoformat()
        yield values


@contextmanager
def _in_sqlalchemys_words(statement: str) -> Iterator[None]:
    """Whoever catches its errors (a database that is gone, a row that stands) catches these too."""
    try:
        yield
    except (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError) as error:
        raise IntegrityError(statement, None, error, hide_parameters=True) from error
    except (sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise DBAPIError(statement, None, error, hide_parameters=True) from error


async def _driver(conn: AsyncConnection) -> Any:
    """The driver's own connection, inside the transaction that stands."""
    pooled = await conn.get_raw_connection()
    raw = pooled.driver_connection
    if raw is None:
        raise ConnectionError("no driver connection")
    if conn.dialect.name == "postgresql" and not raw.is_in_transaction():
        await conn.exec_driver_sql("SELECT 1")  # SQLAlchemy begins with its first statement
    return raw
