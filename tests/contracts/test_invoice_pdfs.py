"""PDFs of invoices: drawn once per revision, whoever asks and how many at once; on both databases."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from billing.invoice_pdf import Bill, Letterhead, draw
from billing.pdfs import InvoicePdfs
from handlers.profile import Brand
from store.models import Invoice, InvoicePdf, InvoiceStatus
from store.types import new_id
from store.unit import Store, in_transaction
from tests.builders import invoice_record, package_record, subscriber_record, usd
from tests.pdf_text import texts

HEAD = Letterhead(Brand("Cascade Broadband", "help@cascade.example", "541-555-0100"), "US", "en_US")


class Counting:
    """Draws, and counts."""

    def __init__(self, error: Exception | None = None) -> None:
        self.drawn, self.error = 0, error

    def __call__(self, head: Letterhead, bill: Bill) -> bytes:
        self.drawn += 1
        if self.error is not None:
            raise self.error
        return draw(head, bill)


def pdfs(store: Store, drawing: Any) -> InvoicePdfs:
    return InvoicePdfs(store, {1: HEAD}, drawing)


async def an_invoice(store: Store, **more: Any) -> Invoice:
    async with store.begin(1) as tx:
        people = [
            subscriber_record("1100", name="Harborview"),
            subscriber_record("1103", payer_account="1100"),
        ]
        ids = await tx.subscribers.upsert(people)
        await tx.packages.upsert([package_record(ids["1103"])])
        await tx.invoices.upsert([invoice_record(ids["1103"], "20042", **more)])
        found = await tx.invoices.by_number("20042")
    assert found is not None
    return found


async def test_two_addresses_and_two_workers_get_one_drawing(store: Store) -> None:
    invoice, drawing = await an_invoice(store), Counting()
    here, elsewhere = pdfs(store, drawing), pdfs(store, drawing)
    found = await asyncio.gather(*(here.invoice(1, invoice.id) for _ in range(8)))
    assert drawing.drawn == 1
    found.append(await elsewhere.invoice(1, invoice.id))
    assert drawing.drawn == 1, "what is kept is not drawn again, also after a restart"
    assert {f.content for f in found if f} == {found[0].content if found[0] else b""}
    assert all(f and f.filename == "Invoice-20042.pdf" and f.content_type == "application/pdf" for f in found)
    async with store.read(1) as tx:
        kept = await tx.pdfs.get(invoice.id, 1)
    assert kept is not None
    assert found[0] is not None
    assert (kept.content, kept.hash) == (found[0].content, hashlib.sha256(kept.content).hexdigest())


async def test_it_shows_whoever_pays_and_the_owner_s_packages(store: Store) -> None:
    invoice = await an_invoice(store)
    found = await pdfs(store, draw).invoice(1, invoice.id)
    assert found is not None
    assert {"Harborview", "Dana Whitfield", "Fiber 500", "20042"} <= set(texts(found.content))


async def test_a_payment_is_a_new_revision_and_a_new_drawing(store: Store) -> None:
    drawing = Counting()
    found = pdfs(store, drawing)
    before = await found.invoice(1, (await an_invoice(store)).id)
    paid = await an_invoice(store, status=InvoiceStatus.PAID, paid=usd("49.90"))
    after = await found.invoice(1, paid.id)
    assert (paid.revision, drawing.drawn) == (2, 2)
    assert before is not None
    assert after is not None
    assert "Paid in full. Thank you." in texts(after.content)
    assert "Paid in full. Thank you." not in texts(before.content)


async def test_the_first_drawing_that_is_kept_is_what_everybody_gets(store: Store) -> None:
    invoice = await an_invoice(store)
    async with store.begin(1) as tx:
        first = await tx.pdfs.keep(InvoicePdf(invoice.id, 1, "a" * 64, b"%PDF first"))
        second = await tx.pdfs.keep(InvoicePdf(invoice.id, 1, "b" * 64, b"%PDF second"))
    assert first == second
    drawing = Counting()
    found = await pdfs(store, drawing).invoice(1, invoice.id)
    assert found is not None
    assert (found.content, drawing.drawn) == (b"%PDF first", 0)


async def test_the_drawing_is_made_outside_transactions_and_off_the_loop(store: Store) -> None:
    seen: list[bool] = []

    def drawing(head: Letterhead, bill: Bill) -> bytes:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        seen.append(in_transaction())
        return draw(head, bill)

    assert await pdfs(store, drawing).invoice(1, (await an_invoice(store)).id)
    assert seen == [False]


async def test_what_cannot_be_drawn_is_none_and_tried_again_the_next_time(store: Store) -> None:
    invoice, drawing = await an_invoice(store), Counting(ValueError("Dana Whitfield"))
    found = pdfs(store, drawing)
    assert await asyncio.gather(*(found.invoice(1, invoice.id) for _ in range(3))) == [None] * 3
    tries, drawing.error = drawing.drawn, None
    assert await found.invoice(1, invoice.id)
    assert drawing.drawn == tries + 1


async def test_an_invoice_that_does_not_exist_or_is_another_tenant_s_has_no_pdf(store: Store) -> None:
    invoice = await an_invoice(store)
    found = InvoicePdfs(store, {1: HEAD, 2: replace(HEAD, region="MX")})
    assert await found.invoice(1, new_id()) is None
    assert await found.invoice(2, invoice.id) is None


async def test_a_run_s_mails_share_what_is_read_and_each_gets_its_own(store: Store) -> None:
    async with store.begin(1) as tx:
        ids = await tx.subscribers.upsert([subscriber_record(f"22{n:02}") for n in range(12)])
        await tx.invoices.upsert([invoice_record(ids[f"22{n:02}"], f"300{n:02}") for n in range(12)])
        issued = [await tx.invoices.by_number(f"300{n:02}") for n in range(12)]
    invoices = [one for one in issued if one is not None]
    found, drawing = pdfs(store, draw), Counting()
    first = await asyncio.gather(*(found.invoice(1, one.id) for one in invoices))
    assert [f.filename for f in first if f] == [f"Invoice-{one.number}.pdf" for one in invoices]
    again = await asyncio.gather(*(pdfs(store, drawing).invoice(1, one.id) for one in invoices))
    assert (again, drawing.drawn) == (first, 0), "from what is kept"
