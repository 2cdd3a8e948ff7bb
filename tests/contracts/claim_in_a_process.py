"""Run by test_store_postgres: claims deliveries in a process of its own, one step per line on its input.

Prints a JSON list of delivery ids per step: none when connected, ten after the first line, then the rest.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from store.engine import Engine
from store.unit import Store
from tests.builders import take

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def claim(store: Store, worker: str) -> list[str]:
    async with store.system() as tx:
        claimed = await take(
            tx,
            route="relay",
            limit=10,
            worker=worker,
            lease_s=60,
            retry_at=NOW,
        )
    return [str(item.id) for item in claimed]


async def main(url: str, worker: str) -> None:
    store = Store(Engine(url), clock=lambda: NOW)
    async with store.read(1) as tx:
        await tx.tenants.all()
    print("[]", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(await claim(store, worker)), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    rest: list[str] = []
    while batch := await claim(store, worker):
        rest += batch
    print(json.dumps(rest), flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
