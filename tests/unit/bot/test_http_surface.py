"""Everything that is reached over HTTP, asked whatever comes to mind: never a fault of ours, nothing
told of how we are made, nothing kept of what nobody signed.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from twilio.request_validator import RequestValidator

from billing.invoice_pdf import Letterhead
from billing.pdfs import InvoicePdfs
from bot import http
from bot.billing_events import BillingEvents
from bot.inbound_texts import InboundTexts
from bot.media import MediaPages
from bot.pages import InvoicePages
from bot.text_statuses import TextStatuses
from store.unit import Store
from tests.unit.bot.support import FORM, Office, payload_body, signature
from tests.unit.bot.support import office as open_office
from tests.unit.bot.test_inbound_texts import TOKENS, URL, params
from tests.unit.bot.test_inbound_texts import texting as texting_profile
from tests.unit.handlers import cast
from tests.unit.sandbox.bolt_app import Slack

Client = TestClient[web.Request, web.Application]
TOLD: dict[str, str] = {
    "a traceback": "Traceback",
    "a path of ours": ".py",
    "a database": "sqlite",
    "a subscriber": "Dana",
}
ANSWERS = (200, 400, 404)
"""404: Bolt knows of nobody who listens to such a thing."""
CALM = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def desk(slack: Slack, sqlite_store: Store) -> AsyncIterator[Office]:
    async with open_office(slack, sqlite_store) as office:
        office.services.tenants[1] = texting_profile()  # type: ignore[index]  # a dict, to the tests
        await cast.dana(office.store)
        yield office


@pytest.fixture
async def client(desk: Office) -> AsyncIterator[Client]:
    """The whole surface, as bot.wiring puts it together."""
    services, profile = desk.services, desk.services.profile(1)
    pdfs = InvoicePdfs(desk.store, {1: Letterhead(profile.brand, profile.region, profile.locale, "")})
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as outside:
        routes = [
            *InvoicePages(services, pdfs).routes(),
            *InboundTexts(
                store=desk.store, inbox=desk.inbox, runner=desk.runner, tenants=services.tenants
            ).routes(),
            *TextStatuses(services=services, inbox=desk.inbox, runner=desk.runner).routes(),
            *MediaPages(services, outside).routes(),
            *BillingEvents(services=services, inbox=desk.inbox, runner=desk.runner).routes(),
        ]
        async with TestClient(TestServer(http.application(desk.store, desk.rim, routes))) as found:
            yield found


async def kept(desk: Office) -> int:
    async with desk.store.read(1) as tx:
        rows = await tx.conn.execute(text("SELECT count(*) FROM interactions"))
        return int(rows.scalar_one())


async def asked(client: Client, method: str, path: str, **more: Any) -> int:
    """The status; nothing is told of how we are made."""
    async with client.request(method, path, allow_redirects=False, **more) as answer:
        said = await answer.text(errors="replace")
    for what, words in TOLD.items():
        assert words not in said, f"{method} {path} tells {what}: {said[:200]}"
    return answer.status


SEGMENT = st.text(st.characters(codec="utf-8"), max_size=30).map(lambda part: quote(part, safe=""))
PLACES = (
    "/slack/events",
    "/twilio/inbound",
    "/twilio/status",
    "/i",
    "/media",
    "/billing",
    "/health",
    "/ready",
    "",
)
PATHS = st.builds(
    lambda place, parts: "/".join([place, *parts]) or "/",
    st.sampled_from(PLACES),
    st.lists(SEGMENT, max_size=3),
).filter(lambda path: not path.startswith("//"))
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
HEADERS = st.dictionaries(
    st.sampled_from(
        ["X-Slack-Signature", "X-Slack-Request-Timestamp", "X-Twilio-Signature", "X-Forwarded-For", "Cookie"]
    ),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60),
)
TYPES = st.sampled_from(
    ["", FORM, "application/json", "multipart/form-data; boundary=x", "text/plain; charset=x"]
)


@CALM
@given(method=METHODS, path=PATHS, headers=HEADERS, kind=TYPES, body=st.binary(max_size=300))
async def test_what_nobody_signed_is_refused_and_leaves_nothing(
    client: Client, desk: Office, method: str, path: str, headers: dict[str, str], kind: str, body: bytes
) -> None:
    before = await kept(desk)
    sent = {**headers, **({"Content-Type": kind} if kind else {})}
    status = await asked(client, method, path, headers=sent, data=body or None)
    assert status < 500, (method, path, status)
    if status == 200:
        assert path.partition("?")[0] in ("/health", "/ready"), (method, path)
    assert await kept(desk) == before


LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False)
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
COMMAND: dict[str, Any] = {
    "team_id": "T_CASCADE",
    "user_id": "U_AGENT",
    "channel_id": "C_SUPPORT",
    "command": "/isp",
    "text": "find 1001",
    "trigger_id": "1.2.three",
}
USER = {"id": "U_AGENT", "team_id": "T_CASCADE"}
SHAPES: dict[str, dict[str, Any]] = {
    "press": {
        "type": "block_actions",
        "team": {"id": "T_CASCADE"},
        "user": USER,
        "channel": {"id": "C_SUPPORT"},
        "container": {"type": "message", "message_ts": "1.2", "channel_id": "C_SUPPORT"},
        "actions": [{"action_id": "find.open", "value": "x", "type": "button", "block_id": "b"}],
        "trigger_id": "1.2.three",
        "state": {"values": {}},
    },
    "dialog": {
        "type": "view_submission",
        "team": {"id": "T_CASCADE"},
        "user": USER,
        "view": {"id": "V1", "callback_id": "find.asked", "private_metadata": "", "state": {"values": {}}},
    },
    "shortcut": {
        "type": "message_action",
        "callback_id": "find_this",
        "team": {"id": "T_CASCADE"},
        "user": USER,
        "channel": {"id": "C_SUPPORT"},
        "message": {"ts": "1.2", "text": "account 1001"},
        "trigger_id": "1.2.three",
    },
}
EVENT: dict[str, Any] = {
    "type": "event_callback",
    "team_id": "T_CASCADE",
    "event_id": "E1",
    "event": {
        "type": "app_mention",
        "user": "U_AGENT",
        "channel": "C_SUPPORT",
        "text": "find 1001",
        "ts": "1.2",
    },
}


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands that could be something else."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [at, *(place for key, value in inside for place in places(value, (*at, key)))]


def changed(node: Any, at: tuple[Any, ...], to: Any) -> Any:
    if not at:
        return to
    key, *rest = at
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[key] = changed(node[key], tuple(rest), to)
    return copy


@st.composite
def bent(draw: st.DrawFn, shape: dict[str, Any]) -> Any:
    """One thing in it is something else, or is not there."""
    at = draw(st.sampled_from(places(shape)[1:]))
    to = draw(JSON)
    found = changed(shape, at, to)
    if draw(st.booleans()):
        parent = found
        for key in at[:-1]:
            parent = parent[key]
        if isinstance(parent, dict):
            parent.pop(at[-1], None)
    return found


@pytest.mark.parametrize("shape", SHAPES)
@CALM
@given(data=st.data())
async def test_what_slack_signed_is_never_a_fault_of_ours_whatever_its_shape(
    client: Client, desk: Office, shape: str, data: st.DataObject
) -> None:
    body = payload_body(data.draw(bent(SHAPES[shape])))
    sent = {"Content-Type": FORM, **signature(desk.secret, body)}
    assert await asked(client, "POST", "/slack/events", data=body, headers=sent) in ANSWERS
    await desk.settled()


@CALM
@given(data=st.data())
async def test_commands_and_events_of_any_shape_are_answered(
    client: Client, desk: Office, data: st.DataObject
) -> None:
    event = json.dumps(data.draw(bent(EVENT))).encode()
    command = urlencode(
        {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in data.draw(bent(COMMAND)).items()
        }
    ).encode()
    for body, kind in ((event, "application/json"), (command, FORM)):
        sent = {"Content-Type": kind, **signature(desk.secret, body)}
        assert await asked(client, "POST", "/slack/events", data=body, headers=sent) in ANSWERS
    await desk.settled()


@CALM
@given(
    more=st.dictionaries(
        st.sampled_from(
            ["Body", "From", "To", "MessageSid", "AccountSid", "NumMedia", "MediaUrl0", "OptOutType"]
        ),
        st.text(st.characters(codec="utf-8"), max_size=40),
    ),
    path=st.sampled_from(["/twilio/inbound", "/twilio/status/x", "/twilio/status/" + "b" + "a" * 47]),
)
async def test_what_twilio_signed_is_answered_whatever_its_fields_hold(
    client: Client, desk: Office, more: dict[str, str], path: str
) -> None:
    form = params(**more)
    mac = RequestValidator(TOKENS[0]).compute_signature(URL + path, form)
    sent = {"Content-Type": FORM, "X-Twilio-Signature": mac}
    status = await asked(client, "POST", path, data=urlencode(form), headers=sent)
    assert status < 500, (path, more)
    await desk.settled()


@pytest.mark.parametrize(
    "path", ["/slack/events", "/twilio/inbound", "/twilio/status/x", "/billing/x", "/i/x"]
)
async def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    client: Client, desk: Office, path: str
) -> None:
    body = io.BytesIO(b"x" * (2 * http.BODY_LIMIT))
    status = await asked(client, "POST", path, data=body, headers={"Content-Type": FORM})
    assert status in (401, 403, 404, 413), status
    assert await kept(desk) == 0
