"""A whole invoice run written by `handlers.workflows.run.carry_out`: audience, decisions, links, notices.

`rate` is invoices a second; `rss_mb` how much the process has grown from the first tenth of the run to its
end: what it holds must not depend on how many there are. `BENCH_RUN=1000000` for the large one.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import uvloop

from benchmarks import databases
from benchmarks.backlog import DOMAIN, KEYRING, ROUTE, _id, _invoices, _put, _subscribers
from benchmarks.databases import TENANT
from benchmarks.memory import resident_mb
from benchmarks.sending import quiet, route
from handlers.contract import Services
from handlers.profile import Brand, TenantProfile
from handlers.runs import Criteria, What
from handlers.workflows import run as workflow
from handlers.workflows.run_audience import BATCH
from notifier.mailauth import StaticResolver
from notifier.outbox import Outbox
from store.models import Channel, ContactRole
from store.unit import Store

SIZE = int(os.environ.get("BENCH_RUN", "100000"))
Row = dict[str, Any]


def _contacts(now: datetime) -> Iterator[Row]:
    for number in range(SIZE):
        yield {
            "tenant_id": TENANT.id,
            "id": _id(now, 5, number),
            "subscriber_id": _id(now, 1, number),
            "role": ContactRole.BILLING.value,
            "name": "",
        }


def _points(now: datetime) -> Iterator[Row]:
    for number in range(SIZE):
        address = f"dana.{number}@inbox.example"
        yield {
            "tenant_id": TENANT.id,
            "id": _id(now, 6, number),
            "contact_id": _id(now, 5, number),
            "subscriber_id": _id(now, 1, number),
            "channel": Channel.EMAIL.value,
            "address": address,
            "raw": address,
            "position": 0,
            "source": "local",
            "as_of": now,
        }


def services_on(store: Store) -> Services:
    profile = TenantProfile(
        id=TENANT.id,
        key="cascade",
        brand=Brand("Cascade Fiber", "help@cascade.example", "541-555-0100"),
        time_zone=ZoneInfo("America/Los_Angeles"),
        locale="en_US",
        region="US",
        command="/isp",
        support_channel="C_SUPPORT",
        oncall_channel="C_ONCALL",
        routes=(route("localhost", 25),),
        default_route=ROUTE,
        required_include="",
        send_mode="live",
    )
    return Services(
        store=store,
        outbox=Outbox(KEYRING, {TENANT.id: DOMAIN}),
        keyring=KEYRING,
        resolver=StaticResolver({}),
        tenants={TENANT.id: profile},
        specs=[],
    )


async def measured(store: Store, name: str) -> Row:
    now = datetime.now(UTC).replace(microsecond=0)
    for table, rows in (
        ("subscribers", _subscribers(now, SIZE)),
        ("contacts", _contacts(now)),
        ("points", _points(now)),
        ("invoices", _invoices(now, SIZE)),
    ):
        await _put(store, table, rows)
    if not store.engine.sqlite:
        async with store.system() as tx:
            await tx.conn.exec_driver_sql("ANALYZE")  # they were imported long ago
    services = services_on(store)
    criteria = Criteria(What.ISSUED, date(2026, 2, 20), since=date(2026, 2, 1))
    async with store.begin(TENANT.id) as tx:
        run = await workflow.begin(tx, criteria, "bench", requested_by="U_BENCH", locale="en_US")
    batches, begun_with = count(1), 0.0

    def progress(_size: int) -> None:
        nonlocal begun_with
        if next(batches) == max(1, SIZE // BATCH // 10):
            begun_with = resident_mb()

    gc.collect()
    began, busy = time.perf_counter(), time.process_time()
    await workflow.carry_out(services, TENANT.id, run, progress)
    took, busy = time.perf_counter() - began, time.process_time() - busy
    async with store.read(TENANT.id) as tx:
        stands = sum((await tx.runs.standings(run.id)).values())
    if stands != SIZE:
        raise RuntimeError(f"{stands} of {SIZE} were written")
    return {
        "name": name,
        "rate": round(SIZE / took),
        "limit": None,
        "peer": None,
        "rss_mb": round(resident_mb() - begun_with, 1),
        "cpu_us": round(busy / SIZE * 1e6, 1),
    }


async def _run() -> list[Row]:
    quiet()
    rows = []
    for kind in ("postgresql", "sqlite"):
        async with databases.of(kind) as url, databases.opened(url) as store:
            rows.append(await measured(store, f"run_enqueue_{kind}"))
    return rows


def run() -> list[Row]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run())
