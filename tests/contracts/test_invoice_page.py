"""The invoice page over HTTP: what is told to whom, and five tries, also all at once; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from billing.invoice_pdf import Letterhead
from billing.pdfs import InvoicePdfs
from bot.pages import MISTAKES, REQUESTS, InvoicePages
from handlers.contract import Services
from notifier.links import link_for, make_code
from notifier.mailauth import StaticResolver
from notifier.mime import Attachment
from store.models import Invoice, InvoiceLink, InvoiceStatus
from store.types import new_id
from store.unit import Store
from tests.builders import KEYRING, NOW, invoice_record, outbox, subscriber_record, usd
from tests.conftest import FakeClock
from tests.pdf_text import texts
from tests.unit.handlers.support import profile

PORTAL = "https://my.cascade.example/pay"


class NoPdf:
    async def invoice(self, tenant: int, invoice_id: UUID) -> Attachment | None:
        return None


class Visitor:
    """Somebody's browser, at one address."""

    def __init__(self, client: TestClient[web.Request, web.Application], store: Store) -> None:
        self.client, self.store, self.address = client, store, "198.51.100.7"

    async def get(self, code: str, method: str = "GET", **headers: str) -> ClientResponse:
        sent = {"X-Forwarded-For": self.address} | headers
        return await self.client.request(method, f"/i/{code}", headers=sent)

    async def post(self, code: str, zip_code: str) -> ClientResponse:
        sent = {"X-Forwarded-For": self.address}
        return await self.client.post(f"/i/{code}", data={"zip": zip_code}, headers=sent)

    async def link(self, code: str) -> InvoiceLink:
        async with self.store.read(1) as tx:
            found = await tx.links.by_code(code)
        assert found is not None
        return found


@pytest.fixture
def ticks() -> list[float]:
    """Monotonic time: the last one is now."""
    return [1000.0]


@pytest.fixture
def pages(store: Store, ticks: list[float]) -> InvoicePages:
    desk = profile(portal_url=PORTAL)
    services = Services(
        store=store,
        outbox=outbox(),
        keyring=KEYRING,
        resolver=StaticResolver({}),
        tenants={1: desk},
        specs=[],
    )
    pdfs = InvoicePdfs(store, {1: Letterhead(desk.brand, desk.region, desk.locale, PORTAL)})
    return InvoicePages(services, pdfs, lambda: ticks[-1])


@pytest.fixture
async def visitor(store: Store, pages: InvoicePages) -> AsyncIterator[Visitor]:
    app = web.Application()
    app.add_routes(pages.routes())
    async with TestClient(TestServer(app)) as client:
        yield Visitor(client, store)


async def an_invoice(store: Store, payer: str | None = None, **more: Any) -> Invoice:
    async with store.begin(1) as tx:
        parent = subscriber_record("1100", name="Harborview", postal_code="97702-0001")
        ids = await tx.subscribers.upsert([parent, subscriber_record("1103", payer_account=payer)])
        record = invoice_record(ids["1103"], "20042", due_on=date(2026, 3, 15))
        await tx.invoices.upsert([replace(record, **more)])
        found = await tx.invoices.by_number("20042")
    assert found is not None
    return found


async def code_of(store: Store, invoice: Invoice, key: str = "k") -> str:
    async with store.begin(1) as tx:
        return (await link_for(tx, KEYRING, "", invoice, key=key)).rpartition("/")[2]


@pytest.fixture
async def code(store: Store) -> str:
    return await code_of(store, await an_invoice(store))


async def test_a_link_opens_on_amount_and_date_and_keeps_to_itself(visitor: Visitor, code: str) -> None:
    answer = await visitor.get(code)
    text = await answer.text()
    assert answer.status == 200
    assert "$49.90" in text
    assert "Mar 15, 2026" in text
    assert PORTAL in text
    assert "Dana" not in text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.content_type == "text/html"


async def test_looking_notes_the_first_time_and_nothing_else(
    visitor: Visitor, code: str, clock: FakeClock
) -> None:
    before = await visitor.link(code)
    assert (await visitor.get(code, "HEAD")).status == 200
    assert await visitor.link(code) == before, "a scanner's HEAD leaves no trace"
    for _ in range(3):
        await visitor.get(code)
        clock.advance(hours=1)
    assert await visitor.link(code) == replace(before, opened_at=NOW)


