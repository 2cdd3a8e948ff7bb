"""Breakers at work, on both databases: what is held, who probes, what is let go, what goes another way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from notifier.admission import Wish
from notifier.bounces import BounceClass, BounceVerdict, Fault
from notifier.breaker import FIRST_PROBE, PROBE_SETTLES, ROUTE_PROBE, THRESHOLD, WHOLE_ROUTE, by_of
from notifier.breaking import Breaking, count_reports
from notifier.channels import Accepted, Deferred, Refused, Route, SubmitOutcome, email_smtp
from notifier.failover import TRIED_FIRST, Trial
from notifier.mx import Destination, MailHosts
from notifier.way import Way
from store.breakers import BreakerRow
from store.models import (
    Channel,
    Delivery,
    EventKind,
    EventSource,
    FailedAttempt,
    NotificationKind,
    Priority,
    Reason,
    Stage,
)
from store.types import new_id
from store.unit import Store
from tests.builders import DOMAIN, draft, outbox, take
from tests.conftest import FakeClock

BLOCKED = Refused(
    "mx",
    "550",
    "5.7.606",
    "Access denied, banned sending IP",
    BounceVerdict(BounceClass.BLOCKED_REPUTATION, hard=False, fault=Fault.OURS, permanent=True),
)
TAKEN = Accepted("mx", "250 2.0.0 OK", "q1")
DOWN = Deferred("own", "", "", "no connection", route_down=True)
HOSTED = {"firm.example": ("firm-example.mail.protection.outlook.com",), "farm.example": ("mx.farm.example",)}


async def _destination(domain: str) -> Destination:
    hosts = HOSTED.get(domain)
    return Destination(MailHosts.FOUND, hosts) if hosts else Destination(MailHosts.UNKNOWN)


def _way(kind: str = "direct", name: str = "own") -> Way:
    def never(*_: Any) -> Any:
        raise AssertionError("nothing is sent here")

    route = Route(
        name,
        "relay" if kind == "relay" else "direct",
        "",
        25,
        "verp",
        DOMAIN[1],
        "billing@cascade.example",
        "Cascade",
    )
    return Way(1, route, email_smtp.CHANNEL, never, EventSource.SMTP)


def _breaking(store: Store, failover: Mapping[tuple[int, str], str] | None = None) -> Breaking:
    return Breaking(store, failover=failover, destinations=_destination)


async def _queue(
    store: Store, *addresses: str, route: str = "own", priority: Priority = Priority.BULK, **more: Any
) -> list[Delivery]:
    async with store.begin(1) as tx:
        made = await outbox().enqueue(
            tx, draft(f"k{addresses[0]}", *addresses, priority=priority, route=route, **more)
        )
        found = (await tx.deliveries.of_notifications([made.notification_id]))[made.notification_id]
    order = {address: number for number, address in enumerate(addresses)}
    return sorted(found, key=lambda d: order[d.address])


async def _hold(store: Store, breaking: Breaking, way: Way, items: Sequence[Delivery]) -> set[str]:
    """Claims these, asks, and puts aside what is held; the addresses that are."""
    async with store.system() as tx:
        claimed = await take(
            tx,
            route=way.route.name,
            limit=1000,
            worker="w1",
            lease_s=30,
            retry_at=tx.now + timedelta(seconds=30),
        )
    mine = {item.id for item in items}
    wishes = [Wish(d) for d in claimed if d.id in mine]
    held = await breaking.hold(way, wishes)
    async with store.system() as tx:
        for wish in wishes:
            if wish.delivery.id in held:
                decision = held[wish.delivery.id]
                await tx.deliveries.hold(wish.delivery, reason=decision.sentence, by=decision.by)
    return {wish.delivery.address for wish in wishes if wish.delivery.id in held}


async def _tell(breaking: Breaking, way: Way, item: Delivery, outcome: SubmitOutcome, times: int = 1) -> None:
    for _ in range(times):
        breaking.ended(way, item, outcome)
    await breaking.tend([1])


async def _row(store: Store, route: str, operator: str) -> BreakerRow:
    async with store.read(1) as tx:
        return next(r for r in await tx.breakers.all() if (r.route, r.operator) == (route, operator))


async def _stages(store: Store, items: Sequence[Delivery]) -> list[Stage]:
    async with store.read(1) as tx:
        found = await tx.deliveries.get_many([item.id for item in items])
    return [found[item.id].stage for item in items]


async def test_an_operator_that_refuses_us_has_its_mail_held_and_nobody_elses(store: Store) -> None:
    """A firm whose mail Microsoft hosts counts as Microsoft; urgent mail goes on."""
    breaking, way = _breaking(store), _way()
    first = (await _queue(store, "a@outlook.com"))[0]
    await _tell(breaking, way, first, BLOCKED, THRESHOLD)
    items = await _queue(store, "b@outlook.com", "c@firm.example", "d@farm.example", "e@gmail.com")
    await breaking.hold(way, [Wish(item) for item in items])  # now it knows whose domains to look up
    await breaking.tend([1])
    assert await _hold(store, breaking, way, items) == {"b@outlook.com", "c@firm.example"}
    urgent = await _queue(store, "f@outlook.com", priority=Priority.URGENT)
    assert await _hold(store, breaking, way, urgent) == set()
    async with store.read(1) as tx:
        assert await tx.lines.held_by("breaker:") == {by_of("own", "Microsoft"): 2}
        held = await tx.deliveries.get(items[0].id)
    assert held is not None
    assert held.stage_reason == (
        "Held: Microsoft refuses our mail server. "
        "One mail at a time tries it; the rest goes when that gets through"
    )


async def test_one_worker_probes_and_its_success_lets_all_of_it_go(store: Store, clock: FakeClock) -> None:
    first, second, way = _breaking(store), _breaking(store), _way()
    items = await _queue(store, *(f"n{n}@outlook.com" for n in range(6)))
    await _tell(first, way, items[0], BLOCKED, THRESHOLD)
    await second.tend([1])
    assert len(await _hold(store, second, way, items)) == 6
    clock.advance(FIRST_PROBE * 1.3)
    await first.tend([1])
    await second.tend([1])
    stages = await _stages(store, items)
    assert stages.count(Stage.QUEUED) == 1
    probe = items[stages.index(Stage.QUEUED)]
    assert await _hold(store, second, way, [probe]) == set()
    late = await _queue(store, "late@outlook.com")
    assert await _hold(store, first, way, late) == {"late@outlook.com"}
    await _tell(second, way, probe, TAKEN)
    assert (await _row(store, "own", "Microsoft")).state == "closed"
    assert set(await _stages(store, [i for i in items if i is not probe] + late)) == {Stage.QUEUED}


async def test_a_refused_probe_keeps_the_rest_and_waits_longer(store: Store, clock: FakeClock) -> None:
    breaking, way = _breaking(store), _way()
    items = await _queue(store, *(f"n{n}@outlook.com" for n in range(3)))
    await _tell(breaking, way, items[0], BLOCKED, THRESHOLD)
    clock.advance(FIRST_PROBE * 1.3)
    held = await _hold(store, breaking, way, items)  # nothing was held yet: the first that comes probes
    probe = next(item for item in items if item.address not in held)
    assert len(held) == 2
    await _tell(breaking, way, probe, BLOCKED)
    row = await _row(store, "own", "Microsoft")
    assert (row.state, row.probes) == ("open", 1)
    assert row.probe_at is not None
    assert row.probe_at >= clock() + FIRST_PROBE * 2


async def test_a_hold_that_came_too_late_is_let_go_again(store: Store) -> None:
    """Its worker had not heard yet that the breaker was closed."""
    breaking = _breaking(store)
    items = await _queue(store, "a@outlook.com")
    async with store.system() as tx:
        claimed = await take(
            tx,
            route="own",
            limit=1,
            worker="w1",
            lease_s=30,
            retry_at=tx.now,
        )
        await tx.deliveries.hold(claimed[0], reason="Held", by=by_of("own", "Microsoft"))
    await breaking.tend([1])
    assert await _stages(store, items) == [Stage.QUEUED]


def _report(item: Delivery) -> FailedAttempt:
    return FailedAttempt(
        event_id=new_id(),
        delivery_id=item.id,
        notification_id=item.notification_id,
        subscriber_id=None,
        notification_kind=NotificationKind.INVOICE_ISSUED,
        channel=Channel.EMAIL,
        address=item.address,
        route=item.route,
        priority=item.priority,
        kind=EventKind.BOUNCED,
        source=EventSource.DSN,
        reason=Reason.POLICY,
        cls=BounceClass.BLOCKED_REPUTATION,
        hard=False,
        reply_code="550",
        status="5.7.606",
        diagnostic="Access denied",
        remote="outlook.com",
        recorded_at=item.created_at,
    )


async def test_behind_a_relay_reports_speak_and_silence_after_a_probe_closes(
    store: Store, clock: FakeClock
) -> None:
    breaking, way = _breaking(store), _way("relay", "visp")
    items = await _queue(store, *(f"n{n}@outlook.com" for n in range(THRESHOLD + 2)), route="visp")
    async with store.begin(1) as tx:
        await count_reports(tx, [_report(item) for item in items[:THRESHOLD]])
    await breaking.tend([1])
    assert len(await _hold(store, breaking, way, items[:1])) == 1
    clock.advance(FIRST_PROBE * 1.3)
    await breaking.tend([1])
    await _tell(breaking, way, items[0], TAKEN)
    assert (await _row(store, "visp", "Microsoft")).state == "half_open"
    clock.advance(PROBE_SETTLES)
    await breaking.tend([1])
    assert (await _row(store, "visp", "Microsoft")).state == "closed"


async def _dead_route(store: Store, breaking: Breaking, count: int) -> list[Delivery]:
    """`own` is dead, and so many mails are held for it."""
    items = await _queue(store, *(f"n{n:02}@gmail.com" for n in range(count)))
    await _tell(breaking, _way(), items[0], DOWN, THRESHOLD)
    assert len(await _hold(store, breaking, _way(), items)) == count
    return items


async def _moved(store: Store, items: Sequence[Delivery]) -> list[Delivery]:
    async with store.read(1) as tx:
        found = await tx.deliveries.get_many([item.id for item in items])
    return [d for d in found.values() if d.route == "visp"]


async def test_failover_begins_with_five_and_goes_on_when_they_were_accepted(
    store: Store, clock: FakeClock
) -> None:
    breaking = _breaking(store, {(1, "own"): "visp"})
    items = await _dead_route(store, breaking, 12)
    await breaking.tend([1])
    await breaking.tend([1])
    first = await _moved(store, items)
    assert len(first) == TRIED_FIRST
    assert {d.stage_by for d in first} == {"failover:own"}
    for item in first:
        breaking.ended(_way("relay", "visp"), item, TAKEN)
    await breaking.tend([1])
    assert (await _row(store, "own", ">visp")).state == Trial.GOING
    assert len(await _moved(store, items)) == 12
    clock.advance(ROUTE_PROBE * 1.3)  # and back, when the route lives again
    fresh = await _queue(store, "late@gmail.com")
    assert await _hold(store, breaking, _way(), fresh) == set()
    await _tell(breaking, _way(), fresh[0], TAKEN)
    assert (await _row(store, "own", WHOLE_ROUTE)).state == "closed"
    await breaking.tend([1])
    assert (await _row(store, "own", ">visp")).state == Trial.CLOSED


async def test_failover_stops_with_the_first_of_the_five_that_is_refused(store: Store) -> None:
    breaking = _breaking(store, {(1, "own"): "visp"})
    items = await _dead_route(store, breaking, 12)
    await breaking.tend([1])
    first = await _moved(store, items)
    for item in first[:4]:
        breaking.ended(_way("relay", "visp"), item, TAKEN)
    breaking.ended(_way("relay", "visp"), first[4], BLOCKED)
    await breaking.tend([1])
    await breaking.tend([1])
    assert (await _row(store, "own", ">visp")).state == Trial.REFUSED
    assert len(await _moved(store, items)) == TRIED_FIRST


async def test_a_trial_of_a_dead_route_does_not_go_by_another_one(store: Store) -> None:
    """Its card would say that the dead route delivers."""
    breaking = _breaking(store, {(1, "own"): "visp"})
    await _dead_route(store, breaking, 2)
    trial = await _queue(
        store, "ours@box.example", priority=Priority.URGENT, kind=NotificationKind.TRIAL, language="en"
    )
    assert await _hold(store, breaking, _way(), trial) == {"ours@box.example"}
    await breaking.tend([1])
    await breaking.tend([1])
    assert await _moved(store, trial) == []
    assert (await _row(store, "own", ">visp")).probes == 2


async def test_without_another_route_a_dead_one_holds_urgent_mail_too(store: Store) -> None:
    breaking = _breaking(store)
    await _dead_route(store, breaking, 2)
    urgent = await _queue(store, "u@gmail.com", priority=Priority.URGENT)
    assert await _hold(store, breaking, _way(), urgent) == {"u@gmail.com"}


async def test_what_a_breaker_holds_goes_when_its_route_is_taken_out_of_the_configuration(
    store: Store,
) -> None:
    """Nobody probes a route that is gone: what it held would wait for its end and go out of date."""
    breaking, way = _breaking(store), _way()
    items = await _queue(store, *(f"n{n}@outlook.com" for n in range(4)))
    await _tell(breaking, way, items[0], DOWN, THRESHOLD)
    assert len(await _hold(store, breaking, way, items)) == 4
    async with store.system() as tx:  # as a worker does when it starts (notifier.worker)
        assert await tx.deliveries.reroute(1, Channel.EMAIL, ["relay"], "relay") == 4
        assert await tx.breakers.forget_others(1, ["relay"]) == 1
    await breaking.tend([1])
    assert await _stages(store, items) == [Stage.QUEUED] * 4
    async with store.read(1) as tx:
        assert await tx.lines.held_by("breaker:") == {}
