"""Suspending, undoing, holding and noting through the wire, on both databases.

Late payers of the cast with an active package: 1033 (two packages), 1049, 1110, 1145; 1260 is suspended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.desk import Desk, Message, action_ids, words

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


async def _dialog(desk: Desk, message: Message, action: str, user: str) -> dict[str, Any]:
    """Presses and gives the dialog that opened."""
    before = {m["id"] for m in (await desk.call("GET", f"/sandbox/slack/views?user={user}"))["modals"]}
    await desk.press(message, action, user)

    async def opened() -> Any:
        modals = (await desk.call("GET", f"/sandbox/slack/views?user={user}"))["modals"]
        return next((m for m in modals if m["id"] not in before), None)

    found: dict[str, Any] = await desk.until(opened, f"the dialog of {action}")
    return found


async def _submit(desk: Desk, modal: Mapping[str, Any], user: str, **inputs: str) -> Any:
    """Sends the dialog as it opened, with `inputs` changed."""
    values: dict[str, dict[str, str]] = {}
    for block in modal["blocks"]:
        if block["type"] == "input":
            element, name = block["element"], block["block_id"]
            initial = element.get("initial_option", {}).get("value") or element.get("initial_value", "")
            chosen = inputs.get(name, initial or element.get("initial_date", ""))
            if name == "package" and not chosen:
                chosen = element["options"][0]["value"]
            values[name] = {name: chosen}
    body = {"user": user, "view_id": modal["id"], "values": values}
    return (await desk.call("POST", "/sandbox/slack/submit", body))["errors"]


async def _suspend(desk: Desk, account: str, **inputs: str) -> Message:
    """Types, chooses the first package, submits; gives the preview."""
    preview = await desk.type(f"/isp suspend {account}", "U_LEAD")
    modal = await _dialog(desk, preview, "suspend.choose", "U_LEAD")
    assert await _submit(desk, modal, "U_LEAD", **inputs) is None
    return preview


async def _texts(desk: Desk, number: str) -> list[str]:
    found = await desk.call("GET", f"/sandbox/phone?number=%2B{number}")
    return [text["body"] for text in found if text["direction"].startswith("outbound")]


async def _packages(desk: Desk, account: str) -> str:
    return words(await desk.type(f"/isp find {account}", "U_LEAD"))


async def test_whoever_paid_yesterday_is_not_suspended(desk: Desk) -> None:
    preview = await desk.type("/isp suspend 1277", "U_LEAD")
    assert preview["ephemeral"]
    assert "owes nothing: its balance is zero, so it is not suspended" in words(preview)
    assert "suspend.choose" not in action_ids(preview)


async def test_a_late_payer_is_suspended_verified_told_twice_and_taken_back(desk: Desk) -> None:
    preview = await desk.type("/isp suspend 1033", "U_LEAD")
    text = words(preview)
    assert "Balance" in text
    assert "days overdue" in text
    assert "No proof that an invoice arrived" in text
    modal = await _dialog(desk, preview, "suspend.choose", "U_LEAD")
    assert await _submit(desk, modal, "U_LEAD") is None
    await desk.shows("Suspended, read back from billing", "U_LEAD", after=preview["ts"])
    card = await desk.shows("Accepted by inbox.example's server", "U_LEAD", after=preview["ts"])
    assert not card["ephemeral"]
    assert "james.haddad" not in words(card), "masked: it stands in a channel"
    assert "•••• 0148" in words(card)
    assert "<@U_LEAD>" in words(card)

    async def texted() -> list[str]:
        return await _texts(desk, "14585550148")

    (body,) = await desk.until(texted, "the text")
    assert "is suspended" in body
    (mail,) = await desk.mails("james.haddad.1033@inbox.example")
    assert "is suspended" in mail["subject"]
    shown = await _packages(desk, "1033")
    assert ":large_orange_circle: Suspended" in shown
    assert "Stream TV Basic · active" in shown, "the other package runs on"

    await desk.press(card, "unsuspend.undo", "U_LEAD")
    await desk.shows("Active again, read back from billing", "U_LEAD", after=card["ts"])

    async def taken_back() -> bool:
        return "Taken back since, by <@U_LEAD>" in words(await desk.reread(card, "U_LEAD"))

    await desk.until(taken_back, "the first card tells that it was undone")
    assert ":large_orange_circle:" not in await _packages(desk, "1033")


async def test_roles_decide_who_may_what(desk: Desk) -> None:
    for user in ("U_AGENT", "U_VIEWER"):
        assert "is not enough for that" in words(await desk.type("/isp suspend 1049", user))
    assert "is not enough for that" in words(await desk.type("/isp unsuspend 1260", "U_VIEWER"))
    assert "is not enough for that" in words(await desk.type("/isp hold 1049 until friday", "U_VIEWER"))
    agents = await desk.type("/isp unsuspend 1260")
    assert "Only a lead may unsuspend it now" in words(agents)
    assert "unsuspend.choose" not in action_ids(agents)


async def test_a_lead_unsuspends_an_account_that_still_owes(desk: Desk) -> None:
    preview = await desk.type("/isp unsuspend 1260", "U_LEAD")
    modal = await _dialog(desk, preview, "unsuspend.choose", "U_LEAD")
    assert await _submit(desk, modal, "U_LEAD", reason="pays on Friday") is None
    card = await desk.shows("Active again, read back from billing", "U_LEAD", after=preview["ts"])
    assert "pays on Friday" in words(card)
    assert ":large_orange_circle:" not in await _packages(desk, "1260")


async def test_killed_after_the_intention_it_is_done_once_and_told_once(desk: Desk) -> None:
    preview = await _suspend(desk, "1110")
    await desk.product("KILL")
    await desk.product("START")
    await desk.shows("Suspended, read back from billing", "U_LEAD", after=preview["ts"])
    await desk.shows("Accepted by freemail.example's server", "U_LEAD", after=preview["ts"])

    async def texted() -> list[str]:
        return await _texts(desk, "15035550153")

    await desk.until(texted, "the text")
    assert len(await desk.mails("curtis.omalley.1110@freemail.example")) == 1
    assert len(await texted()) == 1
    cards = [m for m in await desk.messages("U_LEAD") if "Suspend Valley Wireless 50" in words(m)]
    assert len([m for m in cards if not m["ephemeral"]]) == 1


async def test_a_blocking_note_refuses_and_its_removal_lets_go(desk: Desk) -> None:
    noted = await desk.type("/isp note 1145 medical line — never suspend --block")
    assert "Noted on account 1145" in words(noted)
    refused = await desk.type("/isp suspend 1145", "U_LEAD")
    assert "A note blocks this account: medical line - never suspend" in words(refused)
    assert "suspend.choose" not in action_ids(refused)
    assert ":no_entry: *medical line - never suspend* — <@U_AGENT>" in await _packages(desk, "1145")
    await desk.press(noted, "note.remove:0")

    async def removed() -> bool:
        return "Account 1145 has no notes" in words(await desk.reread(noted))

    await desk.until(removed, "the list without it")
    assert "suspend.choose" in action_ids(await desk.type("/isp suspend 1145", "U_LEAD"))


async def test_a_hold_stops_suspension_and_its_end_reaches_its_owner_once(desk: Desk) -> None:
    held = await desk.type("/isp hold 1049 until tomorrow promised to pay")
    assert "Account 1049 is held until" in words(held)
    refused = await desk.type("/isp suspend 1049", "U_LEAD")
    assert "reminders and suspension wait" in words(refused)
    assert "suspend.choose" not in action_ids(refused)
    assert "promised to pay — <@U_AGENT>" in await _packages(desk, "1049")

    await desk.call("POST", "/sandbox/clock", {"advance_s": 2 * 86400})
    word = await desk.shows("The hold on account 1049 is over", "U_AGENT", "D_U_AGENT")
    assert "Balance still *$169.90*" in words(word)
    assert "find.open" in action_ids(word)
    late = await desk.type("/isp suspend 1049", "U_LEAD")
    assert "suspend.choose" in action_ids(late)
    told = [m for m in await desk.messages("U_AGENT", "D_U_AGENT") if "1049 is over" in words(m)]
    assert len(told) == 1


async def test_an_import_that_is_days_old_asks_whether_payments_were_looked_for(desk: Desk) -> None:
    preview = await desk.type("/isp suspend 1049", "U_LEAD")
    modal = await _dialog(desk, preview, "suspend.choose", "U_LEAD")
    assert "Payments since the last import" in json.dumps(modal)
    errors = await _submit(desk, modal, "U_LEAD")
    assert "Look for payments in billing first" in errors["checked"]
    assert await _submit(desk, modal, "U_LEAD", checked="checked") is None
    await desk.shows("Suspended, read back from billing", "U_LEAD", after=preview["ts"])


async def test_nothing_on_the_wire_would_have_displeased_the_real_services(desk: Desk) -> None:
    assert [row["problem"] for row in await desk.problems()] == []