async def test_the_right_zip_code_gives_the_pdf(visitor: Visitor, code: str) -> None:
    for typed in ("97701", " 97701-1234 "):
        answer = await visitor.post(code, typed)
        content = await answer.read()
        assert answer.status == 200
        assert answer.content_type == "application/pdf"
        assert answer.headers["Content-Disposition"] == 'inline; filename="Invoice-20042.pdf"'
        assert answer.headers["Cache-Control"] == "no-store"
        assert content.startswith(b"%PDF")
        assert {"Dana Whitfield", "20042", "$49.90"} <= set(texts(content))
    assert (await visitor.link(code)).failed == 0


async def test_five_wrong_tries_close_the_link_also_for_the_right_one(visitor: Visitor, code: str) -> None:
    said = []
    for n in range(5):
        answer = await visitor.post(code, f"9000{n}")
        assert answer.status == 403
        said.append(await answer.text())
    assert "4 tries left" in said[0]
    assert "One try left" in said[3]
    assert "<form" in said[3]
    assert "<form" not in said[4]
    assert "541-555-0100" in said[4]
    assert (await visitor.post(code, "97701")).status == 403
    assert (await visitor.link(code)).failed == 5
    later = await visitor.get(code)
    assert later.status == 200
    assert "$49.90" in await later.text()


async def test_another_link_to_the_same_invoice_has_tries_of_its_own(visitor: Visitor, store: Store) -> None:
    invoice = await an_invoice(store)
    first, second = await code_of(store, invoice), await code_of(store, invoice, "the next text")
    for _ in range(5):
        await visitor.post(first, "90001")
    assert (await visitor.post(second, "97701")).content_type == "application/pdf"


async def test_more_links_to_one_reader_are_not_more_tries_without_end(
    visitor: Visitor, store: Store, clock: FakeClock
) -> None:
    invoice = await an_invoice(store)
    for n in range(3):
        asked_for = await code_of(store, invoice, f"text {n}")
        for wrong in range(5):
            await visitor.post(asked_for, f"900{n}{wrong}")
    fourth = await code_of(store, invoice, "text 3")
    assert (await visitor.post(fourth, "97701")).status == 403
    assert (await visitor.link(fourth)).failed == 0
    closed = await (await visitor.get(fourth)).text()
    assert "<form" not in closed
    assert "541-555-0100" in closed
    assert "$49.90" in closed
    clock.advance(days=31)
    assert (await visitor.post(await code_of(store, invoice, "a month later"), "97701")).status == 200


async def test_tries_at_once_are_five_as_well(visitor: Visitor, code: str) -> None:
    """A guesser who sends all at once must not see more than five compared."""
    answers = await asyncio.gather(*(visitor.post(code, f"{90000 + n}") for n in range(12)))
    assert [a.status for a in answers] == [403] * 12
    bodies = [await a.text() for a in answers]
    assert sum("left." in body for body in bodies) == 4
    assert (await visitor.link(code)).failed == 5
    assert (await visitor.post(code, "97701")).status == 403


@pytest.mark.parametrize("typed", ["", "abc", "9770", "97701x", "<script>", "9" * 5000, "97701&zip=1\x00"])
async def test_what_is_no_zip_code_counts_for_nothing(visitor: Visitor, code: str, typed: str) -> None:
    answer = await visitor.post(code, typed)
    assert answer.status == 422
    assert "did not count" in await answer.text()
    assert (await visitor.link(code)).failed == 0


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"zip": "97701"}'),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b"zip=97701&" * 200),
        ("application/x-www-form-urlencoded", b"\xff\xfe\x00"),
        ("application/x-www-form-urlencoded", b"a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&zip=97701"),
        ("application/x-www-form-urlencoded", b""),
    ],
)
async def test_a_body_that_is_not_the_form_is_no_try(
    visitor: Visitor, code: str, kind: str, body: bytes
) -> None:
    answer = await visitor.client.post(f"/i/{code}", data=body, headers={"Content-Type": kind})
    assert answer.status == 422
    assert (await visitor.link(code)).failed == 0


async def test_the_payer_s_zip_code_opens_what_the_payer_was_sent(visitor: Visitor, store: Store) -> None:
    code = await code_of(store, await an_invoice(store, payer="1100"))
    assert (await visitor.post(code, "97701")).status == 403, "not that of whose invoice it is"
    answer = await visitor.post(code, "97702")
    assert "Harborview" in texts(await answer.read())


