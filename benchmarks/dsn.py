"""Bounces in: SMTP listener, inbox, parse, match, fold, commit, in one process; the load from another.

`limit`: the same listener with a handler that stores nothing.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog
import uvloop

from benchmarks.inbound import DOMAIN, Timing, Waiting, desk, measured, taken_in, timed
from benchmarks.load import run_load
from bot.bounce_listener import BounceHandler, Gate, Limits, listen
from store.models import Channel
from store.unit import Store

MAILS, CONNECTIONS = 1_500, 64


def gate() -> Gate:
    """Wide open: what is measured is how much can be taken, not how much we want to take."""
    return Gate(Limits(per_client_per_s=1e6, per_s=1e6, connections=1000, connections_per_client=1000))


def _report(one: Waiting) -> bytes:
    """As Postfix writes it, with the headers of our mail (RFC 3464)."""
    lines = f"""From: MAILER-DAEMON@relay.example.net (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {one.token}@{DOMAIN}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="cut"

--cut
Content-Description: Notification
Content-Type: text/plain; charset=utf-8

This is the mail system at host relay.example.net.

<{one.address}>: host mx.inbox.example[192.0.2.7] said: 550 5.1.1
    <{one.address}>: Recipient address rejected: User unknown (in reply to RCPT TO command)

--cut
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example.net
X-Postfix-Queue-ID: 4XyZ1b2QwZz
X-Postfix-Sender: rfc822; {one.token}@{DOMAIN}

Final-Recipient: rfc822; {one.address}
Original-Recipient: rfc822;{one.address}
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.inbox.example
Diagnostic-Code: smtp; 550 5.1.1 <{one.address}>: Recipient address rejected: User unknown

--cut
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

Return-Path: <{one.token}@{DOMAIN}>
From: Cascade Fiber <billing@cascade.example>
To: {one.address}
Subject: Your invoice
Message-ID: <{one.token}@{DOMAIN}>
X-Delivery-Ref: {one.token}

--cut--
"""
    return lines.replace("\n", "\r\n").encode()


def _requests(waiting: list[Waiting]) -> list[bytes]:
    return [
        b"\x00".join(
            [
                b"MAIL FROM:<>\r\n",
                f"RCPT TO:<{one.token}@{DOMAIN}>\r\n".encode(),
                b"DATA\r\n",
                _report(one) + b".\r\n",
            ]
        )
        for one in waiting
    ]


class _Bare:
    """Takes everything and forgets it."""

    def __init__(self) -> None:
        self.gate = gate()

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:
        return "250 2.0.0 Ok"


async def _listening(stack: AsyncExitStack, handler: Any) -> int:
    server = await listen(handler, "127.0.0.1", 0, "mx.cascade.example")
    stack.callback(server.close)
    return int(server.sockets[0].getsockname()[1])


async def _limit(file: Path, number: int) -> Timing:
    async with AsyncExitStack() as stack:
        port = await _listening(stack, _Bare())
        return await timed(lambda: run_load("127.0.0.1", port, CONNECTIONS, file, "line"), number)


async def _ours(store: Store, file: Path, number: int) -> Timing:
    async with AsyncExitStack() as stack:
        _, inbox, runner = await stack.enter_async_context(desk(store))
        handler = BounceHandler(store=store, inbox=inbox, runner=runner, domains={DOMAIN: 1}, gate=gate())
        port = await _listening(stack, handler)
        return await taken_in(
            store, runner, lambda: run_load("127.0.0.1", port, CONNECTIONS, file, "line"), number
        )


async def _measure(kind: str) -> dict[str, Any]:
    return await measured("dsn", kind, Channel.EMAIL, MAILS, _requests, _limit, _ours)


def run() -> list[dict[str, Any]]:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # lines go nowhere, as cheaply
    return [uvloop.run(_measure(kind)) for kind in ("postgresql", "sqlite")]
