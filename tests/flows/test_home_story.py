"""App Home over the wire, on both databases: what needs attention now, and dialogs in the direct message."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cast_mail import FULL_MAILBOX
from tests.desk import Desk, words

pytestmark = [pytest.mark.asyncio(loop_scope="module")]
DIRECT = "D_U_AGENT"


async def home(desk: Desk, user: str = "U_AGENT") -> dict[str, Any] | None:
    found: dict[str, Any] | None = (await desk.call("GET", f"/sandbox/slack/views?user={user}"))["home"]
    return found


async def shows(desk: Desk, text: str, user: str = "U_AGENT") -> str:
    """Opens the tab, and again after each change, until it says so."""

    async def look() -> str | None:
        await desk.call("POST", "/sandbox/slack/home", {"user": user})
        view = await home(desk, user)
        said = words({**view, "text": ""}) if view is not None else ""
        return said if text in said else None

    found: str = await desk.until(look, f"a home tab that says {text!r}")
    return found


async def press_home(desk: Desk, action: str) -> None:
    view = await home(desk)
    assert view is not None
    await desk.call(
        "POST", "/sandbox/slack/action", {"user": "U_AGENT", "view_id": view["id"], "action_id": action}
    )


async def test_an_agent_sees_who_they_are_and_what_needs_attention(desk: Desk) -> None:
    said = await shows(desk, "their server does not trust our mail server (our side)")
    assert "You are an *agent* here" in said
    assert "without a proven notice, last 3 days" in said
    assert "@" not in said.replace("<@", ""), "the tab names no address"


async def test_a_new_failure_is_there_when_the_tab_is_opened_again(desk: Desk) -> None:
    await desk.behaviour(address=FULL_MAILBOX, reply="550 5.2.1 The mailbox is disabled")
    await desk.resend("1077")
    await shows(desk, "the mailbox is switched off")


async def test_the_list_behind_the_number_counts_the_same_people(desk: Desk) -> None:
    said = await shows(desk, "without a proven notice, last 3 days")
    people = said.partition("*Needs attention* · ")[2].partition(" without")[0]
    await press_home(desk, "failures.open")
    assert f"*{people}*" in words(
        await desk.shows("Without a proven notice: the last 3 days", channel=DIRECT)
    )


async def test_a_dialog_of_the_tab_answers_in_the_direct_message(desk: Desk) -> None:
    await shows(desk, "You are an *agent* here")
    await press_home(desk, "find.ask")
    (modal,) = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"]
    body = {"user": "U_AGENT", "view_id": modal["id"], "values": {"query": {"query": "1001"}}}
    assert (await desk.call("POST", "/sandbox/slack/submit", body))["errors"] is None
    card = await desk.shows("Maria Santos", channel=DIRECT)
    assert card["channel"] == DIRECT


async def test_a_viewer_and_a_stranger_get_tabs_of_their_own(desk: Desk) -> None:
    assert "You are a *viewer* here" in await shows(desk, "here", "U_VIEWER")
    said = await shows(desk, "You are not on this desk's list", "U_OUTSIDER")
    assert "did not arrive" not in said, "whoever is not on the list learns nothing of the desk"


async def test_nothing_that_slack_would_refuse_was_said(desk: Desk) -> None:
    problems = [row["problem"] for row in await desk.problems()]
    # These tests open the tab again at every change, faster than any person does.
    assert [p for p in problems if "ratelimited" not in p] == []
