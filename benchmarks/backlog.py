"""A backlog to drain: an invoice mail each for so many deliveries, put in by COPY (SQLite: executemany).

What `Outbox.enqueue_many` would have written, row for row, without its time. Statistics are as a bulk load
leaves them: nobody has run ANALYZE.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.engine import make_url

from benchmarks.databases import TENANT, dsn
from notifier import templates
from notifier.keys import DeliveryToken, Keyring
from store.models import (
    Channel,
    Confidence,
    InvoiceStatus,
    NotificationKind,
    Outcome,
    Priority,
    Reason,
    Stage,
    SubscriberKind,
    SubscriberStatus,
)
from store.unit import Store

KEYRING = Keyring.parse("1:a secret of the benchmarks")
DOMAIN = "mail.cascade.example"
ROUTE = "relay"
PEOPLE = 10_000
"""Subscribers, each with an invoice; a larger backlog tells them of it more than once."""
_CHUNK = 20_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Row = dict[str, Any]


def _id(at: datetime, kind: int, number: int) -> UUID:
    """UUIDv7-like: sorts by birth; `kind` keeps tables apart."""
    ms = int(at.timestamp() * 1000) + number // 1000
    return UUID(int=ms << 80 | 0x7 << 76 | kind << 64 | 0x2 << 62 | number)


def _facts(now: datetime) -> _Row:
    return {"tenant_id": TENANT.id, "source": "local", "as_of": now}


def _subscribers(now: datetime, people: int) -> Iterator[_Row]:
    for number in range(people):
        yield _facts(now) | {
            "id": _id(now, 1, number),
            "account": f"A{number:07}",
            "kind": SubscriberKind.RESIDENTIAL,
            "status": SubscriberStatus.ACTIVE,
            "name": "Dana Whitfield",
            "search_name": "dana whitfield",
            "language": "en",
            "address": "12 Alder Street",
            "city": "Bend",
            "region": "OR",
            "postal_code": "97701",
            "balance_minor": 4990,
            "currency": "USD",
            "invoice_notices": True,
            "created_at": now,
            "updated_at": now,
        }


def _invoices(now: datetime, people: int) -> Iterator[_Row]:
    for number in range(people):
        yield _facts(now) | {
            "id": _id(now, 2, number),
            "subscriber_id": _id(now, 1, number),
            "number": f"INV-{number}",
            "status": InvoiceStatus.OPEN,
            "issued_on": date(2026, 2, 1),
            "due_on": date(2026, 2, 15),
            "total_minor": 4990,
            "paid_minor": 0,
            "currency": "USD",
            "revision": 1,
        }


def _context(number: int) -> _Row:
    return {
        "brand": {"name": "Cascade", "support_email": "help@cascade.example", "support_phone": ""},
        "subscriber": {"name": "Dana Whitfield", "account": f"A{number:07}"},
        "invoice": {
            "number": f"INV-{number}",
            "paid": False,
            "due": "$49.90",
            "total": "$49.90",
            "due_on": "Feb 15, 2026",
            "issued_on": "Feb 1, 2026",
        },
        "portal_url": "https://portal.cascade.example",
    }


def _notifications(
    now: datetime, rows: range, people: int, priority: Priority, run_id: UUID | None, *, pdf: bool
) -> Iterator[_Row]:
    digest = templates.load(NotificationKind.INVOICE_ISSUED, "en").hash
    for number in rows:
        yield {
            "tenant_id": TENANT.id,
            "id": _id(now, 3, number),
            "kind": NotificationKind.INVOICE_ISSUED,
            "subscriber_id": _id(now, 1, number % people),
            "invoice_id": _id(now, 2, number % people),
            "template_hash": digest,
            "language": "en",
            "context": json.dumps(_context(number % people)),
            "requested_by": "U_BENCH",
            "priority": int(priority),
            "receipt": False,
            "expires_at": now + timedelta(days=3),
            "created_at": now,
            "run_id": run_id,
            "attach_pdf": pdf,
        }


def _deliveries(now: datetime, rows: range, people: int, priority: Priority, *, sent: bool) -> Iterator[_Row]:
    """`sent`: history, closed after its time for evidence was over."""
    outcome = (Outcome.DELIVERED, Confidence.PRESUMED) if sent else (Outcome.NONE, Confidence.UNKNOWN)
    for number in rows:
        did = _id(now, 4, number)
        token = KEYRING.delivery_token(DeliveryToken(TENANT.id, did, 0))
        yield {
            "tenant_id": TENANT.id,
            "id": did,
            "notification_id": _id(now, 3, number),
            "subscriber_id": _id(now, 1, number % people),
            "channel": Channel.EMAIL,
            "address": f"dana.{number}@inbox.example",
            "route": ROUTE,
            "priority": int(priority),
            "stage": Stage.CLOSED if sent else Stage.QUEUED,
            "due_at": now,
            "attempt": int(sent),
            "outcome": outcome[0],
            "reason": Reason.NONE,
            "confidence": outcome[1],
            "outcome_at": now if sent else None,
            "cls": "",
            "diagnostic": "250 2.0.0 queued as A1B2C3" if sent else "",
            "remote": ROUTE if sent else "",
            "message_id": f"<{token}@{DOMAIN}>",
            "expires_at": now + timedelta(days=3),
            "created_at": now,
            "queue_id": f"{number:X}" if sent else None,
        }


async def fill(
    store: Store,
    count: int,
    *,
    priority: Priority = Priority.BULK,
    run_id: UUID | None = None,
    pdf: bool = False,
    sent: bool = False,
    since: timedelta = timedelta(minutes=1),
) -> None:
    """Queues `count` mails, due since a minute ago. `sent`: so much history instead, with another `since`."""
    now = (store.clock() - since).replace(microsecond=0)
    people = min(count, PEOPLE)
    async with store.system() as tx:
        await tx.notifications.keep_template(templates.load(NotificationKind.INVOICE_ISSUED, "en"))
    await _put(store, "subscribers", _subscribers(now, people) if not sent else iter(()))
    await _put(store, "invoices", _invoices(now, people) if not sent else iter(()))
    for start in range(0, count, _CHUNK):
        rows = range(start, min(start + _CHUNK, count))
        await _put(store, "notifications", _notifications(now, rows, people, priority, run_id, pdf=pdf))
        await _put(store, "deliveries", _deliveries(now, rows, people, priority, sent=sent))


async def keep_pdfs(store: Store, count: int, content: bytes) -> None:
    """A PDF that was drawn before for each of the invoices of a backlog of `count`."""
    async with store.read(TENANT.id) as tx:
        ids = [one.id for one in await tx.invoices.issued_between(date(2026, 2, 1), date(2026, 2, 1))]
    if len(ids) != min(count, PEOPLE):
        raise RuntimeError("another backlog")
    digest, now = hashlib.sha256(content).hexdigest(), store.clock()
    rows = (
        {
            "tenant_id": TENANT.id,
            "invoice_id": one,
            "revision": 1,
            "hash": digest,
            "content": content,
            "created_at": now,
        }
        for one in ids
    )
    await _put(store, "invoice_pdfs", rows)


async def _put(store: Store, table: str, rows: Iterator[_Row]) -> None:
    url = store.engine.url
    while chunk := list(islice(rows, _CHUNK)):
        names = list(chunk[0])
        if store.engine.sqlite:
            _insert(Path(str(make_url(url).database)), table, names, chunk)
        else:
            connection = await asyncpg.connect(dsn(url))
            try:
                values = [tuple(row.values()) for row in chunk]
                await connection.copy_records_to_table(table, records=values, columns=names)
            finally:
                await connection.close()


def _insert(path: Path, table: str, names: list[str], rows: list[_Row]) -> None:
    connection = sqlite3.connect(path)
    marks = ", ".join("?" * len(names))
    values = [[_plain(value) for value in row.values()] for row in rows]
    with connection:
        connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values)
    connection.close()


def _plain(value: Any) -> Any:
    """As the store writes it to SQLite (store.types)."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    return value.isoformat() if isinstance(value, date) else value


async def sent(store: Store) -> int:
    """How many are handed over, with their end on disk."""
    async with store.read(TENANT.id) as tx:
        counts = await tx.deliveries.counts()
    return sum(n for (stage, outcome), n in counts.items() if outcome is Outcome.SENT and stage is not None)
