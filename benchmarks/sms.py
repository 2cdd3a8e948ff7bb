"""Texts a second by the Twilio channel, ten at once, against raw aiohttp POSTs to the same mimic.

`limit` is the raw POSTs of the same form, answers decoded; `peer` is the twilio library with its own
transport. The mimic answers as Twilio does and runs in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, cast

import aiohttp
import uvloop
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from benchmarks.memory import peak_mb
from notifier.channels import Accepted, OutgoingText, SmsRoute
from notifier.channels.sms_twilio import CHANNEL

AT_ONCE, TEXTS, ROUNDS = 10, 2_000, 3
ACCOUNT, TOKEN, SENDER = "AC" + "0" * 32, "secret", "+12065550100"
TEXT = OutgoingText(
    to="+15415550142",
    body="Cascade Fiber: your invoice INV-1042-03 for $49.90 is due March 15, 2026. STOP ends texts",
    callback_url="https://desk.example/twilio/status/" + "b" * 48,
    validity_s=36_000,
)
_MADE = "Mon, 02 Mar 2026 09:30:00 +0000"
_ANSWER = {
    "sid": "SM" + "1" * 32,
    "account_sid": ACCOUNT,
    "messaging_service_sid": None,
    "to": TEXT.to,
    "from": SENDER,
    "body": TEXT.body,
    "status": "queued",
    "num_segments": "1",
    "num_media": "0",
    "direction": "outbound-api",
    "api_version": "2010-04-01",
    "price": None,
    "price_unit": "USD",
    "error_code": None,
    "error_message": None,
    "date_created": _MADE,
    "date_updated": _MADE,
    "date_sent": None,
    "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/SM{'1' * 32}.json",
    "subresource_uris": {"media": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/SM{'1' * 32}/Media.json"},
}


class _Mimic(asyncio.Protocol):
    """One connection: each request with a Content-Length gets the same 201."""

    def __init__(self) -> None:
        body = json.dumps(_ANSWER).encode()
        head = (
            f"HTTP/1.1 201 CREATED\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._answer, self._buffer = head.encode() + body, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(self._answer)


@asynccontextmanager
async def mimic() -> AsyncIterator[str]:
    """Its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.sms",
        "--mimic",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 30))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stdin.close()
        await process.wait()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Mimic, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # ends with the parent
    server.close()


async def _own(url: str) -> None:
    route = SmsRoute("twilio", SENDER, ACCOUNT, (TOKEN,), api_url=url)

    async def send() -> None:
        session = CHANNEL.session(route)
        for _ in range(TEXTS // AT_ONCE):
            outcome = await session.submit(TEXT)
            if not isinstance(outcome, Accepted):
                raise RuntimeError(f"not accepted: {outcome}")  # noqa: TRY004
        await session.close()

    await asyncio.gather(*(send() for _ in range(AT_ONCE)))


async def _raw(url: str) -> None:
    form = {
        "To": TEXT.to,
        "From": SENDER,
        "Body": TEXT.body,
        "ValidityPeriod": str(TEXT.validity_s),
        "SmartEncoded": "true",
        "StatusCallback": TEXT.callback_url,
    }
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    path = f"{url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    async with aiohttp.ClientSession() as http:

        async def send() -> None:
            for _ in range(TEXTS // AT_ONCE):
                async with http.post(path, data=form, headers=headers) as response:
                    await response.json()

        await asyncio.gather(*(send() for _ in range(AT_ONCE)))


async def _peer(url: str) -> None:
    http = AsyncTwilioHttpClient()
    client = Client(ACCOUNT, TOKEN, http_client=http)
    client.api.base_url = url

    async def send() -> None:
        for _ in range(TEXTS // AT_ONCE):
            await client.messages.create_async(
                to=TEXT.to, from_=SENDER, body=TEXT.body, status_callback=TEXT.callback_url
            )

    await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    await http.close()


async def _measure() -> list[dict[str, Any]]:
    ways: dict[str, Callable[[str], Awaitable[None]]] = {"rate": _own, "limit": _raw, "peer": _peer}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    async with mimic() as url:
        for _ in range(ROUNDS):
            for name, send in ways.items():
                began = time.perf_counter()
                await send(url)
                rates[name].append(TEXTS / (time.perf_counter() - began))
    found = {name: round(median(values), 1) for name, values in rates.items()}
    rss = peak_mb()
    return [{"name": "sms", **found, "rss_mb": rss}]


def run() -> list[dict[str, Any]]:
    return uvloop.run(_measure())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sms", description=__doc__)
    parser.add_argument("--mimic", action="store_true", required=True)
    parser.parse_args()
    uvloop.run(_serve())


if __name__ == "__main__":
    main()
