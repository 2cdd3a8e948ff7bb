"""From the commit of an urgent mail to its last octet at the server: p50 and p99 in milliseconds.

Idle, and while a backlog of 100,000 is drained on the same route. `BENCH_BACKLOG` makes the backlog smaller,
`BENCH_URGENT` the number of urgent mails. `rate` is how many a second one after the other would be.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import quantiles

import uvloop

from benchmarks import backlog, databases
from benchmarks.drain import Row, filled
from benchmarks.sending import quiet, route, worker
from benchmarks.sink import sink
from notifier.channels import Destinations, OutgoingMessage, SubmitOutcome
from notifier.channels import Route as MailRoute
from notifier.channels.email_smtp import SmtpSession
from notifier.outbox import Draft, Outbox, email
from store.models import Channel, NotificationKind, Priority
from store.unit import Store

BACKLOG = int(os.environ.get("BENCH_BACKLOG", "100000"))
COUNT = int(os.environ.get("BENCH_URGENT", "200"))
EVERY_S = 0.05
BRAND = {"name": "Cascade", "support_email": "help@cascade.example", "support_phone": ""}


class Timed:
    """The SMTP channel, which notes when the server has taken the mail for whom."""

    channel = Channel.EMAIL

    def __init__(self) -> None:
        self.ends: dict[str, asyncio.Future[float]] = {}

    def session(self, route: MailRoute, destinations: Destinations | None = None) -> _Session:
        return _Session(self.ends, route, destinations)


class _Session(SmtpSession):
    def __init__(
        self, ends: dict[str, asyncio.Future[float]], route: MailRoute, destinations: Destinations | None
    ) -> None:
        super().__init__(route, destinations)
        self._ends = ends

    async def submit(self, message: OutgoingMessage) -> SubmitOutcome:
        outcome = await super().submit(message)
        end = self._ends.get(message.envelope_to)
        if end is not None and not end.done():
            end.set_result(time.perf_counter())
        return outcome


async def _waits(store: Store, timed: Timed) -> list[float]:
    """Milliseconds that each urgent mail took, from its commit."""
    outbox, found = Outbox(backlog.KEYRING, {databases.TENANT.id: backlog.DOMAIN}), []
    for number in range(COUNT):
        address = f"urgent.{number}@inbox.example"
        end = timed.ends[address] = asyncio.get_running_loop().create_future()
        async with store.begin(databases.TENANT.id) as tx:
            await outbox.enqueue(
                tx,
                Draft(
                    key=f"urgent-{number}",
                    kind=NotificationKind.TEST,
                    language="en",
                    context={"route": backlog.ROUTE, "brand": BRAND},
                    recipients=[email(address)],
                    route=backlog.ROUTE,
                    requested_by="U_BENCH",
                    priority=Priority.URGENT,
                ),
            )
        committed = time.perf_counter()
        found.append((await end - committed) * 1000)
        await asyncio.sleep(EVERY_S * random.random())
    return found


@asynccontextmanager
async def _working(store: Store, host: str, port: int) -> AsyncIterator[Timed]:
    timed = Timed()
    running = asyncio.create_task(worker(store, route(host, port), provider=timed).run())
    try:
        yield timed
    finally:
        running.cancel()
        await asyncio.wait([running])


def _row(name: str, waits: list[float]) -> Row:
    cut = quantiles(waits, n=100)
    p50, p99 = round(cut[49], 2), round(cut[98], 2)
    return {
        "name": name,
        "rate": round(1000 * len(waits) / sum(waits), 1),
        "limit": None,
        "peer": None,
        "rss_mb": None,
        "p50_ms": p50,
        "p99_ms": p99,
    }


async def _measure() -> list[Row]:
    quiet()
    rows = []
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(databases.server())
        host, port, taken = await stack.enter_async_context(sink())
        for kind in ("postgresql", "sqlite"):
            for state, count in (("idle", 10), ("behind", BACKLOG)):
                async with filled(kind, server, count) as store, _working(store, host, port) as timed:
                    before = taken()
                    while taken() - before < 10:
                        await asyncio.sleep(0.01)
                    waits = await _waits(store, timed)
                    if state == "behind" and await backlog.sent(store) >= count:
                        raise RuntimeError("the backlog was gone before the end: make it larger")
                    rows.append(_row(f"urgent_{state}_{kind}", waits))
    return rows


def run() -> list[Row]:
    return uvloop.run(_measure())
