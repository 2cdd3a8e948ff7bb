"""The plain way of recording hand-overs in batches, held against the general way: row for row the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import Context
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from notifier import tracking
from notifier.tracking import FOLLOWED_BY, RUN_SURFACE, Report
from store.models import Confidence, Delivery, EventKind, Notification, Priority
from store.types import new_id
from store.unit import Store
from tests.builders import draft, outbox
from tests.contracts.attempts import accepted_by, claim, hard_bounce, record, reported, said
from tests.contracts.sending import eventually

RUN = new_id()


async def _situations(store: Store, world: str) -> list[Report]:
    """Reports of every sort in one batch, each about a delivery in another situation; the same every time."""
    reports: list[Report] = []

    async def one(name: str, **more: Any) -> tuple[Delivery, Notification]:
        async with store.begin(1) as tx:
            address = f"{name}@{world}.example"
            queued = await outbox().enqueue(tx, draft(f"{world}:{name}", address, **more))
            await tx.posts.want("delivery", str(queued.notification_id), f"C-{name}")
            notification = await tx.notifications.get(queued.notification_id)
        assert notification is not None
        return await claim(store), notification

    def told(of: tuple[Delivery, Notification], report: Report) -> None:
        reports.append(replace(report, about=of, content_hash="a" * 64, queue_id="Q1"))

    fresh = await one("fresh")
    told(fresh, accepted_by(fresh[0], diagnostic="250 ok\x00" + "x" * 3000, remote="r" * 300, took_ms=7))
    server = await one("server")
    told(server, accepted_by(server[0], Confidence.ACCEPTED_BY_SERVER))
    bulk = await one("bulk", priority=Priority.BULK, run_id=RUN)
    told(bulk, accepted_by(bulk[0]))
    followed = await one("followed", context={**draft().context, FOLLOWED_BY: ["incident", world]})
    told(followed, accepted_by(followed[0]))
    failed = await one("failed")
    told(failed, said(failed[0], EventKind.FAILED, diagnostic="550 no"))
    delayed = await one("delayed")
    await record(store, reported(delayed[0], EventKind.DELAYED))
    told(delayed, accepted_by(delayed[0]))
    bounced = await one("bounced")
    await record(store, hard_bounce(bounced[0]))
    told(bounced, accepted_by(bounced[0]))
    known = await one("known")
    await record(store, accepted_by(known[0]))
    told(known, accepted_by(known[0]))
    twice = await one("twice")
    told(twice, accepted_by(twice[0]))
    told(twice, accepted_by(twice[0]))
    lost = await one("lost")
    await record(store, said(lost[0], EventKind.IN_DOUBT))
    told(lost, accepted_by(lost[0]))
    other = accepted_by(fresh[0])
    reports.append(replace(other, about=fresh, event=replace(other.event, delivery_id=new_id())))
    return reports


async def _rows(store: Store, world: str) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Deliveries, events and cards of one world, without what tells one world from the other."""
    own = {"id", "notification_id", "address", "message_id", "delivery_id", "key"}
    asked = {
        "deliveries": "SELECT * FROM deliveries WHERE address LIKE :like ORDER BY address",
        "events": "SELECT e.*, e.key AS said FROM events e JOIN deliveries d ON d.id = e.delivery_id "
        "WHERE d.address LIKE :like ORDER BY d.address, e.key",
        "posts": "SELECT p.surface, p.channel, p.wanted FROM posts p WHERE p.channel LIKE 'C-%' "
        "OR p.key = :world ORDER BY p.channel, p.id",
    }
    async with store.system() as tx:
        found: dict[str, Sequence[Mapping[str, Any]]] = {}
        for table, statement in asked.items():
            rows = await tx.conn.execute(text(statement), {"like": f"%@{world}.example", "world": world})
            found[table] = [
                {name: value for name, value in row._mapping.items() if name not in own | {"lease_until"}}
                for row in rows
            ]
        await tx.conn.execute(text("DELETE FROM posts"))
        return found


async def _world(store: Store, world: str) -> list[Report]:
    async with store.begin(1) as tx:
        await tx.posts.want(RUN_SURFACE, str(RUN), "C-run")
        await tx.posts.want("incident", world, "C-incident")
    return await _situations(store, world)


async def test_a_batch_written_the_plain_way_leaves_the_rows_that_the_general_way_leaves(
    store: Store,
) -> None:
    general = await _world(store, "general")
    await record(store, *general)
    expected = await _rows(store, "general")

    reports = await _world(store, "plain")
    plain = {
        (r.tenant, r.event.delivery_id): r for r in reports if tracking.is_plain(r)
    }  # one a delivery, as the recorder gives them
    async with store.system() as tx:
        written = await tracking.hand_over(tx, list(plain.values()))
    await record(store, *(r for r in reports if (r.tenant, r.event.delivery_id) not in written))
    found = await _rows(store, "plain")

    assert len(written) == 5, "fresh, server, bulk, followed and twice"
    assert found["deliveries"] == expected["deliveries"]
    assert found["events"] == expected["events"]
    assert found["posts"] == expected["posts"]


async def test_what_is_written_the_plain_way_again_changes_nothing(store: Store) -> None:
    """The answer to a commit may be lost: then the same batch comes once more."""
    reports = [r for r in await _world(store, "again") if tracking.is_plain(r)]
    async with store.system() as tx:
        written = await tracking.hand_over(tx, reports)
    before = await _rows(store, "again")
    async with store.system() as tx:
        assert written
        assert not await tracking.hand_over(tx, [r for r in reports if _ref(r) in written])
    after = await _rows(store, "again")
    assert (after["deliveries"], after["events"]) == (before["deliveries"], before["events"])


async def test_ends_of_several_sorts_in_one_batch_take_their_rows_in_the_one_order(
    postgres_store: Store,
) -> None:
    """By groups they would take the second first, and wait for ever with whoever goes from the first on."""
    store = postgres_store
    reports: list[Report] = []
    for name, sort in (("one", Confidence.HANDED_TO_RELAY), ("two", Confidence.ACCEPTED_BY_SERVER)):
        async with store.begin(1) as tx:
            queued = await outbox().enqueue(tx, draft(name, f"{name}@order.example"))
            notification = await tx.notifications.get(queued.notification_id)
        assert notification is not None
        claimed = await claim(store)
        reports.append(replace(accepted_by(claimed, sort), about=(claimed, notification)))
    first, second = sorted(map(_ref, reports))
    assert first == _ref(reports[0])

    async def written() -> set[Any]:
        async with store.system() as tx:
            return await tracking.hand_over(tx, reports)

    async with store.system() as tx:

        async def waits() -> bool:
            return (
                await tx.conn.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted"))
            ).first() is not None

        await tx.deliveries.lock([first])
        writing = asyncio.create_task(written(), context=Context())  # no part of this transaction
        await eventually(waits, "the batch waits for its first row")
        await tx.deliveries.lock([second])
    assert await writing == {first, second}


def _ref(report: Report) -> tuple[int, Any]:
    return report.tenant, report.event.delivery_id
