"""A subscriber texts, the desk answers: over the wire, on both databases."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from tests.desk import Desk, Message, action_ids, words

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

CARD = "4242 4242 4242 4242"
BRAND = "Cascade Broadband"
UNKNOWN = "+15035550001"


async def number_of(desk: Desk, account: str) -> str:
    state = await desk.call("GET", "/sandbox/state")
    return next(str(row["number"]) for row in state["numbers"] if account in row["accounts"])


async def texts(desk: Desk, number: str, body: str, **more: Any) -> dict[str, Any]:
    sent: dict[str, Any] = await desk.call(
        "POST", "/sandbox/phone/send", {"from": number, "body": body, **more}
    )
    assert sent["status"] == 200, sent
    assert sent["replies"] == [], "the webhook is answered with empty TwiML"
    return sent


async def phone(desk: Desk, number: str) -> list[str]:
    """What the product sent to this phone, oldest first."""
    found = await desk.call("GET", f"/sandbox/phone?number={number.replace('+', '%2B')}")
    return [m["body"] for m in found if m["direction"] == "outbound" and not m["automatic"]]


async def arrives(desk: Desk, number: str, part: str) -> str:
    async def look() -> str | None:
        return next((body for body in await phone(desk, number) if part in body), None)

    found: str = await desk.until(look, f"a text with {part!r}")
    return found


async def thread(desk: Desk, card: Message, user: str = "U_AGENT") -> list[Message]:
    path = f"/sandbox/slack/messages?channel=C_SUPPORT&user={user}&thread_ts={card['ts']}"
    found: list[Message] = await desk.call("GET", path)
    return [m for m in found if m["ts"] != card["ts"]]


async def in_thread(desk: Desk, card: Message, part: str, user: str = "U_AGENT") -> Message:
    """The newest message in this card's thread with these words."""

    async def look() -> Message | None:
        found = [m for m in await thread(desk, card, user) if part in words(m)]
        return found[-1] if found else None

    found: Message = await desk.until(look, f"{part!r} in the thread")
    return found


async def writes(desk: Desk, card: Message, body: str) -> Message:
    """Presses Reply, fills the dialog, submits; gives the preview in the thread."""
    await desk.press(card, "thread.reply")
    modal = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"][-1]
    submitted = await desk.call(
        "POST",
        "/sandbox/slack/submit",
        {"user": "U_AGENT", "view_id": modal["id"], "values": {"words": {"words": body}}},
    )
    assert submitted["errors"] is None
    return await in_thread(desk, card, "Send this text?")


async def test_i_already_paid_becomes_a_thread_and_an_answer_that_reaches_the_phone(desk: Desk) -> None:
    number = await number_of(desk, "1001")
    await texts(desk, number, "I already paid")
    card = await desk.shows("Texts with Maria S. · 1001")
    line = await in_thread(desk, card, "I already paid")
    assert not line["ephemeral"]
    assert number not in words(card) + words(line), "numbers are masked in a channel"
    assert "Balance" in words(card)

    preview = await writes(desk, card, "Thank you Maria, it arrived on Friday.")
    assert preview["ephemeral_to"] == "U_AGENT"
    assert f"{BRAND}: Thank you Maria, it arrived on Friday." in words(preview)
    assert "1 segment" in words(preview)
    assert "$0.0079" in words(preview)
    assert "where they live (Los Angeles)" in words(preview)
    assert await phone(desk, number) == [], "a preview sends nothing"

    await asyncio.gather(desk.press(preview, "thread.send"), desk.press(preview, "thread.send"))
    assert await arrives(desk, number, "it arrived on Friday") == (
        f"{BRAND}: Thank you Maria, it arrived on Friday."
    )
    await texts(desk, number, "great, thanks")
    await in_thread(desk, card, "great, thanks")
    assert len(await phone(desk, number)) == 1, "pressed twice, sent once"
    sent = await in_thread(desk, card, "it arrived on Friday")
    assert "<@U_AGENT>" in words(sent)


