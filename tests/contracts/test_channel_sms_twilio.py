"""Texts by Twilio: the contract of every channel over the sandbox's account, and what only texts have."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from notifier.channels import (
    Accepted,
    AnyProvider,
    Deferred,
    InDoubt,
    KnownText,
    NoAnswer,
    OutgoingText,
    Refused,
    Session,
    SmsRoute,
)
from notifier.channels.sms_twilio import CHANNEL, TwilioInquiry, TwilioSession
from store.models import Channel, EventKind, Reason
from store.unit import Store
from tests.contracts.channel import ChannelContract
from tests.unit.sandbox.phone_world import LANDLINE, MARIA, OPTED_OUT, Phones, phone_world

Texts = Session[OutgoingText]
TOKEN = "b" + "a" * 47


def phone(number: int) -> str:
    return f"+154155501{number:02d}"


def text_to(number: str = MARIA, body: str = "Your invoice is ready.", **more: Any) -> OutgoingText:
    fields: dict[str, Any] = {"to": number, "body": body, "callback_url": "", "validity_s": 3600}
    return OutgoingText(**(fields | more))


@dataclass
class Gate:
    """A way to the API that can be shut: the API itself is the sandbox's own HTTP site."""

    target: int
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        pumps = [asyncio.create_task(_pump(reader, back)), asyncio.create_task(_pump(there, writer))]
        self._tasks.update(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._tasks.difference_update(pumps)
        for end in (writer, back):
            end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(65536):
        writer.write(octets)
        await writer.drain()


@dataclass
class PhoneLine:
    """The sandbox's account, behind a gate."""

    phones: Phones
    gate: Gate
    provider: AnyProvider = CHANNEL

    @property
    def route(self) -> SmsRoute:
        return route_of(self.phones, api_url=f"http://127.0.0.1:{self.gate.port}")

    def message(self, number: int = 1) -> OutgoingText:
        return text_to(phone(number), f"Text number {number}")

    async def arrived(self, number: int = 1) -> int:
        return len(await self.phones.shown(phone(number)))

    async def refuse_for_good(self, number: int = 1) -> None:
        await self.phones.behave(phone(number), error_code=21614)

    async def refuse_for_now(self, number: int = 1) -> None:
        await self.phones.behave(phone(number), error_code=21611, times=1)

    async def go_down(self) -> None:
        await self.gate.shut()

    async def come_back(self) -> None:
        await self.gate.open()

    async def lose_an_answer(self) -> None:
        await self.phones.behave(phone(1), lose_response=True, times=1)


def route_of(phones: Phones, **more: Any) -> SmsRoute:
    fields: dict[str, Any] = {
        "name": "twilio",
        "sender": phones.sender,
        "account_sid": phones.twilio["account_sid"],
        "auth_tokens": (phones.twilio["auth_token"],),
        "api_url": phones.twilio["api"],
        "timeout_s": 2.0,
    }
    return SmsRoute(**(fields | more))


@pytest.fixture
async def phones(tmp_path: Path) -> AsyncIterator[Phones]:
    (tmp_path / "world").mkdir()
    async with phone_world(tmp_path / "world") as world:
        yield world


@pytest.fixture
async def line(phones: Phones) -> AsyncIterator[PhoneLine]:
    gate = Gate(int(urlsplit(phones.twilio["api"]).port or 0))
    await gate.open()
    yield PhoneLine(phones, gate)
    await gate.shut()
    assert phones.problems() == [], "nothing in the dialogue would have displeased Twilio"


@pytest.fixture
async def session(line: PhoneLine) -> AsyncIterator[Texts]:
    session = line.provider.session(line.route)
    yield session
    await session.close()


class TestSmsTwilio(ChannelContract):
    """The contract, over the fixtures above; but nobody folds a text that comes twice."""

    async def test_an_answer_that_got_lost_is_a_doubt_and_never_an_acceptance_or_a_refusal(
        self, line: Any, session: Session[Any]
    ) -> None:
        await line.lose_an_answer()
        assert isinstance(await session.submit(line.message()), InDoubt)
        assert await line.arrived() == 1, "the channel repeats nothing by itself"


@asynccontextmanager
async def texting(phones: Phones, **more: Any) -> AsyncIterator[TwilioSession]:
    session = CHANNEL.session(route_of(phones, **more))
    try:
        yield session
    finally:
        await session.close()


@asynccontextmanager
async def asking(phones: Phones, **more: Any) -> AsyncIterator[TwilioInquiry]:
    inquiry = CHANNEL.inquiry(route_of(phones, **more))
    try:
        yield inquiry
    finally:
        await inquiry.close()


def test_it_is_the_channel_for_texts() -> None:
    assert CHANNEL.channel is Channel.SMS


async def test_calls_that_follow_at_once_share_a_connection_and_a_closed_one_is_never_used(
    phones: Phones,
) -> None:
    opened: list[asyncio.StreamWriter] = []

    async def twilio(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        body = b'{"sid": "SM1", "status": "queued"}'
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head.lower())[0]))
                writer.write(b"HTTP/1.1 201 CREATED\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    server = await asyncio.start_server(twilio, "127.0.0.1", 0)
    async with (
        server,
        texting(phones, api_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as session,
    ):
        for _ in range(2):
            assert isinstance(await session.submit(text_to()), Accepted)
        assert len(opened) == 1
        opened[0].transport.abort()
        await asyncio.sleep(0)  # so that the server's end is closed; the client's loop has not looked yet
        assert isinstance(await session.submit(text_to()), Accepted)
        assert len(opened) == 2
        for writer in opened:
            writer.close()


async def test_the_message_sid_comes_with_the_acceptance(phones: Phones) -> None:
    async with texting(phones) as session:
        outcome = await session.submit(text_to())
    (shown,) = await phones.shown()
    assert outcome == Accepted("twilio", f"201 queued {shown['sid']}", shown["sid"])
    assert (shown["from"], shown["body"]) == (phones.sender, "Your invoice is ready.")


async def test_a_text_goes_with_its_callback_and_is_encoded_as_it_was_counted(phones: Phones) -> None:
    callback = f"http://127.0.0.1:{phones.product.port}/twilio/status/{TOKEN}#rc=5&rp=ct,rt,5xx"
    async with texting(phones) as session:
        await session.submit(text_to(body="“Ready” – " + "x" * 140, callback_url=callback))
    received = await phones.product.next()
    assert (received.path, received.genuine) == (f"/twilio/status/{TOKEN}", True)
    (shown,) = await phones.shown()
    assert shown["num_segments"] == 1, "curly quotes and the dash are written in the plain alphabet"


async def test_a_messaging_service_chooses_the_sender_where_there_is_one(phones: Phones) -> None:
    service = phones.twilio["messaging_service_sid"]
    async with texting(phones, messaging_service_sid=service) as session:
        outcome = await session.submit(text_to())
    assert isinstance(outcome, Accepted)
    assert outcome.text.startswith("201 accepted SM")


@pytest.mark.parametrize(
    ("number", "behaviour", "kind", "cls"),
    [
        (MARIA, {"error_code": 21211}, EventKind.BOUNCED, "sms_invalid_number"),
        (OPTED_OUT, {}, EventKind.BOUNCED, "opted_out"),
        (MARIA, {"error_code": 21408}, EventKind.FAILED, "sms_region"),
        (MARIA, {"error_code": 21606}, EventKind.FAILED, "sms_sender"),
        (MARIA, {"error_code": 29999}, EventKind.FAILED, "sms_request"),
    ],
    ids=["invalid", "opted out", "region", "sender", "unknown"],
)
async def test_a_refusal_has_the_verdict_of_its_code(
    phones: Phones, number: str, behaviour: dict[str, Any], kind: EventKind, cls: str
) -> None:
    if behaviour:
        await phones.behave(number, **behaviour)
    async with texting(phones) as session:
        outcome = await session.submit(text_to(number))
    assert isinstance(outcome, Refused)
    assert (outcome.verdict.kind, outcome.verdict.cls) == (kind, cls)  # type: ignore[union-attr]
    assert outcome.about_sender is (kind is EventKind.FAILED), "whoever gets it has no part in our faults"
    assert outcome.reply_code in outcome.text
    assert await phones.shown(number) == []


async def test_too_fast_for_the_api_is_certainly_not_sent_and_not_our_ways_fault(phones: Phones) -> None:
    await phones.behave(error_code=20429, times=1)
    async with texting(phones) as session:
        outcome = await session.submit(text_to())
        assert isinstance(outcome, Deferred)
        assert (outcome.reply_code, outcome.route_down) == ("20429", False)
        assert await phones.shown() == []
        assert isinstance(await session.submit(text_to()), Accepted)


async def test_a_login_that_is_refused_is_our_ways_fault_and_nobodys_text_is_lost(phones: Phones) -> None:
    async with texting(phones, auth_tokens=("of last year",)) as session:
        outcome = await session.submit(text_to())
    assert isinstance(outcome, Deferred)
    assert (outcome.reply_code, outcome.route_down) == ("20003", True)
    assert outcome.verdict is not None
    assert outcome.verdict.reason is Reason.CONFIG  # type: ignore[union-attr]
    assert "of last year" not in repr(outcome)


@pytest.mark.parametrize("http_status", [500, 502, 503])
async def test_a_5xx_that_is_not_even_json_is_a_doubt(phones: Phones, http_status: int) -> None:
    await phones.behave(http_status=http_status, times=1)
    async with texting(phones) as session:
        outcome = await session.submit(text_to())
    assert isinstance(outcome, InDoubt)
    assert outcome.text.startswith(str(http_status))


async def test_an_answer_that_does_not_come_in_time_is_a_doubt_and_one_text(phones: Phones) -> None:
    await phones.behave(slow_s=5, times=1)
    async with texting(phones, timeout_s=0.3) as session:
        assert isinstance(await session.submit(text_to()), InDoubt)
    assert len(await phones.shown()) == 1


Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def answering(*answers: web.Response) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """An API that says exactly this, and what it was asked."""
    left, asked = list(answers), []

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        asked.append(request)
        return left.pop(0)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


ROUTE = SmsRoute("twilio", "+12065550100", "AC" + "0" * 32, ("secret",), timeout_s=2.0)


async def submitted(*answers: web.Response) -> tuple[Any, list[web.Request]]:
    async with answering(*answers) as (url, asked):
        session = CHANNEL.session(replace(ROUTE, api_url=url))
        try:
            return await session.submit(text_to()), asked
        finally:
            await session.close()


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=201, text="created, I think"),
        lambda: web.json_response({}, status=201),
        lambda: web.json_response([], status=201),
        lambda: web.json_response({"sid": None, "status": "queued"}, status=201),
        lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"}),
        lambda: web.json_response({"code": 20500, "message": "Internal", "status": 500}, status=500),
        lambda: web.json_response({"code": 20503, "message": "Busy", "status": 503}, status=503),
    ],
    ids=["201 no JSON", "201 empty", "201 a list", "201 no sid", "302", "20500", "503"],
)
async def test_whatever_is_no_clear_answer_is_a_doubt_and_is_asked_once(
    answer: Callable[[], web.Response],
) -> None:
    outcome, asked = await submitted(answer(), answer(), answer(), answer())
    assert isinstance(outcome, InDoubt)
    assert len(asked) == 1


