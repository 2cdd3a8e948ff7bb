"""Limits that all workers share, on both databases: held, used, and nobody else waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from notifier.admission import Admission, Admit, NotBefore, Wish
from notifier.channels import AnyRoute, Route, SmsRoute, email_smtp
from notifier.limits import (
    AHEAD_S,
    RouteLimits,
    by_of,
    domain_key,
    line_key,
    route_key,
    segments_key,
    slowed_key,
)
from notifier.pacing import Pacing
from notifier.way import Way
from store.models import Delivery, EventSource, Priority, Stage
from store.unit import Store
from tests.builders import DOMAIN, draft, outbox, take
from tests.conftest import FakeClock

SLOW, OTHER = "slow.example", "other.example"


def _route(name: str = "relay", tenant: int = 1) -> Route:
    return Route(name, "relay", "127.0.0.1", 25, "verp", DOMAIN[tenant], "billing@cascade.example", "Cascade")


def _way(tenant: int = 1, route: AnyRoute | None = None) -> Way:
    def never(*_: Any) -> Any:
        raise AssertionError("nothing is sent here")

    return Way(tenant, route or _route(tenant=tenant), email_smtp.CHANNEL, never, EventSource.SMTP)


def _pacing(store: Store, *tenants: int, **limits: Any) -> Pacing:
    return Pacing(store, {(tenant, "relay"): RouteLimits(**limits) for tenant in tenants or (1,)})


async def _queue(
    store: Store, *addresses: str, tenant: int = 1, priority: Priority = Priority.BULK
) -> list[Delivery]:
    async with store.begin(tenant) as tx:
        made = await outbox().enqueue(tx, draft(f"k{addresses[0]}", *addresses, priority=priority))
        found = await tx.deliveries.of_notifications([made.notification_id])
        return found[made.notification_id]


async def _claim(store: Store, limit: int, tenant: int = 1, worker: str = "w1") -> list[Delivery]:
    async with store.system() as tx:
        return await take(
            tx,
            tenant=tenant,
            route="relay",
            highest=Priority.NORMAL,
            limit=limit,
            worker=worker,
            lease_s=30,
            retry_at=tx.now + timedelta(seconds=30),
        )


async def _decide(
    store: Store, pacing: Pacing, claimed: Sequence[Delivery], tenant: int = 1
) -> dict[UUID, Admission]:
    """Admits, and puts aside as the worker does."""
    decided = dict(await pacing.admit(_way(tenant), [Wish(d) for d in claimed]))
    async with store.system() as tx:
        for delivery in claimed:
            decision = decided[delivery.id]
            if isinstance(decision, NotBefore):
                await tx.deliveries.postpone(
                    delivery, until=decision.due_at, reason=decision.sentence, by=decision.limit_key
                )
    return decided


async def test_workers_take_turns_at_one_limit_and_no_unit_is_dealt_twice(store: Store) -> None:
    """Each reservation moves the shared moment on by exactly what it took."""
    first, second = (_pacing(store, per_s=1000.0) for _ in range(2))
    items = await _queue(store, *(f"n{n}@inbox.example" for n in range(40)))
    async with store.begin(1) as tx:
        begun = await tx.limits.real_now() + timedelta(seconds=5)
        await tx.limits.set(route_key("relay"), begun, "1000")
    wishes = [Wish(item) for item in items]
    await asyncio.gather(
        *(
            p.admit(_way(), wishes[n : n + 10])
            for n, p in zip((0, 10, 20, 30), (first, second) * 2, strict=True)
        )
    )
    async with store.read(1) as tx:
        free_at, _ = await tx.limits.peek(route_key("relay"))
    assert free_at == begun + timedelta(milliseconds=40)


async def test_nothing_is_claimed_that_would_only_wait_for_its_route(store: Store) -> None:
    pacing = _pacing(store, per_s=8.0)
    assert await pacing.allowance(_way(), Priority.NORMAL, 100) == 3  # a quarter of a second's
    items = await _queue(store, *(f"n{n}@inbox.example" for n in range(3)))
    assert len(await pacing.admit(_way(), [Wish(item) for item in items])) == 3
    assert await pacing.allowance(_way(), Priority.NORMAL, 100) <= 1
    assert await pacing.allowance(_way(), Priority.URGENT, 2) == 2


async def test_a_slow_domain_lets_everybody_behind_it_pass(store: Store) -> None:
    """One look at the front of the queue puts all of its mail into its line; the next claim finds others."""
    pacing = _pacing(store, domains={SLOW: 5.0})
    slow = await _queue(store, *(f"n{n:03}@{SLOW}" for n in range(300)))
    others = await _queue(store, f"a@{OTHER}", f"b@{OTHER}")
    decided = await _decide(store, pacing, await _claim(store, 8))
    assert sum(isinstance(d, Admit) for d in decided.values()) in (2, 3)
    assert {d.id for d in await _claim(store, 8)} == {d.id for d in others}
    async with store.read(1) as tx:
        rows = (await tx.deliveries.of_notifications([slow[0].notification_id]))[slow[0].notification_id]
        waiting = {g.by: g.count for g in await tx.lines.standing() if g.by and not g.due}
        now = tx.now
    line = sorted(row.due_at for row in rows if row.stage is Stage.QUEUED)
    assert waiting == {by_of(domain_key("relay", SLOW)): len([at for at in line if at > now])}
    gaps = {round((b - a).total_seconds(), 3) for a, b in pairwise(line)}
    assert gaps == {0.2}
    said = {row.stage_reason for row in rows if row.stage is Stage.QUEUED}
    assert said == {f"Waits its turn: {SLOW} gets 5 a second at most"}


async def test_a_line_moves_at_its_rate_and_places_are_kept(store: Store, clock: FakeClock) -> None:
    """Whoever has waited its turn and finds it taken is the next, not the last again."""
    pacing = _pacing(store, domains={SLOW: 5.0})
    await _queue(store, *(f"n{n:03}@{SLOW}" for n in range(50)))
    await _decide(store, pacing, await _claim(store, 4))
    clock.advance(seconds=1)
    turn = await _claim(store, 50)
    assert 4 <= len(turn) <= 6
    async with store.begin(1) as tx:  # somebody else has taken the next two seconds
        now = await tx.limits.real_now()
        await tx.limits.set(domain_key("relay", SLOW), now + timedelta(seconds=2), "5")
    decided = await _decide(store, pacing, turn)
    due = [d.due_at for d in decided.values() if isinstance(d, NotBefore)]
    assert len(due) == len(turn)
    assert max(due) - clock() < timedelta(seconds=2 + len(turn) * 0.2)


async def test_urgent_mail_to_a_slow_domain_goes_with_the_next_slot(store: Store) -> None:
    pacing = _pacing(store, domains={SLOW: 5.0})
    await _queue(store, *(f"n{n}@{SLOW}" for n in range(50)))
    await _decide(store, pacing, await _claim(store, 8))
    urgent = await _queue(store, f"dana@{SLOW}", priority=Priority.URGENT)
    decided = await pacing.admit(_way(), [Wish(urgent[0])])
    at = decided[urgent[0].id]
    assert isinstance(at, Admit)
    assert at.at - asyncio.get_running_loop().time() < AHEAD_S + 0.3  # both read the monotonic clock


async def test_what_has_its_slot_and_asks_again_takes_no_second_one(store: Store) -> None:
    pacing = _pacing(store, per_s=1.0, domains={SLOW: 0.1})
    (item,) = await _queue(store, f"dana@{SLOW}")
    assert isinstance((await pacing.admit(_way(), [Wish(item)]))[item.id], Admit)
    keys = route_key("relay"), domain_key("relay", SLOW)
    async with store.read(1) as tx:
        before = [(await tx.limits.peek(key))[0] for key in keys]
    assert await pacing.admit(_way(), [Wish(item, 0)]) == {item.id: Admit()}
    async with store.read(1) as tx:
        assert [(await tx.limits.peek(key))[0] for key in keys] == before


async def test_another_rate_makes_its_line_anew(store: Store) -> None:
    await _queue(store, *(f"n{n}@{SLOW}" for n in range(20)))
    await _decide(store, _pacing(store, domains={SLOW: 0.1}), await _claim(store, 4))
    assert await _claim(store, 20) == []
    await _pacing(store, domains={SLOW: 0.1}).begin([1])
    assert await _claim(store, 20) == []
    await _pacing(store, domains={SLOW: 50.0}).begin([1])
    assert len(await _claim(store, 20)) == 19


async def test_a_domain_that_asks_to_be_spared_is_slowed_for_every_worker(store: Store) -> None:
    first, second = _pacing(store), _pacing(store)
    items = await _queue(store, *(f"n{n}@{SLOW}" for n in range(4)), f"a@{OTHER}")
    slow = next(item for item in items if item.address.endswith(SLOW))
    for _ in range(3):  # answers of one moment are one answer
        first.too_fast(_way(), slow)
    await first.tend([1])
    await second.tend([1])
    decided = await _decide(store, second, await _claim(store, 8))
    going = {d.address.rpartition("@")[2] for d in items if isinstance(decided[d.id], Admit)}
    late = [d for d in decided.values() if isinstance(d, NotBefore)]
    assert going == {SLOW, OTHER}
    assert len(late) == 3
    assert late[0].sentence == f"{SLOW} asked us to slow down: it gets 1 a second for now"


async def test_a_line_goes_on_at_once_when_its_domain_is_not_slowed_any_more(store: Store) -> None:
    """Places were given for the slow rate: twenty thousand at one a second would wait for hours."""
    pacing = _pacing(store)
    items = await _queue(store, *(f"n{n}@{SLOW}" for n in range(20)))
    pacing.too_fast(_way(), items[0])
    await pacing.tend([1])
    await _decide(store, pacing, await _claim(store, 4))
    await pacing.tend([1])
    assert await _claim(store, 20) == [], "it is slowed still: they wait in line"
    async with store.begin(1) as tx:  # ten minutes without another such answer
        now = await tx.limits.real_now()
        await tx.limits.set(slowed_key("relay", SLOW), now - timedelta(seconds=1), "1")
    await pacing.tend([1])
    assert len(await _claim(store, 20)) == 19


async def test_a_sender_of_texts_is_held_to_segments(store: Store) -> None:
    route = SmsRoute("twilio", "+15415550100", "AC" + "0" * 32, ("secret",))
    pacing = Pacing(store, {(1, "twilio"): RouteLimits(per_s=2.0)})
    items = await _queue(store, "a@inbox.example", "b@inbox.example")
    way = _way(route=route)
    decided = await pacing.admit(way, [Wish(items[0], weight=3), Wish(items[1])])
    times = sorted(d.at for d in decided.values() if isinstance(d, Admit))
    assert times[1] - times[0] == pytest.approx(1.5)
    async with store.read(1) as tx:
        free_at, now = await tx.limits.peek(segments_key("twilio"))
    assert free_at is not None
    assert timedelta(seconds=1) < free_at - now <= timedelta(seconds=2)
    assert await pacing.allowance(way, Priority.BULK, 10) == 0


async def test_one_tenants_limit_is_not_anothers(store: Store) -> None:
    pacing = _pacing(store, 1, 2, domains={SLOW: 1.0})
    for tenant in (1, 2):
        await _queue(store, *(f"n{n}@{SLOW}" for n in range(5)), tenant=tenant)
    for tenant in (1, 2):
        decided = await _decide(store, pacing, await _claim(store, 5, tenant), tenant)
        assert sum(isinstance(d, Admit) for d in decided.values()) == 1
    async with store.read(2) as tx:
        assert [line.key for line in await tx.limits.ahead("line")] == [
            line_key(domain_key("relay", SLOW), int(Priority.BULK))
        ]
