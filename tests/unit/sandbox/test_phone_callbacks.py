"""Status callbacks: what they carry, how they are signed and retried, and how a number misbehaves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sandbox.phone.timing import Timing
from sandbox.phone.webhook import target_of
from tests.unit.sandbox.phone_world import LANDLINE, MARIA, QUICK, Phones, listening, phone_world

SLOW = Timing(first_status_s=60, next_status_s=60, retry_pause_s=0.01)


async def statuses(phones: Phones, count: int) -> list[tuple[str, str | None]]:
    """The next callbacks as (status, error code), each with a right signature."""
    received = [await phones.product.next() for _ in range(count)]
    assert all(one.genuine for one in received)
    return [(one.status, one.params.get("ErrorCode")) for one in received]


async def test_callbacks_say_sent_and_delivered_and_carry_twilios_signature(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        created = await phones.create(status_callback=f"{phones.callback}#rc=5&rp=ct,rt,5xx")
        sent, delivered = await phones.product.next(), await phones.product.next()
        assert sent.genuine
        assert delivered.genuine
        assert sent.path == "/twilio/status"
        assert sent.params == {
            "AccountSid": phones.twilio["account_sid"],
            "ApiVersion": "2010-04-01",
            "From": phones.sender,
            "MessageSid": created.sid,
            "MessageStatus": "sent",
            "SmsSid": created.sid,
            "SmsStatus": "sent",
            "To": MARIA,
        }
        assert delivered.status == "delivered"
        assert delivered.params["RawDlrDoneDate"].isdecimal()
        assert len(delivered.params["RawDlrDoneDate"]) == 10
        assert delivered.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
        assert phones.problems() == []


async def test_a_messaging_service_names_itself_in_the_callback(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        service = phones.twilio["messaging_service_sid"]
        await phones.create(messaging_service_sid=service, status_callback=phones.callback)
        params = (await phones.product.next()).params
        assert (params["MessagingServiceSid"], params["From"]) == (service, phones.sender)


async def test_a_wrong_token_would_not_verify(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        phones.product.auth_token = "rotated"
        await phones.create(status_callback=phones.callback)
        assert not (await phones.product.next()).genuine


async def test_no_callback_is_made_without_a_url(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.create()
        await phones.settled("delivered")
        assert phones.silent()


@pytest.mark.parametrize("code", [30003, 30005, 30006, 30007, 30008, 63038])
async def test_an_undelivered_text_has_its_code(tmp_path: Path, code: int) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(error_code=code)
        created = await phones.create(status_callback=phones.callback)
        assert await statuses(phones, 2) == [("sent", None), ("undelivered", str(code))]
        fetched = await phones.client().messages(created.sid).fetch_async()
        assert (fetched.status, fetched.error_code) == ("undelivered", code)
        assert (await phones.shown())[0]["error_code"] == code


async def test_statuses_can_be_given_one_by_one(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(statuses=["sending", "teleported", "failed"], times=1)
        await phones.create(status_callback=phones.callback)
        assert await statuses(phones, 3) == [("sending", None), ("teleported", None), ("failed", "30008")]


async def test_a_text_can_be_left_where_it_is(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(statuses=[])
        await phones.create(status_callback=phones.callback)
        phones.site.world.clock.advance(3600)
        assert phones.silent()
        assert (await phones.shown())[0]["status"] == "queued"


async def test_shuffled_callbacks_come_last_one_first(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(shuffle=True)
        await phones.create(status_callback=phones.callback)
        assert [status for status, _ in await statuses(phones, 2)] == ["delivered", "sent"]
        assert (await phones.shown())[0]["status"] == "delivered"


async def test_duplicated_callbacks_come_twice(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(duplicate=True, error_code=30003)
        await phones.create(status_callback=phones.callback)
        found = [status for status, _ in await statuses(phones, 4)]
        assert found == ["sent", "sent", "undelivered", "undelivered"]


async def test_lost_callbacks_leave_the_state_to_be_fetched(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(lose_callbacks=True)
        created = await phones.create(status_callback=phones.callback)
        await phones.settled("delivered")
        assert phones.silent()
        assert (await phones.client().messages(created.sid).fetch_async()).status == "delivered"


async def test_callbacks_may_come_before_the_response(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(slow_s=0.5)
        created = asyncio.create_task(phones.create(status_callback=phones.callback))
        assert await statuses(phones, 2) == [("sent", None), ("delivered", None)]
        assert not created.done()
        assert (await created).status == "queued"


async def test_a_behaviour_ends_after_its_times_or_by_a_reset(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.behave(error_code=30003, times=2)
        for expected in ("undelivered", "undelivered", "delivered"):
            await phones.create()
            await phones.settled(expected)
        await phones.behave(error_code=30005)
        await phones.behave()
        await phones.create()
        await phones.settled("delivered")
        assert [one["number"] for one in await phones.get("phone/behaviour")] == [LANDLINE]


async def test_a_server_error_is_not_retried_unless_the_url_says_so(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        phones.product.answers = [web.Response(status=503)]
        await phones.create(status_callback=phones.callback)
        assert await statuses(phones, 2) == [("sent", None), ("delivered", None)]
        phones.product.answers = [web.Response(status=503), web.Response(status=500)]
        await phones.create(status_callback=f"{phones.callback}#rc=2&rp=ct,5xx")
        received = [await phones.product.next() for _ in range(4)]
        assert [one.status for one in received] == ["sent", "sent", "sent", "delivered"]
        tokens = {one.headers["I-Twilio-Idempotency-Token"] for one in received[:3]}
        assert len(tokens) == 1
        assert phones.problems() == ["answered 503 (11200)", "answered 503 (11200)", "answered 500 (11200)"]


@pytest.mark.parametrize(("fragment", "attempts"), [("", 2), ("#rc=0", 1), ("#rc=3&rp=all", 4)])
async def test_a_failed_connection_is_tried_again(tmp_path: Path, fragment: str, attempts: int) -> None:
    async with phone_world(tmp_path, product_is_up=False) as phones:
        await phones.behave(statuses=["delivered"])
        await phones.create(status_callback=phones.callback + fragment)
        await phones.settled("delivered")
        await phones.until(lambda _: len(phones.problems()) == attempts)
        entries = [one for one in phones.site.world.wire.since(0) if one["method"] == "status callback"]
        assert [one["detail"].get("retry", 0) for one in entries] == list(range(attempts))
        assert {one["status"] for one in entries} == {"connection_failed"}


async def test_a_callback_to_elsewhere_is_a_problem_and_not_made(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.create(status_callback="https://desk.example.net/twilio/status")
        await phones.until(lambda _: len(phones.problems()) == 2)
        assert "outside this world" in phones.problems()[0]


@pytest.mark.parametrize(
    ("fragment", "retries", "policy", "read_s", "wrong"),
    [
        ("", 1, frozenset({"ct"}), 15, None),
        ("#rc=5&rp=ct,rt,5xx", 5, frozenset({"ct", "rt", "5xx"}), 15, None),
        ("#rc=6&rp=ct", 1, frozenset({"ct"}), 15, "rc"),
        ("#rc=x&rp=sometimes&rt=99999", 1, frozenset({"ct"}), 15, "rp, rc, rt"),
        ("#rt=2000&rc=0&e=ashburn", 0, frozenset({"ct"}), 2, None),
    ],
)
def test_connection_overrides_are_read_from_the_fragment(
    fragment: str, retries: int, policy: frozenset[str], read_s: float, wrong: str | None
) -> None:
    target = target_of(f"http://127.0.0.1:1/x?y={fragment}", QUICK)
    assert target.url == "http://127.0.0.1:1/x?y="
    assert (target.retries, target.policy, target.read_s) == (retries, policy, read_s)
    assert target.problem == (f"connection override out of range: {wrong}" if wrong else None)


async def test_a_restarted_sandbox_goes_on_with_what_was_on_its_way(tmp_path: Path) -> None:
    async with phone_world(tmp_path, SLOW) as phones:
        await phones.create(status_callback=phones.callback)
        phones.site.world.clock.advance(61)
        assert await statuses(phones, 1) == [("sent", None)]
        callback = phones.callback
    async with phone_world(tmp_path, SLOW) as phones:
        assert phones.callback == callback
        assert [text["status"] for text in await phones.shown()] == ["sent"]
        phones.site.world.clock.advance(61)
        assert (await statuses(phones, 1))[0] == ("delivered", None)


async def test_a_callback_that_the_restart_interrupted_is_made_again(tmp_path: Path) -> None:
    async with phone_world(tmp_path, Timing(0.01, 0.01, retry_pause_s=10), product_is_up=False) as phones:
        await phones.create(status_callback=f"{phones.callback}#tt=15000")
        await phones.settled("delivered")
        await phones.until(lambda _: len(phones.problems()) == 1)
        waiting = phones.site.world.documents.all("phone_message")[0]["pending"]
    async with phone_world(tmp_path, product_is_up=False) as phones, listening(phones.product):
        found = [status for status, _ in await statuses(phones, len(waiting))]
        assert found == [event["status"] for event in waiting]


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"error_code": 42}, "error_code must be one of Twilio's, such as 30006 or 21614."),
        ({"error_code": "30006"}, "error_code must be a whole number."),
        ({"statuses": ["Delivered!"]}, "statuses must be a list of words such as sent and delivered."),
        ({"statuses": "sent"}, "statuses must be a JSON array."),
        ({"times": 0, "shuffle": True}, "times must be at least 1."),
        ({"times": 2}, "times alone does nothing: say what happens so many times."),
        ({"error_code": 21614, "statuses": ["sent"]}, "A text refused with 21614 has no statuses."),
        ({"http_status": 404}, "http_status must be from 500 to 599; use error_code for other refusals."),
        ({"slow_s": -1}, "slow_s must not be negative."),
    ],
)
async def test_a_senseless_behaviour_is_refused(
    tmp_path: Path, wishes: dict[str, Any], sentence: str
) -> None:
    async with phone_world(tmp_path) as phones:
        refused = await phones.post("phone/behaviour", expect=400, number=MARIA, **wishes)
        assert refused == {"error": sentence}


async def test_unknown_keys_and_numbers_are_named(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        refused = await phones.post("phone/behaviour", expect=400, number=MARIA, errorcode=1)
        assert refused["error"].startswith("Unknown key: errorcode. Known keys: duplicate, error_code")
        refused = await phones.post("phone/behaviour", expect=400, number="12", shuffle=True)
        assert refused["error"] == "'12' is not a telephone number like +15415550123."
