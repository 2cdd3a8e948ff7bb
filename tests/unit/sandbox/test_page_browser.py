"""The page in a real Chromium: a person types, presses, fills in modals, and sees what the app answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.unit.sandbox.bolt_app import Slack, slack_world

CHROMIUM = "/usr/bin/chromium"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Debian's chromium is not installed"),
]


@asynccontextmanager
async def browsing(slack: Slack) -> AsyncIterator[Page]:
    """A page that must not log any script error."""
    troubles: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = await browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(5000)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        await page.goto(slack.site.url)
        yield page
        await browser.close()
    assert troubles == []


def button(action_id: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": action_id},
        **more,
    }


def words(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


CONFIRM = {
    "title": words("Suspend?"),
    "text": words("At once."),
    "confirm": words("Yes"),
    "deny": words("Keep"),
}


def card_app(slack: Slack, pressed: list[str]) -> Any:
    app = slack.bolt()

    @app.command("/isp")
    async def isp(ack: Any, command: dict[str, str], client: Any, body: dict[str, Any]) -> None:
        if command["text"] != "modal":
            actions = [button("resend", style="primary"), button("suspend", confirm=CONFIRM)]
            await ack(text="card", blocks=[{"type": "actions", "elements": actions}])
            return
        await ack()
        email = {"type": "email_text_input", "action_id": "a"}
        account = {"type": "external_select", "action_id": "account", "min_query_length": 1}
        blocks = [
            {"type": "input", "block_id": "email", "label": words("E-mail"), "element": email},
            {
                "type": "input",
                "block_id": "who",
                "label": words("Account"),
                "element": account,
                "optional": True,
            },
        ]
        view = {"type": "modal", "callback_id": "m", "title": words("Correct"), "submit": words("Save")}
        await client.views_open(trigger_id=body["trigger_id"], view=view | {"blocks": blocks})

    @app.options("account")
    async def accounts(ack: Any, body: dict[str, Any]) -> None:
        await ack(options=[{"text": words(f"Account {body['value']}"), "value": body["value"]}])

    @app.action("resend")
    async def resend(ack: Any, respond: Any) -> None:
        await ack()
        await respond(text="Sent by SMS", replace_original=True)

    @app.action("suspend")
    async def suspend(ack: Any) -> None:
        pressed.append("suspend")
        await ack()

    @app.view("m")
    async def save(ack: Any, view: dict[str, Any]) -> None:
        values = view["state"]["values"]
        if values["email"]["a"]["value"].endswith("gmial.com"):
            await ack(response_action="errors", errors={"email": "That domain has no mail server."})
            return
        pressed.append(
            f"{values['email']['a']['value']} {values['who']['account']['selected_option']['value']}"
        )
        await ack()

    return app


async def test_a_person_runs_a_command_and_presses_its_buttons(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        pressed: list[str] = []
        async with slack.serving(card_app(slack, pressed)), browsing(slack) as page:
            await expect(page.get_by_test_id("empty-hint")).to_contain_text("/isp 1042")
            composer = page.get_by_test_id("composer")
            await composer.press_sequentially("/i")
            await expect(page.get_by_test_id("completion")).to_be_visible()
            await composer.press("Tab")
            await composer.press_sequentially("1042")
            await composer.press("Enter")
            message = page.get_by_test_id("message")
            await expect(message.get_by_test_id("only-you")).to_be_visible()
            await page.get_by_test_id("action-suspend").click()
            await page.get_by_test_id("confirm-deny").click()
            assert pressed == []
            await page.get_by_test_id("action-suspend").click()
            await page.get_by_test_id("confirm-ok").click()
            await page.get_by_test_id("action-resend").click()
            await expect(message).to_contain_text("Sent by SMS")
            await expect(message.get_by_test_id("edited")).to_be_visible()
        assert pressed == ["suspend"]
        assert await slack.problems() == []


async def test_a_person_fills_in_a_modal_with_the_keyboard(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack:
        pressed: list[str] = []
        async with slack.serving(card_app(slack, pressed)), browsing(slack) as page:
            await page.get_by_test_id("composer").fill("/isp modal")
            await page.keyboard.press("Enter")
            modal = page.get_by_test_id("modal")
            await expect(modal.get_by_test_id("action-a")).to_be_focused()
            await page.keyboard.press("Enter")
            error = page.get_by_test_id("error-email")
            await expect(error).to_have_text("Please complete this required field.")
            await page.keyboard.type("a@gmial.com")
            await page.keyboard.press("Enter")
            await expect(error).to_have_text("That domain has no mail server.")
            await expect(modal.get_by_test_id("action-a")).to_have_value("a@gmial.com")
            await modal.get_by_test_id("action-a").fill("a@example.org")
            await page.keyboard.press("Tab")
            await page.keyboard.type("1042")
            await expect(modal.get_by_role("option", name="Account 1042")).to_be_visible()
            await page.keyboard.press("Enter")
            await modal.get_by_test_id("modal-submit").click()
            await expect(modal).to_have_count(0)
            await expect(page.get_by_test_id("composer")).to_be_focused()
        assert pressed == ["a@example.org 1042"]


async def test_hostile_words_of_another_person_stay_words(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack, browsing(slack) as page:
        text = "<img src=x onerror=alert(1)> <script>alert(2)</script>"
        await slack.post("slack/message", user="U_LEAD", channel="C_SUPPORT", text=text)
        await expect(page.get_by_test_id("message").first).to_contain_text(text)
        await expect(page.get_by_test_id("message").locator("img, script")).to_have_count(0)


async def test_the_world_drawer_shows_problems_and_moves_the_clock(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack, browsing(slack) as page:
        await slack.api("chat.postMessage", channel="C_SUPPORT", text="<!channel>")
        await expect(page.get_by_test_id("problem-count")).to_have_text("1")
        await page.get_by_test_id("open-drawer").click()
        await expect(page.get_by_test_id("wire")).to_contain_text("unescaped control sequence")
        await page.get_by_test_id("advance-86400").click()
        await expect(page.get_by_test_id("clock")).to_contain_text("+24.0 h ahead")
        assert slack.site.world.clock.offset_s == 86400
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("drawer")).to_be_hidden()


async def test_each_person_has_their_own_eyes(tmp_path: Path) -> None:
    async with slack_world(tmp_path) as slack, browsing(slack) as page:
        await slack.api("chat.postEphemeral", channel="C_SUPPORT", user="U_AGENT", text="for Ana")
        await expect(page.get_by_test_id("message")).to_contain_text("for Ana")
        await page.get_by_test_id("user-U_LEAD").click()
        await expect(page.get_by_test_id("messages")).to_have_text("")
        await page.get_by_test_id("channel-D_U_LEAD").click()
        await expect(page.get_by_test_id("channel-title")).to_have_text("ISP Bot")
