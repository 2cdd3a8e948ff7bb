"""A small app on the real slack-bolt, and a world around it with Slack but without mail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.app import CorePart, Site
from sandbox.page import PagePart
from sandbox.product import ProductPart
from sandbox.slack import SlackPart
from sandbox.slack.timing import Timing
from sandbox.world import World


@dataclass
class Slack:
    """The running world, as a test sees it."""

    site: Site
    part: SlackPart
    http: aiohttp.ClientSession

    @property
    def endpoints(self) -> dict[str, Any]:
        return self.site.world.endpoints

    @property
    def token(self) -> str:
        return str(self.endpoints["slack"]["bot_token"])

    async def get(self, path: str, **query: str) -> Any:
        async with self.http.get(f"{self.site.url}/sandbox/{path}", params=query) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def post(self, path: str, *, expect: int = 200, **body: Any) -> Any:
        async with self.http.post(f"{self.site.url}/sandbox/{path}", json=body) as response:
            assert response.status == expect, await response.text()
            return await response.json()

    async def api(self, method: str, **body: Any) -> Any:
        """A bare Web API call with the app's token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.endpoints['slack']['api']}{method}"
        async with self.http.post(url, json=body, headers=headers) as response:
            return await response.json()

    async def command(self, text: str, user: str = "U_AGENT", channel: str = "C_SUPPORT") -> Any:
        return await self.post("slack/command", user=user, channel=channel, text=text)

    async def press(self, message: dict[str, Any], action_id: str, user: str = "U_AGENT", **more: Any) -> Any:
        where = {"channel": message["channel"], "ts": message["ts"]}
        return await self.post("slack/action", user=user, action_id=action_id, **where, **more)

    async def messages(self, user: str = "U_AGENT", channel: str = "C_SUPPORT", **query: str) -> Any:
        return await self.get("slack/messages", user=user, channel=channel, **query)

    async def last(self, user: str = "U_AGENT", channel: str = "C_SUPPORT") -> Any:
        return (await self.messages(user, channel))[-1]

    async def modals(self, user: str = "U_AGENT") -> Any:
        return (await self.get("slack/views", user=user))["modals"]

    async def problems(self) -> list[str]:
        return [entry["problem"] for entry in await self.get("wire") if entry["problem"]]

    def bolt(self) -> AsyncApp:
        client = AsyncWebClient(token=self.token, base_url=self.endpoints["slack"]["api"], retry_handlers=[])
        secret = self.endpoints["slack"]["signing_secret"]
        return AsyncApp(client=client, signing_secret=secret)

    @asynccontextmanager
    async def serving(self, app: AsyncApp) -> AsyncIterator[None]:
        """The app listens where the product would."""

        async def events(request: web.Request) -> web.Response:
            answer = await app.async_dispatch(await to_bolt_request(request))
            return await to_aiohttp_response(answer)

        async with self.serving_raw(events):
            yield

    @asynccontextmanager
    async def serving_raw(self, handler: Any) -> AsyncIterator[None]:
        application = web.Application()
        application.router.add_post("/slack/events", handler)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.endpoints["product"]["http_port"]).start()
            yield
        finally:
            await runner.cleanup()


@asynccontextmanager
async def slack_world(
    state_dir: Path, timing: Timing | None = None, *, socket_mode: bool = False
) -> AsyncIterator[Slack]:
    world = World(state_dir)
    product = ProductPart(world, [])
    part = SlackPart(world, timing, socket_mode=socket_mode)
    core = CorePart(world, product, part, None)
    site = Site(world, [product, part, PagePart(world, part), core])
    await site.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield Slack(site, part, http)
    finally:
        await site.stop()
