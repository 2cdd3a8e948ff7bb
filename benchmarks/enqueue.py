"""Enqueueing a run through `Outbox.enqueue_many`: key, content hash, notification and delivery, committed.

`limit`: the same rows, made ahead, by COPY (SQLite: executemany of the driver) in transactions of the same
size. `peer`: the same rows by SQLAlchemy's executemany. All with fsync, in turns, the median of three.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from statistics import median
from typing import Any
from uuid import uuid4

import asyncpg
import uvloop
from sqlalchemy import MetaData, Table
from sqlalchemy.engine import make_url

from benchmarks import databases
from benchmarks.backlog import DOMAIN, KEYRING, ROUTE
from benchmarks.databases import TENANT
from benchmarks.memory import peak_mb
from notifier.outbox import Draft, Outbox, email
from store import bulk
from store.models import NotificationKind, Priority
from store.types import new_id
from store.unit import Store

SIZE = int(os.environ.get("BENCH_ENQUEUE", "30000"))
BATCH = 2_000
ROUNDS = 3
Row = dict[str, Any]
_TABLES = ("idempotency", "notifications", "deliveries")
_serial = count()


def drafts(number: int) -> list[Draft]:
    """Invoice mails of a run, each to one address, with keys that nobody has used."""
    return [_draft(next(_serial)) for _ in range(number)]


def _draft(serial: int) -> Draft:
    owner, account = new_id(), f"A{serial:07}"
    return Draft(
        key=f"invoice_issued:INV-{serial}",
        kind=NotificationKind.INVOICE_ISSUED,
        language="en",
        context={
            "brand": {"name": "Cascade", "support_email": "help@cascade.example", "support_phone": ""},
            "subscriber": {"name": "Dana Whitfield", "account": account},
            "invoice": {
                "number": f"INV-{serial}",
                "paid": False,
                "due": "$49.90",
                "total": "$49.90",
                "due_on": "Feb 15, 2026",
                "issued_on": "Feb 1, 2026",
            },
            "portal_url": "https://portal.cascade.example",
        },
        recipients=[email(f"dana.{serial}@inbox.example", owner)],
        route=ROUTE,
        requested_by="U_BENCH",
        subscriber_id=owner,
        invoice_id=new_id(),
        priority=Priority.BULK,
        attach_pdf=True,
    )


async def ours(store: Store, batches: list[list[Draft]]) -> None:
    outbox = Outbox(KEYRING, {TENANT.id: DOMAIN})
    for batch in batches:
        async with store.begin(TENANT.id) as tx:
            await outbox.enqueue_many(tx, batch)


Made = list[tuple[list[str], list[list[Any]]]]
"""Columns and rows of each of _TABLES."""


async def written(store: Store, table: str, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """What ours has stored, as the driver gives it."""
    asked = f"SELECT {', '.join(names)} FROM {table} LIMIT {SIZE}"
    if store.engine.sqlite:
        with sqlite3.connect(_file(store)) as conn:
            return conn.execute(asked).fetchall()
    conn = await asyncpg.connect(databases.dsn(store.engine.url))
    try:
        return [tuple(row) for row in await conn.fetch(asked)]
    finally:
        await conn.close()


def fresh(table: str, names: list[str], rows: list[tuple[Any, ...]], *, hexed: bool) -> list[list[Any]]:
    """The same rows under new ids and keys."""
    key = names.index("key" if table == "idempotency" else "id")
    again = [list(row) for row in rows]
    for row in again:
        unused = new_id()
        row[key] = f"{row[key]}:{uuid4()}" if table == "idempotency" else unused.hex if hexed else unused
    return again


async def raw(store: Store, made: Made) -> None:
    """COPY, or executemany; nothing is made or looked at."""
    if store.engine.sqlite:
        await asyncio.to_thread(_raw_sqlite, _file(store), made)
        return
    conn = await asyncpg.connect(databases.dsn(store.engine.url))
    try:
        for start in range(0, SIZE, BATCH):
            async with conn.transaction():
                for table, (names, rows) in zip(_TABLES, made, strict=True):
                    await conn.copy_records_to_table(
                        table, columns=names, records=rows[start : start + BATCH]
                    )
    finally:
        await conn.close()


def _raw_sqlite(file: str, made: Made) -> None:
    conn = sqlite3.connect(file, isolation_level=None)
    conn.execute("PRAGMA synchronous=FULL")
    for start in range(0, SIZE, BATCH):
        conn.execute("BEGIN IMMEDIATE")
        for table, (names, rows) in zip(_TABLES, made, strict=True):
            marks = ", ".join("?" * len(names))
            statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
            conn.executemany(statement, rows[start : start + BATCH])
        conn.execute("COMMIT")
    conn.close()


async def with_sqlalchemy(store: Store, made: Made, tables: list[Table]) -> None:
    for start in range(0, SIZE, BATCH):
        async with store.system() as tx:
            for table, (names, rows) in zip(tables, made, strict=True):
                values = [dict(zip(names, row, strict=True)) for row in rows[start : start + BATCH]]
                await tx.conn.execute(table.insert(), values)


def _file(store: Store) -> str:
    return str(make_url(store.engine.url).database)


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    gc.collect()
    gc.freeze()  # what was made ahead is not what is measured
    began = time.perf_counter()
    await work()
    return SIZE / (time.perf_counter() - began)


async def measured(store: Store) -> Row:
    sqlite = store.engine.sqlite
    metadata = MetaData()
    async with store.system() as tx:
        await tx.conn.run_sync(metadata.reflect, only=_TABLES)
    tables = [metadata.tables[name] for name in _TABLES]
    await ours(store, [drafts(BATCH)])  # templates, statements
    columns = (bulk.KEY, bulk.NOTIFICATION, bulk.DELIVERY)
    rates: dict[str, list[float]] = {"rate": [], "limit": [], "peer": []}
    for _ in range(ROUNDS):
        batches = [drafts(min(BATCH, SIZE - start)) for start in range(0, SIZE, BATCH)]
        rates["rate"].append(await _timed(partial(ours, store, batches)))
        stood = [await written(store, table, names) for table, names in zip(_TABLES, columns, strict=True)]

        for kind, work in (("limit", raw), ("peer", partial(with_sqlalchemy, tables=tables))):
            made = [
                (list(names), fresh(table, list(names), rows, hexed=sqlite))
                for table, names, rows in zip(_TABLES, columns, stood, strict=True)
            ]
            rates[kind].append(await _timed(partial(work, store, made)))
        if not sqlite:
            async with store.system() as tx:
                await tx.conn.exec_driver_sql("ANALYZE")
    name = "enqueue_sqlite" if sqlite else "enqueue_postgresql"
    rss_mb = peak_mb()
    return {"name": name} | {key: round(median(found)) for key, found in rates.items()} | {"rss_mb": rss_mb}


async def _run() -> list[Row]:
    rows = []
    for kind in ("postgresql", "sqlite"):
        async with databases.of(kind) as url, databases.opened(url) as store:
            rows.append(await measured(store))
    return rows


def run() -> list[Row]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run())
