"""How the drain bears a large backlog and a long history: PostgreSQL, autovacuum off, nobody ran ANALYZE.

`growth_backlog` drains the head of a backlog of 1,000,000, `limit` that of one of 10,000. `growth_history`
drains 10,000 behind 1,000,000 rows that were sent before, `limit` 10,000 in an empty table. The worker is a
process of its own, whose memory is `rss_mb`. `BENCH_BACKLOG` makes both millions smaller.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from benchmarks import backlog, databases
from benchmarks.drain import Row
from benchmarks.sending import quiet, route
from benchmarks.sink import sink
from notifier.channels import Route
from store.unit import Store

LARGE = int(os.environ.get("BENCH_BACKLOG", "1000000"))
SMALL = 10_000
_WARM = 2_000
ROUNDS = 3


async def head(store: Store, way: Route, taken: Any) -> tuple[float, float]:
    """Mails a second of one worker over the next SMALL - _WARM mails, and its memory in MB."""
    before = taken()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.sending",
        store.engine.url,
        way.host,
        str(way.port),
        "w1",
        cwd=Path(__file__).parent.parent,
    )
    try:
        await _until(process, lambda: taken() - before >= _WARM)
        began, from_here = time.perf_counter(), taken() - before
        await _until(process, lambda: taken() - before >= SMALL)
        rate = (taken() - before - from_here) / (time.perf_counter() - began)
        return rate, _rss_mb(process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until(process: asyncio.subprocess.Process, true: Callable[[], bool]) -> None:
    while not true():
        if process.returncode is not None:
            raise RuntimeError("the worker has ended; its own words stand above")
        await asyncio.sleep(0.005)


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise RuntimeError("the kernel tells nothing of its memory")


async def _measure() -> list[Row]:
    quiet()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(databases.server(autovacuum=False))
        host, port, taken = await stack.enter_async_context(sink())
        way = route(host, port)

        async def store(count: int, *, history: int = 0) -> Store:
            url = await stack.enter_async_context(databases.postgresql(server))
            opened = await stack.enter_async_context(databases.opened(url))
            if history:
                await backlog.fill(opened, history, sent=True, since=timedelta(days=1))
            await backlog.fill(opened, count)
            return opened

        large = await store(LARGE)
        behind = await store(ROUNDS * SMALL, history=LARGE)
        rates: dict[str, list[float]] = {"small": [], "large": [], "history": []}
        memory = []
        for _ in range(ROUNDS):  # in turns; each takes the next 10,000 of its store
            for name, where in (("small", await store(SMALL)), ("large", large), ("history", behind)):
                rate, rss_mb = await head(where, way, taken)
                rates[name].append(rate)
                if name == "large":
                    memory.append(rss_mb)
    found = {name: round(median(values), 1) for name, values in rates.items()}
    alike = {"limit": found["small"], "peer": None, "rss_mb": max(memory)}
    return [
        {"name": "growth_backlog", "rate": found["large"], **alike},
        {"name": "growth_history", "rate": found["history"], **alike},
    ]


def run() -> list[Row]:
    return uvloop.run(_measure())
