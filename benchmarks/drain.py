"""Draining a queue of invoice mails with full tracking, one process: claim, truth, compose, send, record.

`limit`: the same client and the same octets without any database. `peer`: pgqueuer, 100 a batch, with
aiosmtplib on the same sink; its jobs carry the octets ready made. All on uvloop, on 10 connections, in turns.
`drain_two_workers` is two processes (`limit`: one, measured alike); `drain_dkim_pdf` signs with RSA and
attaches a kept PDF (`limit`: the 400 a second that are asked for).
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import aiosmtplib
import asyncpg
import uvloop
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.models import Job
from pgqueuer.domain.types import QueueExecutionMode
from pgqueuer.queries import Queries

from benchmarks import backlog, databases, invoice_pdf
from benchmarks.memory import peak_mb
from benchmarks.sending import CONNECTIONS, quiet, route, worker
from benchmarks.sink import sink
from billing.invoice_pdf import Letterhead
from billing.pdfs import InvoicePdfs
from handlers.profile import Brand
from notifier import templates
from notifier.channels import OutgoingMessage, Route, email_smtp
from notifier.compose import Composer
from notifier.mailauth.dkim_sign import load_signer, new_key
from store.models import NotificationKind, Priority
from store.unit import Store

MAILS = int(os.environ.get("BENCH_MAILS", "10000"))
ROUNDS = 3
_SEED = 500
"""Different messages; the limit and the peer send them over and over."""

Row = dict[str, Any]


class LetterheadOfAll(InvoicePdfs):
    """PDFs as the product keeps them, under one letterhead."""

    def __init__(self, store: Store) -> None:
        brand = Brand("Cascade Fiber", "help@cascade.example", "+1 541 555 0100")
        letterhead = Letterhead(brand, "US", "en_US", "https://portal.cascade.example")
        super().__init__(store, {databases.TENANT.id: letterhead})


async def messages(way: Route) -> list[OutgoingMessage]:
    """What our worker would send, made ahead."""
    source = templates.load(NotificationKind.INVOICE_ISSUED, "en")
    async with databases.sqlite() as url, databases.opened(url) as store:
        await backlog.fill(store, _SEED)
        async with store.system() as tx:
            claimed = await tx.claims.take(
                tenant=databases.TENANT.id,
                route=way.name,
                highest=Priority.NORMAL,
                lowest=Priority.BULK,
                limit=_SEED,
                worker="w",
                lease_s=30,
                retry_at=tx.now,
            )
        composer = Composer(backlog.KEYRING, store.clock)
        return [composer.compose(way, d, n, source) for d, n in claimed if n is not None]


async def bare(way: Route, ready: list[OutgoingMessage], count: int) -> float:
    """Mails a second: the client alone."""
    sessions = [email_smtp.CHANNEL.session(way) for _ in range(CONNECTIONS)]
    left = iter(range(count))

    async def send(number: int) -> None:
        session = sessions[number % CONNECTIONS]
        for one in left:
            await session.submit(ready[one % len(ready)])

    began = time.perf_counter()
    await asyncio.gather(*(send(number) for number in range(2 * CONNECTIONS)))
    took = time.perf_counter() - began
    for session in sessions:
        await session.close()
    return count / took


async def pgqueuer(server: str, way: Route, ready: list[OutgoingMessage], count: int) -> float:
    """Mails a second of pgqueuer, from its first job to its last."""
    async with databases.empty(server) as dsn:
        connection = await asyncpg.connect(dsn)
        queries = Queries.from_asyncpg_connection(connection)
        await queries.install()
        for start in range(0, count, 1000):
            some = range(start, min(start + 1000, count))
            payloads: list[bytes | None] = [ready[n % len(ready)].content for n in some]
            await queries.enqueue(["mail"] * len(some), payloads, [0] * len(some))
        pool: asyncio.Queue[aiosmtplib.SMTP] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            client = aiosmtplib.SMTP(hostname=way.host, port=way.port, start_tls=False)
            await client.connect()
            pool.put_nowait(client)
        manager = QueueManager(queries)

        @manager.entrypoint("mail")
        async def send(job: Job) -> None:
            client = await pool.get()
            try:
                await client.sendmail(ready[0].envelope_from, ready[0].envelope_to, job.payload or b"")
            finally:
                pool.put_nowait(client)

        began = time.perf_counter()
        await manager.run(batch_size=100, mode=QueueExecutionMode.drain)
        took = time.perf_counter() - began
        while not pool.empty():
            await pool.get_nowait().quit()
        await connection.close()
        return count / took


@asynccontextmanager
async def filled(kind: str, server: str, count: int, **more: Any) -> AsyncIterator[Store]:
    """A store with a backlog, as a bulk load leaves it."""
    database = databases.sqlite() if kind == "sqlite" else databases.postgresql(server)
    async with database as url, databases.opened(url) as store:
        await backlog.fill(store, count, **more)
        yield store


async def until_sent(store: Store, count: int, taken: Callable[[], int]) -> None:
    """Until `count` mails are out and all their ends are on disk."""
    goal = count
    while taken() < goal:
        await asyncio.sleep(0.01)
    while await backlog.sent(store) < count:
        await asyncio.sleep(0.01)


async def ours(
    kind: str, server: str, way: Route, taken: Callable[[], int], count: int, **more: Any
) -> float:
    async with filled(kind, server, count, pdf="attachments" in more) as store:
        before = taken()
        if "attachments" in more:
            await backlog.keep_pdfs(store, count, invoice_pdf.page())
            more = more | {"attachments": more["attachments"](store)}
        gc.collect()
        began = time.perf_counter()
        running = asyncio.create_task(worker(store, way, **more).run())
        await until_sent(store, count, lambda: taken() - before)
        took = time.perf_counter() - began
        running.cancel()
        await asyncio.wait([running])
        return count / took


async def processes(server: str, way: Route, taken: Callable[[], int], count: int, workers: int) -> float:
    """So many workers, each a process of its own, from the moment when all of them send."""
    async with filled("postgresql", server, count) as store:
        before, head = taken(), count // 5
        started = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "benchmarks.sending",
                store.engine.url,
                way.host,
                str(way.port),
                f"w{number}",
                cwd=Path(__file__).parent.parent,
            )
            for number in range(workers)
        ]
        try:
            while taken() - before < head:
                await asyncio.sleep(0.005)
            began, from_here = time.perf_counter(), taken() - before
            await until_sent(store, count, lambda: taken() - before)
            return (count - from_here) / (time.perf_counter() - began)
        finally:
            for process in started:
                process.terminate()
                await process.wait()


async def _turns(ways: dict[str, Callable[[], Awaitable[float]]]) -> dict[str, float]:
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, measure in ways.items():
            rates[name].append(await measure())
    return {name: round(median(values), 1) for name, values in rates.items()}


def _row(name: str, rate: float, limit: float, peer: float | None) -> Row:
    rss = peak_mb()
    return {"name": name, "rate": rate, "limit": limit, "peer": peer, "rss_mb": rss}


async def _measure() -> list[Row]:
    quiet()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(databases.server())
        host, port, taken = await stack.enter_async_context(sink())
        plain = route(host, port)
        signed = route(host, port, dkim=load_signer("cascade.example", "s1", new_key()))
        ready = await messages(plain)
        drain = partial(ours, server=server, taken=taken)
        found = await _turns(
            {
                "limit": lambda: bare(plain, ready, MAILS),
                "peer": lambda: pgqueuer(server, plain, ready, MAILS // 2),
                "postgresql": lambda: drain("postgresql", way=plain, count=MAILS),
                "sqlite": lambda: drain("sqlite", way=plain, count=MAILS),
                "dkim_pdf": lambda: drain(
                    "postgresql", way=signed, count=MAILS // 4, attachments=LetterheadOfAll
                ),
                "one": lambda: processes(server, plain, taken, MAILS, 1),
                "two": lambda: processes(server, plain, taken, MAILS, 2),
            }
        )
    return [
        _row("drain_postgresql", found["postgresql"], found["limit"], found["peer"]),
        _row("drain_sqlite", found["sqlite"], found["limit"], found["peer"]),
        _row("drain_two_workers", found["two"], found["one"], None),
        _row("drain_dkim_pdf", found["dkim_pdf"], 400.0, None),
    ]


def run() -> list[Row]:
    return uvloop.run(_measure())