async def test_the_new_form_of_errors_is_read_like_the_old_one() -> None:
    problem = {"type": "about:blank", "title": "Not a mobile number", "status": 400, "code": 21614}
    outcome, _ = await submitted(web.json_response(problem, status=400))
    assert isinstance(outcome, Refused)
    assert (outcome.reply_code, outcome.verdict.cls) == ("21614", "sms_landline")


async def test_a_gateways_429_without_a_code_is_put_off() -> None:
    outcome, _ = await submitted(web.Response(status=429, text="<html>slow down</html>"))
    assert isinstance(outcome, Deferred)
    assert (outcome.reply_code, outcome.route_down) == ("429", False)


async def test_the_time_that_a_429_names_is_kept() -> None:
    outcome, _ = await submitted(web.Response(status=429, headers={"Retry-After": "42"}, text="slow down"))
    assert isinstance(outcome, Deferred)
    assert outcome.named == timedelta(seconds=42)


async def test_the_machines_environment_changes_neither_host_nor_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name, value in (("TWILIO_EDGE", "dublin"), ("TWILIO_REGION", "ie1"), ("TWILIO_AUTH_TOKEN", "x")):
        monkeypatch.setenv(name, value)
    made = web.json_response({"sid": "SM1", "status": "queued"}, status=201)
    outcome, asked = await submitted(made)
    assert isinstance(outcome, Accepted)
    (request,) = asked
    assert request.path == f"/2010-04-01/Accounts/{ROUTE.account_sid}/Messages.json"
    assert request.headers["Host"].startswith("127.0.0.1")
    form = await request.post()
    assert form["SmartEncoded"].lower() == "true"  # type: ignore[union-attr]
    assert form["ValidityPeriod"] == "3600"
    assert "StatusCallback" not in form


