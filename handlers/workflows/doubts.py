"""A message that may have gone out, and nobody knows: a person decides, once, and it is written down who did.

Mails come here after several broken connections in a row, texts when the provider's list does not tell.
"""

from __future__ import annotations

from uuid import UUID

from handlers.contract import CommandRequest, audit
from handlers.reply import UserError
from handlers.waiting import Decision
from notifier import tracking
from notifier.schedule import A_PERSON
from notifier.tracking import Report
from store.models import Confidence, Delivery, Event, EventKind, EventSource, Reason, Stage
from store.unit import Tx


async def in_doubt(tx: Tx, delivery_id: UUID) -> Delivery:
    """UserError when nobody has to decide about it (any more)."""
    found = await tx.deliveries.get(delivery_id)
    if found is None:
        raise UserError("This message is not on file any more.")
    if found.stage is not Stage.HELD or found.stage_by != A_PERSON:
        raise UserError("That is decided already.", "Its card says how it stands.")
    return found


async def decide(tx: Tx, request: CommandRequest, delivery_id: UUID, decision: Decision) -> Delivery:
    """Run again by the same press it changes nothing more; UserError when somebody else was quicker."""
    subject = f"delivery:{delivery_id}"
    rows = await tx.audit.of(subject)
    if any(row.action == f"doubt.{decision}" and row.actor == request.actor.user_id for row in rows):
        found = await tx.deliveries.get(delivery_id)
        if found is not None and found.stage_by != A_PERSON:
            return found
    await tx.deliveries.lock([(request.tenant, delivery_id)])
    delivery = await in_doubt(tx, delivery_id)
    if decision is Decision.AGAIN:
        if delivery.expires_at <= tx.now:
            raise UserError("It is out of date: sending it again now helps nobody.", "Send a copy instead.")
        await tx.deliveries.release_one(delivery_id, A_PERSON)
        await tracking.bump_cards(tx, [delivery])
    else:
        await tracking.record(tx, [Report(request.tenant, _event(tx, request, delivery, decision))])
    await audit(tx, request, f"doubt.{decision}", subject, detail={"attempt": delivery.attempt})
    return delivery


ARRIVED, GIVEN_UP = "A colleague says that it arrived.", "a colleague gave it up"


def _event(tx: Tx, request: CommandRequest, delivery: Delivery, decision: Decision) -> Event:
    """Somebody's word that it arrived is no receipt: it proves as little as silence does."""
    arrived = decision is Decision.ARRIVED
    return Event(
        delivery_id=delivery.id,
        attempt=delivery.attempt,
        kind=EventKind.DELIVERED if arrived else EventKind.CANCELLED,
        key=f"doubt:{decision}:{delivery.attempt}",
        at=tx.now,
        source=EventSource.OPERATOR,
        reason=Reason.NONE if arrived else Reason.OPERATOR,
        confidence=Confidence.PRESUMED if arrived else Confidence.UNKNOWN,
        diagnostic=ARRIVED if arrived else GIVEN_UP,
        actor=request.actor.user_id,
    )
