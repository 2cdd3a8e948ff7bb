"""A subscriber texts: the signed webhook, Twilio's own opt-out words, and TwiML in the product's answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from twilio.base.exceptions import TwilioRestException

from sandbox.phone.twiml import Reply, read_twiml
from tests.unit.sandbox.phone_world import CAST, MARIA, OPTED_OUT, SHARED, Phones, phone_world, twiml


async def refused_code(phones: Phones, number: str = MARIA) -> int | None:
    """Twilio's code for a text to this number now; None when it is taken."""
    try:
        await phones.create(to=number)
    except TwilioRestException as trouble:
        return int(trouble.code)
    return None


async def test_a_text_reaches_the_product_signed_with_twilios_parameters(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        answer = await phones.text("I already paid – ¿de acuerdo? & <b>")
        received = await phones.product.next()
        assert received.genuine
        assert received.path == "/twilio/inbound"
        params = received.params
        assert params["Body"] == "I already paid – ¿de acuerdo? & <b>"
        assert (params["From"], params["To"]) == (MARIA, phones.sender)
        assert params["MessageSid"] == params["SmsSid"] == answer["sid"]
        assert params["AccountSid"] == phones.twilio["account_sid"]
        assert (params["NumMedia"], params["NumSegments"], params["FromCity"]) == ("0", "1", "")
        assert "OptOutType" not in params
        assert (answer["status"], answer["replies"]) == (200, [])
        assert "error" not in answer
        [shown] = await phones.shown()
        assert {key: shown[key] for key in ("sid", "from", "to", "body", "direction", "status")} == {
            "sid": answer["sid"],
            "from": MARIA,
            "to": phones.sender,
            "body": "I already paid – ¿de acuerdo? & <b>",
            "direction": "inbound",
            "status": "received",
        }
        fetched = await phones.client().messages(answer["sid"]).fetch_async()
        assert (fetched.direction, fetched.status) == ("inbound", "received")


@pytest.mark.parametrize(
    "word",
    ["STOP", "stop", " Stop \n", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"],
)
async def test_an_opt_out_word_blocks_the_sender_and_still_reaches_the_product(
    tmp_path: Path, word: str
) -> None:
    async with phone_world(tmp_path) as phones:
        assert await refused_code(phones) is None
        await phones.text(word)
        assert (await phones.product.next()).params["Body"] == word
        assert await refused_code(phones) == 21610
        last = (await phones.shown())[-1]
        assert (last["direction"], last["automatic"], last["status"]) == ("outbound", True, "delivered")
        assert "unsubscribed" in last["body"]


async def test_a_second_stop_is_not_answered_and_start_restores(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.text("STOP")
        await phones.text("STOP")
        assert [text["automatic"] for text in await phones.shown()] == [False, True, False]
        for word in ("START", "UNSTOP", "yes"):
            await phones.text("STOP")
            assert await refused_code(phones) == 21610
            await phones.text(word)
            assert "subscribed again" in (await phones.shown())[-1]["body"]
            assert await refused_code(phones) is None


async def test_yes_from_a_subscribed_phone_is_left_to_the_product(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.text("YES")
        assert [text["automatic"] for text in await phones.shown()] == [False]


@pytest.mark.parametrize("word", ["HELP", "info"])
async def test_help_is_answered_by_twilio(tmp_path: Path, word: str) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.text(word)
        assert [text["automatic"] for text in await phones.shown()] == [False, True]
        assert (await phones.product.next()).params["Body"] == word


@pytest.mark.parametrize(
    "text", ["Stop. Thank you", "opt out", "ARRET", "stop texting me", "cancel my internet", "STOP!", "no"]
)
async def test_a_loose_form_is_left_to_the_product(tmp_path: Path, text: str) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.text(text)
        assert [one["automatic"] for one in await phones.shown()] == [False]
        assert await refused_code(phones) is None


async def test_a_stop_blocks_nobody_else_and_survives_a_restart(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.text("STOP")
        assert await refused_code(phones, SHARED) is None
    async with phone_world(tmp_path) as phones:
        assert await refused_code(phones) == 21610
        await phones.behave()
        assert await refused_code(phones) == 21610
        await phones.text("START", OPTED_OUT)
        assert await refused_code(phones, OPTED_OUT) is None
    async with phone_world(tmp_path) as phones:
        assert await refused_code(phones, OPTED_OUT) is None


async def test_twiml_messages_are_sent_as_replies(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        phones.product.answers = [
            twiml(
                "<Response><Message>Thanks &amp; bye</Message><Message><Body>Two</Body></Message></Response>"
            )
        ]
        answer = await phones.text("hello")
        await phones.settled("delivered")
        texts = await phones.shown()
        assert [text["body"] for text in texts] == ["hello", "Thanks & bye", "Two"]
        assert [text["sid"] for text in texts[1:]] == answer["replies"]
        fetched = await phones.client().messages(answer["replies"][0]).fetch_async()
        assert (fetched.direction, fetched.from_, fetched.to) == ("outbound-reply", phones.sender, MARIA)


async def test_a_reply_can_ask_for_callbacks_and_meets_the_numbers_behaviour(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(error_code=30003)
        xml = '<Response><Message statusCallback="/twilio/status?d=7">x</Message></Response>'
        phones.product.answers = [twiml(xml)]
        await phones.text("hello")
        received = [await phones.product.next() for _ in range(3)]
        assert [one.path for one in received] == ["/twilio/inbound", "/twilio/status", "/twilio/status"]
        assert all(one.genuine for one in received)
        assert received[2].params["ErrorCode"] == "30003"


async def test_a_reply_to_an_unsubscribed_phone_is_a_problem(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        phones.product.answers = [twiml("<Response><Message>You are out.</Message></Response>")]
        answer = await phones.text("STOP")
        assert answer["replies"] == []
        assert phones.problems() == ["21610: a <Message> to a number that has unsubscribed"]


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        ("<Response><Redirect>/x</Redirect></Response>", "text/xml", "12200"),
        ("<Response>", "application/xml", "12100"),
        ("<Reply/>", "text/xml", "12100"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Response>&a;</Response>', "text/xml", "12100"),
        ('{"ok": true}', "application/json", "12300"),
        ("<Response><Message> </Message></Response>", "text/xml", "14103"),
    ],
)
async def test_an_answer_that_is_not_twiml_is_a_problem(
    tmp_path: Path, body: str, content_type: str, problem: str
) -> None:
    async with phone_world(tmp_path) as phones:
        phones.product.answers = [web.Response(text=body, content_type=content_type)]
        await phones.text("hello")
        assert [one.split(":")[0] for one in phones.problems()] == [problem]


@pytest.mark.parametrize(
    ("body", "content_type", "replies"),
    [
        ("", "application/octet-stream", ()),
        ("<Response/>", "text/xml", ()),
        ("plain words", "text/plain", (Reply("plain words"),)),
        (
            '<Response><Message to="+15415550123"><Body>b</Body><Media>http://m</Media></Message></Response>',
            "text/xml",
            (Reply("b", "+15415550123", ("http://m",)),),
        ),
    ],
)
def test_twiml_is_read(body: str, content_type: str, replies: tuple[Reply, ...]) -> None:
    assert read_twiml(body, content_type).replies == replies
    assert read_twiml(body, content_type).problems == []


async def test_a_product_that_is_down_is_told_to_the_caller_and_on_the_wire(tmp_path: Path) -> None:
    async with phone_world(tmp_path, product_is_up=False) as phones:
        answer = await phones.text("anybody there?")
        assert answer["status"] == "connection_failed"
        assert answer["error"] == "The text went out, but the product does not answer."
        assert [text["body"] for text in await phones.shown()] == ["anybody there?"]
        assert len(phones.problems()) == 2
        await phones.text("STOP")
        assert await refused_code(phones) == 21610


async def test_a_product_that_fails_is_told_to_the_caller(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        phones.product.answers = [web.Response(status=403)]
        answer = await phones.text("hello")
        assert answer["error"] == "The text went out, but the product answered 403 instead of 200."
        assert phones.problems() == ["answered 403 (11200)"]


async def test_a_phone_may_deliver_twice(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(duplicate=True)
        await phones.text("once")
        first, second = await phones.product.next(), await phones.product.next()
        assert first.params == second.params
        assert len(await phones.shown()) == 1


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"from": "x", "body": "hi"}, 400, "'x' is not a telephone number like +15415550123."),
        ({"from": MARIA, "body": ""}, 400, "A text has a body or media."),
        ({"from": MARIA, "body": "x" * 1601}, 400, "A text has at most 1600 characters and 10 media."),
        ({"from": MARIA, "body": "x", "media": [3]}, 400, "media holds URLs or objects of content_type"),
        (
            {"from": MARIA, "body": "x", "media": [{"content_type": "a/b", "base64": "?"}]},
            400,
            "base64 of a",
        ),
        ({"from": MARIA, "body": "x", "media": [{"content_type": "a/b"}]}, 400, "Missing key: base64."),
        ({"from": MARIA, "body": "x", "to": "+15415550100"}, 404, "+15415550100 is not a sender"),
        ({"from": MARIA}, 400, "Missing key: body."),
        ({"from": MARIA, "body": "x", "colour": 1}, 400, "Unknown key: colour."),
    ],
)
async def test_a_senseless_text_is_refused(
    tmp_path: Path, body: dict[str, Any], status: int, sentence: str
) -> None:
    async with phone_world(tmp_path) as phones:
        assert (await phones.post("phone/send", expect=status, **body))["error"].startswith(sentence)


async def test_anybody_can_text_and_their_number_is_read_in_any_way(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.text("who is this?", "+1 (212) 555-0188")
        assert [text["body"] for text in await phones.get("phone", number=" 12125550188")] == ["who is this?"]
        assert len(await phones.get("phone")) == 1
        answer = await phones.post("phone/send", expect=400, **{"from": phones.sender, "body": "to myself"})
        assert "own sender" in answer["error"]


async def test_the_phones_are_listed_newest_first_and_found_by_account(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.text("first", MARIA)
        await phones.text("second", SHARED)
        rows = await phones.get("phone/numbers")
        assert [row["number"] for row in rows[:2]] == [SHARED, MARIA]
        assert rows[0]["accounts"] == ["1204", "1205"]
        assert rows[0]["last"]["body"] == "second"
        assert len(rows) == 50
        assert [row["number"] for row in await phones.get("phone/numbers", search="1188")] == [OPTED_OUT]
        assert (await phones.get("phone/numbers", search="1188"))[0]["opted_out"] is True
        landline = (await phones.get("phone/numbers", search="1290"))[0]
        assert landline["behaviour"] == {"error_code": 30006}
        named = await phones.get("phone/numbers", search="santos")
        assert MARIA in {row["number"] for row in named}
        numbers = {one["number"] for one in CAST.numbers()}
        everybody = await phones.get("phone/numbers", limit="9999")
        assert {row["number"] for row in everybody} == numbers
