"""The mail part of the world: builds the listeners and the post behind them, answers the control calls."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from sandbox.cast_mail import BEHAVIOURS
from sandbox.dns import DnsPart
from sandbox.dns.seed import PRODUCT_IP, REMOTE_IP, VISP_IP
from sandbox.mail.behaviour import Behaviours, ListenerFaults
from sandbox.mail.controls import MailControls
from sandbox.mail.listeners import Direct, Identity, Listener, Relay
from sandbox.mail.post import Post
from sandbox.mail.receiving import ReceivingSide
from sandbox.mail.sink import Sink, Spool
from sandbox.mail.smtp import SmtpServer
from sandbox.world import World

RELAYS: Final = (
    Identity("visp", "relay.visp.net", VISP_IP),
    Identity("remote", "remote-relay.example", REMOTE_IP),
)
PORTS_TRIED: Final = 20
DIRECT: Final = Identity("mx", "mx.recipients.example", PRODUCT_IP)


class MailPart:
    """Relays, the recipients' servers, the inbox, and the DSNs on their way to the product."""

    def __init__(self, world: World, dns: DnsPart) -> None:
        self._world = world
        behaviours = Behaviours(world.documents)
        if world.documents.get("mail_seed", "done") is None:
            for behaviour in BEHAVIOURS:
                behaviours.set(behaviour)
            world.documents.put("mail_seed", "done", {"done": True})
        self._spool = Spool(world.state_dir / "mail.spool")
        sink = Sink(world.documents, self._spool)
        self._post = Post(world, ReceivingSide(dns.zone, behaviours), behaviours, sink, self._spool)
        self.listeners: dict[str, Listener] = {
            identity.name: kind(identity, self._post, ListenerFaults(world.documents, identity.name))
            for identity, kind in (*((identity, Relay) for identity in RELAYS), (DIRECT, Direct))
        }
        self._servers: dict[str, SmtpServer] = {}
        self._controls = MailControls(world, behaviours, sink, self._post, self.change_listener)

    async def start(self) -> None:
        for name, listener in self.listeners.items():
            port = await self._listen(name, self._port_before(name))
            endpoint: dict[str, Any] = {
                "host": self._world.host,
                "port": port,
                "ip": listener.identity.public_ip,
            }
            if name == DIRECT.name:
                self._world.endpoints["mx"] = endpoint
            else:
                relay = {"name": name, **endpoint, "username": None}
                self._world.endpoints.setdefault("relays", []).append(relay)
        self._post.queue.start()

    async def _listen(self, name: str, preferred: int | None) -> int:
        """A port found free may be gone a moment later: another process looks for ports too."""
        for _ in range(PORTS_TRIED):
            port = self._world.free_port(preferred)
            self._servers[name] = SmtpServer(self.listeners[name], self._world.host, port)
            try:
                await self._obey(name)
            except OSError:
                preferred = None
            else:
                return port
        raise OSError(f"no free port for {name} on {self._world.host}")

    async def stop(self) -> None:
        await self._post.queue.stop()
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        self._spool.close()

    def routes(self) -> list[web.RouteDef]:
        return self._controls.routes()

    async def change_listener(self, name: str, faults: dict[str, Any]) -> None:
        """Changes the faults of one listener, and whether it listens at all."""
        self.listeners[name].faults.change(faults)
        await self._obey(name)

    async def _obey(self, name: str) -> None:
        if self.listeners[name].faults.current.refuse == "connect":
            await self._servers[name].close()
        else:
            await self._servers[name].open()

    def _port_before(self, name: str) -> int | None:
        before = self._world.previous_endpoints
        entries = [{"name": DIRECT.name, **before.get("mx", {})}, *before.get("relays", [])]
        return next((entry.get("port") for entry in entries if entry.get("name") == name), None)
