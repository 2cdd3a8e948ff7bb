"""Incidents: one unresolved row a cause, each delivery once, whoever raises it; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from store.incidents import Caught, Raised
from store.models import Incident, IncidentState, Outcome
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, draft, outbox
from tests.conftest import FakeClock, OpenStore
from tests.contracts.attempts import accepted_by, claimed_delivery, record
from tests.contracts.locks import waits_for_a_lock

CAUSE = "blocked_reputation:bigmail.example"
TITLE = "bigmail.example refuses our mail server"


def caught(count: int = 1, at: datetime = NOW, subscriber: UUID | None = None) -> list[Caught]:
    return [Caught(new_id(), subscriber or new_id(), at) for _ in range(count)]


async def raise_it(
    store: Store, items: Sequence[Caught], *, tenant: int = 1, cause: str = CAUSE, **more: Any
) -> list[Raised]:
    async with store.begin(tenant) as tx:
        return await tx.incidents.raise_or_count(cause, TITLE, items, **more)


async def only(store: Store, tenant: int = 1) -> Incident:
    async with store.read(tenant) as tx:
        (found,) = await tx.incidents.unresolved()
        assert await tx.incidents.get(found.id) == found
    return found


async def acknowledge(store: Store, item: Incident, by: str = "U_AGENT") -> bool:
    async with store.begin(1) as tx:
        return await tx.incidents.acknowledge(item.id, by)


async def resolve(store: Store, item: Incident, by: str = "U_AGENT", note: str = "unlisted") -> bool:
    async with store.begin(1) as tx:
        return await tx.incidents.resolve(item.id, by, note)


async def test_the_first_failure_opens_an_incident_and_the_next_ones_count(store: Store) -> None:
    (first,) = await raise_it(store, caught(2))
    later = caught(3, NOW + timedelta(minutes=5))
    (second,) = await raise_it(store, later)
    assert (first.opened, second.opened) == (True, False)
    assert second.added == {c.delivery_id for c in later}
    found = await only(store)
    assert (found.count, found.first_at, found.last_at) == (5, NOW, NOW + timedelta(minutes=5))
    assert (found.cause, found.title, found.state, found.urgent) == (CAUSE, TITLE, IncidentState.OPEN, False)
    assert (found.texts, found.note, found.earlier_id) == (0, "", None)


async def test_a_delivery_counts_once_however_often_it_fails(store: Store) -> None:
    item = caught()[0]
    again = Caught(item.delivery_id, item.subscriber_id, NOW + timedelta(minutes=9))
    await raise_it(store, [item, item])
    (second,) = await raise_it(store, [again])
    assert second.added == frozenset()
    found = await only(store)
    assert (found.count, found.last_at) == (1, NOW + timedelta(minutes=9)), "the last failure is told"


async def test_a_resolution_at_the_moment_of_a_late_failure_opens_no_second_incident(
    postgres_store: Store, clock: FakeClock
) -> None:
    """What failed before it was resolved belongs to it, though the sweep looks while it is being resolved."""
    store = postgres_store
    (first,) = await raise_it(store, caught())
    clock.advance(minutes=1)
    resolved, go_on = asyncio.Event(), asyncio.Event()

    async def resolving() -> None:
        async with store.begin(1) as tx:
            assert await tx.incidents.resolve(first.incident.id, "U_AGENT", "unlisted")
            resolved.set()
            await go_on.wait()

    agent = asyncio.create_task(resolving())
    await resolved.wait()
    sweep = asyncio.create_task(raise_it(store, caught()))
    await waits_for_a_lock(store)
    go_on.set()
    await agent
    (late,) = await sweep
    assert (late.incident.id, late.opened, late.incident.count) == (first.incident.id, False, 2)
    async with store.read(1) as tx:
        assert await tx.incidents.unresolved() == []


async def test_nothing_caught_opens_nothing(store: Store) -> None:
    assert await raise_it(store, []) == []
    async with store.read(1) as tx:
        assert await tx.incidents.unresolved() == []


async def test_each_cause_and_each_tenant_has_an_incident_of_its_own(store: Store) -> None:
    await raise_it(store, caught())
    await raise_it(store, caught(), cause="route_down:visp")
    await raise_it(store, caught(), tenant=2)
    async with store.read(1) as tx:
        assert {i.cause for i in await tx.incidents.unresolved()} == {CAUSE, "route_down:visp"}
    assert (await only(store, tenant=2)).count == 1


async def test_urgency_once_found_stays(store: Store) -> None:
    await raise_it(store, caught())
    await raise_it(store, caught(), urgent=True)
    await raise_it(store, caught())
    assert (await only(store)).urgent


async def test_an_alarm_without_deliveries_counts_each_time(store: Store) -> None:
    async with store.begin(1) as tx:
        first = await tx.incidents.alarm("recorder", "Results cannot be written")
        second = await tx.incidents.alarm("recorder", "Results cannot be written")
    assert (first.opened, second.opened, second.incident.count) == (True, False, 2)


async def _state(store: Store, state: IncidentState) -> Incident:
    (raised,) = await raise_it(store, caught())
    if state is not IncidentState.OPEN:
        await acknowledge(store, raised.incident, "U_FIRST")
    if state is IncidentState.RESOLVED:
        await resolve(store, raised.incident, "U_FIRST")
    async with store.read(1) as tx:
        found = await tx.incidents.get(raised.incident.id)
    assert found is not None
    assert found.state is state
    return found


AFTER = {
    (IncidentState.OPEN, "acknowledge"): (True, IncidentState.ACKNOWLEDGED),
    (IncidentState.OPEN, "resolve"): (True, IncidentState.RESOLVED),
    (IncidentState.ACKNOWLEDGED, "acknowledge"): (False, IncidentState.ACKNOWLEDGED),
    (IncidentState.ACKNOWLEDGED, "resolve"): (True, IncidentState.RESOLVED),
    (IncidentState.RESOLVED, "acknowledge"): (False, IncidentState.RESOLVED),
    (IncidentState.RESOLVED, "resolve"): (False, IncidentState.RESOLVED),
}


@pytest.mark.parametrize("state", list(IncidentState))
@pytest.mark.parametrize("press", ["acknowledge", "resolve"])
async def test_every_press_in_every_state(store: Store, state: IncidentState, press: str) -> None:
    item = await _state(store, state)
    act = acknowledge if press == "acknowledge" else resolve
    changed = await act(store, item, "U_SECOND")
    async with store.read(1) as tx:
        found = await tx.incidents.get(item.id)
    assert found is not None
    assert (changed, found.state) == AFTER[(state, press)]
    if not changed:
        assert found == item, "a press that comes too late changes nothing"


@pytest.mark.parametrize("state", list(IncidentState))
async def test_a_failure_in_every_state(store: Store, clock: FakeClock, state: IncidentState) -> None:
    item = await _state(store, state)
    clock.advance(minutes=1)
    (raised,) = await raise_it(store, caught(at=clock.now))
    if state is IncidentState.RESOLVED:
        assert raised.opened
        assert raised.incident.id != item.id
        assert raised.incident.earlier_id == item.id
    else:
        assert (raised.opened, raised.incident.id, raised.incident.state) == (False, item.id, state)
        assert raised.incident.count == 2


async def test_who_did_what_is_kept(store: Store, clock: FakeClock) -> None:
    await raise_it(store, caught(3))
    clock.advance(minutes=2)
    await acknowledge(store, await only(store), "U_AGENT")
    clock.advance(minutes=3)
    item = await only(store)
    await resolve(store, item, "U_LEAD", "They took us off the list")
    async with store.read(1) as tx:
        assert await tx.incidents.unresolved() == []
        (found,) = await tx.incidents.recently_resolved(NOW)
        assert await tx.incidents.recently_resolved(clock.now + timedelta(seconds=1)) == []
    assert (found.acknowledged_by, found.acknowledged_count) == ("U_AGENT", 3)
    assert found.acknowledged_at == NOW + timedelta(minutes=2)
    assert (found.resolved_by, found.resolved_at) == ("U_LEAD", NOW + timedelta(minutes=5))
    assert found.note == "They took us off the list"


async def test_what_failed_before_the_resolution_opens_nothing_new(store: Store, clock: FakeClock) -> None:
    """The sweep reads the last minute again and again; and a report may be on its way meanwhile."""
    known = caught(2)
    await raise_it(store, known)
    clock.advance(minutes=1)
    item = await only(store)
    await resolve(store, item)
    (again,) = await raise_it(store, [*known, *caught(1, NOW + timedelta(seconds=30))])
    assert (again.opened, again.incident.id, again.incident.count) == (False, item.id, 3)
    assert again.incident.state is IncidentState.RESOLVED
    both = await raise_it(store, [*known, *caught(1, clock.now + timedelta(seconds=1))])
    assert [(r.opened, r.incident.count) for r in both] == [(False, 3), (True, 1)]
    async with store.read(1) as tx:
        assert await tx.incidents.last_resolved([CAUSE, "never"]) == {CAUSE: clock.now}


async def test_the_on_call_is_texted_each_time_once_and_not_after_acknowledgement(
    store: Store, clock: FakeClock
) -> None:
    await raise_it(store, caught())
    item = await only(store)
    async with store.begin(1) as tx:
        assert [await tx.incidents.texted(item.id, n) for n in (2, 1, 1)] == [False, True, False]
    assert ((await only(store)).texts, (await only(store)).texted_at) == (1, NOW)
    await acknowledge(store, item)
    async with store.begin(1) as tx:
        assert not await tx.incidents.texted(item.id, 2)
        assert await tx.incidents.mark_urgent(item.id)
        assert not await tx.incidents.mark_urgent(item.id)
    await resolve(store, item)


async def test_subscribers_and_deliveries_know_the_unresolved_incidents_that_caught_them(
    store: Store,
) -> None:
    ann, ben = new_id(), new_id()
    one, two = Caught(new_id(), ann, NOW), Caught(new_id(), ann, NOW)
    await raise_it(store, [one, two, *caught(4)])
    await raise_it(store, [Caught(two.delivery_id, ann, NOW)], cause="route_down:visp")
    async with store.read(1) as tx:
        people = await tx.incidents.of_subscribers([ann, ben])
        assert {i.cause for i in people[ann]} == {CAUSE, "route_down:visp"}
        assert people[ben] == []
        of = await tx.incidents.of_deliveries([one.delivery_id, two.delivery_id, new_id()])
        assert of[one.delivery_id].cause == CAUSE
        assert of[two.delivery_id].cause == "route_down:visp", "the newest"
        assert len(of) == 2
        big = of[one.delivery_id]
        assert await tx.incidents.people([big.id]) == {big.id: 5}
        assert len(await tx.incidents.members(big.id, limit=4)) == 4
        assert len(await tx.incidents.members(big.id, offset=4)) == 2
    await resolve(store, big)
    async with store.read(1) as tx:
        assert one.delivery_id not in await tx.incidents.of_deliveries([one.delivery_id])
        assert [i.cause for i in (await tx.incidents.of_subscribers([ann]))[ann]] == ["route_down:visp"]


async def test_what_is_stuck_and_what_got_through_is_read_from_the_deliveries(
    store: Store,
) -> None:
    async with store.begin(1) as tx:
        await outbox().enqueue(tx, draft("waits"))
        assert (await tx.incidents.waiting_for("relay")).count == 1
    item, before = await claimed_delivery(store), NOW - timedelta(seconds=1)
    await raise_it(store, [Caught(item.id, None, NOW)])
    incident = await only(store)
    async with store.read(1) as tx:
        assert (await tx.incidents.stuck(incident.id)).count == 1
        assert not await tx.incidents.got_through(incident.id, before, [Outcome.SENT])
        assert item.notification_id in await tx.incidents.notifications_of(incident.id)
    await record(store, accepted_by(item))
    async with store.read(1) as tx:
        assert (await tx.incidents.stuck(incident.id)).count == 0
        assert await tx.incidents.got_through(incident.id, before, [Outcome.SENT])
        assert not await tx.incidents.got_through(incident.id, before, [Outcome.DELIVERED])
        newest = tx.failed_attempts.newest_successes
        assert await newest(before, [Outcome.SENT]) == [("relay", item.address)]
        assert await newest(NOW, [Outcome.SENT]) == []


async def test_two_processes_that_raise_one_cause_at_once_make_one_incident(
    postgres_url: str, open_store: OpenStore
) -> None:
    stores = [await open_store(postgres_url) for _ in range(4)]
    shares = [caught(50) for _ in stores]
    shares[1][:10] = shares[0][:10]
    results = await asyncio.gather(
        *(
            raise_it(s, share[i : i + 10])
            for s, share in zip(stores, shares, strict=True)
            for i in range(0, 50, 10)
        )
    )
    assert sum(r.opened for (r,) in results) == 1
    assert (await only(stores[0])).count == 190


async def test_a_cause_resolved_while_others_raise_it_loses_no_failure(
    postgres_url: str, open_store: OpenStore, clock: FakeClock
) -> None:
    stores = [await open_store(postgres_url) for _ in range(3)]
    await raise_it(stores[0], caught())
    first = await only(stores[0])
    clock.advance(minutes=1)
    ahead = clock.now + timedelta(minutes=1)
    await asyncio.gather(
        resolve(stores[0], first), *(raise_it(s, caught(5, ahead)) for s in stores for _ in range(4))
    )
    async with stores[0].read(1) as tx:
        everything = [*await tx.incidents.unresolved(), *await tx.incidents.recently_resolved(NOW)]
    assert sum(i.count for i in everything) == 61
    assert sum(i.state is not IncidentState.RESOLVED for i in everything) <= 1
