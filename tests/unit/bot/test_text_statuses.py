"""What anybody may post to /twilio/status: news of a text when Twilio signed it, else 403, never a 500."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import text
from twilio.request_validator import RequestValidator

from bot.text_statuses import TextStatuses
from notifier.keys import DeliveryToken
from store.models import Channel, Confidence, Delivery, Outcome, Stage
from store.types import new_id
from store.unit import Store
from tests.builders import KEYRING, delivery
from tests.unit.bot.support import Office
from tests.unit.bot.support import office as open_office
from tests.unit.handlers.support import profile
from tests.unit.handlers.texting import PHONE, SENDER, SMS
from tests.unit.sandbox.bolt_app import Slack

BASE = "https://desk.cascade.example/twilio/status"
TOKENS = ("the new token", "the old token")
SID = "SM" + "1" * 32
Post = TestClient[web.Request, web.Application]


def params(status: str = "delivered", **more: str) -> dict[str, str]:
    found = {
        "AccountSid": SMS.route.account_sid,
        "MessageSid": SID,
        "MessageStatus": status,
        "From": SENDER,
        "To": PHONE,
        "RawDlrDoneDate": "2603020105",
        "SomethingNew": "",  # parameters are added without notice
    }
    return found | more


@pytest.fixture
async def desk(slack: Slack, sqlite_store: Store) -> AsyncIterator[Office]:
    async with open_office(slack, sqlite_store) as office:
        route = replace(SMS.route, auth_tokens=TOKENS, callback_url=BASE)
        office.services.tenants[1] = profile(sms=replace(SMS, route=route))  # type: ignore[index]
        yield office


@pytest.fixture
async def client(desk: Office) -> AsyncIterator[Post]:
    statuses = TextStatuses(services=desk.services, inbox=desk.inbox, runner=desk.runner)
    app = web.Application()
    app.add_routes(statuses.routes())
    client: Post = TestClient(TestServer(app))
    await client.start_server()
    yield client
    await client.close()


@pytest.fixture
async def item(desk: Office) -> Delivery:
    """A text that Twilio took."""
    made = delivery(
        PHONE,
        channel=Channel.SMS,
        route="twilio",
        stage=Stage.AWAITING,
        attempt=1,
        outcome=Outcome.SENT,
        confidence=Confidence.HANDED_TO_RELAY,
    )
    async with desk.store.begin(1) as tx:
        await tx.deliveries.add([made])
    return made


def token_of(made: Delivery) -> str:
    return KEYRING.delivery_token(DeliveryToken(1, made.id, 1))


async def post(client: Post, token: str, form: dict[str, str], **how: str) -> tuple[int, str]:
    url = how.get("url", f"{BASE}/{token}")
    signature = RequestValidator(how.get("signer", TOKENS[0])).compute_signature(url, form)
    headers = {
        "X-Twilio-Signature": how.get("signature", signature),
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Forwarded-Host": "evil.example",
        "Host": "evil.example",
    }
    async with client.post(f"/twilio/status/{token}", data=urlencode(form), headers=headers) as answer:
        return answer.status, await answer.text()


async def kept(desk: Office) -> int:
    async with desk.store.read(1) as tx:
        return int((await tx.conn.execute(text("SELECT count(*) FROM interactions"))).scalar_one())


async def test_a_genuine_receipt_is_taken_in_once_and_settles_the_text(
    desk: Office, client: Post, item: Delivery
) -> None:
    for signer in TOKENS:
        assert await post(client, token_of(item), params(), signer=signer) == (200, "<Response/>")
    await desk.settled()
    assert await kept(desk) == 1
    async with desk.store.read(1) as tx:
        after = await tx.deliveries.get(item.id)
        stored = (await tx.conn.execute(text("SELECT payload FROM interactions"))).scalar_one()
    assert after is not None
    assert (after.stage, after.outcome, after.confidence, after.queue_id) == (
        Stage.CLOSED,
        Outcome.DELIVERED,
        Confidence.HANDSET_RECEIPT,
        SID,
    )
    assert PHONE not in str(stored), "whose phone it is, the delivery knows"


async def test_a_forged_or_altered_one_is_refused_and_nothing_is_recorded(
    desk: Office, client: Post, item: Delivery
) -> None:
    token, other = token_of(item), KEYRING.delivery_token(DeliveryToken(1, new_id(), 1))
    refusals = [
        await post(client, token, params("undelivered", ErrorCode="30006"), signature="forged"),
        await post(client, token, params(), signer="somebody else's"),
        await post(client, token, params(), url=f"{BASE}/{other}"),
        await post(client, token, params(), url=f"https://evil.example/twilio/status/{token}"),
        await post(client, token, params(AccountSid="AC" + "9" * 32)),
        await post(client, "b" + "a" * 47, params()),
        await post(client, "x", params()),
        await post(client, KEYRING.delivery_token(DeliveryToken(77, item.id, 1)), params()),
    ]
    assert [status for status, _ in refusals] == [403] * len(refusals)
    await desk.settled()
    assert await kept(desk) == 0
    async with desk.store.read(1) as tx:
        assert await tx.deliveries.get(item.id) == item
        assert (await tx.events.of([(1, item.id)]))[1, item.id] == []


@pytest.mark.parametrize("missing", ["MessageSid", "MessageStatus"])
async def test_a_genuine_one_that_says_nothing_is_answered_and_forgotten(
    desk: Office, client: Post, item: Delivery, missing: str
) -> None:
    said = {name: value for name, value in params().items() if name != missing}
    assert (await post(client, token_of(item), said))[0] == 200
    assert await kept(desk) == 0


@pytest.mark.parametrize(
    "more",
    [{"ErrorCode": "not a number"}, {"ErrorCode": "9" * 30}, {"RawDlrDoneDate": "<x>"}, {"MessageSid": "x"}],
    ids=["code", "long code", "date", "sid"],
)
async def test_odd_values_crash_nothing(
    desk: Office, client: Post, item: Delivery, more: dict[str, str]
) -> None:
    assert (await post(client, token_of(item), params("undelivered", **more)))[0] == 200
    await desk.settled()
    async with desk.store.read(1) as tx:
        after = await tx.deliveries.get(item.id)
    assert after is not None
    assert after.outcome is Outcome.BOUNCED


async def test_an_inbox_that_is_full_asks_twilio_to_come_again(
    desk: Office, client: Post, item: Delivery
) -> None:
    desk.inbox._room = 0
    assert (await post(client, token_of(item), params()))[0] == 503
