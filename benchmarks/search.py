"""Searching among made-up subscribers, in milliseconds by kind of question.

`BENCH_SEARCH` is the number on PostgreSQL, a tenth of it is on SQLite. `limit`: the same connection's
`SELECT 1` in the same run. Rows are written through the repository, so that its terms are what it makes.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from statistics import median, quantiles
from typing import Any

from sqlalchemy import text

from benchmarks import databases
from benchmarks.people import People
from handlers.workflows.lookup import LIMIT
from store.models import (
    Channel,
    ContactRole,
    Facts,
    PackageKind,
    PackageStatus,
    SubscriberKind,
    SubscriberStatus,
)
from store.money import Money
from store.packages import PackageRecord, ServiceRecord
from store.subscribers import PointRecord, SubscriberRecord
from store.unit import Store, Tx

SIZE = int(os.environ.get("BENCH_SEARCH", "1000000"))
QUESTIONS = 200
BATCH = 2_000
Row = dict[str, Any]
Ask = Callable[[Tx, random.Random], Awaitable[Any]]


def _record(row: Mapping[str, str], facts: Facts) -> SubscriberRecord:
    points = (
        PointRecord(ContactRole.BILLING, Channel.EMAIL, row["email_billing"], row["email_billing"]),
        PointRecord(ContactRole.BILLING, Channel.SMS, row["phone"], row["phone"]),
    )
    return SubscriberRecord(
        account=row["account"],
        kind=SubscriberKind.RESIDENTIAL,
        status=SubscriberStatus.ACTIVE,
        name=row["name"],
        language="en",
        address=row["address"],
        city=row["city"],
        region="OR",
        postal_code="97701",
        payer_account=None,
        balance=Money(4990, "USD"),
        invoice_notices=True,
        facts=facts,
        points=points,
    )


async def fill(store: Store, people: People, size: int) -> None:
    rows = people.rows(size)
    facts = Facts("bench", store.clock())
    number = 0
    while batch := list(islice(rows, BATCH)):
        async with store.begin(databases.TENANT.id) as tx:
            ids = await tx.subscribers.upsert([_record(row, facts) for row in batch])
            packages = []
            for subscriber_id in ids.values():
                service = ServiceRecord(
                    "Line", "internet", PackageStatus.ACTIVE, people.ip(number), people.mac(number)
                )
                number += 1
                packages.append(
                    PackageRecord(
                        subscriber_id,
                        f"P{number}",
                        "Fiber",
                        PackageKind.INTERNET,
                        PackageStatus.ACTIVE,
                        None,
                        Money(4990, "USD"),
                        facts,
                        (service,),
                    )
                )
            await tx.packages.upsert(packages)
            if number in (BATCH, 8 * BATCH, 64 * BATCH):
                await tx.statistics.renew()


def _slip(word: str, dice: random.Random) -> str:
    place = dice.randrange(len(word))
    return word[:place] + word[place + 1 :]


def questions(people: People, size: int) -> dict[str, Ask]:
    def names(tx: Tx, asked: str) -> Awaitable[Any]:
        return tx.search.words(asked, LIMIT)

    common, town = people.first[0], "bend"
    return {
        "account": lambda tx, dice: tx.subscribers.by_account(f"A{dice.randrange(size):07}"),
        "phone": lambda tx, dice: tx.subscribers.by_address(
            Channel.SMS, f"+1541{2_000_000 + dice.randrange(size):07}", LIMIT
        ),
        "last_seven": lambda tx, dice: tx.search.by_last_digits(
            f"{2_000_000 + dice.randrange(size):07}", LIMIT
        ),
        "mail_begins": lambda tx, dice: tx.search.by_mail(".".join(people.name()).lower(), LIMIT),
        "ip": lambda tx, dice: tx.search.by_ip(people.ip(dice.randrange(size)), LIMIT),
        "mac": lambda tx, dice: tx.search.by_mac(people.mac(dice.randrange(size)), LIMIT),
        "two_words": lambda tx, dice: names(tx, " ".join(people.name())),
        "one_word": lambda tx, dice: names(tx, people.name()[1]),
        "prefix": lambda tx, dice: names(tx, people.name()[1][: dice.randint(2, 4)]),
        "one_slip": lambda tx, dice: names(tx, _slip(people.name()[1], dice)),
        "two_words_one_slip": lambda tx, dice: names(
            tx, f"{people.name()[0]} {_slip(people.name()[1], dice)}"
        ),
        "most_common_and_town": lambda tx, dice: names(tx, f"{common} {town}"),
        "town_and_street": lambda tx, dice: names(tx, f"{town} juniper {dice.randint(1, 9000)}"),
        "nothing": lambda tx, dice: names(tx, f"zqx{dice.randint(1, 9)} {town}"),
    }


async def _times(store: Store, ask: Ask) -> list[float]:
    dice = random.Random(3)  # a benchmark
    times = []
    for _ in range(QUESTIONS):
        begun = time.perf_counter()
        async with store.read(databases.TENANT.id) as tx:
            await ask(tx, dice)
        times.append((time.perf_counter() - begun) * 1000)
    return times


async def _select_one(tx: Tx, _: random.Random) -> Any:
    return await tx.conn.execute(text("SELECT 1"))


async def _measure(kind: str, size: int) -> list[Row]:
    rows: list[Row] = []
    people = People()
    async with databases.of(kind) as url, databases.opened(url) as store:
        begun = time.perf_counter()
        await fill(store, people, size)
        filled = time.perf_counter() - begun
        await _analyse(store)
        bare = median(await _times(store, _select_one))
        for name, ask in questions(people, size).items():
            times = await _times(store, ask)
            p95 = quantiles(times, n=20)[-1]
            rows.append(
                {"name": f"search_{kind}_{name}", "p50_ms": median(times), "p95_ms": p95, "limit_ms": bare}
            )
        rows.append({"name": f"search_{kind}_fill", "rate": size / filled, "seconds": filled})
    return rows


async def _analyse(store: Store) -> None:
    async with store.system() as tx:
        await tx.conn.execute(text("ANALYZE"))


async def _all() -> list[Row]:
    return [
        *await _measure("sqlite", max(1, SIZE // 10)),
        *await _measure("postgresql", SIZE),
    ]


def run() -> list[Row]:
    return asyncio.run(_all())
