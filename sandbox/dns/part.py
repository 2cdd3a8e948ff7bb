"""The DNS part of the world: starts the server, seeds the zone once, answers GET and PUT /sandbox/dns."""

from __future__ import annotations

import time
from typing import Any, Final

from aiohttp import web

from sandbox.dns.seed import seed_records
from sandbox.dns.server import DnsServer, Responder
from sandbox.dns.zone import KIND, Zone
from sandbox.world import World, control_body, control_query

RECORDED_PER_S: Final = 20
PORTS_TRIED: Final = 20


class DnsPart:
    """`zone` is also what the mail world asks, without a socket between."""

    def __init__(self, world: World) -> None:
        self._world = world
        if world.documents.get("dns_seed", "done") is None:
            for record in seed_records():
                world.documents.put(KIND, f"{record['name']} {record['type']}", record)
            world.documents.put("dns_seed", "done", {"done": True})
        self.zone = Zone(world.documents)
        self._server = DnsServer(Responder(self.zone, self._record))
        self._second = 0
        self._in_second = 0

    async def start(self) -> None:
        before: dict[str, Any] = self._world.previous_endpoints.get("dns", {})
        port = await self._listen(before.get("port"))
        self._world.endpoints["dns"] = {"host": self._world.host, "port": port}

    async def _listen(self, preferred: int | None) -> int:
        """A port found free may be gone a moment later: another process looks for ports too."""
        for _ in range(PORTS_TRIED):
            port = self._world.free_port(preferred)
            try:
                await self._server.start(self._world.host, port)
            except OSError:
                await self._server.stop()
                preferred = None
            else:
                return port
        raise OSError(f"no free port for DNS on {self._world.host}")

    async def stop(self) -> None:
        await self._server.stop()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/sandbox/dns", self._get), web.put("/sandbox/dns", self._put)]

    async def _get(self, request: web.Request) -> web.Response:
        control_query(request)
        return web.json_response(self.zone.records())

    async def _put(self, request: web.Request) -> web.Response:
        body = await control_body(request, {"name": str, "type": str, "values": object})
        return web.json_response(self.zone.put(body["name"], body["type"], body["values"]))

    def _record(self, question: str, result: str, ms: float) -> None:
        """The wire list shows questions while they are few; a flood of them would push out all else."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second <= RECORDED_PER_S:
            self._world.wire.record("dns", "in", question, result, ms)
