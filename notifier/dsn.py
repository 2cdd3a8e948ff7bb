"""A bounce message to tracking events: whose delivery it is, and what it says.

Matched by the VERP token in its envelope recipient, then by the signed header or Message-ID of the
returned mail, then by the relay's queue id; else kept as an orphan. Tokens are signed: whoever holds one
can bounce only that mail, and an unsigned match never suppresses. Follows RFC 3464 for actions.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notifier import tracking
from notifier.bounces import BounceClass, BounceReport, Fault, parse_bounce, returned_headers
from notifier.keys import DeliveryToken, Keyring
from store.models import Confidence, Delivery, Event, EventKind, EventSource, Reason
from store.unit import SYSTEM_TENANT, Store, Tx

_QUEUE_ID = re.compile(
    rb"^X-Postfix-Queue-ID:[ \t]*([A-Za-z0-9]{5,40})[ \t\r]*$", re.IGNORECASE | re.MULTILINE
)
_MESSAGE_ID = re.compile(r"<([A-Za-z2-7]{48})@")

REASON_OF: dict[Fault, Reason] = {
    Fault.RECIPIENT: Reason.RECIPIENT,
    Fault.CONTENT: Reason.CONTENT,
    Fault.OURS: Reason.INFRASTRUCTURE,
    Fault.NETWORK: Reason.NETWORK,
    Fault.POLICY: Reason.POLICY,
}
_CAPACITY = frozenset({BounceClass.MAILBOX_FULL, BounceClass.RATE_LIMITED, BounceClass.TOO_BIG})


class Received(StrEnum):
    """What became of a bounce message."""

    RECORDED = "recorded"
    KNOWN = "known"
    UNMATCHED = "unmatched"
    NO_REPORT = "no_report"


@dataclass(frozen=True, slots=True)
class _Match:
    tenant: int
    delivery: Delivery
    attempt: int
    signed: bool


def reason_of(cls: BounceClass, fault: Fault) -> Reason:
    if cls in _CAPACITY:
        return Reason.CAPACITY
    if cls is BounceClass.BLOCKED_AUTH:
        return Reason.CONFIG
    return REASON_OF[fault]


async def receive(
    store: Store, keyring: Keyring, *, raw: bytes, envelope_to: str, tenant: int | None
) -> Received:
    """Records what the message says, in one transaction. Never raises for what the bytes say.

    `tenant` is whose bounce domain it came to; unmatched reports are kept there.
    """
    reports = parse_bounce(raw)
    if not reports:
        async with store.begin(tenant or SYSTEM_TENANT) as tx:
            await _keep(tx, raw, envelope_to, "no delivery report in it")
        return Received.NO_REPORT
    headers = returned_headers(raw)
    async with store.system() as tx:
        match = await _match(tx, keyring, raw, envelope_to, headers, tenant)
        if match is not None:
            events = [event for r in reports if (event := to_event(r, match, tx.now)) is not None]
            recorded = await tracking.record(tx, [tracking.Report(match.tenant, event) for event in events])
            return Received.RECORDED if any(r.new for r in recorded) else Received.KNOWN
    async with store.begin(tenant or SYSTEM_TENANT) as tx:
        for report in reports:
            await _keep(tx, raw, envelope_to, f"{report.cls}: {report.diagnostic}"[:500], report.recipient)
    return Received.UNMATCHED


async def _keep(tx: Tx, raw: bytes, envelope_to: str, summary: str, recipient: str = "") -> None:
    await tx.orphans.keep(
        source=EventSource.DSN, recipient=recipient, envelope_to=envelope_to, summary=summary, raw=raw
    )


async def _match(
    tx: Tx,
    keyring: Keyring,
    raw: bytes,
    envelope_to: str,
    headers: dict[str, str],
    tenant: int | None,
) -> _Match | None:
    for text in _tokens(envelope_to, headers):
        token = keyring.read_delivery_token(text)
        if token is not None:
            found = await _delivery(tx, token)
            if found is not None:
                return _Match(token.tenant, found, token.attempt or found.attempt, signed=True)
    queue_id = _QUEUE_ID.search(raw)
    if queue_id is not None:
        by_queue = await tx.deliveries.by_queue_id(queue_id.group(1).decode("ascii"))
        if len(by_queue) == 1 and by_queue[0].tenant == tenant:
            return _Match(by_queue[0].tenant, by_queue[0], by_queue[0].attempt, signed=False)
    return None


def _tokens(envelope_to: str, headers: dict[str, str]) -> list[str]:
    """Where a token may stand, surest first; a relay may have tagged the local part."""
    local = envelope_to.rpartition("@")[0]
    found = [local, local.partition("+")[0], headers.get("X-Delivery-Ref", "").strip()]
    message_id = _MESSAGE_ID.search(headers.get("Message-ID", ""))
    if message_id is not None:
        found.append(message_id.group(1))
    return found


async def _delivery(tx: Tx, token: DeliveryToken) -> Delivery | None:
    found = await tx.deliveries.lock([(token.tenant, token.delivery_id)])
    return found.get((token.tenant, token.delivery_id))


def to_event(report: BounceReport, match: _Match, at: datetime) -> Event | None:
    """The event that one report makes; None for an automatic reply, which says nothing of delivery."""
    kind = event_kind(report)
    if kind is None:
        return None
    reported = kind is EventKind.DELIVERED
    content = (report.action, report.status, report.recipient, report.diagnostic, kind)
    digest = hashlib.sha256("\x00".join(content).encode()).hexdigest()[:24]
    return Event(
        delivery_id=match.delivery.id,
        attempt=match.attempt,
        kind=kind,
        key=f"dsn:{match.attempt}:{digest}",
        at=at,
        source=EventSource.DSN,
        reason=Reason.NONE if reported else reason_of(report.cls, report.fault),
        confidence=Confidence.ACCEPTED_BY_SERVER if reported else Confidence.UNKNOWN,
        hard=report.hard
        and match.signed
        and kind is EventKind.BOUNCED
        and _about(report, match.delivery.address),
        reply_code=report.reply_code,
        status=report.status,
        diagnostic=report.diagnostic,
        remote=report.remote_mta,
        cls="" if reported else report.cls,
    )


def event_kind(report: BounceReport) -> EventKind | None:
    """RFC 3464 section 2.3.3: failed, delayed, delivered, relayed, expanded."""
    if report.cls is BounceClass.AUTO_REPLY:
        return None
    if report.cls is BounceClass.FEEDBACK:
        return EventKind.COMPLAINT
    if report.cls is BounceClass.DELIVERED or report.action in ("delivered", "relayed", "expanded"):
        return EventKind.DELIVERED
    if report.action == "delayed":
        return EventKind.DELAYED  # still being tried: never lowers a state
    return EventKind.BOUNCED


def _about(report: BounceReport, address: str) -> bool:
    """Whether the dead mailbox is the one that we mail, and not one that it forwards to."""
    named = [a.casefold() for a in (report.recipient, report.original_recipient or "") if a]
    return not named or address.casefold() in named
