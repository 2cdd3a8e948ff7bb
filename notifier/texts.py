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
from store.deliveries import Ref
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


@dataclass(frozen=True, slots=True)
class News:
    """What was told of one attempt of a delivery."""

    tenant: int
    delivery_id: UUID
    attempt: int
    told: Told

    @property
    def ref(self) -> Ref:
        return self.tenant, self.delivery_id


async def learn(
    tx: Tx, *, tenant: int, delivery_id: UUID, attempt: int, told: Told, source: EventSource
) -> Learnt:
    """Records it, in a `system()` transaction. Idempotent, in any order."""
    return (await learn_many(tx, [News(tenant, delivery_id, attempt, told)], source))[0]


async def learn_many(tx: Tx, news: Sequence[News], source: EventSource) -> list[Learnt]:
    """As one after the other, with a handful of statements for all: each delivery stands there once."""
    locked = await tx.deliveries.lock([one.ref for one in news])
    histories = await tx.events.of(sorted(locked))
    learnt: list[Learnt | None] = []
    reports: list[Report] = []
    for one in news:
        delivery = locked.get(one.ref)
        known = sids_of(histories[one.ref], one.attempt) if delivery else frozenset()
        if delivery is None:
            learnt.append(Learnt.NO_DELIVERY)
        elif known and one.told.sid not in known:
            learnt.append(Learnt.OTHER_TEXT)
        else:
            event = event_of(one.told, delivery, one.attempt, histories[one.ref], tx.now, source)
            reports.append(Report(one.tenant, event, queue_id=one.told.sid))
            learnt.append(None)
    recorded = iter(await tracking.record(tx, reports, locked=locked, histories=histories) if reports else ())
    return [one or (Learnt.RECORDED if next(recorded).new else Learnt.KNOWN) for one in learnt]


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
