"""Deliveries that were claimed, and what is said of them: shared by the suites about tracking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from notifier import tracking
from notifier.tracking import Recorded, Report, worker_event
from store.models import Channel, Confidence, Delivery, EventKind, EventSource, Reason
from store.unit import Store, Tx
from tests.builders import NOW, draft, event, outbox, take

DANA = "dana@example.com"


async def claim(
    store: Store, *, lease_s: float = 60, worker: str = "w1", tenant: int = 1, route: str = "relay"
) -> Delivery:
    async with store.system() as tx:
        return await claim_in(tx, lease_s=lease_s, worker=worker, tenant=tenant, route=route)


async def claim_in(
    tx: Tx, *, lease_s: float = 60, worker: str = "w1", tenant: int = 1, route: str = "relay"
) -> Delivery:
    (claimed,) = await take(
        tx,
        tenant=tenant,
        route=route,
        limit=1,
        worker=worker,
        lease_s=lease_s,
        retry_at=tx.now + timedelta(seconds=lease_s),
    )
    return claimed


async def claimed_delivery(store: Store, key: str = "k", address: str = DANA, **more: Any) -> Delivery:
    async with store.begin(1) as tx:
        await outbox().enqueue(tx, draft(key, address))
    return await claim(store, **more)


async def record(store: Store, *reports: Report) -> list[Recorded]:
    async with store.system() as tx:
        return await tracking.record(tx, reports)


async def row(store: Store, item: Delivery) -> Delivery:
    async with store.read(item.tenant) as tx:
        found = await tx.deliveries.get(item.id)
    assert found is not None
    return found


def said(item: Delivery, kind: EventKind, **more: Any) -> Report:
    """What the worker that holds the claim says."""
    queue_id, jitter = more.pop("queue_id", ""), more.pop("jitter", 0.0)
    return Report(
        item.tenant, worker_event(item, kind, NOW, **more), fenced=True, queue_id=queue_id, jitter=jitter
    )


def reported(item: Delivery, kind: EventKind, attempt: int = 1, **more: Any) -> Report:
    """What somebody else says: a bounce, a webhook."""
    fields: dict[str, Any] = {
        "source": EventSource.DSN,
        "key": f"dsn:{attempt}:{kind}",
        "attempt": attempt,
    } | more
    return Report(item.tenant, event(item.id, kind, **fields))


def accepted_by(item: Delivery, confidence: Confidence = Confidence.HANDED_TO_RELAY, **more: Any) -> Report:
    return said(item, EventKind.ACCEPTED, confidence=confidence, **more)


def hard_bounce(item: Delivery, **more: Any) -> Report:
    fields: dict[str, Any] = {
        "hard": True,
        "cls": "no_such_user",
        "reason": Reason.RECIPIENT,
        "diagnostic": "550 5.1.1",
    }
    return reported(item, EventKind.BOUNCED, **(fields | more))


async def suppressed(store: Store, *addresses: str, tenant: int = 1) -> set[str]:
    async with store.read(tenant) as tx:
        found = await tx.suppressions.active([(Channel.EMAIL, address) for address in addresses])
    return {address for _, address in found}
