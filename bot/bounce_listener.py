"""The MX of the envelope domain: takes bounce messages by SMTP or LMTP into the inbox.

A message is answered 250 only when it is on disk; a full inbox answers 451, so that the relay tries again.
Which tenant it belongs to is told by the recipient's domain; what is in it is judged later. LMTP (RFC 2033)
is for an MTA of one's own in front: each recipient gets an answer of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

from bot.buckets import Buckets
from bot.inbox import Inbox, InboxFull
from bot.runner import Runner
from store.models import Interaction, InteractionKind
from store.unit import Store

log = structlog.get_logger()
SIZE_LIMIT = 2 * 1024 * 1024
LINE_LIMIT = 64 * 1024
"""RFC 5321 section 4.5.3.1.6 has 1,000; what comes back in a report was often written by nobody careful."""
MAX_RECIPIENTS = 10
BACKLOG = 500
OUR_LOCAL_PARTS = re.compile(
    r"(?:(?:[a-z0-9._-]{1,15}\+)?b[a-z2-7]{47}(?:[+=-][^@]{0,64})?|bounces|postmaster)", re.IGNORECASE
)
"""A token of ours (a relay may have tagged it), the fixed sender, and postmaster (RFC 5321 section 4.5.1)."""

_EVERYBODY = ""
_TRY_LATER = "451 4.3.2 Too much at once, try again later"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken. Of rates, so much a second in the long run and a minute's worth at once."""

    per_client_per_s: float = 20
    per_s: float = 50
    connections: int = 100
    connections_per_client: int = 20


class Gate:
    """What one client and all together may send and hold open; shared by all listeners."""

    def __init__(self, limits: Limits | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits or Limits()
        self.open: Counter[str] = Counter()
        self._clients = _minute(self.limits.per_client_per_s, now)
        self._all = _minute(self.limits.per_s, now)

    def connects(self, client: str) -> bool:
        """False: refused, and not counted."""
        if self.open.total() >= self.limits.connections:
            return False
        if client and self.open[client] >= self.limits.connections_per_client:
            return False
        self.open[client] += 1
        return True

    def leaves(self, client: str) -> None:
        self.open[client] -= 1
        if self.open[client] <= 0:
            del self.open[client]

    def refusal(self, client: str) -> str:
        """Takes one message's room; the answer to MAIL when there is none, else empty."""
        if client and not self._clients.take(client):
            wait = self._clients.wait_s(client)
            return f"451 4.7.1 Too many messages from {client}, try again in {wait} s"
        if not self._all.take(_EVERYBODY):
            if client:
                self._clients.give_back(client)
            return f"451 4.3.2 Too many messages at once, try again in {self._all.wait_s(_EVERYBODY)} s"
        return ""


def _minute(per_s: float, now: Callable[[], float]) -> Buckets:
    return Buckets(size=max(int(per_s * 60), 1), per_s=per_s, now=now)


def bounce_item(tenant: int, address: str, raw: bytes, store: Store) -> Interaction:
    """A bounce message as a row of the inbox; the same mail to the same address is the same row."""
    digest = hashlib.sha256(address.encode("utf-8", "surrogateescape") + b"\x00" + raw).hexdigest()
    return Interaction(
        tenant=tenant,
        id=digest,
        kind=InteractionKind.DSN,
        payload={"envelope_to": address},
        received_at=store.clock(),
        body=raw,
        attempt=1,
    )


class BounceHandler:
    """aiosmtpd's handler: one call per MAIL, one per RCPT, one per message."""

    def __init__(
        self,
        *,
        store: Store,
        inbox: Inbox,
        runner: Runner,
        domains: Mapping[str, int],
        gate: Gate | None = None,
    ) -> None:
        self._store, self._inbox, self._runner = store, inbox, runner
        self._domains = {domain.casefold(): tenant for domain, tenant in domains.items()}
        self.gate = gate or Gate()

    async def handle_MAIL(
        self, _server: SMTP, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        refusal = self.gate.refusal(client_of(session.peer))
        if refusal:
            log.warning("bounce_refused", answer=refusal[:9])
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        local, _, domain = address.rpartition("@")
        if domain.casefold() not in self._domains:
            return "550 5.7.1 Bounces are taken for our own domains only"
        if not OUR_LOCAL_PARTS.fullmatch(local):
            return "550 5.1.1 Nobody of that name here"
        if self._runner.backlog >= BACKLOG:
            return _TRY_LATER
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return f"452 4.5.3 Too many recipients: at most {MAX_RECIPIENTS} a message"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:
        raw = bytes(envelope.content)
        answers = [await self._take(address, raw) for address in envelope.rcpt_tos]
        if isinstance(server, LMTP):
            return "\r\n".join(answers)  # RFC 2033 section 4.2: one for each RCPT that was taken, in order
        # What is stored already is the same row when the whole message comes again.
        return next((answer for answer in answers if not answer.startswith("250")), answers[0])

    async def _take(self, address: str, raw: bytes) -> str:
        item = bounce_item(self._domains[address.rpartition("@")[2].casefold()], address, raw, self._store)
        try:
            if await self._inbox.put(item):
                self._runner.start(item)
        except InboxFull:
            return _TRY_LATER
        except Exception as error:
            log.exception("bounce_not_stored", error=type(error).__name__)
            return "451 4.3.0 Not stored, try again later"
        return "250 2.0.0 Ok: stored"


def client_of(peer: Any) -> str:
    """A client's address; empty for a unix socket, whose other end is our own MTA."""
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


class _Limited(SMTP):
    """Counts its connections at the gate; who is one too many is told so and hung up on."""

    line_length_limit = LINE_LIMIT
    _admitted: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        client = client_of(transport.get_extra_info("peername"))
        gate: Gate = self.event_handler.gate
        if gate.connects(client):
            self._admitted = client
            super().connection_made(transport)
            return
        log.warning("bounce_refused", answer="421")
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(b"421 4.3.2 Too many connections, try again later\r\n")
            transport.close()

    def data_received(self, data: bytes) -> None:
        if self._admitted is not None:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        return super().eof_received() if self._admitted is not None else False

    def connection_lost(self, error: Exception | None) -> None:
        if self._admitted is not None:
            self.event_handler.gate.leaves(self._admitted)
            super().connection_lost(error)


class _Smtp(_Limited):
    pass


class _Lmtp(_Limited, LMTP):
    pass


def _protocol(kind: type[SMTP], handler: BounceHandler, hostname: str) -> Callable[[], SMTP]:
    loop = asyncio.get_running_loop()
    return lambda: kind(
        handler,
        hostname=hostname,
        ident="bounces",
        data_size_limit=SIZE_LIMIT,
        enable_SMTPUTF8=True,
        loop=loop,
    )


async def listen(handler: BounceHandler, host: str, port: int, hostname: str) -> asyncio.Server:
    """SMTP in our own loop; aiosmtpd's Controller would run a thread."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(_protocol(_Smtp, handler, hostname), host, port)


async def listen_lmtp(
    handler: BounceHandler, host: str, port: int | None, socket: Path | None, hostname: str
) -> list[asyncio.Server]:
    """LMTP on a port of `host`, at a unix socket, or both; the socket is for our own group only."""
    loop = asyncio.get_running_loop()
    protocol = _protocol(_Lmtp, handler, hostname)
    servers: list[asyncio.Server] = []
    if port is not None:
        servers.append(await loop.create_server(protocol, host, port))
    if socket is not None:
        servers.append(await loop.create_unix_server(protocol, socket))
        os.chmod(socket, 0o660)  # one call of microseconds, no reason for a thread
    return servers
