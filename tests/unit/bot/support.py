"""The bot half against the emulated Slack at the wire: real Bolt, real slack_sdk, real HTTP, one process."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import text

from bot import http
from bot.config import RoleMembers, Roles
from bot.inbox import Inbox
from bot.poster import Poster
from bot.practice import PracticeRooms
from bot.respond import Responder
from bot.roles import RoleBook
from bot.runner import Runner
from bot.signing import ValueSigner
from bot.slack import SlackRim
from bot.slack_trouble import SlackTroubles, WatchedClient
from bot.wiring import discover_commands, discover_surfaces
from handlers.contract import Command, CommandRequest, Services
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, File, Home, Reply
from notifier.dsn import MxHosts, no_hosts
from notifier.mailauth import StaticResolver
from store.unit import Store
from tests.builders import KEYRING, outbox
from tests.unit.handlers.support import profile
from tests.unit.sandbox.bolt_app import Slack

WORKER = "desk1-bot"
LEASE_S = 30.0


def roles(**users: Sequence[str]) -> Roles:
    """By user id; without arguments the sandbox's people."""
    known: dict[str, Sequence[str]] = {
        "viewer": ["U_VIEWER"],
        "agent": ["U_AGENT"],
        "lead": ["U_LEAD"],
        "admin": ["U_ADMIN"],
    }
    return Roles(**{role: RoleMembers(users=tuple(ids)) for role, ids in (known | users).items()})


@dataclass
class Echo:
    """A command of tests: counts its runs, and does what it is told."""

    spec: CommandSpec = field(
        default_factory=lambda: CommandSpec(
            "echo", "echo <words>", "Say it again", action_roles={"boss": Role.LEAD}, examples=("echo x",)
        )
    )
    runs: list[CommandRequest] = field(default_factory=list)
    replies: Sequence[Reply | Home | File] = (Reply("echo"),)
    failure: Exception | None = None
    answered: Answer = field(default_factory=Answer)
    gate: asyncio.Event | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        return self.answered

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply | Home | File]:
        self.runs.append(request)
        self.started.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return self.replies


@dataclass
class Office:
    """The bot half of one deployment, wired as bot.wiring does it, on the sandbox's Slack."""

    slack: Slack
    store: Store
    services: Services
    commands: dict[str, Command]
    echo: Echo
    client: AsyncWebClient
    session: aiohttp.ClientSession
    signer: ValueSigner
    members: dict[int, Roles]
    """Who has which role now; tests change it."""
    roles: RoleBook
    responder: Responder
    runner: Runner
    inbox: Inbox
    poster: Poster
    rim: SlackRim

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.slack.endpoints['product']['http_port']}"

    def behaves(self, method: str, **how: Any) -> None:
        """A fault of Slack's Web API; without `how` it is well again."""
        self.slack.part.desk.behaviours.set(method, how)

    async def settled(self) -> None:
        """Everything that was taken in is carried out, and everybody was told."""
        await self.rim.told()
        await self.runner.drain(10)

    async def types(self, typed: str, user: str = "U_AGENT", channel: str = "C_SUPPORT") -> Any:
        """What the person sees in the end."""
        ack = await self.slack.command(f"/isp {typed}".strip(), user, channel)
        assert ack["status"] == 200, ack
        await self.settled()
        return await self.slack.last(user, channel)

    async def presses(
        self, message: Mapping[str, Any], action_id: str, user: str = "U_AGENT", **more: Any
    ) -> Any:
        ack = await self.slack.press(dict(message), action_id, user, **more)
        await self.settled()
        return ack

    async def posts(
        self, body: bytes, content_type: str = "application/json", **headers: str
    ) -> tuple[int, str]:
        """Raw bytes at /slack/events, signed; a header given as "-" is left out."""
        sent = {"Content-Type": content_type, **signature(self.secret, body), **headers}
        sent = {name: value for name, value in sent.items() if value != "-"}
        async with self.session.post(
            f"{self.url}/slack/events", data=io.BytesIO(body), headers=sent
        ) as answer:
            return answer.status, await answer.text()

    @property
    def secret(self) -> str:
        return str(self.slack.endpoints["slack"]["signing_secret"])

    async def state_of(self, item_id: str) -> tuple[str, str | None]:
        """State and error of an interaction's row."""
        async with self.store.read(1) as tx:
            found = await tx.conn.execute(
                text("SELECT state, error FROM interactions WHERE id = :id"), {"id": item_id}
            )
            row = found.one()
        return str(row.state), row.error


