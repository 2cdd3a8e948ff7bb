"""Twilio's REST API in the sandbox, called by the real library and, where it would not, by hand."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import phonenumbers
import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException

from sandbox.phone.segments import count_segments
from sandbox.phone.timing import Timing
from tests.unit.sandbox.phone_world import CAST, LANDLINE, MARIA, OPTED_OUT, QUICK, Phones, phone_world

STILL = Timing(first_status_s=3600, next_status_s=60)


async def refusal(phones: Phones, **wish: Any) -> tuple[int, int]:
    """(HTTP status, Twilio's code) of a create call that must fail."""
    with pytest.raises(TwilioRestException) as caught:
        await phones.create(**wish)
    return caught.value.status, caught.value.code


async def test_a_text_is_queued_then_delivered(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        created = await phones.create(body="Hello Maria")
        assert (created.status, created.direction, created.num_segments) == ("queued", "outbound-api", "1")
        assert (created.to, created.from_, created.sid[:2]) == (MARIA, phones.sender, "SM")
        assert (created.date_sent, created.error_code, created.messaging_service_sid) == (None, None, None)
        await phones.settled("delivered")
        fetched = await phones.client().messages(created.sid).fetch_async()
        assert (fetched.status, fetched.body, fetched.price) == ("delivered", "Hello Maria", "-0.00790")
        assert fetched.date_sent.tzinfo is UTC
        [shown] = await phones.shown()
        assert shown["direction"] == "outbound"
        assert shown["sid"] == created.sid
        assert phones.problems() == []


async def test_a_messaging_service_accepts_before_it_chooses_the_sender(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        service = phones.twilio["messaging_service_sid"]
        created = await phones.create(messaging_service_sid=service)
        assert (created.status, created.from_, created.num_segments) == ("accepted", None, "0")
        assert created.messaging_service_sid == service
        await phones.settled("delivered")
        fetched = await phones.client().messages(created.sid).fetch_async()
        assert (fetched.from_, fetched.num_segments) == (phones.sender, "1")


async def test_the_secrets_are_random_and_the_sender_is_a_number_of_its_own(tmp_path: Path) -> None:
    async with phone_world(tmp_path / "one") as first, phone_world(tmp_path / "two") as second:
        assert first.twilio["auth_token"] != second.twilio["auth_token"]
        assert first.twilio["account_sid"] != second.twilio["account_sid"]
        assert phonenumbers.is_valid_number(phonenumbers.parse(first.sender))
        assert first.sender not in {entry["number"] for entry in CAST.numbers()}
        written = json.loads((tmp_path / "one" / "endpoints.json").read_text())
        assert written["twilio"] == first.twilio
        assert written["twilio"]["api"] == written["http"]


async def test_texts_and_secrets_survive_a_restart(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        before = phones.twilio
        created = await phones.create()
        await phones.settled("delivered")
    async with phone_world(tmp_path) as phones:
        assert phones.twilio == before
        assert (await phones.client().messages(created.sid).fetch_async()).status == "delivered"
        assert [text["sid"] for text in await phones.shown()] == [created.sid]


async def test_a_list_is_filtered_and_paged_by_the_library(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        sids = [(await phones.create(body=f"number {number}")).sid for number in range(5)]
        await phones.create(to=CAST.phone_of("1042"))
        messages = phones.client().messages
        found = await messages.list_async(to=MARIA, from_=phones.sender, page_size=2)
        assert [text.sid for text in found] == list(reversed(sids))
        assert len(await messages.list_async(page_size=4)) == 6
        assert len(await messages.list_async(to=MARIA, limit=3)) == 3
        assert await messages.list_async(from_=MARIA) == []


async def test_a_page_stays_where_it_was_when_newer_texts_come(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        sids = [(await phones.create()).sid for _ in range(4)]
        first = await phones.client().messages.page_async(page_size=2)
        assert [text.sid for text in first] == [sids[3], sids[2]]
        await phones.create()
        second = await first.next_page_async()
        assert [text.sid for text in second] == [sids[1], sids[0]]
        assert second.next_page_url is None


async def test_a_text_not_sent_yet_matches_no_date(tmp_path: Path) -> None:
    async with phone_world(tmp_path, STILL) as phones:
        await phones.create()
        today = phones.site.world.clock.now().date()
        messages = phones.client().messages
        assert await messages.list_async(date_sent=today) == []
        assert len(await messages.list_async(to=MARIA)) == 1
        phones.site.world.clock.advance(3601)
        await phones.settled("sent")
        today = phones.site.world.clock.now().date()
        assert len(await messages.list_async(date_sent=today)) == 1
        yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
        assert await messages.list_async(date_sent=yesterday) == []
        assert len(await messages.list_async(date_sent_after=yesterday, date_sent_before=tomorrow)) == 1
        assert await messages.list_async(date_sent_after=tomorrow) == []


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"to": "+15558675310"}, 21211),
        ({"to": "911"}, 21211),
        ({"to": "not a number"}, 21211),
        ({"to": "+442079460018"}, 21408),
        ({"to": ""}, 21604),
        ({"from_": ""}, 21603),
        ({"from_": "+15415550100"}, 21606),
        ({"messaging_service_sid": "MG" + "0" * 32}, 21701),
        ({"body": ""}, 21619),
        ({"body": "x" * 1601}, 21617),
        ({"status_callback": "ftp://example.net/x"}, 21609),
        ({"status_callback": "/twilio/status"}, 21609),
        ({"status_callback": "http://under_score.example/x"}, 21609),
        ({"validity_period": 0}, 21624),
        ({"validity_period": 36001}, 21624),
        ({"content_sid": "HX1", "body": ""}, 21655),
        ({"schedule_type": "fixed", "send_at": datetime(2030, 1, 1, tzinfo=UTC)}, 35118),
    ],
)
async def test_a_wrong_parameter_is_refused_with_its_code(
    tmp_path: Path, wish: dict[str, Any], code: int
) -> None:
    async with phone_world(tmp_path) as phones:
        assert await refusal(phones, **wish) == (400, code)
        assert await phones.shown() == []
        assert [problem.split(":")[0] for problem in phones.problems()] == [str(code)]


async def test_1600_characters_and_an_american_way_of_writing_are_accepted(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        national = f"({MARIA[2:5]}) {MARIA[5:8]}-{MARIA[8:]}"
        created = await phones.create(to=national, body="x" * 1600, validity_period=36000)
        assert (created.to, created.num_segments) == (MARIA, "11")


async def test_unknown_form_keys_are_refused_in_twilios_words(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        status, answer = await phones.raw(
            "POST", To=MARIA, From=phones.sender, Body="x", StatusCalback="http://x"
        )
        assert (status, answer["code"], answer["status"]) == (400, 20001, 400)
        assert "StatusCalback" in answer["message"]
        assert answer["more_info"] == "https://www.twilio.com/docs/errors/20001"
        assert (await phones.raw("GET", "Messages.json?Sender=x"))[1]["code"] == 20001
        assert (await phones.raw("GET", "Messages.json?PageSize=none"))[1]["code"] == 20001
        assert (await phones.raw("GET", "Messages.json?DateSent=soon"))[1]["code"] == 20001
        assert (await phones.raw("GET", "Messages.json?PageToken=PAxx"))[1]["code"] == 20001


async def test_wrong_credentials_and_unknown_resources(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        with pytest.raises(TwilioRestException) as caught:
            await phones.client("wrong").messages.create_async(to=MARIA, from_=phones.sender, body="x")
        assert (caught.value.status, caught.value.code) == (401, 20003)
        bare = f"{phones.twilio['api']}/2010-04-01/Accounts/AC1/Messages.json"
        for headers in ({}, {"Authorization": "Basic %%%"}, {"Authorization": "Bearer x"}):
            async with phones.http.get(bare, headers=headers) as response:
                assert response.status == 401
                assert "Basic" in response.headers["WWW-Authenticate"]
        with pytest.raises(TwilioRestException) as caught:
            await phones.client().messages("SM" + "0" * 32).fetch_async()
        assert (caught.value.status, caught.value.code) == (404, 20404)
        status, answer = await phones.raw("GET", "Calls.json")
        assert (status, answer["code"]) == (404, 20404)


async def test_too_many_calls_at_once_are_a_429_that_created_nothing(tmp_path: Path) -> None:
    still = 0.0
    timing = Timing(rate=10, burst=2, monotonic=lambda: still, first_status_s=3600)
    async with phone_world(tmp_path, timing) as phones:
        await phones.create()
        await phones.create()
        assert await refusal(phones) == (429, 20429)
        still = 0.1
        await phones.create()
        assert len(await phones.shown()) == 3


async def test_the_cast_has_an_unsubscribed_phone_and_a_landline(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        assert await refusal(phones, to=OPTED_OUT) == (400, 21610)
        service = phones.twilio["messaging_service_sid"]
        assert await refusal(phones, to=OPTED_OUT, messaging_service_sid=service) == (400, 21610)
        created = await phones.create(to=LANDLINE)
        await phones.settled("undelivered", LANDLINE)
        fetched = await phones.client().messages(created.sid).fetch_async()
        assert (fetched.error_code, fetched.error_message) == (30006, "Landline or unreachable carrier")
        # The product could not know: no mistake of its calls.
        assert phones.problems() == []


@pytest.mark.parametrize(
    ("code", "status"), [(21614, 400), (21211, 400), (20429, 429), (20500, 500), (21999, 400)]
)
async def test_a_number_can_be_told_to_refuse(tmp_path: Path, code: int, status: int) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(error_code=code, times=1)
        assert await refusal(phones) == (status, code)
        assert (await phones.create()).status == "queued"
        assert phones.problems() == []


async def test_a_lost_response_leaves_a_text_that_a_list_finds(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(lose_response=True, times=1)
        with pytest.raises(aiohttp.ClientError):
            await phones.create(body="sent or not?")
        found = await phones.client().messages.list_async(to=MARIA, from_=phones.sender)
        assert [text.body for text in found] == ["sent or not?"]
        await phones.settled("delivered")


async def test_a_gateway_trouble_is_not_json_and_creates_nothing(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(http_status=502)
        assert await refusal(phones) == (502, 502)
        assert await phones.shown() == []


async def test_a_scheduled_text_waits_for_business_time_and_can_be_canceled(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        when = phones.site.world.clock.now() + timedelta(hours=1)
        service = phones.twilio["messaging_service_sid"]
        wish = {"messaging_service_sid": service, "schedule_type": "fixed"}
        early = phones.site.world.clock.now() + timedelta(minutes=4)
        assert await refusal(phones, send_at=early, **wish) == (400, 35114)
        late = await phones.create(send_at=when, body="late", **wish)
        never = await phones.create(send_at=when, body="never", **wish)
        assert (late.status, never.status) == ("scheduled", "scheduled")
        canceled = await phones.client().messages(never.sid).update_async(status="canceled")
        assert canceled.status == "canceled"
        phones.site.world.clock.advance(3601)
        await phones.until(lambda texts: texts[0]["status"] == "delivered")
        assert [text["status"] for text in await phones.shown()] == ["delivered", "canceled"]
        with pytest.raises(TwilioRestException) as caught:
            await phones.client().messages(late.sid).update_async(status="canceled")
        assert caught.value.code == 30409


async def test_a_sent_text_can_be_redacted_and_deleted_but_not_one_on_its_way(tmp_path: Path) -> None:
    async with phone_world(tmp_path, STILL) as phones:
        one = phones.client().messages((await phones.create(body="secret")).sid)
        for attempt in (lambda: one.update_async(body=""), one.delete_async):
            with pytest.raises(TwilioRestException) as caught:
                await attempt()
            assert caught.value.code == 20009
        phones.site.world.clock.advance(4000)
        await phones.settled("delivered")
        with pytest.raises(TwilioRestException):
            await one.update_async(body="something else")
        assert (await one.update_async(body="")).body == ""
        assert await one.delete_async() is True
        assert await phones.shown() == []


async def test_media_of_a_subscriber_are_served_to_the_account_alone(tmp_path: Path) -> None:
    octets = b"\x89PNG not really"
    encoded = base64.b64encode(octets).decode()
    async with phone_world(tmp_path) as phones:
        media = [{"content_type": "image/png", "base64": encoded}, "https://elsewhere.example/x.png"]
        answer = await phones.text("look", media=media)
        params = (await phones.product.next()).params
        assert (params["NumMedia"], params["MediaContentType0"]) == ("2", "image/png")
        assert params["MediaUrl1"] == "https://elsewhere.example/x.png"
        async with phones.http.get(params["MediaUrl0"]) as response:
            assert response.status == 401
        headers = {"Authorization": aiohttp.encode_basic_auth(phones.twilio["account_sid"], "x")}
        async with phones.http.get(params["MediaUrl0"], headers=headers) as response:
            assert response.status == 401
        token = phones.twilio["auth_token"]
        headers = {"Authorization": aiohttp.encode_basic_auth(phones.twilio["account_sid"], token)}
        async with phones.http.get(params["MediaUrl0"], headers=headers) as response:
            assert (await response.read(), response.content_type) == (octets, "image/png")
        [listed] = await phones.client().messages(answer["sid"]).media.list_async()
        assert listed.content_type == "image/png"
        assert answer["sid"].startswith("MM")


@pytest.mark.parametrize(
    ("text", "smart", "segments"),
    [
        ("", False, 1),
        ("x" * 160, False, 1),
        ("x" * 161, False, 2),
        ("x" * 306, False, 2),
        ("x" * 307, False, 3),
        ("€" * 80, False, 1),
        ("€" * 81, False, 2),
        ("x" * 152 + "€" + "x" * 152, False, 3),
        ("ü" * 160, False, 1),
        ("á" * 70, False, 1),
        ("á" * 71, False, 2),
        ("“quoted”" + "x" * 100, False, 2),
        ("“quoted”" + "x" * 100, True, 1),
        ("😀" * 35, False, 1),
        ("😀" * 36, False, 2),
        ("x" * 66 + "😀" + "x" * 66, False, 3),
        ("x" * 60 + "👩‍👩‍👧‍👦" + "x" * 60, False, 3),
        ("🇺🇸" * 17 + "xx", False, 1),
        ("🇺🇸" * 17 + "xxx", False, 2),
        ("e" + "\u0301" * 100, False, 2),
        ("line\r\n" * 26, False, 1),
    ],
)
def test_segments_of_a_text(text: str, smart: bool, segments: int) -> None:
    assert count_segments(text, smart=smart) == segments


async def test_a_day_in_the_future_shows_in_the_dates(tmp_path: Path) -> None:
    async with phone_world(tmp_path, QUICK) as phones:
        phones.site.world.clock.advance(86_400 * 30)
        created = await phones.create()
        assert created.date_created - datetime.now(UTC) > timedelta(days=29)


async def test_the_accounts_numbers_are_listed_and_looked_up(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        numbers = phones.client().incoming_phone_numbers
        (own,) = await numbers.list_async()
        assert (own.phone_number, own.sid[:2], own.capabilities["sms"]) == (phones.sender, "PN", True)
        assert len(await numbers.list_async(phone_number=phones.sender)) == 1
        assert await numbers.list_async(phone_number="+12065550199") == []
        with pytest.raises(TwilioException, match="Unknown parameter: FriendlyName"):
            await numbers.list_async(friendly_name="desk")
