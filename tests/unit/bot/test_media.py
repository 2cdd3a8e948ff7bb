"""Pictures of subscribers: fetched with our credentials from the provider alone, and shown harmlessly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.media import MOST_BYTES, MediaPages
from handlers.contract import Services
from handlers.workflows.media import link_to, may_ask, may_follow
from store.models import ConversationLine
from store.unit import Store
from tests.conftest import FakeClock
from tests.unit.handlers.conftest import services_on
from tests.unit.handlers.texting import SMS, Texting, texting

PICTURE = b"\xff\xd8\xff\xe0 a picture"
Shown = tuple[int, dict[str, str], bytes]


@dataclass
class Provider:
    """What the provider's media host answers."""

    status: int = 200
    content: bytes = PICTURE
    content_type: str = "image/jpeg"
    location: str = ""
    asked: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.headers.get("Authorization", ""))
        headers = {"Location": self.location} if self.location else {}
        return web.Response(
            status=self.status, body=self.content, content_type=self.content_type, headers=headers
        )


@dataclass
class Desk:
    texts: Texting
    services: Services
    client: TestClient[web.Request, web.Application]
    provider: Provider
    api: str

    async def sent(self, url: str = "", content_type: str = "image/jpeg") -> ConversationLine:
        """A subscriber sends a picture; the line that stands for it."""
        more = {
            "NumMedia": "1",
            "MediaUrl0": url or f"{self.api}/Media/ME0",
            "MediaContentType0": content_type,
        }
        sid = await self.texts.texts("", **more)
        async with self.services.store.read(1) as tx:
            line = await tx.conversations.line_once(f"{sid}/0")
        assert line is not None
        return line

    async def looks(self, line: ConversationLine, path: str = "") -> Shown:
        link = link_to(self.services, 1, line).removeprefix("https://desk.cascade.example")
        async with self.client.get(path or link) as answer:
            return answer.status, dict(answer.headers), await answer.read()


@pytest.fixture
async def desk(sqlite_store: Store) -> AsyncIterator[Desk]:
    provider = Provider()
    outside = web.Application()
    outside.router.add_get("/{tail:.*}", provider.handle)
    server = TestServer(outside)
    await server.start_server()
    api = str(server.make_url("")).rstrip("/")
    found = texting(services_on(sqlite_store), sms=replace(SMS, route=replace(SMS.route, api_url=api)))
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        app = web.Application()
        app.add_routes(MediaPages(found.services, session).routes())
        async with TestClient(TestServer(app)) as client:
            yield Desk(found, found.services, client, provider, api)
    await server.close()


async def test_a_picture_is_fetched_with_our_credentials_and_shown(desk: Desk) -> None:
    line = await desk.sent()
    status, headers, content = await desk.looks(line)
    assert (status, content, headers["Content-Type"]) == (200, PICTURE, "image/jpeg")
    assert headers["Cache-Control"] == "no-store"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert desk.provider.asked == [aiohttp.encode_basic_auth(SMS.route.account_sid, "token")]
    thread = await desk.texts.thread()
    assert "Look at it" in thread[0]


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "application/pdf"])
async def test_what_could_run_is_a_download(desk: Desk, content_type: str) -> None:
    desk.provider.content_type = content_type
    status, headers, _ = await desk.looks(await desk.sent(content_type=content_type))
    assert status == 200
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")


async def test_a_huge_file_is_not_carried_through(desk: Desk) -> None:
    desk.provider.content = b"x" * (MOST_BYTES + 1)
    assert (await desk.looks(await desk.sent()))[0] == 413


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/Media/ME0",
        "https://twilio.com.evil.example/x",
        "https://eviltwilio.com/x",
        "http://api.twilio.com/x",
        "https://user:pass@evil.example/x",
        "https://api.twilio.com:8443/x",
        "file:///etc/passwd",
        "https://[half/x",
        "",
    ],
)
async def test_nobody_else_is_asked(desk: Desk, url: str) -> None:
    assert not may_ask(url, SMS.route)
    line = await desk.sent(url or "about:blank")
    assert (await desk.looks(line))[0] == 404
    assert desk.provider.asked == []


def test_twilio_and_our_own_api_host_are_asked() -> None:
    assert may_ask("https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0", SMS.route)
    assert may_ask("https://mms.us1.twilio.com/x", SMS.route)
    assert may_follow("https://media.twiliocdn.com/x?sig=1")
    assert not may_follow("http://media.twiliocdn.com/x")
    assert not may_follow("https://169.254.169.254/latest")


async def test_being_sent_on_to_somewhere_else_ends_it(desk: Desk) -> None:
    desk.provider.status, desk.provider.location = 307, "https://evil.example/x"
    assert (await desk.looks(await desk.sent()))[0] == 502
    assert len(desk.provider.asked) == 1


async def test_a_link_that_is_old_made_up_or_of_no_file_shows_nothing(desk: Desk, clock: FakeClock) -> None:
    line = await desk.sent()
    code = link_to(desk.services, 1, line)[-10:]
    for path in ("/media/x", "/media/" + "A" * 42, f"/media/{code}", "/media/ü", "/media/" + "A" * 500):
        assert (await desk.looks(line, path))[0] == 404
    sid = await desk.texts.texts("no picture")
    async with desk.services.store.read(1) as tx:
        words = await tx.conversations.line_once(sid)
    assert words is not None
    assert link_to(desk.services, 1, words) == ""
    clock.advance(timedelta(days=31))
    assert (await desk.looks(line))[0] == 404
    assert desk.provider.asked == []


async def test_a_provider_that_fails_is_said_so(desk: Desk) -> None:
    desk.provider.status = 500
    status, _, content = await desk.looks(await desk.sent())
    assert (status, content) == (502, b"The provider does not hand the file out now. Try again later.")
