"""Claims, leases and fencing of deliveries, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from store.deliveries import DeliveryChange
from store.models import Confidence, Delivery, Outcome, Priority, Reason, Stage
from store.types import new_id
from store.unit import Store, Tx
from tests.builders import NOW, delivery, take
from tests.conftest import FakeClock


async def add(store: Store, *items: Delivery) -> None:
    async with store.system() as tx:
        await tx.deliveries.add(items)


async def claim(store: Store, **more: Any) -> list[Delivery]:
    async with store.system() as tx:
        return await claim_in(tx, **more)


async def claim_in(tx: Tx, **more: Any) -> list[Delivery]:
    fields: dict[str, Any] = {
        "tenant": 1,
        "route": "relay",
        "highest": Priority.URGENT,
        "lowest": Priority.BULK,
        "limit": 10,
        "worker": "w1",
        "lease_s": 30.0,
        "retry_at": tx.now + timedelta(seconds=30),
    }
    return await take(tx, **(fields | more))


async def get(store: Store, item: Delivery) -> Delivery:
    async with store.read(item.tenant) as tx:
        found = await tx.deliveries.get(item.id)
    assert found is not None
    return found


async def lost(store: Store, **more: Any) -> list[UUID]:
    async with store.system() as tx:
        return [d.id for d in await tx.deliveries.lost(**more)]


def changed(item: Delivery, **more: Any) -> DeliveryChange:
    fields: dict[str, Any] = {
        "tenant": item.tenant,
        "id": item.id,
        "stage": item.stage,
        "due_at": item.due_at,
        "stage_reason": item.stage_reason,
        "stage_by": item.stage_by,
        "outcome": item.outcome,
        "reason": item.reason,
        "confidence": item.confidence,
        "outcome_at": item.outcome_at,
        "cls": item.cls,
        "diagnostic": item.diagnostic,
        "remote": item.remote,
        "queue_id": None,
    }
    return DeliveryChange(**(fields | more))


def addresses(items: Sequence[Delivery]) -> list[str]:
    return [item.address for item in items]


async def test_a_delivery_comes_back_as_it_was_given(store: Store) -> None:
    given = delivery(
        subscriber_id=new_id(),
        stage=Stage.HELD,
        stage_reason="quiet hours",
        stage_by="quiet_hours",
        outcome=Outcome.BOUNCED,
        reason=Reason.RECIPIENT,
        confidence=Confidence.HANDED_TO_RELAY,
        outcome_at=NOW,
        cls="no_such_user",
        diagnostic="550 5.1.1 Ünknown",
        remote="mx.example.com",
        attempt=3,
        priority=Priority.BULK,
    )
    await add(store, given)
    assert await get(store, given) == given
    async with store.read(2) as tx:
        assert await tx.deliveries.get(given.id) is None


async def test_the_same_address_of_one_notification_cannot_be_added_twice(store: Store) -> None:
    item = delivery()
    await add(store, item)
    with pytest.raises(IntegrityError):
        await add(store, item)


async def test_deliveries_of_several_notifications_come_grouped(store: Store) -> None:
    one, two, empty = new_id(), new_id(), new_id()
    await add(
        store,
        delivery("a@example.com", notification_id=one),
        delivery("b@example.com", notification_id=one),
        delivery("a@example.com", notification_id=two),
    )
    async with store.read(1) as tx:
        found = await tx.deliveries.of_notifications([one, two, empty])
    assert {key: set(addresses(items)) for key, items in found.items()} == {
        one: {"a@example.com", "b@example.com"},
        two: {"a@example.com"},
        empty: set(),
    }


async def test_a_claim_takes_the_lease_and_counts_the_attempt(store: Store) -> None:
    item = delivery()
    await add(store, item)
    (claimed,) = await claim(store)
    assert claimed == replace(item, stage=Stage.CLAIMED, attempt=1, due_at=NOW + timedelta(seconds=30)), (
        "and nothing else changes"
    )
    assert await get(store, item) == claimed
    assert await claim(store) == []


async def test_what_had_no_attempt_or_has_one_under_way_is_untried(store: Store) -> None:
    put_off = delivery("later@example.com", attempt=1)
    done = delivery("done@example.com", attempt=1, stage=Stage.AWAITING)
    await add(store, delivery("first@example.com"), delivery("second@example.com"), put_off, done)
    await claim(store, limit=1)
    async with store.read(1) as tx:
        assert await tx.deliveries.untried() == 2
    async with store.read(2) as tx:
        assert await tx.deliveries.untried() == 0, "another tenant's are not counted"


async def test_the_most_urgent_goes_first_then_who_waited_longest(store: Store) -> None:
    early, late = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    await add(
        store,
        delivery("bulk-early@example.com", priority=Priority.BULK, due_at=early),
        delivery("normal-late@example.com", due_at=late),
        delivery("normal-early@example.com", due_at=early),
        delivery("urgent-late@example.com", priority=Priority.URGENT, due_at=late),
    )
    order = [(await claim(store, limit=1))[0].address for _ in range(4)]
    assert order == [
        "urgent-late@example.com",
        "normal-early@example.com",
        "normal-late@example.com",
        "bulk-early@example.com",
    ]


async def test_one_claim_hands_out_the_most_urgent_first(store: Store) -> None:
    await add(
        store,
        delivery("bulk@example.com", priority=Priority.BULK),
        delivery("urgent@example.com", priority=Priority.URGENT),
        delivery("normal@example.com"),
    )
    assert addresses(await claim(store)) == ["urgent@example.com", "normal@example.com", "bulk@example.com"]


async def test_a_claim_keeps_to_its_band_of_priorities(store: Store) -> None:
    await add(store, *(delivery(f"{p.name}@example.com", priority=p) for p in Priority))
    urgent = await claim(store, highest=Priority.URGENT, lowest=Priority.URGENT)
    assert addresses(urgent) == ["URGENT@example.com"]
    rest = await claim(store, highest=Priority.NORMAL, lowest=Priority.BULK)
    assert addresses(rest) == ["NORMAL@example.com", "BULK@example.com"]


async def test_a_claim_keeps_to_its_tenant_its_route_and_its_limit(store: Store) -> None:
    await add(
        store,
        delivery("other-tenant@example.com", tenant=2),
        delivery("other-route@example.com", route="direct"),
        *(delivery(f"{n}@example.com") for n in range(5)),
    )
    assert len(await claim(store, limit=3)) == 3
    assert len(await claim(store, limit=3)) == 2
    assert addresses(await claim(store, tenant=2)) == ["other-tenant@example.com"]
    assert addresses(await claim(store, route="direct")) == ["other-route@example.com"]


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.QUEUED])
async def test_only_queued_deliveries_are_claimed(store: Store, stage: Stage) -> None:
    await add(store, delivery(stage=stage))
    assert await claim(store) == []


async def test_what_is_not_due_waits_for_business_time(store: Store, clock: FakeClock) -> None:
    await add(store, delivery(due_at=NOW + timedelta(minutes=1)))
    assert await claim(store) == []
    clock.advance(minutes=1)
    assert len(await claim(store)) == 1


async def test_concurrent_claims_never_share_a_delivery(store: Store) -> None:
    await add(store, *(delivery(f"{n}@example.com") for n in range(60)))
    batches = await asyncio.gather(*(claim(store, worker=f"w{n}", limit=7) for n in range(12)))
    taken = [item.id for batch in batches for item in batch]
    assert len(taken) == len(set(taken))
    left = await claim(store, limit=100)
    assert len(taken) + len(left) == 60
    assert {item.attempt for batch in [*batches, left] for item in batch} == {1}


async def test_a_rolled_back_claim_was_never_made(store: Store) -> None:
    await add(store, delivery())

    async def fail() -> None:
        async with store.system() as tx:
            assert len(await claim_in(tx)) == 1
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert [item.attempt for item in await claim(store)] == [1]


async def test_a_running_lease_is_not_lost_and_an_expired_one_is(store: Store) -> None:
    held, gone = delivery("held@example.com"), delivery("gone@example.com", route="direct")
    await add(store, held, gone)
    await claim(store, lease_s=60)
    await claim(store, route="direct", lease_s=-1)
    assert await lost(store) == [gone.id]


async def test_leases_run_on_real_time_and_not_on_business_time(store: Store, clock: FakeClock) -> None:
    await add(store, delivery())
    await claim(store, lease_s=60)
    clock.advance(days=30)
    assert await lost(store) == []


async def test_a_heartbeat_renews_the_lease_of_its_own_worker_only(store: Store) -> None:
    mine, other = delivery("mine@example.com"), delivery("other@example.com", route="direct")
    await add(store, mine, other)
    await claim(store, lease_s=-1, worker="w1")
    await claim(store, lease_s=-1, worker="w2", route="direct")
    async with store.system() as tx:
        await tx.deliveries.renew("w1", [(1, mine.id), (1, other.id)], 60)
    assert await lost(store) == [other.id]


async def test_a_heartbeat_does_not_bring_back_what_is_claimed_no_more(store: Store) -> None:
    item = delivery()
    await add(store, item)
    (claimed,) = await claim(store, lease_s=-1)
    async with store.system() as tx:
        await tx.deliveries.change([changed(claimed, stage=Stage.QUEUED, due_at=NOW)])
        await tx.deliveries.renew("w1", [(1, item.id)], 60)
    await claim(store, lease_s=-1, worker="w2")
    assert await lost(store) == [item.id]


async def test_the_claims_of_a_dead_worker_are_found_before_their_lease_ends(store: Store) -> None:
    mine, other = delivery("mine@example.com"), delivery("other@example.com", route="direct")
    await add(store, mine, other)
    await claim(store, worker="w1", lease_s=60)
    await claim(store, worker="w2", lease_s=60, route="direct")
    assert await lost(store, dead_worker="w1") == [mine.id]


async def test_holding_gives_the_attempt_back_and_releasing_queues_it_now(
    store: Store, clock: FakeClock
) -> None:
    item = delivery()
    await add(store, item)
    (claimed,) = await claim(store)
    async with store.system() as tx:
        assert await tx.deliveries.hold(claimed, reason="window closed", by="window")
    held = await get(store, item)
    assert (held.stage, held.stage_reason, held.stage_by) == (Stage.HELD, "window closed", "window")
    assert held.attempt == 0
    assert await claim(store) == []
    clock.advance(hours=3)
    async with store.system() as tx:
        assert await tx.deliveries.release_held(1, "somebody else") == 0
        assert await tx.deliveries.release_held(2, "window") == 0
        assert await tx.deliveries.release_held(1, "window") == 1
    released = await get(store, item)
    assert (released.stage, released.stage_reason, released.stage_by) == (Stage.QUEUED, None, None)
    assert released.due_at == clock.now
    assert [d.attempt for d in await claim(store)] == [1]


async def test_holding_needs_the_claim(store: Store) -> None:
    item = delivery()
    await add(store, item)
    (old,) = await claim(store, lease_s=-1)
    async with store.system() as tx:
        await tx.deliveries.change([changed(old, stage=Stage.QUEUED, due_at=NOW)])
    (new,) = await claim(store, worker="w2")
    async with store.system() as tx:
        assert not await tx.deliveries.hold(old, reason="late", by="w1")
    assert await get(store, item) == new


async def test_what_waited_long_enough_for_evidence_is_due_to_settle(store: Store, clock: FakeClock) -> None:
    waiting = delivery("a@example.com", stage=Stage.AWAITING, due_at=NOW + timedelta(hours=72))
    await add(store, waiting, delivery("b@example.com", stage=Stage.CLOSED), delivery("c@example.com"))
    async with store.system() as tx:
        assert await tx.deliveries.settle_due() == []
    clock.advance(hours=72)
    async with store.system() as tx:
        assert [d.id for d in await tx.deliveries.settle_due()] == [waiting.id]


async def test_the_next_due_time_is_that_of_the_earliest_queued_one(store: Store) -> None:
    async with store.system() as tx:
        assert await tx.deliveries.next_due() is None
    await add(
        store,
        delivery("a@example.com", due_at=NOW + timedelta(hours=2)),
        delivery("b@example.com", due_at=NOW + timedelta(hours=1), tenant=2),
        delivery("c@example.com", due_at=NOW, stage=Stage.CLOSED),
    )
    async with store.system() as tx:
        assert await tx.deliveries.next_due() == NOW + timedelta(hours=1)


async def test_locking_takes_rows_of_several_tenants_and_skips_what_is_not_there(store: Store) -> None:
    one, two = delivery("a@example.com"), delivery("a@example.com", tenant=2)
    await add(store, one, two)
    async with store.system() as tx:
        found = await tx.deliveries.lock([(2, two.id), (1, one.id), (1, new_id()), (2, one.id)])
        assert await tx.deliveries.lock([]) == {}
    assert found == {(1, one.id): one, (2, two.id): two}


async def test_more_rows_than_fit_in_one_statement(store: Store) -> None:
    items = [delivery(f"{n}@example.com") for n in range(1201)]
    await add(store, *items)
    async with store.system() as tx:
        refs = [(1, item.id) for item in items]
        assert len(await tx.deliveries.lock(refs)) == 1201
        assert len(await claim_in(tx, limit=2000, lease_s=-1)) == 1201
        await tx.deliveries.renew("w1", refs, 60)
        assert await tx.deliveries.lost() == []
        grouped = await tx.deliveries.of_notifications([item.notification_id for item in items])
    assert grouped == {} or all(value == [] for value in grouped.values())


async def test_a_change_writes_every_value_and_keeps_queue_id_and_checks_once_known(store: Store) -> None:
    one, two = delivery("a@example.com"), delivery("b@example.com", tenant=2)
    await add(store, one, two)
    values: dict[str, Any] = {
        "stage": Stage.CLOSED,
        "due_at": NOW + timedelta(seconds=1),
        "stage_reason": "why",
        "outcome": Outcome.BOUNCED,
        "reason": Reason.CAPACITY,
        "confidence": Confidence.HANDSET_RECEIPT,
        "outcome_at": NOW,
        "cls": "mailbox_full",
        "diagnostic": "552 5.2.2",
        "remote": "mx",
    }
    async with store.system() as tx:
        await tx.deliveries.change([changed(one, **values, queue_id="4Q9ABC", checks=2), changed(two)])
        await tx.deliveries.change([changed(one, **values)])
        await tx.deliveries.change([])
        assert [d.id for d in await tx.deliveries.by_queue_id("4Q9ABC")] == [one.id]
        assert await tx.deliveries.by_queue_id("4Q9") == []
    assert await get(store, one) == replace(one, **values, queue_id="4Q9ABC", checks=2)
    assert await get(store, two) == two


async def test_counts_tell_where_the_deliveries_of_a_tenant_stand(store: Store) -> None:
    await add(
        store,
        *(delivery(f"{n}@example.com") for n in range(3)),
        delivery("x@example.com", stage=Stage.CLOSED, outcome=Outcome.BOUNCED),
        delivery("y@example.com", tenant=2),
    )
    async with store.read(1) as tx:
        counts = await tx.deliveries.counts()
    assert counts == {(Stage.QUEUED, Outcome.NONE): 3, (Stage.CLOSED, Outcome.BOUNCED): 1}


async def test_adding_wakes_whoever_waits_for_deliveries(store: Store) -> None:
    waiting = store.signals.subscribe("deliveries")
    await add(store, delivery())
    assert await waiting.wait(5)
    waiting.close()
