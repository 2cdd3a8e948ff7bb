"""In a real Chromium: every kind of input, completion, unread marks, long lists, DNS, a dead product."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from sandbox.__main__ import build
from tests.unit.sandbox.bolt_app import Slack, slack_world
from tests.unit.sandbox.test_page_browser import ARGS, CHROMIUM, browsing, words

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Debian's chromium is not installed"),
]


def option(text: str, value: str) -> dict[str, Any]:
    return {"text": words(text), "value": value}


PACKAGES = [option("Summit Gigabit", "p1"), option("Stream TV Basic", "p2")]


def field(block_id: str, label: str, kind: str, **more: Any) -> dict[str, Any]:
    optional = more.pop("optional", False)
    element = {"type": kind, "action_id": block_id, **more}
    return {
        "type": "input",
        "block_id": block_id,
        "label": words(label),
        "element": element,
        "optional": optional,
    }


FORM = [
    field("package", "Package", "static_select", options=PACKAGES, placeholder=words("Choose a package")),
    field("until", "Until", "datepicker", initial_date="2026-12-24"),
    field("reason", "Reason", "plain_text_input", multiline=True, max_length=200),
    field("owner", "Who takes care", "users_select"),
    field("how", "How", "radio_buttons", options=[option("By mail", "mail"), option("By text", "sms")]),
    field("also", "Also", "checkboxes", options=[option("Tell the subscriber", "tell")], optional=True),
]


def form_app(slack: Slack, submitted: list[dict[str, Any]], chosen: list[tuple[str, Any]]) -> Any:
    app = slack.bolt()

    @app.command("/isp")
    async def isp(ack: Any, client: Any, body: dict[str, Any]) -> None:
        await ack()
        view = {"type": "modal", "callback_id": "m", "title": words("Suspend"), "submit": words("Suspend it")}
        await client.views_open(trigger_id=body["trigger_id"], view=view | {"blocks": FORM})

    @app.view("m")
    async def save(ack: Any, view: dict[str, Any]) -> None:
        submitted.append(view["state"]["values"])
        if len(submitted) == 1:
            await ack(response_action="errors", errors={"until": "That day is a holiday."})
            return
        await ack()

    @app.action("pick")
    @app.action("who")
    @app.action("when")
    async def pick(ack: Any, action: dict[str, Any]) -> None:
        chosen.append((action["action_id"], action))
        await ack()

    return app


async def test_a_person_fills_in_every_kind_of_input(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        submitted: list[dict[str, Any]] = []
        async with slack.serving(form_app(slack, submitted, [])), browsing(slack) as page:
            await page.get_by_test_id("composer").fill("/isp suspend 1042")
            await page.keyboard.press("Enter")
            modal = page.get_by_test_id("modal")
            await expect(modal.get_by_label("Package")).to_be_focused()
            await modal.get_by_test_id("modal-submit").click()
            await expect(page.get_by_test_id("error-package")).to_have_text(
                "Please complete this required field."
            )
            await modal.get_by_label("Package").select_option(label="Stream TV Basic")
            await modal.get_by_label("Until").fill("2026-12-25")
            await modal.get_by_label("Reason").fill("Two months overdue.\nPromised twice.")
            await modal.get_by_label("Who takes care").select_option(label="Leo Lead")
            await modal.get_by_text("By text").click()
            await modal.get_by_text("Tell the subscriber").click()
            await modal.get_by_test_id("modal-submit").click()
            await expect(page.get_by_test_id("error-until")).to_have_text("That day is a holiday.")
            await expect(page.get_by_test_id("error-package")).to_be_hidden()
            await expect(modal.get_by_label("Until")).to_have_attribute("aria-invalid", "true")
            await expect(modal.get_by_label("Reason")).to_have_value("Two months overdue.\nPromised twice.")
            await modal.get_by_label("Until").fill("2026-12-27")
            await modal.get_by_test_id("modal-submit").click()
            await expect(modal).to_have_count(0)
        state = submitted[-1]
        assert state["package"]["package"]["selected_option"]["value"] == "p2"
        assert state["until"]["until"]["selected_date"] == "2026-12-27"
        assert state["reason"]["reason"]["value"] == "Two months overdue.\nPromised twice."
        assert state["owner"]["owner"]["selected_user"] == "U_LEAD"
        assert state["how"]["how"]["selected_option"]["value"] == "sms"
        assert [one["value"] for one in state["also"]["also"]["selected_options"]] == ["tell"]
        assert await slack.problems() == []


async def test_menus_in_a_message_are_used_by_keyboard(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        chosen: list[tuple[str, Any]] = []
        elements = [
            {
                "type": "static_select",
                "action_id": "pick",
                "options": PACKAGES,
                "placeholder": words("Package"),
            },
            {"type": "users_select", "action_id": "who", "placeholder": words("Assign to")},
            {"type": "datepicker", "action_id": "when"},
        ]
        blocks = [{"type": "actions", "elements": elements}]
        async with slack.serving(form_app(slack, [], chosen)), browsing(slack) as page:
            await slack.api("chat.postMessage", channel="C_SUPPORT", text="menus", blocks=blocks)
            await page.get_by_label("Package").select_option(label="Summit Gigabit")
            await page.get_by_label("Assign to").select_option(label="Ada Admin")
            await page.get_by_test_id("action-when").fill("2026-12-01")
            await page.keyboard.press("Tab")
            await expect(page.get_by_label("Assign to")).to_have_value("U_ADMIN")
        by_id = dict(chosen)
        assert by_id["pick"]["selected_option"]["value"] == "p1"
        assert by_id["who"]["selected_user"] == "U_ADMIN"
        assert by_id["when"]["selected_date"] == "2026-12-01"


OFFERS = [
    {"text": "/isp find", "usage": "/isp find <account>", "hint": "Look a subscriber up"},
    {"text": "/isp resend", "usage": "/isp resend <invoice>", "hint": "Send it again"},
]


async def test_commands_are_completed_with_the_keyboard(tmp_path: Path) -> None:
    (tmp_path / "commands.json").write_text(json.dumps(OFFERS))
    async with slack_world(tmp_path) as slack, browsing(slack) as page:
        composer, offered = page.get_by_test_id("composer"), page.get_by_test_id("completion")
        await composer.press_sequentially("/isp ")
        await expect(offered.get_by_role("option")).to_have_count(3)
        await page.keyboard.press("ArrowUp")
        await expect(offered.locator("[aria-selected=true]")).to_contain_text("resend")
        await page.keyboard.press("Enter")
        await expect(composer).to_have_value("/isp resend ")
        await expect(offered).to_contain_text("/isp resend <invoice>")
        await page.keyboard.press("Escape")
        await expect(offered).to_be_hidden()
        await composer.fill("/isp fi")
        await page.keyboard.press("Tab")
        await expect(composer).to_have_value("/isp find ")
        await expect(composer).to_be_focused()
        await composer.fill("hello")
        await expect(offered).to_be_hidden()


async def test_a_message_elsewhere_marks_its_channel_until_it_is_read(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack, browsing(slack) as page:
        oncall = page.get_by_test_id("channel-C_ONCALL")
        await slack.api("chat.postMessage", channel="C_ONCALL", text="Outlook refuses us")
        await expect(oncall).to_have_class("unread")
        await oncall.click()
        await expect(page.get_by_test_id("message")).to_contain_text("Outlook refuses us")
        await expect(page.get_by_test_id("channel-C_ONCALL")).not_to_have_class("unread")


async def test_earlier_messages_come_when_asked_for_and_the_view_stays(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        for number in range(130):
            slack.part.desk.messages.add("C_SUPPORT", "U_BOT", f"number {number}.")
        async with browsing(slack) as page:
            await expect(page.get_by_test_id("message")).to_have_count(100)
            await page.get_by_test_id("more-messages").click()
            await expect(page.get_by_test_id("message")).to_have_count(130)
            await expect(page.get_by_text("number 35.")).to_be_in_viewport()


async def test_links_in_messages_open_in_a_tab_of_their_own(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack, browsing(slack) as page:
        address = f"{slack.site.url}/page/static/page.css"
        await slack.api("chat.postMessage", channel="C_SUPPORT", text=f"see <{address}|the styles>")
        async with page.context.expect_page() as opened:
            await page.get_by_role("link", name="the styles").click()
        assert (await opened.value).url == address


@asynccontextmanager
async def whole_world(state: Path, command: list[str]) -> AsyncIterator[Page]:
    """The page of a whole sandbox, DNS and a product among it."""
    site = build(state, product_commands=[command])
    await site.start()
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
            page = await browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(10_000)
            troubles: list[str] = []
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
            await page.goto(site.url)
            yield page
            await browser.close()
            assert troubles == []
    finally:
        await site.stop()


LISTENS = """
import json, pathlib, socket, sys, time
port = json.loads(pathlib.Path(sys.argv[1]).read_text())["product"]["http_port"]
listening = socket.create_server(("127.0.0.1", port))
while True:
    listening.accept()[0].close()
