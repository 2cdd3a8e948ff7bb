"""A phone world with the real twilio library on one side and a recording product on the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from sandbox.app import CorePart, Site
from sandbox.cast import Cast
from sandbox.page import PagePart
from sandbox.phone import PhonePart
from sandbox.phone.timing import Timing
from sandbox.product import ProductPart
from sandbox.slack import SlackPart
from sandbox.world import World

QUICK = Timing(first_status_s=0.01, next_status_s=0.01, retry_pause_s=0.01)
CAST = Cast.generate(date(2026, 3, 1), date(2026, 3, 18))
MARIA = CAST.phone_of("1001")
OPTED_OUT = CAST.phone_of("1188")
LANDLINE = CAST.phone_of("1290")
SHARED = CAST.phone_of("1204")


class LibraryHttp(AsyncHttpClient):  # type: ignore[misc]  # the library has no types
    """The library's transport on a session of ours: our time-outs and no retries."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(logging.getLogger("test.twilio"), is_async=True, timeout=5)
        self._session = session

    async def request(
        self,
        method: str,
        uri: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        timeout: Any = None,
        allow_redirects: bool = False,
    ) -> Response:
        sent = dict(headers or {})
        if auth is not None:
            sent["Authorization"] = aiohttp.encode_basic_auth(*auth)
        async with self._session.request(
            method, uri, params=params, data=data, headers=sent, allow_redirects=allow_redirects
        ) as response:
            return Response(response.status, await response.text(), response.headers)


@dataclass(frozen=True)
class Received:
    """A request that reached the product, its signature checked by the library."""

    path: str
    params: dict[str, str]
    genuine: bool
    headers: dict[str, str]

    @property
    def status(self) -> str:
        return self.params["MessageStatus"]


@dataclass
class Product:
    """Listens where the product would. `answers` are used up one by one; then it is 200 and empty TwiML."""

    port: int
    auth_token: str
    received: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)
    answers: list[web.Response] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.text()
        params = dict(parse_qsl(body, keep_blank_values=True))
        url = f"http://127.0.0.1:{self.port}{request.raw_path}"
        signature = request.headers.get("X-Twilio-Signature", "")
        genuine = bool(RequestValidator(self.auth_token).validate(url, params, signature))
        self.received.put_nowait(Received(request.path, params, genuine, dict(request.headers)))
        return self.answers.pop(0) if self.answers else twiml("<Response/>")

    async def next(self) -> Received:
        async with asyncio.timeout(20):
            return await self.received.get()


def twiml(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/xml")


@dataclass
class Phones:
    """The running world, as a test sees it."""

    site: Site
    http: aiohttp.ClientSession
    product: Product

    @property
    def twilio(self) -> dict[str, Any]:
        section: dict[str, Any] = self.site.world.endpoints["twilio"]
        return section

    @property
    def sender(self) -> str:
        return str(self.twilio["senders"][0])

    @property
    def callback(self) -> str:
        return f"http://127.0.0.1:{self.product.port}/twilio/status?d=1.2%2Fx"

    def client(self, token: str | None = None) -> Any:
        transport = LibraryHttp(self.http)
        made = Client(
            self.twilio["account_sid"],
            token or self.twilio["auth_token"],
            http_client=transport,
            # Not the machine's environment: an edge or a region would rewrite the host.
            environment={"PATH": ""},
        )
        made.api.base_url = self.twilio["api"]
        return made

    async def create(self, to: str = MARIA, body: str = "Your invoice is ready.", **more: Any) -> Any:
        if "messaging_service_sid" not in more:
            more.setdefault("from_", self.sender)
        return await self.client().messages.create_async(to=to, body=body, **more)

    async def raw(self, method: str, path: str = "Messages.json", **form: str) -> tuple[int, Any]:
        """A bare call of the API below the account, with the right credentials."""
        account, token = self.twilio["account_sid"], self.twilio["auth_token"]
        headers = {"Authorization": aiohttp.encode_basic_auth(account, token)}
        url = f"{self.twilio['api']}/2010-04-01/Accounts/{account}/{path}"
        async with self.http.request(method, url, data=form or None, headers=headers) as response:
            return response.status, await response.json()

    async def get(self, path: str, **query: str) -> Any:
        async with self.http.get(f"{self.site.url}/sandbox/{path}", params=query) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def post(self, path: str, *, expect: int = 200, **body: Any) -> Any:
        async with self.http.post(f"{self.site.url}/sandbox/{path}", json=body) as response:
            assert response.status == expect, await response.text()
            return await response.json()

    async def behave(self, number: str = MARIA, **wishes: Any) -> None:
        await self.post("phone/behaviour", number=number, **wishes)

    async def text(self, body: str, sender: str = MARIA, **more: Any) -> Any:
        return await self.post("phone/send", **{"from": sender, "body": body, **more})

    async def shown(self, number: str = MARIA) -> list[dict[str, Any]]:
        texts: list[dict[str, Any]] = await self.get("phone", number=number)
        return texts

    async def until(self, reached: Callable[[list[dict[str, Any]]], bool], number: str = MARIA) -> None:
        """Waits until the texts of a number fulfil a condition."""
        changes = self.site.world.changes
        async with asyncio.timeout(5):
            while True:
                seq = changes.seq
                if reached(await self.shown(number)):
                    return
                await changes.wait({"phone", "wire"}, seq, 5)

    async def settled(self, status: str, number: str = MARIA) -> None:
        await self.until(lambda texts: texts[-1]["status"] == status, number)

    def silent(self) -> bool:
        """Whether no callback was made and none waits to be made."""
        kept = self.site.world.documents.all("phone_message")
        called = [one for one in self.site.world.wire.since(0) if one["method"] == "status callback"]
        return not called and not any(text["pending"] for text in kept)

    def problems(self) -> list[str]:
        return [entry["problem"] for entry in self.site.world.wire.since(0) if entry["problem"]]


@asynccontextmanager
async def listening(product: Product) -> AsyncIterator[None]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", product.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", product.port).start()
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def phone_world(
    state_dir: Path, timing: Timing = QUICK, *, product_is_up: bool = True
) -> AsyncIterator[Phones]:
    world = World(state_dir)
    product_part, slack = ProductPart(world, []), SlackPart(world)
    phone = PhonePart(world, CAST, timing)
    core = CorePart(world, product_part, slack, CAST)
    site = Site(world, [product_part, slack, phone, PagePart(world, slack), core])
    await site.start()
    try:
        product = Product(world.endpoints["product"]["http_port"], phone.account.auth_token)
        async with aiohttp.ClientSession() as http:
            phones = Phones(site, http, product)
            if product_is_up:
                async with listening(product):
                    yield phones
            else:
                yield phones
    finally:
        await site.stop()
