"""The sandbox's one HTTP application: control calls under /sandbox, the parts' own wire, the page.

Control errors are 4xx with {"error": sentence}. Calls of the wire (under /slack) answer as Slack would.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

from aiohttp import web

from sandbox.product import ProductPart
from sandbox.world import (
    TOPICS,
    ControlError,
    Part,
    World,
    control_body,
    control_query,
    number_in_query,
    write_json_atomically,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LONGEST_WAIT_S = 120.0
BIGGEST_BODY = 40 * 1024 * 1024


class CastView(Protocol):
    """What the state answers about the demo's people; filled by sandbox.cast."""

    def state(self) -> dict[str, list[dict[str, Any]]]: ...


class WorkspaceView(Protocol):
    def users(self) -> list[dict[str, Any]]: ...
    def channels(self) -> list[dict[str, Any]]: ...


class CorePart:
    """State, wire list, long poll and clock."""

    def __init__(
        self, world: World, product: ProductPart, workspace: WorkspaceView, cast: CastView | None
    ) -> None:
        self._world = world
        self._product = product
        self._workspace = workspace
        self._cast = cast.state() if cast else {"numbers": [], "mailboxes": [], "invoices": []}
        self.started = False

    async def start(self) -> None:
        self.started = True

    async def stop(self) -> None:
        self.started = False

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox/state", self._state),
            web.get("/sandbox/wire", self._wire),
            web.get("/sandbox/wait", self._wait),
            web.post("/sandbox/clock", self._clock),
        ]

    async def _state(self, request: web.Request) -> web.Response:
        control_query(request)
        # Once a product was started, "ready" also says that its HTTP accepts connections.
        ready = self.started and (not self._product.was_started or await self._product.answers())
        return web.json_response(
            {
                "ready": ready,
                "users": self._workspace.users(),
                "channels": self._workspace.channels(),
                **self._cast,
                "clock": self._clock_view(),
            }
        )

    def _clock_view(self) -> dict[str, Any]:
        return {"now": self._world.clock.now().isoformat(), "offset_s": self._world.clock.offset_s}

    async def _wire(self, request: web.Request) -> web.Response:
        since = number_in_query(control_query(request, optional=["since"]), "since", 0)
        return web.json_response(self._world.wire.since(int(since)))

    async def _wait(self, request: web.Request) -> web.Response:
        query = control_query(request, optional=["for", "since", "timeout_s"])
        topics = set(query["for"].split(",")) if "for" in query else set(TOPICS)
        if unknown := sorted(topics - TOPICS):
            raise ControlError(f"Unknown topic: {', '.join(unknown)}. Topics: {', '.join(sorted(TOPICS))}.")
        changes = self._world.changes
        since = int(number_in_query(query, "since", changes.seq))
        timeout_s = min(number_in_query(query, "timeout_s", 30.0), LONGEST_WAIT_S)
        seq = await changes.wait(topics, since, timeout_s)
        return web.json_response({"seq": seq, "topics": sorted(topics & changes.topics_since(since))})

    async def _clock(self, request: web.Request) -> web.Response:
        body = await control_body(request, {"advance_s": float})
        self._world.clock.advance(float(body["advance_s"]))
        self._world.changes.notify("clock")
        return web.json_response(self._clock_view())


@web.middleware
async def control_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ControlError as refusal:
        return web.json_response({"error": refusal.sentence}, status=refusal.status)
    except web.HTTPException as refusal:
        if refusal.status < 400 or not request.path.startswith("/sandbox"):
            raise
        words = {404: "There is no such control call.", 405: "This control call has another HTTP method."}
        sentence = words.get(refusal.status, f"{refusal.reason}.")
        return web.json_response({"error": sentence}, status=refusal.status)


def build_app(parts: Sequence[Part]) -> web.Application:
    """Gathers the parts' routes; `Site` starts and stops the parts themselves."""
    app = web.Application(middlewares=[control_errors], client_max_size=BIGGEST_BODY)
    for part in parts:
        app.router.add_routes(part.routes())
    return app


class Site:
    """The running world: its parts in order, then the HTTP listener, then endpoints.json."""

    def __init__(self, world: World, parts: Sequence[Part], port: int = 0) -> None:
        self.world = world
        self._parts = list(parts)
        self._port = port
        self._running = AsyncExitStack()

    @property
    def url(self) -> str:
        return str(self.world.endpoints["http"])

    async def start(self) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.world.close)
            port = self._port or self._kept_port()
            self.world.endpoints["http"] = f"http://{self.world.host}:{port}"
            for part in self._parts:
                await part.start()
                stack.push_async_callback(part.stop)
            runner = web.AppRunner(build_app(self._parts), access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, self.world.host, port, reuse_address=True).start()
            write_json_atomically(self.world.endpoints_file, self.world.endpoints)
            self._running = stack.pop_all()

    def _kept_port(self) -> int:
        before = str(self.world.previous_endpoints.get("http", "")).rpartition(":")[2]
        return self.world.free_port(int(before) if before.isdigit() else None)

    async def stop(self) -> None:
        # The product ends first: what it still has to say needs a world to say it to.
        for part in self._parts:
            if isinstance(part, ProductPart):
                await part.stop()
        self.world.changes.close()
        await self._running.aclose()
