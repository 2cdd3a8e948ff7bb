"""A mail world on real sockets with a recording SMTP server in the place of the product's bounce listener."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from sandbox.app import control_errors
from sandbox.dns import DnsPart
from sandbox.mail import MailPart
from sandbox.mail.commands import Offer, Recipient
from sandbox.mail.smtp import SmtpServer, Transaction
from sandbox.world import World, write_json_atomically

BOUNCES = "b7k2@mail.cascade.example"
RIGHT_SPF = "v=spf1 mx ip4:203.0.113.25 include:spf.visp.net ~all"
MESSAGE = (
    b"From: Cascade Broadband <billing@cascade.example>\r\n"
    b"To: someone\r\n"
    b"Subject: Your invoice\r\n"
    b"Message-ID: <one@cascade.example>\r\n"
    b"X-Delivery-Ref: ref-1\r\n"
    b"\r\n"
    b"Hello\r\n"
)


@dataclass
class Bounced:
    sender: str
    recipient: str
    content: bytes

    def report(self) -> Report:
        return Report(self.content)


class Report:
    """A DSN read with the standard library: its fields for the message and for its one recipient."""

    def __init__(self, content: bytes) -> None:
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mail = parsed
        assert parsed.get_content_type() == "multipart/report"
        assert parsed.get_param("report-type") == "delivery-status"
        self.parts: list[Any] = list(parsed.iter_parts())
        assert len(self.parts) == 3
        self.message_fields, self.recipient_fields = self.parts[1].get_payload()
        self.returned: Any = self.parts[2]

    def __getitem__(self, name: str) -> str | None:
        value = self.recipient_fields.get(name, self.message_fields.get(name))
        return None if value is None else str(value)


@dataclass
class ProductBounces:
    """The product's bounce listener, reduced to recording. It can be told what to answer."""

    hostname: str = "mail.cascade.example"
    answer: str = "250 2.0.0 Ok"
    received: asyncio.Queue[Bounced] = field(default_factory=asyncio.Queue)
    pipelining: bool = True
    wants_auth: bool = False
    offer: Offer = field(default_factory=Offer)

    def greeting(self) -> str:
        return "220 mail.cascade.example ESMTP"

    def authenticate(self, username: str, password: str) -> bool:
        return False

    def note(self, method: str, status: str, ms: float, problem: str | None) -> None:
        assert problem is None, problem

    def rcpt(self, transaction: Transaction, recipient: Recipient) -> str:
        return "250 2.1.5 Ok"

    async def data(self, transaction: Transaction, content: bytes) -> str:
        if self.answer.startswith("2"):
            recipient = transaction.recipients[0].address
            self.received.put_nowait(Bounced(transaction.mail.sender, recipient, content))
        return self.answer

    async def next(self) -> Bounced:
        async with asyncio.timeout(5):
            return await self.received.get()


class MailWorld:
    """Everything a test of the mail world needs; `restart` is a kill -9 with the same state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self.product = ProductBounces()

    async def start(self) -> None:
        self.world = World(self._state_dir)
        await self._start_product()
        self.world.endpoints["product"] = {"bounce_port": self.bounce_port, "http_port": 0}
        self.dns = DnsPart(self.world)
        self.mail = MailPart(self.world, self.dns)
        await self.mail.start()
        app = web.Application(middlewares=[control_errors])
        app.router.add_routes(self.mail.routes())
        self.control = TestClient(TestServer(app))
        await self.control.start_server()

    async def _start_product(self) -> None:
        """On the port of before, else on one that no other test process has taken meanwhile."""
        if self.world.endpoints_file.exists():
            self.bounce_port = int(self.world.previous_endpoints["product"]["bounce_port"])
            self.product_server = SmtpServer(self.product, "127.0.0.1", self.bounce_port)
            await self.product_server.open()
            return
        while True:
            self.bounce_port = self.world.free_port()
            self.product_server = SmtpServer(self.product, "127.0.0.1", self.bounce_port)
            with contextlib.suppress(OSError):
                await self.product_server.open()
                return

    async def stop(self) -> None:
        await self.control.close()
        await self.mail.stop()
        await self.product_server.stop()
        await self.world.close()

    async def restart(self) -> None:
        write_json_atomically(self.world.endpoints_file, self.world.endpoints)
        await self.stop()
        await self.start()

    def port(self, name: str) -> int:
        if name == "mx":
            return int(self.world.endpoints["mx"]["port"])
        return int(next(r["port"] for r in self.world.endpoints["relays"] if r["name"] == name))

    @asynccontextmanager
    async def client(self, name: str = "visp", timeout: float = 5) -> AsyncIterator[aiosmtplib.SMTP]:
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=self.port(name), local_hostname="app.cascade.example", timeout=timeout,
            start_tls=False,
        )  # fmt: skip
        await client.connect()
        try:
            await client.ehlo()
            yield client
        finally:
            client.close()

    async def send(
        self,
        to: str,
        *,
        via: str = "visp",
        sender: str = BOUNCES,
        content: bytes = MESSAGE,
        mail_options: list[str] | None = None,
        rcpt_options: list[str] | None = None,
    ) -> str:
        """The reply to the end of data; aiosmtplib's errors for refusals."""
        async with self.client(via) as client:
            await client.mail(sender, options=mail_options)
            await client.rcpt(to, options=rcpt_options)
            response = await client.data(content)
            return f"{response.code} {response.message}"

    async def bounced(self) -> Bounced:
        """The next mail at the product's bounce listener, the relays' second of waiting skipped."""
        self.world.clock.advance(1.1)
        return await self.product.next()

    async def report(self) -> Report:
        return (await self.bounced()).report()

    async def behave(self, **body: Any) -> None:
        response = await self.control.post("/sandbox/mail/behaviour", json=body)
        assert response.status == 200, await response.text()

    async def refused(self, **body: Any) -> str:
        """The sentence of a control call that must be refused."""
        response = await self.control.post("/sandbox/mail/behaviour", json=body)
        assert response.status == 400, await response.text()
        return str((await response.json())["error"])

    async def get(self, path: str, **query: str) -> Any:
        response = await self.control.get(path, params=query)
        assert response.status == 200, await response.text()
        return await response.json()

    async def inbox(self, to: str) -> list[dict[str, Any]]:
        mails: list[dict[str, Any]] = await self.get("/sandbox/mail", to=to)
        return mails

    async def ledger(self) -> dict[str, Any]:
        counted: dict[str, Any] = await self.get("/sandbox/mail/ledger")
        return counted

    def mend_spf(self) -> None:
        self.dns.zone.put("mail.cascade.example", "TXT", [RIGHT_SPF])

    def problems(self) -> list[str]:
        return [entry["problem"] for entry in self.world.wire.since(0) if entry["problem"]]
