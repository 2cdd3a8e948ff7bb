"""How long Slack waits for our 200 when fifty people type at the same moment: `ispbot demo` in processes of
its own, signed commands from this one, by fifty connections. The next burst comes when the last is answered.

`ack_...`: milliseconds from the request to the acknowledgement; `answer_...`: to the card at response_url.
`limit`: the same bursts at bare aiohttp that checks the signature and answers, in a process of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from benchmarks import databases

PEOPLE, BURSTS, WARM = 50, 20, 3
START_S = 90.0
Row = dict[str, Any]


class Answers:
    """Takes the cards at the response_url, each by its number."""

    def __init__(self) -> None:
        self.came: dict[str, asyncio.Future[float]] = {}

    async def take(self, request: web.Request) -> web.Response:
        await request.read()
        waiting = self.came.get(request.match_info["number"])
        if waiting is not None and not waiting.done():
            waiting.set_result(time.perf_counter())
        return web.Response(text="ok")


@asynccontextmanager
async def _answers() -> AsyncIterator[tuple[Answers, str]]:
    found, app = Answers(), web.Application()
    app.router.add_post("/answer/{number}", found.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield found, f"http://127.0.0.1:{runner.addresses[0][1]}/answer"
    finally:
        await runner.cleanup()


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def _process(*command: str, ready: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            while not (line := (await process.stdout.readline()).decode()).startswith(ready):
                if not line:
                    raise RuntimeError(f"{command[1]} ended before it was ready")
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def _request(secret: str, url: str, number: str) -> tuple[bytes, dict[str, str]]:
    form = {
        "team_id": "T_CASCADE",
        "user_id": "U_AGENT",
        "channel_id": "C_SUPPORT",
        "command": "/isp",
        "text": f"find {1001 + int(number) % 200}",
        "trigger_id": f"{number}.2.bench",
        "response_url": f"{url}/{number}",
    }
    body, stamp = urlencode(form).encode(), str(int(time.time()))
    mac = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return body, {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={mac}",
    }


async def _burst(
    session: aiohttp.ClientSession,
    to: str,
    secret: str,
    answers: Answers,
    url: str,
    first: int,
    *,
    wait: bool,
) -> tuple[list[float], list[float]]:
    """Milliseconds to each acknowledgement and, with `wait`, to each card."""

    async def one(number: int) -> tuple[float, float]:
        body, headers = _request(secret, url, str(number))
        card = answers.came[str(number)] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        async with session.post(to, data=body, headers=headers) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"acknowledged with {answer.status}")
        acked = time.perf_counter()
        shown = await card if wait else acked
        del answers.came[str(number)]
        return (acked - begun) * 1000, (shown - begun) * 1000

    times = await asyncio.gather(*(one(first + n) for n in range(PEOPLE)))
    return [ack for ack, _ in times], [shown for _, shown in times]


async def _bursts(to: str, secret: str, *, wait: bool) -> tuple[list[float], list[float]]:
    acks: list[float] = []
    cards: list[float] = []
    connector = aiohttp.TCPConnector(limit=PEOPLE)
    async with _answers() as (answers, url), aiohttp.ClientSession(connector=connector) as session:
        for burst in range(WARM + BURSTS):
            ack, card = await _burst(session, to, secret, answers, url, burst * PEOPLE, wait=wait)
            if burst >= WARM:
                acks += ack
                cards += card
    return acks, cards


async def _ours(kind: str) -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory() as home:
        state = Path(home) / "demo"
        command = ["-m", "bot.cli", "demo", "--port", str(_port()), "--state", str(state), "--no-browser"]
        if kind == "sqlite":
            async with _process(*command, ready="ready "):
                return await _bursts(*_product(state), wait=True)
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(databases.server())
            url = await stack.enter_async_context(databases.empty(server))
            await stack.enter_async_context(_process(*command, "--halves", "--database", url, ready="ready "))
            return await _bursts(*_product(state), wait=True)


def _product(state: Path) -> tuple[str, str]:
    endpoints = json.loads((state / "endpoints.json").read_text("utf-8"))
    port = endpoints["product"]["http_port"]
    return f"http://127.0.0.1:{port}/slack/events", str(endpoints["slack"]["signing_secret"])


async def _bare() -> tuple[list[float], list[float]]:
    port = _port()
    async with _process("-m", "benchmarks.ack", str(port), ready="ready"):
        return await _bursts(f"http://127.0.0.1:{port}/slack/events", "secret", wait=False)


def _serve(port: int) -> None:
    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        stamp = request.headers["X-Slack-Request-Timestamp"].encode()
        mac = hmac.new(b"secret", b"v0:" + stamp + b":" + body, hashlib.sha256).hexdigest()
        good = hmac.compare_digest(f"v0={mac}", request.headers["X-Slack-Signature"])
        return web.Response(status=200 if good else 401)

    app = web.Application()
    app.router.add_post("/slack/events", handle)
    web.run_app(app, host="127.0.0.1", port=port, print=lambda _: print("ready", flush=True), access_log=None)


def _row(name: str, times: list[float], limit: float) -> Row:
    found = quantiles(times, n=100)
    return {"name": name, "p50_ms": median(times), "p99_ms": found[98], "limit_p99_ms": limit}


async def _all() -> list[Row]:
    bare, _ = await _bare()
    limit = quantiles(bare, n=100)[98]
    rows: list[Row] = []
    for kind in ("sqlite", "postgresql"):
        acks, cards = await _ours(kind)
        rows += [_row(f"ack_{kind}", acks, limit), _row(f"answer_{kind}", cards, limit)]
    return rows


def run() -> list[Row]:
    return asyncio.run(_all())


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
