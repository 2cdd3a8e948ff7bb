"""What anybody may post to /twilio/inbound: taken in once when Twilio signed it, else 403, never a 500."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import text
from twilio.request_validator import RequestValidator

from bot.inbound_texts import EMPTY_TWIML, PATH, InboundTexts
from bot.runner import Runner
from handlers.profile import TenantProfile
from store.models import Interaction, InteractionKind, InteractionState
from store.unit import Store
from tests.unit.bot.support import LEASE_S, Office
from tests.unit.bot.support import office as open_office
from tests.unit.handlers.support import profile
from tests.unit.handlers.texting import PHONE, SENDER, SMS
from tests.unit.sandbox.bolt_app import Slack

URL = "https://desk.cascade.example"
ACCOUNT = SMS.route.account_sid
TOKENS = ("the new token", "the old token")
CARD = "4242 4242 4242 4242"
Post = TestClient[web.Request, web.Application]


def texting(**more: object) -> TenantProfile:
    route = replace(SMS.route, auth_tokens=TOKENS)
    return profile(public_url=URL, sms=replace(SMS, route=replace(route, **more)))  # type: ignore[arg-type]


def params(**more: str) -> dict[str, str]:
    found = {
        "AccountSid": ACCOUNT,
        "MessageSid": "SM" + "1" * 32,
        "From": PHONE,
        "To": SENDER,
        "Body": "hello",
        "NumMedia": "0",
        "SomethingNew": "",  # parameters are added without notice
    }
    return found | more


async def post(
    client: Post, form: dict[str, str], token: str = TOKENS[0], path: str = PATH, url: str = URL + PATH
) -> tuple[int, str, str]:
    signature = RequestValidator(token).compute_signature(url, form)
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    async with client.post(path, data=urlencode(form), headers=headers) as answer:
        return answer.status, answer.content_type, await answer.text()


@pytest.fixture
async def desk(slack: Slack, sqlite_store: Store) -> AsyncIterator[Office]:
    async with open_office(slack, sqlite_store) as office:
        office.services.tenants[1] = texting()  # type: ignore[index]  # a dict, to the tests
        yield office


async def served(office: Office, runner: Runner | None = None) -> Post:
    texts = InboundTexts(
        store=office.store,
        inbox=office.inbox,
        runner=runner or office.runner,
        tenants=office.services.tenants,
    )
    app = web.Application()
    app.add_routes(texts.routes())
    client: Post = TestClient(TestServer(app))
    await client.start_server()
    return client


@pytest.fixture
async def client(desk: Office) -> AsyncIterator[Post]:
    found = await served(desk)
    yield found
    await found.close()


async def kept(office: Office) -> list[Interaction]:
    async with office.store.read(1) as tx:
        rows = await tx.conn.execute(text("SELECT id, payload, state, kind FROM interactions"))
        found = rows.all()
    now = office.store.clock()
    return [
        Interaction(1, r.id, InteractionKind(r.kind), {"raw": r.payload}, now, InteractionState(r.state))
        for r in found
    ]


async def test_a_genuine_text_is_kept_then_answered_with_empty_twiml_and_carried_out(
    desk: Office, client: Post
) -> None:
    assert await post(client, params()) == (200, "text/xml", EMPTY_TWIML)
    await desk.settled()
    (item,) = await kept(desk)
    assert (item.kind, item.state) == (InteractionKind.SMS, InteractionState.DONE)
    async with desk.store.read(1) as tx:
        line = await tx.conversations.line_once("SM" + "1" * 32)
    assert line is not None
    assert line.body == "hello"


async def test_the_same_message_twice_is_one_interaction(desk: Office, client: Post) -> None:
    for _ in range(3):
        assert (await post(client, params()))[0] == 200
    await desk.settled()
    assert len(await kept(desk)) == 1


async def test_either_token_signs_and_no_other(desk: Office, client: Post) -> None:
    assert (await post(client, params(), TOKENS[1]))[0] == 200
    assert (await post(client, params(MessageSid="SM" + "2" * 32), "a guess"))[0] == 403
    await desk.settled()
    assert len(await kept(desk)) == 1


@pytest.mark.parametrize(
    ("form", "path", "url"),
    [
        (params(AccountSid="AC" + "9" * 32), PATH, URL + PATH),
        (params(To="+15415550999"), PATH, URL + PATH),
        ({"hello": "world"}, PATH, URL + PATH),
        ({}, PATH, URL + PATH),
        (params(), PATH, "http://forwarded.example" + PATH),
        (params(), PATH + "?more=1", URL + PATH),
    ],
)
async def test_what_is_not_ours_or_not_so_signed_is_refused(
    desk: Office, client: Post, form: dict[str, str], path: str, url: str
) -> None:
    assert (await post(client, form, path=path, url=url))[0] == 403
    assert await kept(desk) == []


@pytest.mark.parametrize("body", [b"", b"\xff\xfe=%zz", b"{}", b"a" * 100_000, b"&" * 2000])
async def test_junk_is_refused_and_never_a_500(desk: Office, client: Post, body: bytes) -> None:
    for headers in ({}, {"X-Twilio-Signature": "ü" * 4}, {"Content-Type": "application/json"}):
        async with client.post(PATH, data=body, headers=headers) as answer:
            assert answer.status == 403
    assert await kept(desk) == []


async def test_a_message_to_the_messaging_service_is_ours_by_whatever_number(
    slack: Slack, sqlite_store: Store
) -> None:
    service = "MG" + "5" * 32
    async with open_office(slack, sqlite_store) as office:
        office.services.tenants[1] = texting(messaging_service_sid=service)  # type: ignore[index]
        client = await served(office)
        form = params(To="+15415550101", MessagingServiceSid=service)
        assert (await post(client, form))[0] == 200
        await client.close()
        await office.settled()


@pytest.mark.parametrize("sender", ["whatsapp:+15415550142", "", "a short code", "+1" * 20])
async def test_a_sender_that_cannot_be_answered_is_taken_from_twilio_and_left(
    desk: Office, client: Post, sender: str
) -> None:
    assert (await post(client, params(From=sender)))[0] == 200
    assert await kept(desk) == []


async def test_card_numbers_never_reach_the_disk(
    desk: Office, client: Post, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await post(client, params(Body=f"take my card {CARD} 12/29 123")))[0] == 200
    await desk.settled()
    digits = CARD.replace(" ", "")
    for row in await kept(desk):
        assert CARD not in str(row.payload)
        assert "card number removed" in str(row.payload)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert CARD.encode() not in content, file
            assert digits.encode() not in content, file
    assert CARD not in caplog.text


async def test_a_full_inbox_answers_503_and_keeps_nothing(slack: Slack, sqlite_store: Store) -> None:
    async with open_office(slack, sqlite_store, room=0) as office:
        office.services.tenants[1] = texting()  # type: ignore[index]
        client = await served(office)
        assert (await post(client, params()))[0] == 503
        await client.close()
        assert await kept(office) == []


async def test_what_a_dead_process_took_in_is_carried_out_by_the_next(desk: Office) -> None:
    item = Interaction(
        tenant=1,
        id="f" * 64,
        kind=InteractionKind.SMS,
        payload=params(),
        received_at=desk.store.clock(),
    )
    async with desk.store.system() as tx:
        await tx.interactions.add([item], worker="dead-1", lease_s=LEASE_S)
    await desk.runner.resume(["dead-1"])
    await desk.settled()
    assert await desk.state_of("f" * 64) == ("done", None)
    async with desk.store.read(1) as tx:
        assert await tx.conversations.line_once("SM" + "1" * 32) is not None
