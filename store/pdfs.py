"""Drawings of invoices, one for each revision."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from store.models import InvoicePdf
from store.repository import Repository
from store.tables import invoice_pdfs


class Pdfs(Repository):
    async def get(self, invoice_id: UUID, revision: int) -> InvoicePdf | None:
        c = invoice_pdfs.c
        statement = select(c.hash, c.content).where(
            c.tenant_id == self._tenant, c.invoice_id == invoice_id, c.revision == revision
        )
        row = (await self._tx.conn.execute(statement)).first()
        return InvoicePdf(invoice_id, revision, row.hash, row.content) if row else None

    async def keep(self, pdf: InvoicePdf) -> InvoicePdf:
        """What stands for this revision from now on: the first drawing that was kept, perhaps another's."""
        insert = self._insert(invoice_pdfs).values(
            tenant_id=self._tenant,
            invoice_id=pdf.invoice_id,
            revision=pdf.revision,
            hash=pdf.hash,
            content=pdf.content,
            created_at=self._tx.now,
        )
        await self._tx.conn.execute(insert.on_conflict_do_nothing())
        return await self.get(pdf.invoice_id, pdf.revision) or pdf
