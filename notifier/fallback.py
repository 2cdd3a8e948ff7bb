"""The second way: when no delivery of a notice can succeed any more, it goes by its fallback, once.

Only failures lead here (bounced, failed, suppressed), never a decision of ours (cancelled, out of date).
Called in the transaction that records the failure; the notification's row is locked, so that of two
deliveries that fail at the same time exactly one finds that it was the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from store.models import (
    Confidence,
    Delivery,
    Notification,
    Outcome,
    Priority,
    Reason,
    Stage,
)
from store.types import derived_id
from store.unit import Tx

AT_LEAST = timedelta(days=1)
"""A bounce may come when the notice is nearly out of date: the second way gets this long all the same."""
_FAILURES = frozenset({Outcome.BOUNCED, Outcome.FAILED, Outcome.SUPPRESSED})


def leads_on(stage: Stage, outcome: Outcome) -> bool:
    """Whether a delivery that came to this may be the one that opens the second way."""
    return stage is Stage.CLOSED and outcome in _FAILURES


def spent(deliveries: Sequence[Delivery]) -> bool:
    """Nothing under way, nobody reached, and a failure among them."""
    closed = all(d.stage is Stage.CLOSED for d in deliveries)
    reached = any(d.outcome in (Outcome.SENT, Outcome.DELIVERED) for d in deliveries)
    cancelled = any(d.outcome is Outcome.CANCELLED for d in deliveries)
    return closed and not reached and not cancelled and any(d.outcome in _FAILURES for d in deliveries)


async def open_second_way(tx: Tx, refs: Sequence[tuple[int, UUID]]) -> int:
    """(tenant, notification): adds the deliveries of the second way where the first is spent; how many."""
    waiting = await tx.notifications.lock_with_fallback(refs)
    if not waiting:
        return 0
    by_notification: dict[UUID, list[Delivery]] = {n.id: [] for _, n in waiting}
    for delivery in await tx.deliveries.of_refs([(tenant, n.id) for tenant, n in waiting]):
        by_notification[delivery.notification_id].append(delivery)
    opened = [(tenant, n) for tenant, n in waiting if spent(by_notification[n.id])]
    added = [
        delivery
        for tenant, n in opened
        for delivery in _deliveries(tx, tenant, n, by_notification[n.id][0].subscriber_id)
    ]
    if added:
        await tx.deliveries.add(added)
    await tx.notifications.fallback_used([(tenant, n.id) for tenant, n in opened])
    return len(added)


def _deliveries(tx: Tx, tenant: int, notification: Notification, recipient_id: UUID | None) -> list[Delivery]:
    """`recipient_id` is whoever got the first way: the payer, who need not be whose invoice it is."""
    made = []
    for way in notification.fallback:
        made.append(
            Delivery(
                id=derived_id(notification.id, "delivery", way.channel, way.address),
                tenant=tenant,
                notification_id=notification.id,
                subscriber_id=recipient_id,
                channel=way.channel,
                address=way.address,
                route=way.route,
                priority=Priority(notification.priority),
                stage=Stage.QUEUED,
                stage_reason=None,
                stage_by=None,
                due_at=tx.now,
                attempt=0,
                outcome=Outcome.NONE,
                reason=Reason.NONE,
                confidence=Confidence.UNKNOWN,
                outcome_at=None,
                cls="",
                diagnostic="",
                remote="",
                message_id="",  # a text has none; a second way by e-mail is not offered
                expires_at=max(notification.expires_at, tx.now + AT_LEAST),
                created_at=tx.now,
            )
        )
    return made
