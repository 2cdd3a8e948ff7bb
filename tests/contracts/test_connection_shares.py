"""Connections that all workers share, on both databases: never more than the route may, and fairly."""

from __future__ import annotations

import asyncio

import pytest

from notifier.connections import Share, fair
from store.unit import Store


@pytest.mark.parametrize(
    ("limit", "wanted", "shares"),
    [
        (4, {"a": 4}, {"a": 4}),
        (4, {"a": 4, "b": 4}, {"a": 2, "b": 2}),
        (5, {"a": 4, "b": 4}, {"a": 3, "b": 2}),
        (4, {"a": 1, "b": 4}, {"a": 1, "b": 3}),
        (2, {"a": 4, "b": 4, "c": 4}, {"a": 1, "b": 1, "c": 0}),
        (9, {"a": 2, "b": 2}, {"a": 2, "b": 2}),
    ],
)
def test_shares_are_fair_and_use_what_there_is(
    limit: int, wanted: dict[str, int], shares: dict[str, int]
) -> None:
    assert fair(limit, wanted) == shares


async def _lease(store: Store, worker: str, holding: int = 0, lease_s: float = 10, tenant: int = 1) -> int:
    async with store.begin(tenant) as tx:
        return await tx.slots.lease(
            "relay", worker, limit=4, wanted=4, holding=holding, lease_s=lease_s, fair=fair
        )


async def test_a_newcomer_gets_its_share_once_the_others_have_closed_theirs(store: Store) -> None:
    assert await _lease(store, "w1") == 4
    assert await _lease(store, "w2") == 0, "all are taken"
    assert await _lease(store, "w1", holding=4) == 2, "it has to close two"
    assert await _lease(store, "w2") == 0, "they are open still"
    assert await _lease(store, "w1", holding=2) == 2
    assert await _lease(store, "w2") == 2
    assert await _lease(store, "w1", tenant=2) == 4, "each tenant has its own"


async def test_the_share_of_a_worker_that_is_gone_goes_to_the_others(store: Store) -> None:
    await _lease(store, "w1", lease_s=-1)
    assert await _lease(store, "w2") == 4, "its lease ran out"
    async with store.system() as tx:
        await tx.slots.forget(["w2"])
    assert await _lease(store, "w3") == 4, "it is known to be dead"


async def test_a_connection_rests_until_it_is_its_turn_and_ends_when_it_is_not(store: Store) -> None:
    share = Share(wanted=2, allowed=1)
    await share.turn(0)
    second = asyncio.create_task(share.turn(1))
    await asyncio.sleep(0)
    assert (share.holding, second.done()) == (1, False)
    share.allow(2)
    await second
    assert share.holding == 2
    over = asyncio.create_task(share.over(1))
    share.allow(1)
    await over
    share.closed(1)
    assert share.holding == 1
