"""What a provider says of a text becomes evidence: callbacks and fetched statuses through one function.

News comes unordered, repeated, and sometimes before the answer of the create call: every status is one event,
keyed by sid, status and error code, and the fold decides. An unknown status is kept; it proves at least that
the provider has the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import structlog

from notifier import tracking
from notifier.outcome import gives_back
from notifier.schedule import FIRST_RETRY, next_attempt
from notifier.sms_codes import RETRY_AFTER, SmsClass, TextVerdict, verdict_of
from notifier.tracking import Report
from store.models import Confidence, Delivery, Event, EventKind, EventSource, Reason, Stage
from store.unit import Tx

log = structlog.get_logger()

_SID = re.compile(r"\b(?:SM|MM)[0-9a-f]{32}\b")
_LONGEST_STATUS = 16
"""As in the column; the diagnostic has it whole."""
SENT_TO_CARRIER = "sent"
TAKEN = frozenset({"accepted", "scheduled", "queued", "sending", SENT_TO_CARRIER, "partially_delivered"})
"""The provider has it, and may have handed it to the carrier: no more than that."""
ARRIVED = frozenset({"delivered", "read"})
"""The handset's own receipt."""
NOT_DELIVERED = frozenset({"undelivered", "failed"})
CANCELED = TextVerdict(EventKind.FAILED, SmsClass.CANCELED, Reason.OPERATOR)


@dataclass(frozen=True, slots=True)
class Told:
    """One status of one text, in the provider's words."""

    sid: str
    status: str
    error_code: int | None = None
    remark: str = ""
    """What else came with it; for the raw answer."""


class Learnt(StrEnum):
    RECORDED = "recorded"
    KNOWN = "known"
    NO_DELIVERY = "no_delivery"
    OTHER_TEXT = "other_text"
    """This attempt is known by another sid: not our text, and kept for a person."""


async def learn(
    tx: Tx, *, tenant: int, delivery_id: UUID, attempt: int, told: Told, source: EventSource
) -> Learnt:
    """Records it, in a `system()` transaction. Idempotent, in any order."""
    ref = (tenant, delivery_id)
    delivery = (await tx.deliveries.lock([ref])).get(ref)
    if delivery is None:
        return Learnt.NO_DELIVERY
    history = (await tx.events.of([ref]))[ref]
    known = sids_of(history, attempt)
    if known and told.sid not in known:
        return Learnt.OTHER_TEXT
    event = event_of(told, delivery, attempt, history, tx.now, source)
    (recorded,) = await tracking.record(tx, [Report(tenant, event, queue_id=told.sid)])
    return Learnt.RECORDED if recorded.new else Learnt.KNOWN


def sids_of(history: Sequence[Event], attempt: int) -> frozenset[str]:
    """By what names the provider knows this attempt's text; empty before it has said any."""
    return frozenset(
        sid for event in history if event.attempt == attempt for sid in _SID.findall(event.diagnostic)
    )


def event_of(
    told: Told, delivery: Delivery, attempt: int, history: Sequence[Event], now: datetime, source: EventSource
) -> Event:
    """The event that this status is. Nothing dates it but the carrier's receipt, whose clock has no zone."""
    kind, verdict, confidence = EventKind.ACCEPTED, None, Confidence.HANDED_TO_RELAY
    if told.status in ARRIVED:
        kind, confidence = EventKind.DELIVERED, Confidence.HANDSET_RECEIPT
    elif told.status in NOT_DELIVERED or told.status == "canceled":
        verdict = CANCELED if told.status == "canceled" else _judged(told, delivery, attempt, history, now)
        kind, confidence = verdict.kind, Confidence.UNKNOWN
    elif told.status not in TAKEN:
        log.warning("unknown_text_status", status=told.status[:40], delivery=str(delivery.id))
    return Event(
        delivery_id=delivery.id,
        attempt=attempt,
        kind=kind,
        key=f"text:{told.sid}:{told.status}:{told.error_code or ''}"[:200],
        at=now,
        source=source,
        reason=verdict.reason if verdict else Reason.NONE,
        confidence=confidence,
        hard=verdict.hard if verdict else False,
        reply_code=str(told.error_code or "")[:8],
        status=told.status[:_LONGEST_STATUS],
        diagnostic=" ".join(
            part for part in (told.status, str(told.error_code or ""), told.sid, told.remark) if part
        ),
        remote=delivery.route,
        cls=verdict.cls if verdict else "",
    )


def _judged(
    told: Told, delivery: Delivery, attempt: int, history: Sequence[Event], now: datetime
) -> TextVerdict:
    """What an undelivered text comes to: a passing cause that has had its tries, or its time, is an end."""
    verdict = verdict_of(told.error_code)
    before = {e.attempt for e in history if e.attempt < attempt and gives_back(e) and e.cls == verdict.cls}
    first = RETRY_AFTER.get(verdict.cls, FIRST_RETRY)
    too_late = next_attempt(attempt, now, 0.0, first) >= delivery.expires_at
    over = delivery.stage is Stage.CLOSED or too_late
    return verdict.after(verdict.retries if over else len(before))