async def test_a_note_never_reaches_the_phone_unless_it_is_sent_as_text(desk: Desk) -> None:
    number = await number_of(desk, "1002")
    await texts(desk, number, "When is the technician coming?")
    card = await desk.shows("Texts with Maria F. · 1002")
    await in_thread(desk, card, "When is the technician coming?")
    await desk.call(
        "POST",
        "/sandbox/slack/message",
        {
            "user": "U_AGENT",
            "channel": "C_SUPPORT",
            "thread_ts": card["ts"],
            "text": "he never answers his door",
        },
    )
    note = await in_thread(desk, card, "Not sent. Team only.")
    assert note["ephemeral_to"] == "U_AGENT"
    await desk.call(
        "POST",
        "/sandbox/slack/message",
        {"user": "U_AGENT", "channel": "C_SUPPORT", "thread_ts": card["ts"], "text": "Tomorrow at nine."},
    )

    async def second_note() -> Message | None:
        found = [m for m in await thread(desk, card) if "Not sent." in words(m)]
        return found[-1] if len(found) == 2 else None

    await desk.press(await desk.until(second_note, "the second note's answer"), "thread.as_text")
    preview = await in_thread(desk, card, "Send this text?")
    await desk.press(preview, "thread.send")
    await arrives(desk, number, "Tomorrow at nine.")
    assert await phone(desk, number) == [f"{BRAND}: Tomorrow at nine."]


async def test_stop_from_a_phone_ends_texts_and_shows_a_banner(desk: Desk) -> None:
    number = await number_of(desk, "1010")
    await texts(desk, number, "what is this?")
    card = await desk.shows("Texts with Andre O. · 1010")
    preview = await writes(desk, card, "Your provider. Can we help?")
    await texts(desk, number, "STOP")
    await in_thread(desk, card, "Opted out of texts. Nothing more goes to this number")

    await desk.press(preview, "thread.send")
    await in_thread(desk, card, "has opted out of texts, so nothing is sent")
    assert await phone(desk, number) == [], "Twilio has answered, we send nothing"

    async def banner_up() -> Message | None:
        now = await desk.reread(card)
        return now if "Opted out of texts" in words(now) else None

    banner: Message = await desk.until(banner_up, "the banner on the card")
    assert "thread.reply" not in action_ids(banner)
    refused = await desk.type("/isp text 1010")
    assert "opted out of texts" in words(refused)

    await texts(desk, number, "START")
    await in_thread(desk, card, "Opted in to texts again.")

    async def lifted() -> bool:
        return "Opted out" not in words(await desk.reread(card))

    await desk.until(lifted, "the banner goes")


async def forged(desk: Desk, number: str, body: str) -> None:
    """Somebody who knows the number and the webhook's address, but no token."""
    endpoints = json.loads((desk.state / "endpoints.json").read_text())
    form = {
        "AccountSid": endpoints["twilio"]["account_sid"],
        "MessageSid": "SM" + "f" * 32,
        "From": number,
        "To": endpoints["twilio"]["senders"][0],
        "Body": body,
        "NumMedia": "0",
    }
    url = f"http://127.0.0.1:{endpoints['product']['http_port']}/twilio/inbound"
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"X-Twilio-Signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}):
            async with session.post(url, data=form, headers=headers) as answer:
                assert answer.status == 403


async def test_a_forged_stop_is_refused_and_changes_nothing(desk: Desk) -> None:
    number = await number_of(desk, "1003")
    await forged(desk, number, "STOP")
    await texts(desk, number, "balance")
    await arrives(desk, number, "your balance is $47.95"), "still texted, so nothing was suppressed"


async def by_day(desk: Desk) -> None:
    """Business time goes on to the next morning where the cast lives, if it is quiet there now."""
    now = datetime.now(ZoneInfo("America/Los_Angeles"))
    if not 9 <= now.hour < 19:
        morning = now.replace(hour=9, minute=5) + timedelta(days=now.hour >= 9)
        await desk.call("POST", "/sandbox/clock", {"advance_s": (morning - now).total_seconds()})


async def test_a_yes_from_the_phone_mends_the_address_and_sends_the_invoice_again(desk: Desk) -> None:
    number, new = await number_of(desk, "1042"), "kevin.obrien@gmail.com"
    await by_day(desk)
    preview = await desk.type("/isp ask 1042")
    assert f"is {new} your e-mail address? Reply YES or NO" in words(preview)
    await asyncio.gather(desk.press(preview, "ask.send"), desk.press(preview, "ask.send"))
    question = await arrives(desk, number, "your e-mail address?")
    assert await phone(desk, number) == [question], "pressed twice, asked once"
    card = await desk.shows("Asked, no answer so far")
    assert number not in words(card)
    assert new not in words(card)

    await forged(desk, number, "YES")
    await texts(desk, number, "Who is this?")
    thread_card = await desk.shows("Texts with Kevin O. · 1042")
    await in_thread(desk, thread_card, "Who is this?")
    assert await desk.mails(new) == [], "a forged YES mends nothing"
    assert "no answer so far" in words(await desk.reread(card))

    await texts(desk, number, "Yes, please")
    await arrives(desk, number, f"to {new} now.")
    done = await desk.shows("again: Accepted by gmail.com's server")
    assert done["ts"] == card["ts"], "one card, from the question to the server that took the invoice"
    assert "They said yes" in words(done)
    (mail,) = await desk.mails(new)
    assert [a["content_type"] for a in mail["attachments"]] == ["application/pdf"]
    await texts(desk, number, "yes")
    await in_thread(desk, thread_card, "yes")
    assert len(await desk.mails(new)) == 1

    await desk.press(done, "contact.undo")
    await desk.shows("is *kevin.obrien@gmial.com* again")


