"""The newcomer's first five minutes, in a real Chromium: type, press Send, watch the mail arrive."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.desk import ROOT, Desk

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("browser"),
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
    await expect(page.get_by_text("Copy of your Cascade Broadband invoice").first).to_be_visible()
    await page.get_by_text("Copy of your Cascade Broadband invoice").first.click()
    shot = Path(os.environ.get("DEMO_PICTURE", desk.state / "demo.png"))
    await page.screenshot(path=ROOT / shot)


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
