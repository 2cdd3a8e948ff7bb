"""App Home and menus at the wire: published when opened, its buttons answered in the direct message."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import text

from handlers.blocks import button
from handlers.reply import Block, Home, Reply
from tests.unit.bot.support import Office, roles

EMPTY = "You are not on this desk's list"


async def opens_home(office: Office, user: str = "U_AGENT") -> Mapping[str, Any]:
    assert (await office.slack.post("slack/home", user=user))["status"] == 200
    await office.settled()
    view = (await office.slack.get("slack/views", user=user))["home"]
    assert view is not None
    return dict(view)


async def presses_view(office: Office, action_id: str) -> None:
    """Presses what stands on the agent's Home tab now."""
    view = (await office.slack.get("slack/views", user="U_AGENT"))["home"]
    body = {"user": "U_AGENT", "view_id": view["id"], "action_id": action_id}
    assert (await office.slack.post("slack/action", **body))["status"] == 200
    await office.settled()


async def presses_home(office: Office, action_id: str) -> None:
    await opens_home(office)
    await presses_view(office, action_id)


async def echo_draws_home(office: Office, element: Block) -> None:
    office.echo.replies = (Home([{"type": "actions", "elements": [element]}]),)
    await office.slack.command("/isp echo draws my home")
    await office.settled()


def shown(view: Mapping[str, Any]) -> str:
    return str([block.get("text") for block in view["blocks"]])


async def test_opening_home_publishes_it(office: Office) -> None:
    assert "You are an *agent* here" in shown(await opens_home(office))
    assert await office.slack.problems() == []


async def test_the_messages_tab_publishes_nothing(office: Office) -> None:
    assert (await office.slack.post("slack/home", user="U_AGENT", tab="messages"))["status"] == 200
    await office.settled()
    assert (await office.slack.get("slack/views", user="U_AGENT"))["home"] is None


async def test_a_colleague_without_a_role_is_told_on_the_tab(office: Office) -> None:
    office.members[1] = roles(viewer=[])
    assert EMPTY in shown(await opens_home(office, "U_VIEWER"))


async def test_another_organisation_sees_nothing_of_the_desk(office: Office) -> None:
    await office.slack.post("slack/home", user="U_OUTSIDER")
    await office.settled()
    home = (await office.slack.get("slack/views", user="U_OUTSIDER"))["home"]
    assert home is None or EMPTY in shown(home)


async def test_a_button_of_home_is_answered_in_the_direct_message(office: Office) -> None:
    await presses_home(office, "help.open")
    last = await office.slack.last(channel="D_U_AGENT")
    assert last["text"] == "How to use it"
    assert await office.slack.problems() == []


async def test_a_dialog_of_home_answers_in_the_direct_message(office: Office) -> None:
    await presses_home(office, "find.ask")
    (modal,) = (await office.slack.get("slack/views", user="U_AGENT"))["modals"]
    values = {"query": {"query": "nobody at all"}}
    answer = await office.slack.post("slack/submit", user="U_AGENT", view_id=modal["id"], values=values)
    assert answer["errors"] is None
    await office.settled()
    assert "nobody at all" in str((await office.slack.last(channel="D_U_AGENT"))["blocks"])


async def test_what_is_pressed_on_home_is_followed_in_the_direct_message(office: Office) -> None:
    await echo_draws_home(office, button("Echo", "echo.x", {"n": 1}))
    office.echo.replies = (Reply("done"),)
    await presses_view(office, "echo.x")
    request = office.echo.runs[-1]
    assert (request.channel, request.value) == ("U_AGENT", {"n": 1})
    assert (await office.slack.last(channel="D_U_AGENT"))["text"] == "done"


async def test_a_refused_press_on_home_is_told_in_the_direct_message(office: Office) -> None:
    await echo_draws_home(office, button("Boss", "echo.boss"))
    await presses_view(office, "echo.boss")
    assert "is not enough for that" in (await office.slack.last(channel="D_U_AGENT"))["text"]


MENUS: list[tuple[dict[str, Any], Any, str]] = [
    (
        {"type": "static_select", "options": [{"text": {"type": "plain_text", "text": "One"}, "value": "1"}]},
        "1",
        "1",
    ),
    ({"type": "users_select"}, "U_LEAD", "U_LEAD"),
    ({"type": "datepicker"}, "2026-12-24", "2026-12-24"),
    (
        {"type": "overflow", "options": [{"text": {"type": "plain_text", "text": "One"}, "value": "1"}]},
        "1",
        "1",
    ),
]


@pytest.mark.parametrize(("menu", "value", "expected"), MENUS)
async def test_what_is_chosen_in_a_menu_of_a_message_reaches_the_command(
    office: Office, menu: dict[str, Any], value: str, expected: str
) -> None:
    office.echo.replies = (
        Reply("menu", [{"type": "actions", "elements": [menu | {"action_id": "echo.pick:0"}]}]),
    )
    message = await office.types("echo x")
    await office.presses(message, "echo.pick:0", value=value)
    request = office.echo.runs[-1]
    assert (request.action, request.inputs, request.value) == ("pick", {"echo.pick": expected}, {})


async def test_an_event_is_on_disk_before_slack_is_told_that_it_arrived(office: Office) -> None:
    office.echo.gate = asyncio.Event()  # nothing of it is carried out yet
    answer = await office.slack.post("slack/message", user="U_AGENT", channel="D_U_AGENT", text="echo x")
    assert answer["status"] == 200
    async with office.store.read(1) as tx:
        rows = await tx.conn.execute(text("SELECT count(*) FROM interactions"))
    assert rows.scalar_one() == 1
    office.echo.gate.set()
