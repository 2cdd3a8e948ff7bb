"""Short links to invoice pages, with the wrong ZIP codes counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, select, update

from store.models import InvoiceLink
from store.repository import BATCH, Repository, batched
from store.tables import invoice_links


def _link(row: Row[Any]) -> InvoiceLink:
    return InvoiceLink(
        id=row.id,
        code=row.code,
        invoice_id=row.invoice_id,
        subscriber_id=row.subscriber_id,
        expires_at=row.expires_at,
        created_at=row.created_at,
        failed=row.failed,
        opened_at=row.opened_at,
    )


class Links(Repository):
    def _mine(self) -> Select[Any]:
        return select(invoice_links).where(invoice_links.c.tenant_id == self._tenant)

    async def by_code(self, code: str, *, lock: bool = False) -> InvoiceLink | None:
        """`lock`: nobody else counts a try until this transaction ends."""
        statement = self._mine().where(invoice_links.c.code == code)
        if lock:
            statement = statement.with_for_update()
        row = (await self._tx.conn.execute(statement)).first()
        return _link(row) if row else None

    async def by_ids(self, ids: Sequence[UUID]) -> dict[UUID, InvoiceLink]:
        found: dict[UUID, InvoiceLink] = {}
        for batch in batched(ids, BATCH):
            rows = await self._tx.conn.execute(self._mine().where(invoice_links.c.id.in_(batch)))
            found.update((row.id, _link(row)) for row in rows)
        return found

    async def add(self, links: Iterable[InvoiceLink]) -> dict[UUID, InvoiceLink]:
        """What stands for these ids now: an id that exists keeps its code. One whose code is taken by
        another link is not added, and left out of the answer.
        """
        found: dict[UUID, InvoiceLink] = {}
        for batch in batched(links, BATCH):
            rows = [
                {
                    "tenant_id": self._tenant,
                    "id": link.id,
                    "code": link.code,
                    "invoice_id": link.invoice_id,
                    "subscriber_id": link.subscriber_id,
                    "failed": link.failed,
                    "expires_at": link.expires_at,
                    "created_at": link.created_at,
                    "opened_at": link.opened_at,
                }
                for link in batch
            ]
            insert = self._insert(invoice_links).values(rows)
            await self._tx.conn.execute(insert.on_conflict_do_nothing())
            found |= await self.by_ids([link.id for link in batch])
        return found

    async def opened(self, link_id: UUID) -> None:
        """Its page was asked for, by a person or a machine; the first time counts."""
        await self._tx.conn.execute(
            update(invoice_links)
            .where(
                invoice_links.c.tenant_id == self._tenant,
                invoice_links.c.id == link_id,
                invoice_links.c.opened_at.is_(None),
            )
            .values(opened_at=self._tx.now)
        )

    async def wrong_zips_of(self, subscriber_id: UUID) -> int:
        """Wrong tries on all links of this reader that still work: all ask for the same ZIP code."""
        c = invoice_links.c
        statement = select(func.coalesce(func.sum(c.failed), 0)).where(
            c.tenant_id == self._tenant, c.subscriber_id == subscriber_id, c.expires_at > self._tx.now
        )
        return int((await self._tx.conn.execute(statement)).scalar_one())

    async def wrong_zip(self, link_id: UUID) -> None:
        """One more wrong try; call it holding the lock of `by_code`."""
        await self._tx.conn.execute(
            update(invoice_links)
            .where(invoice_links.c.tenant_id == self._tenant, invoice_links.c.id == link_id)
            .values(failed=invoice_links.c.failed + 1)
        )
