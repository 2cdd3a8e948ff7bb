"""The sums behind /isp mail: right on both databases, and along their indexes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from store.incidents import Caught
from store.models import (
    ABOUT_NOBODY,
    Bounces,
    Channel,
    EventKind,
    EventSource,
    NotificationKind,
    Outcome,
    Reason,
    RouteCounts,
    Stage,
)
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, delivery, event, notification
from tests.conftest import FakeClock

DAY = timedelta(days=1)


async def made(store: Store, address: str, **more: Any) -> UUID:
    """A closed e-mail on route `visp`, made now."""
    async with store.begin(more.get("tenant", 1)) as tx:
        kind = more.pop("of_kind", NotificationKind.INVOICE_ISSUED)
        notice = notification(subscriber_id=new_id(), kind=kind)
        fields: dict[str, Any] = {
            "notification_id": notice.id,
            "tenant": tx.tenant,
            "route": "visp",
            "stage": Stage.CLOSED,
            "attempt": 1,
            "created_at": tx.now,
            "outcome_at": tx.now,
        }
        item = delivery(address, **(fields | more))
        await tx.notifications.add([notice])
        await tx.deliveries.add([item])
    return item.id


async def learn(store: Store, item: UUID, kind: EventKind, tenant: int = 1, **more: Any) -> None:
    async with store.begin(tenant) as tx:
        key = f"{kind}:{tx.now.timestamp()}"
        fields: dict[str, Any] = {"at": tx.now, "key": key, "source": EventSource.SMTP}
        await tx.events.append([(tenant, event(item, kind, **(fields | more)))])


async def test_a_route_s_day_counts_each_mail_once_and_remembers_the_last_of_each_kind(
    store: Store, clock: FakeClock
) -> None:
    clock.advance(days=-10)
    await made(store, "old@inbox.example", outcome=Outcome.SENT)
    clock.advance(days=8)
    slow = await made(store, "slow@inbox.example", stage=Stage.QUEUED, outcome_at=None)
    earlier = clock.now
    await made(store, "b@inbox.example", outcome=Outcome.DELIVERED)
    clock.advance(days=2)
    for n in range(3):
        await made(store, f"a{n}@inbox.example", outcome=Outcome.SENT)
    gone = await made(store, "Gone@Cedar.example", outcome=Outcome.BOUNCED)
    await learn(store, gone, EventKind.BOUNCED, cls="no_such_user", reason=Reason.RECIPIENT)
    clock.advance(minutes=1)
    await learn(store, gone, EventKind.BOUNCED, cls="no_such_user", reason=Reason.RECIPIENT)
    await learn(store, slow, EventKind.DEFERRED, cls="rate_limited", reason=Reason.POLICY)
    text = await made(store, "+15415550142", channel=Channel.SMS, outcome=Outcome.FAILED)
    await learn(store, text, EventKind.FAILED, cls="sms_dead")
    await made(store, "x@inbox.example", tenant=2, outcome=Outcome.SENT)
    async with store.read(1) as tx:
        found = await tx.mail_health.routes(["visp", "own"], NOW - DAY)
        all_of_it = await tx.mail_health.routes(["visp"], earlier)
    assert found["own"] == RouteCounts()
    assert found["visp"] == RouteCounts(
        accepted=3,
        refused=1,
        put_off=1,
        waiting=1,
        last_success=NOW,
        last_failure=clock.now,
        last_cls="no_such_user",
        last_reason=Reason.RECIPIENT,
        last_domain="cedar.example",
    )
    assert all_of_it["visp"].accepted == 4


async def test_bounces_are_counted_by_day_domain_and_class(store: Store, clock: FakeClock) -> None:
    edges = [NOW - 2 * DAY, NOW - DAY, NOW]
    clock.advance(days=-3)
    before = await made(store, "a@inbox.example", outcome=Outcome.BOUNCED)
    await learn(store, before, EventKind.BOUNCED, cls="mailbox_full")
    clock.advance(days=1)
    for n in range(2):
        item = await made(store, f"a{n}@Inbox.Example", outcome=Outcome.BOUNCED)
        await learn(store, item, EventKind.BOUNCED, cls="mailbox_full")
        clock.advance(seconds=1)
        await learn(store, item, EventKind.BOUNCED, cls="mailbox_full")  # told again: still one mail
        await learn(store, item, EventKind.DEFERRED, cls="rate_limited")
    clock.advance(days=2)
    other = await made(store, "a@cedar.example", outcome=Outcome.FAILED)
    await learn(store, other, EventKind.FAILED, reason=Reason.CONFIG)
    foreign = await made(store, "a@cedar.example", tenant=2, outcome=Outcome.BOUNCED)
    await learn(store, foreign, EventKind.BOUNCED, tenant=2, cls="mailbox_full")
    async with store.read(1) as tx:
        found = await tx.mail_health.bounces(edges)
    assert sorted(found, key=lambda b: b.day) == [
        Bounces(0, "inbox.example", "mailbox_full", 2),
        Bounces(2, "cedar.example", "", 1),
    ]


async def test_an_incident_knows_the_routes_of_what_it_caught(store: Store) -> None:
    items = [await made(store, "a@x.example"), await made(store, "b@x.example", route="own")]
    async with store.begin(1) as tx:
        (raised,) = await tx.incidents.raise_or_count(
            "blocked_reputation:x.example", "x", [Caught(item, None, NOW) for item in items]
        )
        empty = new_id()
        found = await tx.mail_health.routes_of([raised.incident.id, empty])
    assert found == {raised.incident.id: ["own", "visp"], empty: []}


async def test_what_becomes_of_our_own_tests_and_letters_is_no_trouble_of_a_route(store: Store) -> None:
    for kind in ABOUT_NOBODY:
        ours = await made(store, "me@inbox.example", outcome=Outcome.BOUNCED, of_kind=kind)
        await learn(store, ours, EventKind.BOUNCED, cls="blocked_auth", reason=Reason.INFRASTRUCTURE)
    async with store.read(1) as tx:
        found = await tx.mail_health.routes(["visp"], NOW - DAY)
        bounces = await tx.mail_health.bounces([NOW - DAY, NOW])
    assert found["visp"] == RouteCounts()
    assert bounces == []
