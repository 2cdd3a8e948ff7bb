"""One final row whatever order the same events come in, how often, and by how many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from notifier.tracking import Report
from store.models import Confidence, Delivery, Event, EventKind, EventSource, Outcome, Stage
from store.unit import Store
from tests.builders import NOW
from tests.contracts.attempts import (
    accepted_by,
    claimed_delivery,
    hard_bounce,
    record,
    reported,
    row,
    said,
    suppressed,
)

SERVER = Confidence.ACCEPTED_BY_SERVER
STORIES: dict[str, list[tuple[EventKind, bool, dict[str, Any]]]] = {
    "relay, then a hard bounce": [
        (EventKind.ACCEPTED, True, {"confidence": Confidence.HANDED_TO_RELAY}),
        (EventKind.DELAYED, False, {}),
        (EventKind.BOUNCED, False, {"hard": True, "cls": "no_such_user"}),
        (EventKind.COMPLAINT, False, {}),
        (EventKind.ANSWERED, False, {}),
    ],
    "direct, with a receipt": [
        (EventKind.ACCEPTED, True, {"confidence": SERVER}),
        (EventKind.DELIVERED, False, {"confidence": SERVER, "at": NOW + timedelta(minutes=1)}),
        (EventKind.DELAYED, False, {}),
    ],
    "a receipt dated before the acceptance": [
        (EventKind.ACCEPTED, True, {"confidence": SERVER}),
        (EventKind.DELIVERED, False, {"confidence": SERVER, "at": NOW - timedelta(minutes=1)}),
    ],
    "a lost claim that had been accepted": [
        (EventKind.IN_DOUBT, False, {"source": EventSource.SWEEP}),
        (EventKind.ACCEPTED, True, {"confidence": Confidence.HANDED_TO_RELAY}),
        (EventKind.DELAYED, False, {}),
    ],
    "deferred, though it bounced": [
        (EventKind.DEFERRED, True, {}),
        (EventKind.BOUNCED, False, {"hard": True, "cls": "no_such_user"}),
    ],
    "cancelled while it left": [
        (EventKind.CANCELLED, False, {"source": EventSource.OPERATOR}),
        (EventKind.ACCEPTED, True, {"confidence": Confidence.HANDED_TO_RELAY}),
        (EventKind.COMPLAINT, False, {}),
    ],
    "cancelled while it was deferred": [
        (EventKind.CANCELLED, False, {"source": EventSource.OPERATOR}),
        (EventKind.DEFERRED, True, {}),
    ],
    "delivered and bounced": [
        (EventKind.ACCEPTED, True, {"confidence": SERVER}),
        (EventKind.DELIVERED, False, {"confidence": SERVER}),
        (EventKind.BOUNCED, False, {}),
        (EventKind.SUPPRESSED, False, {"source": EventSource.OPERATOR}),
    ],
}


def _told(item: Delivery, kind: EventKind, fenced: bool, more: dict[str, Any]) -> Report:
    return said(item, kind, **more) if fenced else reported(item, kind, **more)


def _comparable(item: Delivery) -> Delivery:
    """A row without what differs between any two deliveries."""
    same = UUID(int=0)
    return replace(item, id=same, notification_id=same, message_id="", address="")


@pytest.mark.parametrize("story", STORIES, ids=str)
async def test_any_order_and_any_repetition_of_the_same_events_gives_one_final_row(
    store: Store, story: str
) -> None:
    async def tell(
        number: int, order: Sequence[tuple[EventKind, bool, dict[str, Any]]], together: bool
    ) -> Delivery:
        item = await claimed_delivery(store, f"k{number}", f"{number}@example.com")
        reports = [_told(item, *step) for step in order]
        if together:
            await record(store, *reports)
        else:
            for report in reports:
                await record(store, report)
        after = await row(store, item)
        hard = any(report.event.hard for report in reports)
        assert await suppressed(store, item.address) == ({item.address} if hard else set())
        return _comparable(after)

    steps = STORIES[story]
    orders: list[Sequence[tuple[EventKind, bool, dict[str, Any]]]] = [*permutations(steps)]
    orders += [(*order, order[0], order[-1]) for order in orders]
    rows = [await tell(2 * n + t, order, bool(t)) for n, order in enumerate(orders) for t in (0, 1)]
    assert all(one == rows[0] for one in rows), {one.stage for one in rows}


async def test_the_same_events_told_by_many_at_once_give_one_final_row(store: Store) -> None:
    item = await claimed_delivery(store)
    reports = [accepted_by(item), hard_bounce(item), reported(item, EventKind.DELAYED)]
    results = await asyncio.gather(*(record(store, report) for report in reports * 5))
    assert sum(result.new for batch in results for result in batch) == 3
    after = await row(store, item)
    assert (after.stage, after.outcome) == (Stage.CLOSED, Outcome.BOUNCED)
    async with store.read(1) as tx:
        assert len((await tx.events.of([(1, item.id)]))[1, item.id]) == 3


async def test_two_recorders_with_the_same_deliveries_in_opposite_order_do_not_block_each_other(
    store: Store,
) -> None:
    items = [await claimed_delivery(store, f"k{n}", f"{n}@example.com") for n in range(12)]

    async def tell(order: Sequence[Delivery], key: str) -> None:
        await record(store, *(reported(item, EventKind.DELAYED, key=key) for item in order))

    async with asyncio.timeout(60):
        await asyncio.gather(*(tell(items if n % 2 else items[::-1], f"dsn:{n}") for n in range(12)))
    async with store.read(1) as tx:
        histories: dict[tuple[int, UUID], list[Event]] = await tx.events.of([(1, item.id) for item in items])
    assert all(len(history) == 12 for history in histories.values())
