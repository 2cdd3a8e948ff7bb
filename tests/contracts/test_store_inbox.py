"""The inbox: kept once, run by one, never lost, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from store.models import Interaction, InteractionKind, InteractionState
from store.unit import Store
from tests.builders import NOW, interaction

LONG_AGO = NOW - timedelta(days=400)


async def add(
    store: Store, *items: Interaction, lease_s: float = 60, worker: str = "w1"
) -> set[tuple[int, str]]:
    async with store.system() as tx:
        return await tx.interactions.add(items, worker=worker, lease_s=lease_s)


async def left(store: Store, **more: Any) -> list[Interaction]:
    fields: dict[str, Any] = {"worker": "w2", "lease_s": 60.0}
    async with store.system() as tx:
        return await tx.interactions.claim_left(**(fields | more))


async def finish(store: Store, item: Interaction, error: str | None = None) -> bool:
    async with store.system() as tx:
        return await tx.interactions.finish(item, error=error)


async def test_what_came_in_twice_is_new_once(store: Store) -> None:
    assert await add(store, interaction("a"), interaction("b"), interaction("a")) == {(1, "a"), (1, "b")}
    assert await add(store, interaction("a"), interaction("c")) == {(1, "c")}


async def test_the_same_id_of_another_tenant_is_another_interaction(store: Store) -> None:
    assert await add(store, interaction("a"), interaction("a", tenant=2)) == {(1, "a"), (2, "a")}


async def test_the_same_thing_delivered_at_the_same_moment_is_new_for_one_only(store: Store) -> None:
    results = await asyncio.gather(*(add(store, interaction("a")) for _ in range(8)))
    assert sorted(len(result) for result in results) == [0] * 7 + [1]


async def test_the_adder_runs_it_and_nobody_else_while_its_lease_holds(store: Store) -> None:
    await add(store, interaction("a"))
    assert await left(store) == []


async def test_what_its_runner_left_behind_is_taken_over_whole(store: Store) -> None:
    given = interaction(
        "a", kind=InteractionKind.DSN, payload={"k": [1, "ü"]}, body=b"\x00raw\xff", response_url=b"sealed"
    )
    await add(store, given, lease_s=-1)
    (taken,) = await left(store)
    assert taken == Interaction(
        tenant=1,
        id="a",
        kind=InteractionKind.DSN,
        payload={"k": [1, "ü"]},
        received_at=NOW,
        state=InteractionState.RUNNING,
        body=b"\x00raw\xff",
        response_url=b"sealed",
        response_uses=0,
        attempt=2,
    )
    assert await left(store) == [], "its new runner has a lease of its own"


async def test_a_dead_workers_interactions_are_taken_before_the_lease_ends(store: Store) -> None:
    await add(store, interaction("mine"), worker="w1")
    await add(store, interaction("other"), worker="w3")
    assert [item.id for item in await left(store, dead_worker="w1")] == ["mine"]


async def test_the_oldest_are_taken_first(store: Store) -> None:
    items = [interaction(f"i-{n}", received_at=NOW + timedelta(seconds=n)) for n in (3, 1, 2)]
    await add(store, *items, lease_s=-1)
    assert [item.id for item in await left(store, limit=2)] == ["i-1", "i-2"]
    assert [item.id for item in await left(store, limit=2)] == ["i-3"]


async def test_concurrent_takers_never_share_an_interaction(store: Store) -> None:
    await add(store, *(interaction(f"i-{n}") for n in range(30)), lease_s=-1)
    batches = await asyncio.gather(*(left(store, worker=f"w{n}", limit=4) for n in range(10)))
    taken = [item.id for batch in batches for item in batch]
    assert len(taken) == len(set(taken))


async def test_a_heartbeat_keeps_what_its_worker_runs(store: Store) -> None:
    await add(store, interaction("mine"), worker="w1", lease_s=-1)
    await add(store, interaction("other"), worker="w3", lease_s=-1)
    async with store.system() as tx:
        await tx.interactions.renew("w1", [(1, "mine"), (1, "other")], 60)
    assert [item.id for item in await left(store)] == ["other"], "somebody else's is not its to keep"


@pytest.mark.parametrize("error", [None, "ValueError"])
async def test_what_is_finished_is_not_run_again(store: Store, error: str | None) -> None:
    item = interaction("a", attempt=1)
    await add(store, item, lease_s=-1)
    assert await finish(store, item, error)
    assert await left(store) == []
    assert await left(store, dead_worker="w1") == []
    assert await add(store, item) == set(), "and it is remembered"


async def test_a_runner_that_was_overtaken_cannot_finish(store: Store) -> None:
    await add(store, interaction("a"), lease_s=-1)
    (taken,) = await left(store, lease_s=-1)
    assert not await finish(store, interaction("a", attempt=1))
    assert [item.attempt for item in await left(store, lease_s=-1)] == [3]
    assert not await finish(store, taken)


async def test_every_use_of_a_response_url_is_counted(store: Store) -> None:
    item = interaction("a")
    await add(store, item)

    async def use() -> int:
        async with store.system() as tx:
            return await tx.interactions.use_response(item)

    assert sorted(await asyncio.gather(*(use() for _ in range(6)))) == [1, 2, 3, 4, 5, 6]


async def test_purging_forgets_urls_first_and_whole_finished_rows_later(store: Store) -> None:
    old_done, old_open = interaction("old-done", attempt=1), interaction("old-open", attempt=1)
    day_old, fresh = interaction("day-old", attempt=1), interaction("fresh", attempt=1)
    times = {
        "old-done": LONG_AGO,
        "old-open": LONG_AGO,
        "day-old": NOW - timedelta(hours=25),
        "fresh": NOW,
    }
    items = [
        interaction(i.id, received_at=times[i.id], response_url=b"sealed")
        for i in (old_done, old_open, day_old, fresh)
    ]
    await add(store, *items, lease_s=-1)
    await finish(store, old_done)
    async with store.system() as tx:
        await tx.interactions.purge(urls_before=NOW - timedelta(days=1), rows_before=NOW - timedelta(days=30))
    assert {item.id: item.response_url for item in await left(store)} == {
        "old-open": b"",
        "day-old": b"",
        "fresh": b"sealed",
    }
    assert await add(store, old_done) == {(1, "old-done")}, "its memory is gone with the row"
