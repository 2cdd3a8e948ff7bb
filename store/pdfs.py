"""Drawings of invoices, one for each revision."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from store.models import InvoicePdf
from store.repository import BATCH, Repository, batched
from store.tables import invoice_pdfs


class Pdfs(Repository):
    async def get(self, invoice_id: UUID, revision: int) -> InvoicePdf | None:
        c = invoice_pdfs.c
        statement = select(c.hash, c.content).where(
            c.tenant_id == self._tenant, c.invoice_id == invoice_id, c.revision == revision
        )
        row = (await self._tx.conn.execute(statement)).first()
        return InvoicePdf(invoice_id, revision, row.hash, row.content) if row else None

    async def of_revisions(self, wanted: Sequence[tuple[UUID, int]]) -> list[InvoicePdf]:
        """What is kept of these (invoice, revision)."""
        c = invoice_pdfs.c
        found: list[InvoicePdf] = []
        for batch in batched(sorted(set(wanted)), BATCH):
            statement = select(invoice_pdfs).where(
                c.tenant_id == self._tenant,
                self._among(c.invoice_id, {invoice_id for invoice_id, _ in batch}),
            )
            asked = set(batch)
            found += [
                InvoicePdf(row.invoice_id, row.revision, row.hash, row.content)
                for row in await self._tx.conn.execute(statement)
                if (row.invoice_id, row.revision) in asked
            ]
        return found

    async def keep(self, pdf: InvoicePdf) -> InvoicePdf:
        """What stands for this revision from now on: the first drawing that was kept, perhaps another's."""
        return (await self.keep_all([pdf]))[0]

    async def keep_all(self, pdfs: Sequence[InvoicePdf]) -> list[InvoicePdf]:
        """`keep` for each, in the order of their keys: of two who keep the same ones none waits in a ring."""
        if not pdfs:
            return []
        rows = [
            {
                "tenant_id": self._tenant,
                "invoice_id": pdf.invoice_id,
                "revision": pdf.revision,
                "hash": pdf.hash,
                "content": pdf.content,
                "created_at": self._tx.now,
            }
            for pdf in sorted(pdfs, key=lambda pdf: (pdf.invoice_id, pdf.revision))
        ]
        await self._tx.conn.execute(self._insert(invoice_pdfs).on_conflict_do_nothing(), rows)
        keys = [(pdf.invoice_id, pdf.revision) for pdf in pdfs]
        kept = {(pdf.invoice_id, pdf.revision): pdf for pdf in await self.of_revisions(keys)}
        return [kept.get(key, pdf) for key, pdf in zip(keys, pdfs, strict=True)]