def signature(secret: str, body: bytes, stamp: int | str | None = None) -> dict[str, str]:
    at = str(int(time.time()) if stamp is None else stamp)
    mac = hmac.new(secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={mac}"}


def command_body(text: str, **more: str) -> bytes:
    fields = {
        "team_id": "T_CASCADE",
        "user_id": "U_AGENT",
        "channel_id": "C_SUPPORT",
        "command": "/isp",
        "text": text,
        "trigger_id": "1.2.three",
    }
    return urlencode(fields | more).encode()


FORM = "application/x-www-form-urlencoded"


def payload_body(payload: Any) -> bytes:
    return urlencode({"payload": payload if isinstance(payload, str) else json.dumps(payload)}).encode()


@asynccontextmanager
async def office(
    slack: Slack,
    store: Store,
    *,
    desk_roles: Roles | None = None,
    room: int = 2000,
    writing: bool = True,
    at_once: int = 50,
    mx_hosts: MxHosts = no_hosts,
    lease_s: float = LEASE_S,
    badges: Mapping[int, str] | None = None,
) -> AsyncIterator[Office]:
    """`writing` False: the inbox takes in and never writes."""
    commands, words = discover_commands()
    echo = Echo()
    commands, words = {**commands, "echo": echo}, {**words, "echo": "echo"}
    services = Services(
        store=store,
        outbox=outbox(),
        keyring=KEYRING,
        resolver=StaticResolver({"inbox.example": {"MX": ["10 mx.inbox.example"]}}),
        tenants={1: profile()},
        specs=[command.spec for command in commands.values()],
    )
    practice = PracticeRooms(services, commands, discover_surfaces())
    services = replace(services, practice=practice)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), trust_env=False) as session:
        troubles = SlackTroubles(store, services.tenants)
        client = WatchedClient(
            tenant=1,
            troubles=troubles,
            token=slack.token,
            base_url=slack.endpoints["slack"]["api"],
            session=session,
            retry_handlers=[],
            timeout=5,
        )
        clients, signer = {1: client}, ValueSigner(KEYRING, badges)
        members = {1: desk_roles or roles()}
        book = RoleBook(members, clients)
        responder = Responder(store=store, session=session, clients=clients, keyring=KEYRING, signer=signer)
        runner = Runner(
            store=store,
            services=services,
            commands=commands,
            roles=book,
            responder=responder,
            keyring=KEYRING,
            worker=WORKER,
            lease_s=lease_s,
            at_once=at_once,
            mx_hosts=mx_hosts,
        )
        inbox = Inbox(store, worker=WORKER, lease_s=lease_s, room=room)
        rim = SlackRim(
            store=store,
            services=services,
            commands=commands,
            aliases=words,
            teams={"T_CASCADE": 1},
            clients=clients,
            bot_tokens={1: slack.token},
            signing_secret=slack.endpoints["slack"]["signing_secret"],
            signer=signer,
            roles=book,
            inbox=inbox,
            runner=runner,
            responder=responder,
            keyring=KEYRING,
        )
        poster = Poster(
            store=store,
            services=services,
            surfaces=discover_surfaces(),
            clients=clients,
            signer=signer,
            worker=WORKER,
            lease_s=lease_s,
        )
        tasks = [asyncio.create_task(inbox.run())] if writing else []
        desk = Office(
            slack=slack,
            store=store,
            services=services,
            commands=commands,
            echo=echo,
            client=client,
            session=session,
            signer=signer,
            members=members,
            roles=book,
            responder=responder,
            runner=runner,
            inbox=inbox,
            poster=poster,
            rim=rim,
        )
        try:
            async with _served(slack, http.application(store, rim, (), troubles.names)):
                yield desk
        finally:
            await runner.drain(5)
            await practice.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _served(slack: Slack, app: Any) -> AsyncIterator[None]:
    site = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await site.setup()
    try:
        await web.TCPSite(site, "127.0.0.1", slack.endpoints["product"]["http_port"]).start()
        yield
    finally:
        await site.cleanup()
