"""The newcomer's first five minutes, in a real Chromium: type, press Send, watch the mail arrive."""

from __future__ import annotations

import os

import pytest
from playwright.async_api import Page, expect

from tests.desk import ROOT, Desk

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


async def type_command(page: Page, text: str) -> None:
    composer = page.get_by_test_id("composer")
    await composer.fill(text)
    await composer.press("Escape")  # closes the list of commands, if it is open
    await composer.press("Enter")


async def test_newcomer_resends_an_invoice_and_watches_the_card_settle(page: Page, desk: Desk) -> None:
    await type_command(page, "/isp resend 1001 to me@inbox.example")
    send = page.locator("[data-action-id='resend.send']").last
    await expect(send).to_be_visible()
    await send.click()
    await expect(page.get_by_text("Accepted by inbox.example's server").last).to_be_visible()
    await expect(page.get_by_text("settled").last).to_be_visible()
    await page.get_by_test_id("mail-item").first.click()
    await expect(page.get_by_test_id("letter")).to_contain_text("Copy of your Cascade Broadband invoice")
    await page.get_by_test_id("phone-filter").fill("1001")
    await expect(page.get_by_test_id("number")).to_have_count(1)
    await page.get_by_test_id("number").first.click()
    await expect(page.get_by_test_id("phone-number")).to_have_text("(541) 555-0145")


async def test_somebody_never_got_the_invoice_and_the_desk_says_why(page: Page, desk: Desk) -> None:
    await page.get_by_test_id("phone-filter").fill("1042")
    await expect(page.get_by_test_id("number")).to_have_count(1)
    await expect(page.get_by_test_id("number").first).to_contain_text("Kevin")
    await page.get_by_test_id("number").first.click()
    await expect(page.get_by_test_id("phone-number")).to_have_text("(360) 555-0196")
    text = page.get_by_test_id("phone-text")
    await text.fill("I never got my invoice")
    await text.press("Enter")
    await expect(page.get_by_text("Texts with Kevin O. · 1042").last).to_be_visible()

    await type_command(page, "/isp diagnose 1042")
    await expect(page.get_by_text("NOT DELIVERED: misspelled address").last).to_be_visible()
    await expect(page.locator("[data-action-id='contact.mend']").last).to_be_visible()
    await page.get_by_test_id("mail-item").first.click()
    await expect(page.get_by_test_id("letter")).to_contain_text("invoice")
    await page.get_by_test_id("composer").focus()
    await picture(page, desk)


async def picture(page: Page, desk: Desk) -> None:
    """What the README shows first; DEMO_PICTURE=docs/demo.png keeps it there (look before committing)."""
    taken = await page.screenshot(path=desk.state / "demo.png")
    assert len(taken) > 20_000
    if kept := os.environ.get("DEMO_PICTURE"):
        (ROOT / kept).write_bytes(taken)


async def test_bounced_mailbox_shows_as_not_delivered(page: Page, desk: Desk) -> None:
    await desk.behaviour(address="bounce@inbox.example", reply="550 5.1.1 The mailbox does not exist")
    await type_command(page, "/isp resend 1002 to bounce@inbox.example")
    await page.locator("[data-action-id='resend.send']").last.click()
    await expect(page.get_by_text("Not delivered: the mailbox does not exist").last).to_be_visible()
    await expect(page.locator("[data-action-id='resend.other']").last).to_be_visible()


async def test_menu_s_find_dialog_works_by_keyboard(page: Page, desk: Desk) -> None:
    await type_command(page, "/isp")
    await page.locator("[data-action-id='find.ask']").last.click()
    field = page.get_by_role("dialog").locator("input, textarea").first
    await expect(field).to_be_visible()
    await field.fill("1042")
    await field.press("Enter")
    await expect(page.get_by_text("Kevin O'Brien · 1042").last).to_be_visible()
