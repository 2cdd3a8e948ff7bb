"""The phones in a real Chromium: a person texts from one, makes its number fail, on any width of screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, async_playwright, expect

from tests.unit.sandbox.phone_world import CAST, MARIA, OPTED_OUT, SHARED, Phones, phone_world, twiml

CHROMIUM = "/usr/bin/chromium"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Debian's chromium is not installed"),
]


@asynccontextmanager
async def browsing(phones: Phones, width: int = 1400, height: int = 900) -> AsyncIterator[Page]:
    """A page that must not log any script error."""
    troubles: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = await browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(5000)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        await page.goto(phones.site.url)
        yield page
        await browser.close()
    assert troubles == []


async def open_phone(page: Page, search: str) -> Locator:
    """Finds one phone by what an agent would type, and opens it."""
    await page.get_by_test_id("phone-filter").fill(search)
    row = page.get_by_test_id("number")
    await expect(row).to_have_count(1)
    await row.click()
    await expect(page.get_by_test_id("phone-text")).to_be_focused()
    return page.get_by_test_id("bubble")


async def test_a_subscriber_texts_and_reads_the_answer(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones, browsing(phones) as page:
        await expect(page.get_by_test_id("phone")).to_contain_text("Choose a phone")
        bubbles = await open_phone(page, "1001")
        await expect(page.get_by_test_id("phone-state")).to_have_text("receives texts")
        await expect(page.get_by_test_id("no-texts")).to_be_visible()
        phones.product.answers = [twiml("<Response><Message>Thank you, Maria.</Message></Response>")]
        await page.get_by_test_id("phone-text").fill("I already paid")
        await page.keyboard.press("Enter")
        await expect(bubbles).to_have_count(2)
        await expect(bubbles.last).to_contain_text("Thank you, Maria.")
        await expect(bubbles.last.get_by_test_id("fate")).to_have_text("Delivered")
        await expect(page.get_by_test_id("phone-text")).to_have_value("")
        assert (await phones.product.next()).params["Body"] == "I already paid"
        # What the provider sends shows by itself, and the phone comes to the top of the list.
        await page.get_by_test_id("phone-filter").fill("")
        await phones.create(to=SHARED, body="for two accounts")
        first = page.get_by_test_id("number").first
        await expect(first).to_contain_text("1204, 1205")
        await expect(first).to_contain_text("for two accounts")


async def test_a_link_in_a_text_opens_in_a_tab_of_its_own(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones, browsing(phones) as page:
        bubbles = await open_phone(page, MARIA)
        address = f"{phones.site.url}/page/static/phone.css"
        await phones.create(body=f"Your invoice: {address}. Reply STOP to end.")
        async with page.context.expect_page() as opened:
            await bubbles.last.get_by_role("link").click()
        assert (await opened.value).url == address


async def test_a_number_is_blocked_made_a_landline_and_mended(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones, browsing(phones) as page:
        bubbles = await open_phone(page, MARIA)
        for button, words in (
            ("block-number", "Not delivered: 30004 Blocked by the recipient's carrier"),
            ("landline-number", "Not delivered: 30006 Landline or unreachable carrier"),
            ("reset-number", "Delivered"),
        ):
            await page.get_by_test_id(button).click()
            state = "receives texts" if words == "Delivered" else words.removeprefix("Not delivered: ")
            await expect(page.get_by_test_id("phone-state")).to_have_text(state)
            await phones.create()
            await expect(bubbles.last.get_by_test_id("fate")).to_have_text(words)


async def test_a_stop_shows_and_start_undoes_it(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones, browsing(phones) as page:
        bubbles = await open_phone(page, "1188")
        await expect(page.get_by_test_id("phone-opted-out")).to_be_visible()
        await page.get_by_role("button", name="START").click()
        await page.get_by_test_id("phone-send").click()
        await expect(page.get_by_test_id("phone-opted-out")).to_have_count(0)
        await expect(bubbles.last).to_contain_text("answered by Twilio")
        await phones.create(to=OPTED_OUT)
        await expect(bubbles.last.get_by_test_id("fate")).to_have_text("Delivered")


async def test_a_product_that_is_down_is_said_and_the_text_is_kept(tmp_path: Path) -> None:
    async with phone_world(tmp_path, product_is_up=False) as phones, browsing(phones) as page:
        bubbles = await open_phone(page, "1001")
        await page.get_by_test_id("phone-text").fill("hello?")
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("toasts")).to_contain_text("the product does not answer")
        await expect(bubbles).to_have_count(1)


async def test_a_chosen_phone_stays_chosen_over_a_reload(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones, browsing(phones) as page:
        for number in range(30):
            await phones.create(body=f"text {number}")
        await open_phone(page, "1001")
        await page.reload()
        await expect(page.get_by_test_id("bubble").last).to_be_in_viewport()
        await expect(page.get_by_test_id("bubble").last).to_contain_text("text 29")
        await page.get_by_test_id("user-U_LEAD").click()
        await expect(page.get_by_test_id("bubble")).to_have_count(30)


@pytest.mark.parametrize(
    ("width", "seen"), [(1400, {"slack", "mail", "phone"}), (1100, {"slack", "mail"}), (420, {"slack"})]
)
async def test_panes_share_the_screen_by_its_width(tmp_path: Path, width: int, seen: set[str]) -> None:
    async with phone_world(tmp_path) as phones, browsing(phones, width) as page:
        for pane in ("slack", "mail", "phone"):
            await expect(page.locator(f"#{pane}")).to_be_visible(visible=pane in seen)
        if width == 1400:
            return
        tab = page.locator("[data-pane=phone]:visible")
        await phones.create(to=CAST.phone_of("1042"))
        await expect(tab).to_have_class("news")
        await tab.click()
        await expect(page.locator("#phone")).to_be_visible()
        await expect(page.locator("#mail")).to_be_hidden()
        await expect(tab).to_have_attribute("aria-pressed", "true")
        await expect(tab).not_to_have_class("news")
        overflow = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert overflow is False
