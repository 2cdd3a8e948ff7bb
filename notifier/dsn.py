"""A bounce message to tracking events: whose delivery it is, and what it says.

Matched by the VERP token in its envelope recipient, then by the signed header or Message-ID of the
returned mail, then by the relay's queue id; else kept as an orphan. Tokens are signed: whoever holds one
can bounce only that mail, and an unsigned match never suppresses. Follows RFC 3464 for actions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
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


MxHosts = Callable[[str], Awaitable[frozenset[str]]]
"""The names of a domain's mail servers; empty when DNS does not say."""


async def no_hosts(_domain: str) -> frozenset[str]:
    return frozenset()


async def receive(
    store: Store,
    keyring: Keyring,
    *,
    raw: bytes,
    envelope_to: str,
    tenant: int | None,
    mx_hosts: MxHosts = no_hosts,
) -> Received:
    """Records what the message says, in one transaction. Never raises for what the bytes say.

    `tenant` is whose bounce domain it came to; unmatched reports are kept there. `mx_hosts` tells whether
    a relay's "relayed" was to the recipient's own server or only to the next relay.
    """
    reports = parse_bounce(raw)
    if not reports:
        async with store.begin(tenant or SYSTEM_TENANT) as tx:
            await _keep(tx, raw, envelope_to, "no delivery report in it")
        return Received.NO_REPORT
    headers = returned_headers(raw)
    theirs = [await _taken_by_their_server(report, mx_hosts) for report in reports]
    async with store.system() as tx:
        match = await _match(tx, keyring, raw, envelope_to, headers, tenant)
        if match is not None:
            events = [
                event
                for report, own in zip(reports, theirs, strict=True)
                if (event := to_event(report, match, tx.now, their_server=own)) is not None
            ]
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


async def _taken_by_their_server(report: BounceReport, mx_hosts: MxHosts) -> bool:
    """RFC 3464 section 2.3.3: "relayed" says only that somebody without success reports took it on."""
    if report.action != "relayed":
        return True
    remote = report.remote_mta.casefold().rstrip(".")
    domain = (report.recipient or report.original_recipient or "").rpartition("@")[2].casefold()
    if not remote or not domain:
        return False
    return remote == domain or remote.endswith(f".{domain}") or remote in await mx_hosts(domain)


def to_event(report: BounceReport, match: _Match, at: datetime, *, their_server: bool = True) -> Event | None:
    """The event that one report makes; None for an automatic reply, which says nothing of delivery."""
    kind = event_kind(report)
    if kind is None:
        return None
    if kind is EventKind.DELIVERED and not their_server:
        kind = EventKind.ACCEPTED
    reported = kind in (EventKind.DELIVERED, EventKind.ACCEPTED)
    confidence = {
        EventKind.DELIVERED: Confidence.ACCEPTED_BY_SERVER,
        EventKind.ACCEPTED: Confidence.HANDED_TO_RELAY,
    }.get(kind, Confidence.UNKNOWN)
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
        confidence=confidence,
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
    # Original-Recipient is our own ORCPT come back: it says whom we mailed, not who is gone.
    failed = report.recipient or report.original_recipient or address
    return failed.casefold() == address.casefold()