async def test_stop_texting_me_gets_exactly_one_confirmation(desk: Desk) -> None:
    number = await number_of(desk, "1042")
    before = len(await phone(desk, number))
    await texts(desk, number, "please stop texting me")
    await arrives(desk, number, "you get no more texts")
    await texts(desk, number, "I said stop texting me!")
    card = await desk.shows("Texts with Kevin O. · 1042")
    await in_thread(desk, card, "I said stop texting me!")
    assert len(await phone(desk, number)) == before + 1


async def test_two_accounts_on_one_number_are_asked_about_before_any_data(desk: Desk) -> None:
    number = await number_of(desk, "1204")
    await texts(desk, number, "saldo")
    question = await arrives(desk, number, "1 para la cuenta que termina en 04")
    assert "$" not in question
    await texts(desk, number, "2")
    assert (
        await arrives(desk, number, "su saldo es de")
        == f"{BRAND}: su saldo es de $84.95. Un pago de hoy puede tardar en verse."
    )


async def test_a_webhook_that_comes_twice_is_one_line(desk: Desk) -> None:
    number = await number_of(desk, "1007")
    await desk.call("POST", "/sandbox/phone/behaviour", {"number": number, "duplicate": True})
    await texts(desk, number, "my internet is slow")
    card = await desk.shows("my internet is slow")
    await in_thread(desk, card, "my internet is slow")
    await texts(desk, number, "hello?")
    await in_thread(desk, card, "hello?")
    said = [words(m).splitlines()[0] for m in await thread(desk, card)]
    assert sum("my internet is slow" in line for line in said) == 1


async def test_unknown_number_gets_an_unmatched_thread_and_no_data(desk: Desk) -> None:
    await texts(desk, UNKNOWN, "BALANCE")
    card = await desk.shows("Texts with •••• 0001")
    assert "Unmatched" in words(card)
    assert "find.open" not in action_ids(card)
    assert await phone(desk, UNKNOWN) == []


async def test_cancel_my_internet_asks_an_agent_who_decides(desk: Desk) -> None:
    number = await number_of(desk, "1022")
    await texts(desk, number, "please cancel my internet")
    question = await desk.shows("Do they mean the texts or the service?")
    await desk.press(question, "thread.service")
    await desk.shows("It is about the service")

    async def decided() -> bool:
        return "Decided." in words(await desk.reread(question))

    await desk.until(decided, "the buttons go")


async def test_a_text_is_begun_from_slack(desk: Desk) -> None:
    number = await number_of(desk, "1014")
    await desk.call(
        "POST",
        "/sandbox/slack/command",
        {"user": "U_AGENT", "channel": "C_SUPPORT", "text": "/isp text 1014"},
    )
    modal = (await desk.call("GET", "/sandbox/slack/views?user=U_AGENT"))["modals"][-1]
    before = (await desk.messages())[-1]["ts"]
    await desk.call(
        "POST",
        "/sandbox/slack/submit",
        {
            "user": "U_AGENT",
            "view_id": modal["id"],
            "values": {"words": {"words": "Gracias por su llamada."}},
        },
    )
    preview = await desk.shows("Send this text?", after=before)
    await desk.press(preview, "thread.send")
    await arrives(desk, number, "Gracias por su llamada.")
    await desk.shows("· 1014")


async def test_a_card_number_appears_nowhere(desk: Desk) -> None:
    number = await number_of(desk, "1021")
    await texts(desk, number, f"charge my card {CARD} exp 12/29 please")
    await arrives(desk, number, "please never text a card number")
    card = await desk.shows("[card number removed]")
    await in_thread(desk, card, "They texted a card number")
    digits = CARD.replace(" ", "")
    for user in ("U_AGENT", "U_LEAD"):
        for message in await desk.messages(user):
            for form in (CARD, digits):
                assert form not in json.dumps(message)
    for form in (CARD, digits):
        assert form not in desk.logs()
        for file in desk.state.glob("ispbot.db*"):
            assert form.encode() not in file.read_bytes(), file


async def test_nothing_on_the_wire_would_have_displeased_the_real_services(desk: Desk) -> None:
    assert [row["problem"] for row in await desk.problems()] == []
