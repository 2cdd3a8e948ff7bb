"""PDFs of invoices: drawn when first needed, once per revision, and kept.

Fills the port notifier.attachments; the invoice's page asks here too. Facts are read in one transaction,
the drawing is made in a thread outside of any, what is kept first is what everybody gets.
"""

from __future__ import annotations

import asyncio
import hashlib
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from uuid import UUID

import structlog

from billing.invoice_pdf import Bill, Letterhead, draw
from notifier.mime import Attachment
from store.models import Invoice, InvoicePdf
from store.unit import Store, Tx

log = structlog.get_logger()

_CACHED = 256
"""Most PDFs in memory, some two kilobytes each: several addresses of one invoice, tries that follow."""
_Key = tuple[int, UUID, int]


class InvoicePdfs:
    def __init__(
        self,
        store: Store,
        letterheads: Mapping[int, Letterhead],
        drawing: Callable[[Letterhead, Bill], bytes] = draw,
    ) -> None:
        self._store, self._letterheads, self._draw = store, letterheads, drawing
        self._cache: OrderedDict[_Key, Attachment] = OrderedDict()
        self._at_work: dict[_Key, asyncio.Task[Attachment | None]] = {}

    async def invoice(self, tenant: int, invoice_id: UUID) -> Attachment | None:
        """The invoice's present revision; None when there is none or it cannot be drawn (logged)."""
        async with self._store.read(tenant) as tx:
            invoice = await tx.invoices.by_id(invoice_id)
        if invoice is None:
            return None
        key = (tenant, invoice_id, invoice.revision)
        found = self._cached(key)
        if found is not None:
            return found
        # Whoever comes meanwhile waits for the same drawing, also when the first one gives up waiting.
        task = self._at_work.get(key)
        if task is None:
            task = self._at_work[key] = asyncio.create_task(self._make(key, invoice))
            task.add_done_callback(lambda _: self._at_work.pop(key, None))
        return await asyncio.shield(task)

    async def _make(self, key: _Key, invoice: Invoice) -> Attachment | None:
        tenant, invoice_id, revision = key
        async with self._store.read(tenant) as tx:
            kept = await tx.pdfs.get(invoice_id, revision)
            bill = await _bill(tx, invoice) if kept is None else None
        if bill is not None:
            content = await self._drawn(tenant, bill)
            if content is None:
                return None
            drawn = InvoicePdf(invoice_id, revision, hashlib.sha256(content).hexdigest(), content)
            async with self._store.begin(tenant) as tx:
                kept = await tx.pdfs.keep(drawn)
        return self._remember(key, invoice, kept.content) if kept is not None else None

    async def _drawn(self, tenant: int, bill: Bill) -> bytes | None:
        try:
            return await asyncio.to_thread(self._draw, self._letterheads[tenant], bill)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one invoice stops no mail
            # Not the error's text, nor a traceback with it: it may quote the name that could not be drawn.
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.warning(
                "invoice_not_drawn",
                invoice=str(bill.invoice.id),
                error=type(error).__name__,
                where=f"{place.name}:{place.lineno}",
            )
            return None

    def _cached(self, key: _Key) -> Attachment | None:
        found = self._cache.get(key)
        if found is not None:
            self._cache.move_to_end(key)
        return found

    def _remember(self, key: _Key, invoice: Invoice, content: bytes) -> Attachment:
        attachment = Attachment(f"Invoice-{invoice.number}.pdf", "application/pdf", content)
        self._cache[key] = attachment
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return attachment


async def _bill(tx: Tx, invoice: Invoice) -> Bill:
    owner = await tx.subscribers.by_id(invoice.subscriber_id)
    if owner is None:
        raise LookupError("an invoice without its subscriber")
    payer = await tx.subscribers.by_account(owner.payer_account) if owner.payer_account else None
    return Bill(invoice, owner, payer or owner, await tx.packages.of_subscriber(owner.id))
