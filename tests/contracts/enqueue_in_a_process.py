"""Run by test_outbox_processes: enqueues 50 keys in a process of its own when a line comes on its input.

Prints "ready" when connected, then how many of them it has made, or "conflict".
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from notifier.outbox import KeyConflict
from store.engine import Engine
from store.unit import Store
from tests.builders import NOW, draft, outbox


async def main(url: str, address: str) -> None:
    store = Store(Engine(url), clock=lambda: NOW)
    async with store.read(1) as tx:
        await tx.tenants.all()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        async with store.begin(1) as tx:
            made = await outbox().enqueue_many(tx, [draft(f"key-{n}", address) for n in range(50)])
        print(sum(one.created for one in made), flush=True)
    except KeyConflict:
        print("conflict", flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
