"""The page at `/`: try everything by hand. Rendered here, kept current by server-sent events.

It changes nothing by itself: every button calls the control API, as a test would.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp_sse import sse_response

from sandbox.page.mailbox import ApiClient, Inbox
from sandbox.page.phone import Phones
from sandbox.page.render import Renderer
from sandbox.page.scene import Scene, read_scene
from sandbox.slack import SlackPart
from sandbox.world import TOPICS, World

HERE = Path(__file__).parent
STATIC = {
    "page.css": "text/css",
    "blocks.css": "text/css",
    "phone.css": "text/css",
    "kit.js": "text/javascript",
    "page.js": "text/javascript",
    "phone.js": "text/javascript",
}
KEEP_ALIVE_S = 15.0
# The mails in their frames inherit this: no script but ours, nothing from other hosts.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; frame-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class PagePart:
    def __init__(self, world: World, slack: SlackPart) -> None:
        self._world = world
        self._api = ApiClient(world)
        self._inbox = Inbox(self._api)
        self._phones = Phones(self._api)
        self._renderer = Renderer(world, slack.desk)

    async def start(self) -> None:
        await self._api.start()

    async def stop(self) -> None:
        await self._api.stop()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._page),
            web.get("/page/parts", self._parts),
            web.get("/page/events", self._events),
            web.get("/page/static/{name}", self._static),
            web.get("/archives/{channel}/{anchor}", self._permalink),
        ]

    async def _page(self, request: web.Request) -> web.Response:
        scene = read_scene(request.query)
        names = list(self._makers(scene))
        parts = {name: await self._part(name, scene) for name in names}
        html = self._renderer.page(scene, parts, self._world.changes.seq)
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
        return web.Response(text=html, content_type="text/html", headers=headers)

    def _makers(self, scene: Scene) -> dict[str, Callable[[], str]]:
        """The parts that are rendered from what is in memory, and markers for those that are asked for."""
        render = self._renderer
        return {
            "sidebar": lambda: render.sidebar(scene),
            "messages": lambda: render.messages(scene),
            "thread": lambda: render.thread(scene),
            "home": lambda: render.home(scene),
            "modal": lambda: render.modal(scene),
            "inbox": str,
            "mail": str,
            "numbers": str,
            "phone": str,
            "bubbles": str,
            "dns": str,
            "clock": render.clock,
            "wire": render.wire,
            "badge": render.badge,
        }

    async def _part(self, name: str, scene: Scene) -> str:
        if name == "inbox":
            await self._inbox.refresh()
            return self._renderer.inbox(scene, self._inbox)
        if name == "mail":
            await self._inbox.refresh()
            return self._renderer.mail(scene, self._inbox, await self._api.get("/sandbox/mail/behaviour", []))
        if name == "numbers":
            return self._renderer.numbers(scene, await self._phones.rows(scene.find))
        if name == "phone":
            return self._renderer.phone(await self._phones.row(scene.number))
        if name == "bubbles":
            return self._renderer.bubbles(await self._phones.texts(scene.number))
        if name == "dns":
            return self._renderer.dns(await self._api.get("/sandbox/dns", []))
        return self._makers(scene)[name]()

    async def _parts(self, request: web.Request) -> web.Response:
        """`{name: html}` of the parts named in the query."""
        scene = read_scene(request.query)
        known = self._makers(scene)
        names = [name for name in request.query.get("names", "").split(",") if name in known]
        return web.json_response({name: await self._part(name, scene) for name in names})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """One event for each batch of changes: {"topics": [...]}."""
        changes = self._world.changes
        asked = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        since = int(asked) if asked.isdigit() else changes.seq
        async with sse_response(request) as stream:
            # A browser that went away shows as a reset at the next write: nobody is left to tell.
            with suppress(ConnectionResetError):
                while stream.is_connected() and not changes.closed:
                    seq = await changes.wait(TOPICS, since, KEEP_ALIVE_S)
                    topics = sorted(changes.topics_since(since))
                    await stream.send(json.dumps({"topics": topics}), id=str(seq))
                    since = seq
        return stream

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in STATIC:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        text = (HERE / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=STATIC[name], headers=headers)

    async def _permalink(self, request: web.Request) -> web.Response:
        """Where chat.getPermalink points: the channel with that message in view."""
        digits = request.match_info["anchor"].removeprefix("p")
        if not digits.isdigit():
            raise web.HTTPNotFound
        ts = f"{digits[:-6]}.{digits[-6:]}"
        where: dict[str, Any] = {"channel": request.match_info["channel"], "at": ts}
        raise web.HTTPFound(str(request.url.with_path("/").with_query(where).with_fragment(f"m-{ts}")))