async def test_what_was_paid_since_shows_as_paid(visitor: Visitor, store: Store, code: str) -> None:
    await an_invoice(store, status=InvoiceStatus.PAID, paid=usd("49.90"))
    text = await (await visitor.get(code)).text()
    assert "Paid, thank you" in text
    assert PORTAL not in text
    pdf = await (await visitor.post(code, "97701")).read()
    assert "Paid in full. Thank you." in texts(pdf)


async def test_an_expired_link_is_gone_and_opens_nothing(
    visitor: Visitor, code: str, clock: FakeClock
) -> None:
    clock.advance(days=30)
    answer = await visitor.get(code)
    assert answer.status == 410
    assert "This link has expired" in await answer.text()
    assert "$49.90" not in await answer.text()
    assert (await visitor.post(code, "97701")).status == 410
    link = await visitor.link(code)
    assert (link.failed, link.opened_at) == (0, None)


async def test_made_up_codes_are_refused_without_a_look_at_the_database(
    visitor: Visitor, pages: InvoicePages, code: str
) -> None:
    forged = code[:-1] + ("2" if code[-1] != "2" else "3")
    await visitor.store.engine.close()  # from here on any look would fail
    for made_up in (forged, "x", "1" * 18, "a" * 5000):
        for answer in (await visitor.get(made_up), await visitor.post(made_up, "97701")):
            assert answer.status == 404
            assert "This link does not work" in await answer.text()


async def test_signed_codes_that_we_never_gave_out_are_unknown_too(visitor: Visitor) -> None:
    for code in (make_code(KEYRING, 1, new_id()), make_code(KEYRING, 9, new_id())):
        assert (await visitor.get(code)).status == 404
        assert (await visitor.post(code, "97701")).status == 404


async def test_an_unknown_link_is_told_in_the_browser_s_language(visitor: Visitor) -> None:
    answer = await visitor.get("nothing", **{"Accept-Language": "es-MX,es;q=0.9,en;q=0.1"})
    assert "Este enlace no funciona" in await answer.text()


async def test_guessing_codes_is_slowed_down_per_address_and_passes(
    visitor: Visitor, code: str, ticks: list[float]
) -> None:
    for _ in range(MISTAKES):
        assert (await visitor.get("guess")).status == 404
    slow = await visitor.get("guess")
    assert slow.status == 429
    assert int(slow.headers["Retry-After"]) == 10
    assert (await visitor.post(code, "97701")).status == 429
    assert (await visitor.get(code)).status == 200, "a neighbour behind the same address still reads theirs"
    visitor.address = "198.51.100.8"
    assert (await visitor.post(code, "97701")).status == 200
    visitor.address = "198.51.100.7"
    ticks.append(ticks[-1] + 10)
    assert (await visitor.get("guess")).status == 404


async def test_right_zip_codes_cost_nothing(visitor: Visitor, store: Store) -> None:
    invoice = await an_invoice(store)
    for n in range(MISTAKES + 3):
        code = await code_of(store, invoice, f"key {n}")
        assert (await visitor.post(code, "97701")).status == 200, "many subscribers may share one address"


async def test_one_code_is_not_asked_for_all_the_time(
    visitor: Visitor, code: str, ticks: list[float]
) -> None:
    for n in range(REQUESTS):
        visitor.address = f"198.51.100.{n}"
        assert (await visitor.get(code)).status == 200
    assert (await visitor.get(code)).status == 429
    ticks.append(ticks[-1] + 1)
    assert (await visitor.get(code)).status == 200


async def test_a_pdf_that_cannot_be_made_is_told_and_costs_no_try(store: Store, pages: InvoicePages) -> None:
    pages._pdfs = NoPdf()
    app = web.Application()
    app.add_routes(pages.routes())
    code = await code_of(store, await an_invoice(store))
    async with TestClient(TestServer(app)) as client:
        visitor = Visitor(client, store)
        answer = await visitor.post(code, "97701")
        assert answer.status == 503
        assert "try again in a few minutes" in await answer.text()
        assert (await visitor.link(code)).failed == 0


async def test_a_subscriber_without_a_zip_code_is_asked_to_call(visitor: Visitor, store: Store) -> None:
    invoice = await an_invoice(store)
    async with store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record("1103", postal_code="")])
    code = await code_of(store, invoice)
    answer = await visitor.get(code)
    assert "<form" not in await answer.text()
    refused = await visitor.post(code, "")
    assert refused.status == 403
    assert "541-555-0100" in await refused.text()


async def test_links_grow_old_by_business_time(visitor: Visitor, code: str, clock: FakeClock) -> None:
    clock.advance(timedelta(days=29, hours=23))
    assert (await visitor.get(code)).status == 200
