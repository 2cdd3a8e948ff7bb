"""Invoices, mirrored from the billing system. "Overdue" is derived, never stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, or_, select, update

from store.models import Facts, Invoice, InvoiceStatus
from store.money import Money
from store.repository import BATCH, Repository, batched
from store.tables import invoices
from store.types import new_id


@dataclass(frozen=True, slots=True)
class InvoiceRecord:
    subscriber_id: UUID
    number: str
    status: InvoiceStatus
    issued_on: date
    due_on: date
    total: Money
    paid: Money
    facts: Facts


def _invoice(row: Row[Any]) -> Invoice:
    return Invoice(
        id=row.id,
        subscriber_id=row.subscriber_id,
        number=row.number,
        status=InvoiceStatus(row.status),
        issued_on=row.issued_on,
        due_on=row.due_on,
        total=Money(row.total_minor, row.currency),
        paid=Money(row.paid_minor, row.currency),
        revision=row.revision,
        facts=Facts(row.source, row.as_of),
    )


NOT_OVER = (InvoiceStatus.DRAFT, InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID)
"""The statuses that may still change."""


class Invoices(Repository):
    def _mine(self) -> Select[Any]:
        return select(invoices).where(invoices.c.tenant_id == self._tenant)

    async def by_number(self, number: str) -> Invoice | None:
        row = (await self._tx.conn.execute(self._mine().where(invoices.c.number == number))).first()
        return _invoice(row) if row else None

    async def by_numbers(self, numbers: Sequence[str]) -> dict[str, Invoice]:
        found: dict[str, Invoice] = {}
        for batch in batched(numbers, BATCH):
            rows = await self._tx.conn.execute(self._mine().where(self._among(invoices.c.number, batch)))
            found.update((row.number, _invoice(row)) for row in rows)
        return found

    async def by_id(self, invoice_id: UUID, *, lock: bool = False) -> Invoice | None:
        """`lock`: see `lock`."""
        if lock:
            await self.lock([invoice_id])
        row = (await self._tx.conn.execute(self._mine().where(invoices.c.id == invoice_id))).first()
        return _invoice(row) if row else None

    async def lock(self, ids: Sequence[UUID]) -> None:
        """Whoever else is about to send something about these waits until this transaction is over.

        What was sent is read after it: two people who press at once then see each other.
        """
        for batch in batched(sorted(set(ids)), BATCH):
            statement = (
                select(invoices.c.id)
                .where(invoices.c.tenant_id == self._tenant, invoices.c.id.in_(batch))
                .order_by(invoices.c.id)
                .with_for_update()
            )
            await self._tx.conn.execute(statement)

    async def not_due(self, ids: Sequence[UUID]) -> dict[UUID, Invoice]:
        """Those of these whose notice may have to stop: void, written off, nothing to pay. Few or none."""
        c = invoices.c
        found: dict[UUID, Invoice] = {}
        ended = [InvoiceStatus.VOID, InvoiceStatus.PAID, InvoiceStatus.UNCOLLECTIBLE]
        for batch in batched(ids, BATCH):
            over = or_(c.status.in_(ended), c.paid_minor >= c.total_minor)
            rows = await self._tx.conn.execute(self._mine().where(c.id.in_(batch), over))
            found.update((row.id, _invoice(row)) for row in rows)
        return found

    async def by_ids(self, ids: Sequence[UUID]) -> dict[UUID, Invoice]:
        found: dict[UUID, Invoice] = {}
        for batch in batched(ids, BATCH):
            rows = await self._tx.conn.execute(self._mine().where(self._among(invoices.c.id, batch)))
            found.update((row.id, _invoice(row)) for row in rows)
        return found

    async def count(self) -> int:
        return await self._number_of(invoices)

    async def all(self) -> AsyncIterator[list[Invoice]]:
        """Drafts too, by number, some hundred at a time."""
        async for rows in self._whole(invoices, invoices.c.number):
            yield [_invoice(row) for row in rows]

    async def latest(self, subscriber_id: UUID, limit: int = 3) -> list[Invoice]:
        """Newest first, drafts left out."""
        statement = (
            self._mine()
            .where(invoices.c.subscriber_id == subscriber_id, invoices.c.status != InvoiceStatus.DRAFT)
            .order_by(invoices.c.issued_on.desc(), invoices.c.number.desc())
            .limit(limit)
        )
        return [_invoice(row) for row in await self._tx.conn.execute(statement)]

    async def draft_of(self, subscriber_id: UUID) -> Invoice | None:
        """The newest draft, which billing has not issued yet."""
        statement = (
            self._mine()
            .where(invoices.c.subscriber_id == subscriber_id, invoices.c.status == InvoiceStatus.DRAFT)
            .order_by(invoices.c.issued_on.desc(), invoices.c.number.desc())
            .limit(1)
        )
        row = (await self._tx.conn.execute(statement)).first()
        return _invoice(row) if row else None

    async def issued_between(self, first: date, last: date) -> list[Invoice]:
        """Issued on the days `first` to `last`, both included."""
        statement = (
            self._mine()
            .where(invoices.c.issued_on.between(first, last), invoices.c.status != InvoiceStatus.DRAFT)
            .order_by(invoices.c.number)
        )
        return [_invoice(row) for row in await self._tx.conn.execute(statement)]

    async def issued_page(
        self, first: date, last: date, *, after: str = "", limit: int = BATCH
    ) -> list[Invoice]:
        """Issued on the days `first` to `last`, drafts too, by number, from the one behind `after` on."""
        return await self._page([invoices.c.issued_on.between(first, last)], after, limit)

    async def due_page(
        self, first: date | None, last: date, *, after: str = "", limit: int = BATCH
    ) -> list[Invoice]:
        """Still to be paid and due on the days `first` (None: any day) to `last`; pages as above."""
        owed = invoices.c.status.in_([InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID])
        where = [owed, invoices.c.due_on <= last]
        return await self._page(where + ([invoices.c.due_on >= first] if first else []), after, limit)

    async def _page(self, where: list[ColumnElement[bool]], after: str, limit: int) -> list[Invoice]:
        statement = (
            self._mine().where(*where, invoices.c.number > after).order_by(invoices.c.number).limit(limit)
        )
        return [_invoice(row) for row in await self._tx.conn.execute(statement)]

    async def upsert(self, records: Sequence[InvoiceRecord]) -> None:
        """A change of what it shows (amounts, dates, status) is a new revision; the same again is none."""
        known = await self.by_numbers([record.number for record in records])
        await self._upsert(invoices, ["number"], [self._row(r, known.get(r.number)) for r in records])

    async def renumber(self, invoice_id: UUID, number: str) -> bool:
        """A draft gets its number when it is issued; False when that number is another invoice's."""
        if await self.by_number(number) is not None:
            return False
        c = invoices.c
        await self._tx.conn.execute(
            update(invoices).where(c.tenant_id == self._tenant, c.id == invoice_id).values(number=number)
        )
        return True

    async def void(self, invoice_id: UUID, facts: Facts) -> bool:
        """Billing does not have it any more, so nobody is asked for it; False when it is over already."""
        c = invoices.c
        done = await self._tx.conn.execute(
            update(invoices)
            .where(c.tenant_id == self._tenant, c.id == invoice_id, c.status.in_(NOT_OVER))
            .values(
                status=InvoiceStatus.VOID,
                revision=c.revision + 1,
                source=facts.source,
                as_of=facts.as_of,
            )
        )
        return bool(done.rowcount)

    async def of_subscriber(self, subscriber_id: UUID, statuses: Sequence[InvoiceStatus]) -> list[Invoice]:
        """Those that stand there, by number."""
        statement = (
            self._mine()
            .where(invoices.c.subscriber_id == subscriber_id, invoices.c.status.in_(statuses))
            .order_by(invoices.c.number)
        )
        return [_invoice(row) for row in await self._tx.conn.execute(statement)]

    def _row(self, record: InvoiceRecord, known: Invoice | None) -> dict[str, Any]:
        revision = 1
        if known is not None:
            before = (known.total, known.paid, known.status, known.issued_on, known.due_on)
            changed = before != (record.total, record.paid, record.status, record.issued_on, record.due_on)
            revision = known.revision + changed
        return {
            "tenant_id": self._tenant,
            "id": known.id if known else new_id(),
            "subscriber_id": record.subscriber_id,
            "number": record.number,
            "status": record.status,
            "issued_on": record.issued_on,
            "due_on": record.due_on,
            "total_minor": record.total.minor,
            "paid_minor": record.paid.minor,
            "currency": record.total.currency,
            "revision": revision,
            "source": record.facts.source,
            "as_of": record.facts.as_of,
        }