async def test_a_host_that_does_not_exist_is_certainly_not_sent() -> None:
    session = CHANNEL.session(replace(ROUTE, api_url="http://127.0.0.1:9"))
    outcome = await session.submit(text_to())
    await session.close()
    assert isinstance(outcome, Deferred)
    assert outcome.route_down
    assert "Your invoice" not in repr(outcome)


async def test_a_text_is_found_again_by_its_sid_and_on_the_list_of_its_number(phones: Phones) -> None:
    async with texting(phones) as session, asking(phones) as inquiry:
        made = await session.submit(text_to(body="First"))
        await session.submit(text_to(body="Second"))
        await session.submit(text_to(LANDLINE, body="Elsewhere"))
        assert isinstance(made, Accepted)
        await phones.settled("delivered")
        one = await inquiry.fetch(made.queue_id)
        assert isinstance(one, KnownText)
        assert (one.sid, one.to, one.body, one.status) == (made.queue_id, MARIA, "First", "delivered")
        assert one.created_at is not None
        assert one.created_at.tzinfo is not None
        listed = await inquiry.sent_to(MARIA)
        assert not isinstance(listed, NoAnswer)
        assert [text.body for text in listed] == ["Second", "First"]


async def test_a_text_that_was_not_sent_yet_is_on_the_list_too(phones: Phones) -> None:
    await phones.behave(statuses=[])
    async with texting(phones) as session, asking(phones) as inquiry:
        await session.submit(text_to())
        listed = await inquiry.sent_to(MARIA)
    assert not isinstance(listed, NoAnswer)
    assert [text.status for text in listed] == ["queued"]


