"""The same keys asked for by several processes at the same moment: one notification each, or an error."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sqlalchemy import text

from store.unit import Store

ENQUEUER = Path(__file__).with_name("enqueue_in_a_process.py")


async def _at_once(url: str, *addresses: str) -> list[str]:
    """One process for each address; what each says when all of them have begun together."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, str(ENQUEUER), url, address,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        for address in addresses
    ]  # fmt: skip
    try:
        async with asyncio.timeout(60):
            for process in processes:
                assert process.stdout is not None
                assert await process.stdout.readline() == b"ready\n"
            ended = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return sorted(out.decode().strip() for out, _ in ended)


async def _rows(store: Store) -> list[int]:
    async with store.read(1) as tx:
        return [
            (await tx.conn.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            for table in ("notifications", "deliveries", "idempotency")
        ]


async def test_of_processes_that_ask_for_the_same_keys_at_once_each_key_is_made_by_one(
    postgres_store: Store, postgres_url: str
) -> None:
    made = await _at_once(postgres_url, *["dana@example.com"] * 3)
    assert sum(int(number) for number in made) == 50
    assert await _rows(postgres_store) == [50, 50, 50]


async def test_of_processes_that_give_one_key_different_content_at_once_one_is_refused_and_adds_nothing(
    postgres_store: Store, postgres_url: str
) -> None:
    assert await _at_once(postgres_url, "dana@example.com", "leo@example.com") == ["50", "conflict"]
    assert await _rows(postgres_store) == [50, 50, 50]