"""


async def test_a_dead_product_is_told_and_started_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LISTENS, str(tmp_path / "endpoints.json")]
    async with whole_world(tmp_path, command) as page:
        await expect(page.get_by_test_id("product-down")).to_contain_text("The product is down")
        await page.get_by_test_id("start-product").click()
        await expect(page.get_by_test_id("product-down")).to_have_count(0)
        await expect(page.get_by_test_id("product-starting")).to_have_count(0)
        await page.get_by_test_id("open-drawer").click()
        await expect(page.get_by_test_id("process")).to_contain_text("Running")
        await page.get_by_test_id("kill-product").click()
        await expect(page.get_by_test_id("product-down")).to_be_visible()
        await expect(page.get_by_test_id("process")).to_contain_text("Not running")
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("open-drawer")).to_be_focused()


async def test_a_dns_record_is_found_mended_and_deleted(tmp_path: Path) -> None:
    async with whole_world(tmp_path, [sys.executable, "-c", "pass"]) as page:
        await page.get_by_test_id("open-drawer").click()
        await page.get_by_test_id("dns-find").fill("v=spf1 mx")
        record = page.get_by_test_id("dns-record").locator("visible=true")
        await expect(record.first).to_contain_text("mail.cascade.example")
        await expect(record.first).to_contain_text("ours")
        right = "v=spf1 mx include:spf.visp.net ~all"
        await record.first.get_by_role("textbox").fill(right)
        await record.first.get_by_test_id("dns-save").click()
        await expect(page.get_by_test_id("toasts")).to_contain_text("TXT of mail.cascade.example saved")
        await expect(record.first.get_by_role("textbox")).to_have_value(right)
        await page.get_by_test_id("dns-find").fill("nothing like that")
        await expect(page.get_by_text("No record fits")).to_be_visible()
        await expect(page.get_by_test_id("dns-new")).to_be_visible()


async def test_a_sandbox_that_is_gone_is_told(tmp_path: Path) -> None:
    site = build(tmp_path)
    await site.start()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = await browser.new_page()
        await page.goto(site.url)
        await expect(page.locator("body")).to_have_attribute("data-live", "yes")
        await site.stop()
        await expect(page.get_by_test_id("lost")).to_be_visible()
        await page.get_by_test_id("composer").fill("/isp 1042")
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("toasts")).to_contain_text("The sandbox does not answer")
        await expect(page.get_by_test_id("composer")).to_have_value("/isp 1042")
        await browser.close()


async def test_arrows_walk_through_lists_and_menus(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack, browsing(slack) as page:
        menu = {"type": "overflow", "action_id": "more", "options": PACKAGES}
        blocks = [{"type": "actions", "elements": [menu]}]
        await slack.api("chat.postMessage", channel="C_SUPPORT", text="menu", blocks=blocks)
        more = page.get_by_label("More actions")
        await more.focus()
        await page.keyboard.press("Enter")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await expect(page.get_by_role("menuitem", name="Stream TV Basic")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(more).to_be_focused()
        await page.get_by_test_id("channel-C_SUPPORT").focus()
        await page.keyboard.press("ArrowDown")
        await expect(page.get_by_test_id("channel-C_ONCALL")).to_be_focused()
        await page.keyboard.press("ArrowUp")
        await expect(page.get_by_test_id("channel-C_SUPPORT")).to_be_focused()
