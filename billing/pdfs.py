"""PDFs of invoices: drawn, or fetched where billing has the documents itself, when first needed, once per
revision, and kept.

Fills the port notifier.attachments; the invoice's page asks here too. Facts are read in one transaction
for all who ask at the same moment, the drawing is made in a thread outside of any, what is kept first is what
everybody gets.
"""

from __future__ import annotations

import asyncio
import hashlib
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from billing.gathered import Gathered
from billing.invoice_pdf import Bill, Letterhead, draw
from billing.port import GivesPdfs, Unavailable
from notifier.mime import Attachment
from store.models import Invoice, InvoicePdf
from store.unit import Store, Tx

log = structlog.get_logger()

_CACHED = 256
"""Most PDFs in memory, some two kilobytes each: several addresses of one invoice, tries that follow."""
_Key = tuple[int, UUID, int]


@dataclass(frozen=True, slots=True)
class _Seen:
    """An invoice as it is now, with its PDF where one is kept, else the facts that one is made of."""

    invoice: Invoice | None = None
    pdf: Attachment | None = None
    bill: Bill | None = None


class InvoicePdfs:
    def __init__(
        self,
        store: Store,
        letterheads: Mapping[int, Letterhead],
        drawing: Callable[[Letterhead, Bill], bytes] = draw,
        documents: Mapping[int, GivesPdfs] | None = None,
    ) -> None:
        """`documents`: of the tenants whose billing gives its own. None of ours takes their place: two papers
        about one invoice would be two truths."""
        self._store, self._letterheads, self._draw = store, letterheads, drawing
        self._documents = documents or {}
        self._cache: OrderedDict[_Key, Attachment] = OrderedDict()
        self._at_work: dict[_Key, asyncio.Task[Attachment | None]] = {}
        # A run's mails ask at the same moment: a transaction for each would cost more than sending it.
        self._seen: Gathered[tuple[int, UUID], _Seen] = Gathered(self._look)
        self._kept: Gathered[tuple[int, InvoicePdf], bytes] = Gathered(self._keep)

    async def invoice(self, tenant: int, invoice_id: UUID) -> Attachment | None:
        """The invoice's present revision; None when there is none or it cannot be had (logged)."""
        seen = await self._seen.get((tenant, invoice_id))
        if seen.invoice is None or seen.pdf is not None:
            return seen.pdf
        key = (tenant, invoice_id, seen.invoice.revision)
        # Whoever comes meanwhile waits for the same drawing, also when the first one gives up waiting.
        task = self._at_work.get(key)
        if task is None:
            task = self._at_work[key] = asyncio.create_task(self._make(key, seen))
            task.add_done_callback(lambda _: self._at_work.pop(key, None))
        return await asyncio.shield(task)

    async def _look(self, asked: Sequence[tuple[int, UUID]]) -> Mapping[tuple[int, UUID], _Seen]:
        """One transaction for each tenant, with a few statements, whatever the number."""
        found: dict[tuple[int, UUID], _Seen] = dict.fromkeys(asked, _Seen())
        for tenant in {tenant for tenant, _ in asked}:
            async with self._store.read(tenant) as tx:
                present = await tx.invoices.by_ids([i for one, i in asked if one == tenant])
                pdfs = {one.id: self._cached((tenant, one.id, one.revision)) for one in present.values()}
                unknown = [(one, present[one].revision) for one, pdf in pdfs.items() if pdf is None]
                for kept in await tx.pdfs.of_revisions(unknown):
                    pdfs[kept.invoice_id] = self._remember(tenant, present[kept.invoice_id], kept.content)
                bills = await _bills(tx, [present[one] for one, pdf in pdfs.items() if pdf is None])
            for one in present.values():
                found[tenant, one.id] = _Seen(one, pdfs[one.id], bills.get(one.id))
        return found

    async def _make(self, key: _Key, seen: _Seen) -> Attachment | None:
        tenant, invoice_id, revision = key
        if seen.bill is None or seen.invoice is None:
            raise LookupError("an invoice without its subscriber")
        own = self._documents.get(tenant)
        content = await (self._fetched(own, seen.invoice) if own else self._drawn(tenant, seen.bill))
        if content is None:
            return None
        drawn = InvoicePdf(invoice_id, revision, hashlib.sha256(content).hexdigest(), content)
        return self._remember(tenant, seen.invoice, await self._kept.get((tenant, drawn)))

    async def _keep(self, drawn: Sequence[tuple[int, InvoicePdf]]) -> Mapping[tuple[int, InvoicePdf], bytes]:
        """What stands for each of these from now on."""
        found: dict[tuple[int, InvoicePdf], bytes] = {}
        for tenant in {tenant for tenant, _ in drawn}:
            mine = [pdf for one, pdf in drawn if one == tenant]
            async with self._store.begin(tenant) as tx:
                kept = await tx.pdfs.keep_all(mine)
            found.update(((tenant, pdf), one.content) for pdf, one in zip(mine, kept, strict=True))
        return found

    async def _fetched(self, own: GivesPdfs, invoice: Invoice) -> bytes | None:
        found = await own.invoice_pdf(invoice)
        if isinstance(found, Unavailable):
            log.warning("invoice_not_fetched", invoice=str(invoice.id), why=found.sentence)
            return None
        return found

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

    def _remember(self, tenant: int, invoice: Invoice, content: bytes) -> Attachment:
        key = (tenant, invoice.id, invoice.revision)
        attachment = Attachment(f"Invoice-{invoice.number}.pdf", "application/pdf", content)
        self._cache[key] = attachment
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return attachment


async def _bills(tx: Tx, invoices: Sequence[Invoice]) -> dict[UUID, Bill]:
    """The facts of each; one without its subscriber is left out."""
    if not invoices:
        return {}
    owners = await tx.subscribers.by_ids(list({one.subscriber_id for one in invoices}))
    accounts = sorted({owner.payer_account for owner in owners.values() if owner.payer_account})
    payers = await tx.subscribers.by_accounts(accounts)
    packages = await tx.packages.of_subscribers(list(owners))
    bills = {}
    for invoice in invoices:
        owner = owners.get(invoice.subscriber_id)
        if owner is not None:
            payer = payers.get(owner.payer_account) if owner.payer_account else None
            bills[invoice.id] = Bill(invoice, owner, payer or owner, packages[owner.id])
    return bills
