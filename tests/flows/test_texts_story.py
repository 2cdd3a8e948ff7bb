"""A text, sent from Slack and followed to the phone: through the wire, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from tests.desk import Desk, Message, words
from tests.flows.test_conversation_story import in_thread, number_of, phone

pytestmark = [pytest.mark.asyncio(loop_scope="module")]


async def behaves(desk: Desk, number: str, **how: Any) -> None:
    await desk.call("POST", "/sandbox/phone/behaviour", {"number": number, **how})


async def sends(desk: Desk, account: str, body: str) -> Message:
    """An agent writes to them by text; gives the card of the conversation."""
    before = max((m["ts"] for m in await desk.messages()), default="0")
    typed = {"user": "U_AGENT", "channel": "C_SUPPORT", "text": f"/isp text {account}"}
    await desk.call("POST", "/sandbox/slack/command", typed)
    modal = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"][-1]
    submitted = {"user": "U_AGENT", "view_id": modal["id"], "values": {"words": {"words": body}}}
    await desk.call("POST", "/sandbox/slack/submit", submitted)
    preview = await desk.shows("Send this text?", after=before)
    await desk.press(preview, "thread.send")
    return await desk.shows(f"· {account}", after=before)


async def advance(desk: Desk, seconds: float) -> None:
    await desk.call("POST", "/sandbox/clock", {"advance_s": seconds})


async def seen(desk: Desk, number: str) -> list[str]:
    """Every text to this phone that the provider has, in whatever state."""
    return await phone(desk, number)


async def arrived(desk: Desk, card: Message) -> Message:
    return await in_thread(desk, card, "Delivered to the phone (handset receipt)")


async def test_a_text_is_followed_to_the_handsets_receipt(desk: Desk) -> None:
    card = await sends(desk, "1030", "The technician comes at nine.")
    sent = await arrived(desk, card)
    assert "The technician comes at nine." in words(sent)
    assert ":white_check_mark:" in words(sent)
    number = await number_of(desk, "1030")
    assert len(await seen(desk, number)) == 1
    assert number not in words(sent)


async def test_callbacks_out_of_order_and_twice_tell_one_story(desk: Desk) -> None:
    number = await number_of(desk, "1031")
    await behaves(desk, number, shuffle=True, duplicate=True)
    card = await sends(desk, "1031", "One story, please.")
    await arrived(desk, card)
    log = await desk.type("/isp messages 1031")
    assert "Delivered to the phone (handset receipt)" in words(log)


async def test_a_landline_says_so_and_no_second_text_is_offered(desk: Desk) -> None:
    await behaves(desk, await number_of(desk, "1041"), error_code=30006)
    card = await sends(desk, "1041", "Can you read this?")
    failed = await in_thread(desk, card, "Not delivered: the number is a landline")
    assert ":x:" in words(failed)
    assert "30006" not in words(failed), "raw codes stay one press away"
    refused = await desk.type("/isp text 1041")
    assert "do not reach this number" in words(refused)
    log = await desk.type("/isp messages 1041")
    await desk.press(log, "messages.timeline:0")
    timeline = await desk.shows("What our text provider said", after=log["ts"])
    assert "30006" in words(timeline)
    assert "Ask the customer for a mobile number" in words(timeline)


async def test_a_lost_response_makes_no_second_text(desk: Desk) -> None:
    number = await number_of(desk, "1032")
    await behaves(desk, number, lose_response=True, lose_callbacks=True, times=1)
    card = await sends(desk, "1032", "Only once.")
    await in_thread(desk, card, "We ask our text provider before anything is sent again")
    assert len(await seen(desk, number)) == 1
    await advance(desk, 125)
    await arrived(desk, card)
    assert len(await seen(desk, number)) == 1


async def test_a_text_that_was_never_taken_goes_once_it_was_looked_for_twice(desk: Desk) -> None:
    number = await number_of(desk, "1033")
    await behaves(desk, number, http_status=503, times=1)
    card = await sends(desk, "1033", "At last.")
    await in_thread(desk, card, "We ask our text provider before anything is sent again")
    assert await seen(desk, number) == []

    start = await looks(desk)
    await advance(desk, 125)

    async def first_look() -> bool:
        return await looks(desk) > start

    await desk.until(first_look, "the provider is listed")
    assert await seen(desk, number) == [], "one look is not enough"

    async def second_look() -> bool:
        return await looks(desk) > start + 1

    await advance(desk, 125)
    try:
        await desk.until(second_look, "the provider is listed again", timeout_s=8)
    except AssertionError:  # the first look was written only after the clock had moved: its time is later
        await advance(desk, 125)
        await desk.until(second_look, "the provider is listed again")
    await arrived(desk, card)
    assert len(await seen(desk, number)) == 1


async def looks(desk: Desk) -> int:
    """How often the provider was asked for its list."""
    rows = await desk.call("GET", "/sandbox/wire?since=0")
    return sum(row["method"] == "messages list" for row in rows)


async def test_kill_9_in_the_middle_of_a_text_makes_no_second_one(desk: Desk) -> None:
    number = await number_of(desk, "1034")
    await behaves(desk, number, slow_s=3, lose_callbacks=True, times=1)
    card = await sends(desk, "1034", "Survive this.")

    async def taken() -> bool:
        return len(await seen(desk, number)) == 1

    await desk.until(taken, "the provider has it")
    await desk.product("KILL")
    await desk.product("START")
    await in_thread(desk, card, "We ask our text provider before anything is sent again")
    await advance(desk, 125)
    await arrived(desk, card)
    assert len(await seen(desk, number)) == 1


async def test_a_receipt_that_got_lost_is_asked_for(desk: Desk) -> None:
    number = await number_of(desk, "1035")
    await behaves(desk, number, lose_callbacks=True)
    card = await sends(desk, "1035", "Did you get this?")
    await in_thread(desk, card, "Handed to our text provider, no receipt so far")
    await advance(desk, 601)
    await arrived(desk, card)


async def test_nothing_on_the_wire_would_have_displeased_twilio(desk: Desk) -> None:
    problems = [row for row in await desk.problems() if row["service"] == "phone"]
    # While the product was dead, a call that was under way ran out of time.
    assert [row["problem"] for row in problems if row["status"] != "timeout"] == []
