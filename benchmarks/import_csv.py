"""`ispbot import subscribers` of a file of made-up people, as the command does it, without DNS.

`limit`: the same file read by csv.DictReader alone. `rss_mb`: how much the process grew from a tenth of the
file to the whole of it: flat means about nothing.
"""

from __future__ import annotations

import asyncio
import csv
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import databases
from benchmarks.databases import TENANT
from benchmarks.memory import resident_mb
from benchmarks.people import People
from billing.csv_kinds import ImportKind
from billing.local import import_csv
from store.unit import Store

SIZE = int(os.environ.get("BENCH_IMPORT", "100000"))
Row = dict[str, Any]


def write(path: Path, count: int) -> None:
    rows = People().rows(count)
    first = next(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(first))
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(rows)


async def _take(store: Store, path: Path) -> float:
    begun = time.perf_counter()
    result = await import_csv(store, TENANT.id, ImportKind.SUBSCRIBERS, path, source="bench", region="US")
    assert not result.errors, result.errors[:3]
    return time.perf_counter() - begun


async def _measure(store: Store, name: str, small: Path, whole: Path) -> list[Row]:
    await _take(store, small)
    before = resident_mb()
    took = await _take(store, whole)
    grown = round(resident_mb() - before, 1)
    again = await _take(store, whole)
    limit = SIZE / _bare(whole)
    return [
        {"name": f"import_{name}", "rate": SIZE / took, "limit": limit, "seconds": took, "rss_mb": grown},
        {"name": f"import_again_{name}", "rate": SIZE / again, "limit": limit, "seconds": again},
    ]


def _bare(path: Path) -> float:
    begun = time.perf_counter()
    with path.open(encoding="utf-8", newline="") as file:
        for _ in csv.DictReader(file):
            pass
    return time.perf_counter() - begun


async def _all() -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as home:
        small, whole = Path(home) / "small.csv", Path(home) / "whole.csv"
        write(small, max(1, SIZE // 10))
        write(whole, SIZE)
        for kind in ("sqlite", "postgresql"):
            async with databases.of(kind) as url, databases.opened(url) as store:
                rows += await _measure(store, kind, small, whole)
    return rows


def run() -> list[Row]:
    return asyncio.run(_all())
