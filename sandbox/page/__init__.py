"""The page at `/`: try everything by hand. Rendered here, kept current by server-sent events.

It changes nothing by itself: every button calls the control API, as a test would.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp_sse import sse_response

from sandbox.page.mailbox import MAILS_SHOWN, ApiClient, Inbox
from sandbox.page.phone import PHONES_SHOWN, TEXTS_SHOWN, Phones
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
    "world.js": "text/javascript",
}
PARTS = (
    *("sidebar", "news", "messages", "thread", "home", "modal"),
    *("inbox", "mail", "numbers", "phone", "bubbles"),
    *("product", "process", "clock", "wire", "badge", "dns"),
)
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
        self._mails = Inbox(self._api)
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
        parts = {name: await self._part(name, scene) for name in PARTS}
        html = self._renderer.page(scene, parts, self._world.changes.seq)
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
        return web.Response(text=html, content_type="text/html", headers=headers)

    def _makers(self, scene: Scene) -> dict[str, Callable[[], str]]:
        """The parts that are rendered from what is in memory."""
        render = self._renderer
        return {
            "sidebar": lambda: render.sidebar(scene),
            "news": lambda: render.news(scene),
            "messages": lambda: render.messages(scene),
            "thread": lambda: render.thread(scene),
            "home": lambda: render.home(scene),
            "modal": lambda: render.modal(scene),
            "clock": render.clock,
            "wire": lambda: render.wire(scene),
            "badge": render.badge,
        }

    async def _part(self, name: str, scene: Scene) -> str:
        made = self._makers(scene).get(name)
        return made() if made is not None else await self._askers()[name](scene)

    def _askers(self) -> dict[str, Callable[[Scene], Awaitable[str]]]:
        """The parts for which the control API is asked."""
        return {
            "inbox": self._inbox,
            "mail": self._mail,
            "numbers": self._numbers,
            "phone": self._phone,
            "bubbles": self._bubbles,
            "dns": self._dns,
            "product": self._product,
            "process": self._process,
        }

    async def _inbox(self, scene: Scene) -> str:
        shown = scene.shown("inbox", MAILS_SHOWN)
        mails = await self._mails.mails(scene.to, shown + 1)
        return self._renderer.inbox(scene, mails[:shown], older=len(mails) > shown)

    async def _mail(self, scene: Scene) -> str:
        behaviours = await self._api.get("/sandbox/mail/behaviour", [])
        return self._renderer.mail(scene, await self._mails.mail(scene.mail), behaviours)

    async def _numbers(self, scene: Scene) -> str:
        shown = scene.shown("numbers", PHONES_SHOWN)
        rows = await self._phones.rows(scene.find, shown + 1)
        return self._renderer.numbers(scene, rows[:shown], more=len(rows) > shown)

    async def _phone(self, scene: Scene) -> str:
        return self._renderer.phone(await self._phones.row(scene.number))

    async def _bubbles(self, scene: Scene) -> str:
        shown = scene.shown("bubbles", TEXTS_SHOWN)
        texts = await self._phones.texts(scene.number, shown + 1)
        return self._renderer.bubbles(texts[-shown:], earlier=len(texts) > shown)

    async def _dns(self, scene: Scene) -> str:
        return self._renderer.dns(await self._api.get("/sandbox/dns", []))

    async def _product(self, scene: Scene) -> str:
        return self._renderer.product(await self._state_of_product())

    async def _process(self, scene: Scene) -> str:
        return self._renderer.process(await self._state_of_product())

    async def _state_of_product(self) -> dict[str, Any]:
        state: dict[str, Any] = await self._api.get("/sandbox/product", {"processes": 0})
        return state

    async def _parts(self, request: web.Request) -> web.Response:
        """`{name: html}` of the parts named in the query."""
        scene = read_scene(request.query)
        names = [name for name in request.query.get("names", "").split(",") if name in PARTS]
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
