"""What must stay where it is, after a day of everything: no person in the logs, none whole in a channel, and
no word of the team's in what a subscriber gets. Over the wire, on both databases.
"""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.desk import Desk, Message, action_ids, assert_no_person, cast, of_person, words

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

NOTE, REASON, SPOKEN = "growls at technicians", "promised the vicar", "he lies about the cheque"
"""Written for the team: a sticky note, a hold's reason, a note in a conversation's thread."""
SAID, ANSWERED = "my husband has moved out", "Thank you for telling us, Maria."


def texts_of(rows: list[dict[str, Any]]) -> list[str]:
    return [str(row["body"]) for row in rows if row["direction"] == "outbound"]


async def _texts(desk: Desk, number: str, body: str) -> None:
    await desk.call("POST", "/sandbox/phone/send", {"from": number, "body": body})


async def _number_of(desk: Desk, account: str) -> str:
    state = await desk.call("GET", "/sandbox/state")
    return next(str(row["number"]) for row in state["numbers"] if account in row["accounts"])


async def _in_thread(desk: Desk, card: Message, part: str) -> Message:
    """Below the card: who writes there before the product has noted where its card stands is not heard."""
    path = f"/sandbox/slack/messages?channel=C_SUPPORT&user=U_AGENT&thread_ts={card['ts']}"

    async def look() -> Message | None:
        found: list[Message] = await desk.call("GET", path)
        return next((m for m in found if part in words(m) and m["ts"] != card["ts"]), None)

    found: Message = await desk.until(look, f"{part!r} in the thread")
    return found


async def _asked(desk: Desk, what: str) -> Message:
    """The answer to the asker: cards that others may read appear meanwhile."""
    before = {m["ts"] for m in await desk.messages()}
    command = {"user": "U_AGENT", "channel": "C_SUPPORT", "text": f"/isp {what}"}
    await desk.call("POST", "/sandbox/slack/command", command)

    async def look() -> Message | None:
        found = [m for m in await desk.messages() if m["ts"] not in before and m["ephemeral"]]
        return next(iter(found), None)

    found: Message = await desk.until(look, f"an answer to {what}")
    return found


async def _look_around(desk: Desk) -> None:
    by_account = {row["account"]: row for row in cast(desk.state)}
    maria = by_account["1001"]
    for what in ("find 1001", f"find {maria['name'].split()[-1]}", "diagnose 1042", "messages 1001"):
        shown = await _asked(desk, f"{what}")
        for action in ("find.share", "diagnose.share", "messages.share"):
            if action in action_ids(shown):
                await desk.press(shown, action)
                await desk.shows("Shared here", after=shown["ts"])
    await _asked(desk, f"find {maria['phone']}")
    await _asked(desk, f"find {maria['email_billing'] or 'nobody@inbox.example'}")
    await _asked(desk, "find nobody.at.all@inbox.example")
    await _asked(desk, "failures 30 days")
    await _asked(desk, "incidents")


async def _send(desk: Desk) -> None:
    await desk.behaviour(
        address="gone@inbox.example", reply="550 5.1.1 <gone@inbox.example>: Maria Santos has left us"
    )
    for what in ("1001 to me@inbox.example", "1003 to gone@inbox.example"):
        preview = await _asked(desk, f"resend {what}")
        await desk.press(preview, "resend.send")
        await desk.shows("settled", after=preview["ts"])


async def _write(desk: Desk) -> None:
    await _asked(desk, f"note 1001 {NOTE} --warn")
    await _asked(desk, f"hold 1001 until 2030-01-01 {REASON}")
    number = await _number_of(desk, "1001")
    await _texts(desk, number, SAID)
    card = await desk.shows("Texts with Maria")
    await _in_thread(desk, card, SAID)
    message = {"user": "U_AGENT", "channel": "C_SUPPORT", "thread_ts": card["ts"], "text": SPOKEN}
    await desk.call("POST", "/sandbox/slack/message", message)
    await _in_thread(desk, card, "Not sent. Team only.")
    await desk.press(card, "thread.reply")
    modal = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"][-1]
    await desk.call(
        "POST",
        "/sandbox/slack/submit",
        {"user": "U_AGENT", "view_id": modal["id"], "values": {"words": {"words": ANSWERED}}},
    )
    await desk.press(await _in_thread(desk, card, "Send this text?"), "thread.send")

    async def answered() -> bool:
        return any(ANSWERED in body for body in texts_of(await desk.call("GET", "/sandbox/phone")))

    await desk.until(answered, "the answer on the phone")
    for body in ("BALANCE", "INVOICE", "please stop texting me"):
        await _texts(desk, number, body)
    await desk.shows("Opted out of texts")


async def _attack(desk: Desk) -> None:
    endpoints = json.loads((desk.state / "endpoints.json").read_text())
    base = f"http://127.0.0.1:{endpoints['product']['http_port']}"
    number = await _number_of(desk, "1002")
    async with aiohttp.ClientSession() as session:
        form = {"From": number, "Body": f"STOP {SAID}", "To": "+1", "AccountSid": "AC"}
        for path in ("/twilio/inbound", "/twilio/status/x", "/slack/events", "/i/abc", "/media/abc"):
            async with session.post(base + path, data=form, headers={"X-Twilio-Signature": "x"}) as answer:
                assert answer.status in (401, 403, 404, 405), path


async def _crash(desk: Desk) -> None:
    preview = await _asked(desk, "resend 1002 to later@inbox.example")
    await desk.press(preview, "resend.send")
    await desk.product("KILL")
    await desk.product("START")
    await desk.shows("settled", after=preview["ts"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lived(desk: Desk) -> Desk:
    await _look_around(desk)
    await _send(desk)
    await _write(desk)
    await _attack(desk)
    await _crash(desk)
    return desk


async def test_no_log_line_names_a_person_or_what_was_said(lived: Desk) -> None:
    logs = lived.logs()
    assert logs.count("\n") > 5, "there is something to look through"
    assert_no_person(lived)
    for private in (NOTE, REASON, SPOKEN, SAID, ANSWERED, "gone@", "Maria Santos", "has left us"):
        assert private not in logs
    assert "X-Twilio-Signature" not in logs


async def test_no_message_for_a_channel_shows_a_person_whole(lived: Desk) -> None:
    people = cast(lived.state)
    seen = 0
    for channel in ("C_SUPPORT", "C_ONCALL"):
        for message in await lived.messages("U_LEAD", channel):
            if message["ephemeral"] or message["user"] != "U_BOT":
                continue
            seen += 1
            shown = words(message) + str(message["text"])
            for row in people:
                for private in of_person(row):
                    assert private not in shown, (private, shown)
            assert "gone@inbox.example" not in shown
    assert seen >= 5


async def test_no_word_of_the_team_s_reaches_a_subscriber(lived: Desk) -> None:
    phones = json.dumps(await lived.call("GET", "/sandbox/phone"))
    mails = json.dumps(await lived.call("GET", "/sandbox/mail"))
    assert ANSWERED in phones
    for private in (NOTE, REASON, SPOKEN, "U_AGENT", "visp", "suppression", "tenant"):
        assert private not in "\n".join(texts_of(json.loads(phones))), private
    for private in (NOTE, REASON, SPOKEN):
        assert private not in mails, private
