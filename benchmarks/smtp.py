"""Mails a second over persistent connections to the sink: our client, aiosmtplib, the least that could do.

All three run on uvloop in this process with the same octets; `limit` writes and reads without looking at what
it is told. `smtp` lets two messages overlap on each connection, `smtp_turns` waits for each one's end;
`smtp_postfix_sink` is the first of them to Postfix's sink, where that is installed.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from statistics import median
from typing import Any, cast

import aiosmtplib
import uvloop

from benchmarks.sink import POSTFIX_SINK, postfix_sink, sink
from notifier.channels import Accepted, OutgoingMessage, Route
from notifier.channels.email_smtp import CHANNEL

CONNECTIONS, MAILS, ROUNDS = 10, 6_000, 3
SENDER, RECIPIENT = "b" * 48 + "@mail.cascade.example", "dana@inbox.example"
CONTENT = (
    f"From: Cascade Fiber <billing@cascade.example>\r\nTo: {RECIPIENT}\r\nMessage-ID: <x@here.example>\r\n"
    "Subject: Your invoice\r\n\r\n" + ("A line of the mail that tells what is due and when.\r\n" * 60)
).encode()
MESSAGE = OutgoingMessage(SENDER, RECIPIENT, CONTENT, "b" * 48, receipt=False)


def route_to(host: str, port: int) -> Route:
    return Route(
        name="sink",
        kind="relay",
        host=host,
        port=port,
        envelope="verp",
        envelope_domain="mail.cascade.example",
        from_address="billing@cascade.example",
        from_name="Cascade Fiber",
        connections=CONNECTIONS,
    )


async def _own(host: str, port: int, overlapping: int) -> None:
    sessions = [CHANNEL.session(route_to(host, port)) for _ in range(CONNECTIONS)]
    share = MAILS // CONNECTIONS // overlapping

    async def send(number: int) -> None:
        session = sessions[number % CONNECTIONS]
        for _ in range(share):
            outcome = await session.submit(MESSAGE)
            if not isinstance(outcome, Accepted):
                raise RuntimeError(f"not accepted: {outcome}")  # noqa: TRY004

    await asyncio.gather(*(send(number) for number in range(CONNECTIONS * overlapping)))
    for session in sessions:
        await session.close()


async def _peer(host: str, port: int) -> None:
    async def send() -> None:
        client = aiosmtplib.SMTP(hostname=host, port=port, start_tls=False)
        await client.connect()
        for _ in range(MAILS // CONNECTIONS):
            await client.mail(SENDER)
            await client.rcpt(RECIPIENT)
            await client.data(CONTENT)
        await client.quit()

    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))


class _Least(asyncio.Protocol):
    """One connection of the limit: it counts answers and looks at none of them."""

    def __init__(self, mails: int) -> None:
        self._left = mails
        self._missing = 1  # the greeting
        self._first = True
        self.done = asyncio.get_running_loop().create_future()
        self._envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._missing -= data.count(b"\n")
        if self._missing > 0:
            return
        if self._first:
            self._first, self._missing = False, 3
            self._transport.write(self._envelope)
        elif self._left:
            self._left -= 1
            self._missing = 4 if self._left else 1
            self._transport.write(CONTENT + b".\r\n" + (self._envelope if self._left else b""))
        else:
            self._transport.close()
            self.done.set_result(None)


async def _least(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    lines = [_Least(MAILS // CONNECTIONS) for _ in range(CONNECTIONS)]
    for line in lines:
        await loop.create_connection(lambda line=line: line, host, port)  # type: ignore[misc]
    await asyncio.gather(*(line.done for line in lines))


async def _rate(send: Callable[[], Awaitable[None]], taken: Callable[[], int] | None = None) -> float:
    before, began = taken() if taken else 0, time.perf_counter()
    await send()
    took = time.perf_counter() - began
    if taken and taken() - before != MAILS:
        raise RuntimeError(f"{taken() - before} of {MAILS} mails arrived")
    return MAILS / took


async def _measure() -> list[dict[str, Any]]:
    async with AsyncExitStack() as stack:
        host, port, taken = await stack.enter_async_context(sink())
        ways: dict[str, Callable[[], Awaitable[float]]] = {
            "smtp": lambda: _rate(lambda: _own(host, port, 2), taken),
            "smtp_turns": lambda: _rate(lambda: _own(host, port, 1), taken),
            "limit": lambda: _rate(lambda: _least(host, port), taken),
            "peer": lambda: _rate(lambda: _peer(host, port), taken),
        }
        if POSTFIX_SINK is not None:
            other = await stack.enter_async_context(postfix_sink())
            ways["smtp_postfix_sink"] = lambda: _rate(lambda: _own(*other, 2))
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, measured in ways.items():
                rates[name].append(await measured())
    found = {name: round(median(values), 1) for name, values in rates.items()}
    rss = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return [
        {"name": name, "rate": rate, "limit": found["limit"], "peer": found["peer"], "rss_mb": rss}
        for name, rate in found.items()
        if name.startswith("smtp")
    ]


def run() -> list[dict[str, Any]]:
    return uvloop.run(_measure())
