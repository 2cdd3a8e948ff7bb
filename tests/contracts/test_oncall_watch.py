"""The on-call watch at scale and among processes: one alert, the right count, nobody kept waiting."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from handlers.contract import Services
from handlers.workflows.incidents import INCIDENT_SURFACE
from handlers.workflows.oncall import Watch
from notifier.mailauth import StaticResolver
from notifier.tracking import Report
from store.models import Delivery, EventKind, EventSource, Incident, NotificationKind, Priority, Reason, Stage
from store.repository import batched
from store.types import new_id
from store.unit import Store
from tests.builders import KEYRING, NOW, delivery, event, notification, outbox
from tests.conftest import FakeClock, OpenStore
from tests.contracts.attempts import record
from tests.unit.handlers.support import profile

BOUNCES = 10_000


def services_on(store: Store) -> Services:
    return Services(
        store=store,
        outbox=outbox(),
        resolver=StaticResolver({}),
        tenants={1: profile()},
        specs=[],
        keyring=KEYRING,
    )


async def handed_over(store: Store, count: int, domain: str = "bigmail.example") -> list[Delivery]:
    """So many messages that a relay has taken, each of a subscriber of its own."""
    made: list[Delivery] = []
    for batch in batched(range(count), 1000):
        notices = [
            notification(kind=NotificationKind.INVOICE_ISSUED, subscriber_id=new_id(), priority=Priority.BULK)
            for _ in batch
        ]
        items = [
            delivery(
                f"a{n}@{domain}",
                notification_id=notice.id,
                stage=Stage.AWAITING,
                attempt=1,
                route="visp",
                due_at=NOW + timedelta(hours=72),
            )
            for n, notice in zip(batch, notices, strict=True)
        ]
        async with store.begin(1) as tx:
            await tx.notifications.add(notices)
            await tx.deliveries.add(items)
        made += items
    return made


def bounce(item: Delivery, **more: Any) -> Report:
    fields: dict[str, Any] = {
        "source": EventSource.DSN,
        "cls": "blocked_reputation",
        "reason": Reason.INFRASTRUCTURE,
        "remote": "mx1.bigmail.example",
        "diagnostic": "550 5.7.1 not trusted",
    }
    return Report(1, event(item.id, EventKind.BOUNCED, **(fields | more)))


async def only(store: Store) -> Incident:
    async with store.read(1) as tx:
        (found,) = await tx.incidents.unresolved()
    return found


async def alerts(store: Store, incident: UUID) -> list[int]:
    """The wanted revision of each post about it: how many messages, and how often they may be edited."""
    async with store.read(1) as tx:
        return [post.wanted for post in await tx.posts.of(INCIDENT_SURFACE, str(incident))]


DEAD: dict[str, Any] = {"cls": "mailbox_disabled", "reason": Reason.RECIPIENT}


@pytest.mark.parametrize(("count", "fields"), [(BOUNCES, {}), (2_000, DEAD)], ids=["ours", "burst"])
async def test_ten_thousand_bounces_make_one_alert(
    store: Store, clock: FakeClock, count: int, fields: dict[str, Any]
) -> None:
    items = await handed_over(store, count)
    watch, sweeps = Watch(services_on(store), 1), 0
    for batch in batched(items, 500):
        await record(store, *(bounce(item, **fields) for item in batch))
        clock.advance(seconds=1)
        if sweeps % 2 == 0 or batch[-1] is items[-1]:
            await watch.sweep()
        sweeps += 1
    found = await only(store)
    assert found.count == count
    (wanted,) = await alerts(store, found.id)
    assert wanted <= sweeps + 2, "edited once a sweep, not once a bounce"
    async with store.read(1) as tx:
        assert await tx.incidents.people([found.id]) == {found.id: count}
        assert len(await tx.incidents.members(found.id, limit=20)) == 20


async def test_two_workers_that_watch_at_once_count_each_failure_once(
    postgres_url: str, postgres_store: Store, open_store: OpenStore
) -> None:
    stores = [postgres_store, await open_store(postgres_url), await open_store(postgres_url)]
    watches = [Watch(services_on(each), 1) for each in stores]
    items = await handed_over(postgres_store, 600)

    async def report(part: Sequence[Delivery]) -> None:
        for batch in batched(part, 50):
            await record(postgres_store, *(bounce(item) for item in batch))

    async def look(watch: Watch) -> None:
        for _ in range(8):
            await watch.sweep()

    await asyncio.gather(report(items), *(look(watch) for watch in watches))
    for watch in watches:
        await watch.sweep()
    found = await only(postgres_store)
    assert found.count == 600
    assert len(await alerts(postgres_store, found.id)) == 1


async def test_while_another_process_adds_up_nobody_waits_for_it(
    postgres_url: str, postgres_store: Store, open_store: OpenStore
) -> None:
    other = await open_store(postgres_url)
    items = await handed_over(postgres_store, 3)
    await record(postgres_store, *(bounce(item) for item in items))
    watch = Watch(services_on(other), 1)
    async with postgres_store.begin(1) as tx:
        await tx.failed_attempts.take_turn(NOW)
    async with postgres_store.begin(1) as tx:
        assert await tx.failed_attempts.take_turn(NOW) == NOW
        # In a context of its own: this task holds a transaction open.
        sweep = asyncio.get_running_loop().create_task(watch.sweep(), context=contextvars.Context())
        assert await asyncio.wait_for(sweep, 10) == 0
    assert await watch.sweep() == 3


async def test_a_failure_that_is_committed_after_a_later_one_was_seen_is_not_missed(
    postgres_url: str, postgres_store: Store, open_store: OpenStore, clock: FakeClock
) -> None:
    """Recorded at 9:00:00 in a transaction that stays open while one of 9:00:20 is seen."""
    other = await open_store(postgres_url)
    early, late = await handed_over(postgres_store, 2)
    watch = Watch(services_on(other), 1)

    async def meanwhile() -> None:
        await record(other, bounce(late))
        await watch.sweep()
        assert (await only(other)).count == 1

    async with postgres_store.begin(1) as tx:
        await tx.events.append([(1, bounce(early).event)])
        clock.advance(seconds=20)
        await asyncio.get_running_loop().create_task(meanwhile(), context=contextvars.Context())
    clock.advance(seconds=20)
    await watch.sweep()
    found = await only(postgres_store)
    assert found.count == 2
