"""The invoice page in a real Chromium: on a narrow phone and a desk, in light and dark, by keyboard alone.

It needs no demo: the page's own server over a store is enough.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, async_playwright, expect

from billing.invoice_pdf import Letterhead
from billing.pdfs import InvoicePdfs
from bot.pages import InvoicePages
from handlers.contract import Services
from notifier.links import link_for
from notifier.mailauth import StaticResolver
from store.models import InvoiceStatus
from store.unit import Store
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.builders import KEYRING, invoice_record, outbox, subscriber_record, usd
from tests.unit.handlers.support import profile

pytestmark = [pytest.mark.browser]
OVERFLOWS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@dataclass
class Site:
    url: str
    store: Store

    async def invoice(self, **more: object) -> str:
        """The address of an invoice's page."""
        async with self.store.begin(1) as tx:
            ids = await tx.subscribers.upsert([subscriber_record("1042")])
            record = {"due_on": date(2026, 3, 15)} | more
            await tx.invoices.upsert([invoice_record(ids["1042"], "20042", **record)])
            invoice = await tx.invoices.by_number("20042")
            assert invoice is not None
            return await link_for(tx, KEYRING, self.url, invoice, key="k")


@pytest.fixture
async def site(sqlite_store: Store) -> AsyncIterator[Site]:
    desk = profile(portal_url="https://my.cascade.example/pay")
    services = Services(
        store=sqlite_store,
        outbox=outbox(),
        keyring=KEYRING,
        resolver=StaticResolver({}),
        tenants={1: desk},
        specs=[],
    )
    letterhead = Letterhead(desk.brand, desk.region, desk.locale, desk.portal_url)
    app = web.Application()
    app.add_routes(InvoicePages(services, InvoicePdfs(sqlite_store, {1: letterhead})).routes())
    server = TestServer(app)
    await server.start_server()
    yield Site(str(server.make_url("")).rstrip("/"), sqlite_store)
    await server.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if not (Path(CHROMIUM).exists() or shutil.which("chromium")):
        pytest.skip("chromium is not installed: apt-get install chromium")
    async with async_playwright() as driver:
        opened = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        await opened.close()


async def opened(
    browser: Browser, url: str, width: int = 360, scheme: str = "light"
) -> tuple[Page, list[str]]:
    """The page, and everything on its console (a policy that is broken shows there)."""
    context = await browser.new_context(
        viewport={"width": width, "height": 740},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.goto(url)
    return page, said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 1024])
async def test_the_page_fits_its_screen_and_loads_nothing(
    site: Site, browser: Browser, width: int, scheme: str
) -> None:
    page, said = await opened(browser, await site.invoice(), width, scheme)
    await expect(page.get_by_role("heading", name="Invoice 20042")).to_be_visible()
    await expect(page.get_by_text("$49.90")).to_be_visible()
    assert not await page.evaluate(OVERFLOWS)
    loaded = await page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    ground = await page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor")
    assert ground == ("rgb(25, 33, 42)" if scheme == "dark" else "rgb(255, 255, 255)"), "the style is let in"
    for role, name in (("link", "Pay online"), ("button", "Open the PDF")):
        box = await page.get_by_role(role, name=name).bounding_box()  # type: ignore[arg-type]  # two of its roles
        assert box is not None
        assert box["height"] >= 44, "wide enough for a thumb"
    assert said == []


async def test_the_pdf_is_opened_by_keyboard_alone(site: Site, browser: Browser) -> None:
    page, said = await opened(browser, await site.invoice())
    for _ in range(2):  # Pay online, then the ZIP code
        await page.keyboard.press("Tab")
    await expect(page.get_by_label("ZIP code of your service address")).to_be_focused()
    await page.keyboard.type("90001")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text(
        "That is not the code we have on file. 4 tries left."
    )
    await expect(page.get_by_label("ZIP code of your service address")).to_be_focused()
    await page.keyboard.type("97701")
    async with page.expect_response(lambda response: response.request.method == "POST") as answer:
        await page.keyboard.press("Enter")
    assert (await (await answer.value).all_headers())["content-type"] == "application/pdf"
    refused = [text for text in said if "Content Security Policy" in text or "Refused" in text]
    assert refused == [], "the policy lets the form through"


async def test_what_was_paid_meanwhile_shows_after_a_reload(site: Site, browser: Browser) -> None:
    page, _ = await opened(browser, await site.invoice())
    await expect(page.get_by_role("link", name="Pay online")).to_be_visible()
    await site.invoice(status=InvoiceStatus.PAID, paid=usd("49.90"))
    await page.reload()
    await expect(page.get_by_text("Paid, thank you")).to_be_visible()
    await expect(page.get_by_role("link", name="Pay online")).to_have_count(0)