async def test_an_undelivered_text_tells_its_code(phones: Phones) -> None:
    async with texting(phones) as session, asking(phones) as inquiry:
        made = await session.submit(text_to(LANDLINE))
        assert isinstance(made, Accepted)
        await phones.settled("undelivered", LANDLINE)
        one = await inquiry.fetch(made.queue_id)
    assert isinstance(one, KnownText)
    assert (one.status, one.error_code) == ("undelivered", 30006)


async def test_asking_in_vain_is_a_value(phones: Phones) -> None:
    async with asking(phones) as inquiry:
        assert isinstance(await inquiry.fetch("SM" + "0" * 32), NoAnswer)
    async with asking(phones, auth_tokens=("wrong",)) as inquiry:
        refused = await inquiry.sent_to(MARIA)
        assert isinstance(refused, NoAnswer)
        assert "20003" in refused.text
    async with asking(phones, api_url="http://127.0.0.1:9") as inquiry:
        assert isinstance(await inquiry.account(), NoAnswer)


async def test_the_account_says_that_our_login_is_good(phones: Phones) -> None:
    async with asking(phones) as inquiry:
        assert await inquiry.account() == "active"


async def test_a_provider_is_never_asked_inside_a_transaction(phones: Phones, sqlite_store: Store) -> None:
    async with asking(phones) as inquiry, sqlite_store.read(1):
        with pytest.raises(RuntimeError, match="inside a database transaction"):
            await inquiry.sent_to(MARIA)
