"""The watchdog on both databases: what no message tells of becomes an incident, once, and ends by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from billing.port import Progress, SyncResult, Unavailable
from billing.systems.local import LocalSystem
from bot.watchdog import SignOfLife
from handlers.workflows.incidents import INCIDENT_SURFACE, text_obstacle
from handlers.workflows.watchdog import BY, PILE, SILENT_S, STILL_S, Watchdog, out_of_band
from store.models import (
    Delivery,
    EventKind,
    EventSource,
    IncidentState,
    NotificationKind,
    Outcome,
    Reason,
    Stage,
    Unmatched,
)
from store.presence import Presence
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, delivery, event, notification, take
from tests.conftest import FakeClock
from tests.contracts.test_oncall_watch import services_on
from tests.unit.handlers.support import profile


class Dog:
    """A watchdog whose real time a test moves."""

    def __init__(self, store: Store) -> None:
        self.store, self.now = store, 0.0
        self.dog = Watchdog(services_on(store), 1, lambda: self.now)

    async def looks(self, after_s: float = 0.0) -> list[str]:
        """What is told after two looks, the second `after_s` later."""
        for _ in range(2):
            told = [trouble.cause.key for trouble in await self.dog.look()]
            self.now += after_s
        return told

    async def open(self) -> list[str]:
        async with self.store.read(1) as tx:
            return sorted(incident.cause for incident in await tx.incidents.unresolved())


async def worker_runs(store: Store, skew_ms: int = 0, name: str = "m1/worker/1/2/3") -> None:
    async with store.system() as tx:
        await tx.processes.seen(name, "worker", skew_ms)


async def due(store: Store, *addresses: str, **more: object) -> list[Delivery]:
    items = [delivery(address, route="visp", **more) for address in addresses]
    async with store.begin(1) as tx:
        await tx.deliveries.add(items)
    return items


@pytest.fixture
async def dog(store: Store) -> Dog:
    await worker_runs(store)
    return Dog(store)


async def test_without_a_worker_somebody_is_told_once_and_it_ends_when_one_is_back(dog: Dog) -> None:
    async with dog.store.system() as tx:
        await tx.processes.gone("m1/worker/1/2/3")
    assert await dog.looks() == [], "whoever has just begun waits for a sign"
    dog.now = SILENT_S
    for _ in range(2):
        assert await dog.looks() == ["no_worker"]
    async with dog.store.read(1) as tx:
        (incident,) = await tx.incidents.unresolved()
        posts = await tx.posts.of(INCIDENT_SURFACE, str(incident.id))
    assert (incident.urgent, incident.count, len(posts)) == (True, 1, 1)
    assert text_obstacle(incident, profile()), "the text would wait for the worker"
    await worker_runs(dog.store)
    await dog.looks()
    async with dog.store.read(1) as tx:
        after = await tx.incidents.get(incident.id)
    assert after is not None
    assert (after.state, after.resolved_by) == (IncidentState.RESOLVED, BY)


async def test_work_that_is_due_and_does_not_move_is_told_and_whatever_moves_ends_it(dog: Dog) -> None:
    first, _ = await due(dog.store, "a@a.example", "b@a.example")
    assert await dog.looks() == []
    dog.now += STILL_S
    assert await dog.looks() == ["stalled:visp"]
    assert await dog.open() == ["stalled:visp"]
    async with dog.store.system() as tx:
        await take(
            tx,
            route="visp",
            limit=1,
            worker="w",
            lease_s=30,
            retry_at=NOW,
        )
    assert await dog.looks() == []
    assert await dog.open() == []
    dog.now += STILL_S
    assert await dog.looks() == ["stalled:visp"], "a worker that hangs with one in its hands is told as well"
    assert first.stage is Stage.QUEUED


async def test_what_is_held_put_off_or_under_way_is_no_standstill(dog: Dog) -> None:
    await due(dog.store, "held@a.example", stage=Stage.HELD, stage_by="run:x", stage_reason="paused")
    await due(dog.store, "later@a.example", due_at=NOW + timedelta(hours=8))
    for _ in range(3):
        dog.now += STILL_S
        assert await dog.looks() == []


async def test_a_long_run_that_is_being_sent_is_no_standstill(dog: Dog) -> None:
    """Its oldest message waits for hours, and each look finds it shorter."""
    await due(dog.store, *(f"a{n}@a.example" for n in range(8)))
    for _ in range(3):
        dog.now += STILL_S
        async with dog.store.system() as tx:
            await take(
                tx,
                route="visp",
                limit=2,
                worker="w",
                lease_s=30,
                retry_at=NOW,
            )
        assert [t.cause.key for t in await dog.dog.look()] == []


async def test_a_machine_whose_clock_is_wrong_is_named_until_it_is_right(dog: Dog) -> None:
    await worker_runs(dog.store, skew_ms=-61_000, name="m2/bot/1/2/3")
    assert await dog.looks(STILL_S) == ["clock_skew:m2"]
    await worker_runs(dog.store, skew_ms=12, name="m2/bot/1/2/3")
    await dog.looks()
    assert await dog.open() == []


async def test_reports_that_pile_up_unmatched_are_told(dog: Dog, clock: FakeClock) -> None:
    async with dog.store.begin(1) as tx:
        for n in range(PILE):
            await tx.orphans.keep(
                source=EventSource.DSN,
                recipient=f"a{n}@a.example",
                envelope_to="b@mail.cascade.example",
                summary="550",
                raw=b"x",
                why=Unmatched.NO_TOKEN,
            )
    assert await dog.looks(STILL_S) == ["orphans"]
    clock.advance(days=2)
    await dog.looks()
    assert await dog.open() == []


@pytest.mark.parametrize(
    ("accepted", "refused", "all_accepted", "all_refused", "told"),
    [
        (60, 40, 5060, 90, True),  # 1% before, 40% now
        (98, 2, 5098, 52, False),  # as ever
        (85, 15, 900, 115, False),  # 10% before, 15% now
        (92, 8, 5092, 8, False),  # nothing before, 8% now: under the floor
        (10, 15, 5010, 15, False),  # too few lately
        (60, 40, 150, 41, False),  # too few before
    ],
)
def test_a_share_of_failures_counts_against_what_was_usual(
    accepted: int, refused: int, all_accepted: int, all_refused: int, told: bool
) -> None:
    assert out_of_band(accepted, refused, all_accepted, all_refused) is told


async def test_a_route_that_fails_far_more_than_usual_is_told(dog: Dog) -> None:
    made = 0
    for age, accepted, refused in ((timedelta(days=1), 250, 2), (timedelta(minutes=5), 30, 20)):
        rows = [(Outcome.SENT, Reason.NONE)] * accepted + [(Outcome.BOUNCED, Reason.RECIPIENT)] * refused
        items, events = [], []
        for outcome, reason in rows:
            at, made = NOW - age, made + 1
            notice = notification(kind=NotificationKind.INVOICE_ISSUED, created_at=at)
            item = delivery(
                f"a{made}@a.example",
                id=new_id(),
                notification_id=notice.id,
                route="visp",
                stage=Stage.CLOSED,
                outcome=outcome,
                reason=reason,
                outcome_at=at,
                created_at=at,
            )
            items.append((notice, item))
            if outcome is Outcome.BOUNCED:
                events.append((1, event(item.id, EventKind.BOUNCED, at=at, recorded_at=at)))
        async with dog.store.begin(1) as tx:
            tx.now = NOW - age
            await tx.notifications.add([notice for notice, _ in items])
            await tx.deliveries.add([item for _, item in items])
            await tx.events.append(events)
    assert await dog.looks() == ["failure_band:visp"]


async def test_an_alert_that_somebody_else_raised_is_not_its_own_to_end(dog: Dog) -> None:
    async with dog.store.begin(1) as tx:
        await tx.incidents.alarm("ledger_gap:March", "The run March ended with a gap in its ledger")
    await dog.looks(STILL_S)
    await dog.looks(STILL_S)
    assert await dog.open() == ["ledger_gap:March"]


async def test_a_sign_of_life_tells_its_role_and_its_clock(store: Store) -> None:
    sign = SignOfLife(store, Presence.mine("bot-worker"))
    await sign.give()
    await sign.give()
    async with store.read(1) as tx:
        (process,) = await tx.processes.alive(5)
        assert (process.works, abs(process.skew_ms) < 2_000) == (True, True)
        assert await tx.processes.alive(-60) == []


class Remote(LocalSystem):
    """A system that is followed every quarter of an hour."""

    every = (timedelta(minutes=15), timedelta(days=1))
    webhook_secret = ""

    async def sync(self, *, full: bool, progress: Progress | None = None) -> SyncResult | Unavailable:
        raise NotImplementedError

    async def heard(self, event_id: str) -> str:
        raise NotImplementedError


async def test_a_billing_system_that_is_not_followed_any_more_is_told_until_it_is_again(
    dog: Dog, clock: FakeClock
) -> None:
    services = replace(services_on(dog.store), billing={1: Remote(dog.store, 1)})
    dog.dog = Watchdog(services, 1, lambda: dog.now)
    assert await dog.looks(STILL_S) == [], "nobody has begun"
    async with dog.store.begin(1) as tx:
        await tx.billing_sync.begin(full=True, section="clients")
        await tx.billing_sync.done(full=True, started_at=tx.now)
    clock.advance(minutes=60)
    assert await dog.looks() == []
    clock.advance(minutes=1)
    assert await dog.looks() == ["billing_stale"]
    async with dog.store.begin(1) as tx:
        await tx.billing_sync.done(full=False, started_at=tx.now)
    assert await dog.looks() == []
    assert "billing_stale" not in await dog.open()
