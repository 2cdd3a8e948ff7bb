"""A bounce message to tracking events: whose delivery each report is about, and what may follow from it.

Matched by `notifier.matching`, else kept as an orphan. Whoever holds a token can bounce only that mail, an
unsigned match never suppresses, and a report that comes twice changes nothing twice. RFC 3464 for actions.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import structlog

from notifier import returned, tracking
from notifier.bounces import BounceClass, BounceReport, Fault
from notifier.keys import Keyring
from notifier.matching import Match, match, names, signed_refs
from notifier.returned import Returned
from store.deliveries import Ref
from store.models import (
    Channel,
    Confidence,
    Delivery,
    Event,
    EventKind,
    EventSource,
    Orphan,
    Reason,
    Unmatched,
)
from store.repository import storable
from store.unit import SYSTEM_TENANT, Store, Tx

log = structlog.get_logger()
IN_A_THREAD = 64 * 1024
"""Octets from which a message is taken apart beside the loop: a hostile one costs a tenth of a second."""
MOST_REPORTS = 200
"""Events that reports may add to one delivery: whoever holds a token must not fill the database with it."""
MOST_WAITING = 5000
"""Unmatched reports that one tenant keeps waiting: anybody may mail our bounce address."""
MOST_OF_ONE = 20
"""Unmatched reports kept of one message; our mails have one recipient each."""
KEPT_OF_A_REPORT, KEPT_OF_A_LETTER = 128 * 1024, 64 * 1024
"""Octets: a report stands before the mail that it returns; and enough of a mail that is none to read it."""
MOST_LOOKUPS = 5
COMPLAINT_SURFACE = "complaint"
"""The word to the desk about a complaint; its key is the delivery's id."""

REASON_OF: dict[Fault, Reason] = {
    Fault.RECIPIENT: Reason.RECIPIENT,
    Fault.CONTENT: Reason.CONTENT,
    Fault.OURS: Reason.INFRASTRUCTURE,
    Fault.NETWORK: Reason.NETWORK,
    Fault.POLICY: Reason.POLICY,
}
_CAPACITY = frozenset({BounceClass.MAILBOX_FULL, BounceClass.RATE_LIMITED, BounceClass.TOO_BIG})
# RFC 5965 section 7.3 and RFC 6591: these say nothing of what the recipient wants.
NO_COMPLAINT = frozenset({"not-spam", "auth-failure", "dmarc"})
# The others (virus, other) are told, and a person decides.
_WANTS_NO_MAIL = frozenset({"", "abuse", "fraud", "opt-out", "opt-out-list"})


class Received(StrEnum):
    """What became of a bounce message."""

    RECORDED = "recorded"
    KNOWN = "known"
    UNMATCHED = "unmatched"
    NO_REPORT = "no_report"


@dataclass(frozen=True, slots=True)
class Line:
    """One report of a message and what became of it."""

    report: BounceReport
    delivery: Delivery | None
    """None: it matched none."""
    new: bool
    why: Unmatched | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    result: Received
    lines: tuple[Line, ...] = ()


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
    desk: Mapping[int, str] | None = None,
) -> Received:
    """What became of it; the reports one by one are `take_in`'s."""
    taken = await take_in(
        store, keyring, raw=raw, envelope_to=envelope_to, tenant=tenant, mx_hosts=mx_hosts, desk=desk
    )
    return taken.result


async def take_in(
    store: Store,
    keyring: Keyring,
    *,
    raw: bytes,
    envelope_to: str,
    tenant: int | None,
    mx_hosts: MxHosts = no_hosts,
    desk: Mapping[int, str] | None = None,
    again: bool = False,
) -> Taken:
    """Records what the message says, in one transaction. Never raises for what the bytes say.

    `tenant` is whose bounce domain it came to; unmatched reports are kept there. `mx_hosts` tells whether
    a relay's "relayed" was to the recipient's own server or only to the next relay. `desk` is each tenant's
    channel in which complaints are told. `again`: what matches nothing is kept already.
    """
    ready = await prepare(Message(raw, envelope_to, tenant), mx_hosts)
    async with store.system() as tx:
        return (await _take(tx, keyring, [ready], desk or {}, again=again))[0]


@dataclass(frozen=True, slots=True)
class Message:
    """A bounce message as it came. `tenant`: whose bounce domain it came to."""

    raw: bytes
    envelope_to: str
    tenant: int | None


@dataclass(frozen=True, slots=True)
class Ready:
    """A message taken apart, with what DNS had to say: all that is done before a transaction."""

    message: Message
    found: Returned
    theirs: Sequence[bool]


async def prepare(message: Message, mx_hosts: MxHosts = no_hosts) -> Ready:
    found = await read(message.raw)
    return Ready(message, found, await _taken_by_their_servers(found.reports, mx_hosts))


async def receive_many(
    tx: Tx, keyring: Keyring, messages: Sequence[Ready], desk: Mapping[int, str] | None = None
) -> list[Received]:
    """Several in one `system()` transaction, as if they came one after the other.

    Those about different deliveries are recorded together; the next about the same one waits for them.
    """
    results: dict[int, Received] = {}
    waiting = [(n, m, signed_refs(keyring, m.found, m.message.envelope_to)) for n, m in enumerate(messages)]
    # Without a token it may be about any delivery: by itself, once the others are recorded.
    alone = [(n, m) for n, m, refs in waiting if not refs]
    waiting = [one for one in waiting if one[2]]
    while waiting:
        now: list[tuple[int, Ready, list[Ref]]] = []
        later: list[tuple[int, Ready, list[Ref]]] = []
        busy: set[Ref] = set()
        for one in waiting:
            (later if busy.intersection(one[2]) else now).append(one)
            busy.update(one[2])
        locked = await tx.deliveries.lock([ref for _, _, refs in now for ref in refs])
        taken = await _take(tx, keyring, [m for _, m, _ in now], desk or {}, locked=locked)
        results |= {n: t.result for (n, _, _), t in zip(now, taken, strict=True)}
        waiting = later
    for n, m in alone:
        results[n] = (await _take(tx, keyring, [m], desk or {}))[0].result
    return [results[n] for n in range(len(messages))]


async def _take(
    tx: Tx,
    keyring: Keyring,
    messages: Sequence[Ready],
    desk: Mapping[int, str],
    *,
    locked: Mapping[Ref, Delivery] | None = None,
    again: bool = False,
) -> list[Taken]:
    """No two of them are about one delivery."""
    said: list[Said] = []
    for ready in messages:
        m = ready.message
        matches: list[Match | Unmatched] = []
        if ready.found.reports:
            matches = await match(tx, keyring, ready.found, m.envelope_to, m.tenant, locked=locked)
        said.append(list(zip(ready.found.reports, ready.theirs, matches, strict=True)))
    taken = []
    for ready, lines in zip(messages, await _record(tx, said, desk, locked), strict=True):
        m = ready.message
        keep = _Keeper(tx.of(m.tenant or SYSTEM_TENANT), m.raw, m.envelope_to, ready.found.fingerprint)
        waiting = [line for line in lines if line.delivery is None and _worth_keeping(line.report)]
        if not again and not ready.found.reports:
            await keep(None, Unmatched.NO_REPORT)
        for line in waiting[: 0 if again else MOST_OF_ONE]:
            await keep(line.report, line.why or Unmatched.NO_TOKEN)
        taken.append(Taken(_result(lines, bool(waiting)), tuple(lines)))
    return taken


async def rematch(
    store: Store,
    keyring: Keyring,
    *,
    since: datetime,
    mx_hosts: MxHosts = no_hosts,
    desk: Mapping[int, str] | None = None,
) -> int:
    """Tries again what came since then and waits; how many found their delivery.

    A report may come before the worker has written down the queue id, and a key may be missing for a while.
    """
    async with store.read(SYSTEM_TENANT) as tx:
        waiting = await tx.orphans.to_rematch(since)
    count = 0
    for tenant, orphan_id in waiting:
        async with store.read(tenant) as tx:
            orphan = await tx.orphans.get(orphan_id)
        if orphan is None or orphan.matched_at is not None or orphan.dismissed_at is not None:
            continue  # somebody was quicker
        taken = await take_in(
            store,
            keyring,
            raw=orphan.raw,
            envelope_to=orphan.envelope_to,
            tenant=tenant,
            mx_hosts=mx_hosts,
            desk=desk,
            again=True,
        )
        mine = [one for one in taken.lines if one.delivery and about(one.report) == orphan.recipient]
        if mine and mine[0].delivery is not None:
            async with store.begin(tenant) as tx:
                count += await tx.orphans.matched(orphan.id, mine[0].delivery.id)
    return count


def _worth_keeping(report: BounceReport) -> bool:
    """An out-of-office note that belongs to no delivery is of no use to anybody."""
    return event_kind(report) not in (None, EventKind.ANSWERED)


def _result(lines: Sequence[Line], waiting: bool) -> Received:
    if any(line.new for line in lines):
        return Received.RECORDED
    if waiting:
        return Received.UNMATCHED
    return Received.KNOWN if any(line.delivery for line in lines) else Received.NO_REPORT


async def read(raw: bytes) -> Returned:
    """`returned.read`, and the loop goes on meanwhile where that may take long."""
    if len(raw) < IN_A_THREAD:
        return returned.read(raw)
    return await asyncio.to_thread(returned.read, raw)


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Keeps what belongs to no delivery, once."""

    tx: Tx
    raw: bytes
    envelope_to: str
    fingerprint: str

    async def __call__(self, report: BounceReport | None, why: Unmatched) -> None:
        if await self.tx.orphans.count_waiting() >= MOST_WAITING:
            log.error("unmatched_report_dropped", waiting=MOST_WAITING, why=why)
            return
        await self.tx.orphans.keep(
            source=EventSource.DSN,
            recipient=about(report) if report else "",
            envelope_to=self.envelope_to,
            summary=f"{report.cls}: {report.diagnostic}"[:500] if report else "no delivery report in it",
            raw=self.raw[: KEPT_OF_A_REPORT if report else KEPT_OF_A_LETTER],
            cls=report.cls if report else "",
            why=why,
            fingerprint=self.fingerprint,
        )


Said = list[tuple[BounceReport, bool, "Match | Unmatched"]]
"""The reports of one message: whether the recipient's own server said it, and whose delivery it is about."""


async def _record(
    tx: Tx,
    said: Sequence[Said],
    desk: Mapping[int, str],
    locked: Mapping[Ref, Delivery] | None,
) -> list[list[Line]]:
    """Of each message the reports and what became of them."""
    found = {(m.tenant, m.delivery.id): m for one in said for _, _, m in one if isinstance(m, Match)}
    known = await tx.events.of(sorted(found))
    digests = {ref: _known(events) for ref, events in known.items()}
    lines: list[list[Line]] = []
    wanted: list[tuple[int, int, tracking.Report]] = []
    for number, rows in enumerate(said):
        lines.append([])
        # Of more than may be kept, what is said about the address itself goes first.
        rows.sort(key=lambda row: isinstance(row[2], Match) and not names(row[0], row[2].delivery.address))
        for report, own, one in rows:
            if isinstance(one, Unmatched):
                lines[number].append(Line(report, None, new=False, why=one))
                continue
            mine = digests[one.tenant, one.delivery.id]
            event = to_event(report, one, tx.now, their_server=own, known=mine)
            lines[number].append(Line(report, one.delivery, new=False))
            if event is not None and len(mine) < MOST_REPORTS:
                mine.setdefault(_digest_of(event), event.attempt)
                wanted.append((number, len(lines[number]) - 1, tracking.Report(one.tenant, event)))
    reports = [report for _, _, report in wanted]
    before = await _complained(tx, reports, found)
    read = known if locked is not None else None
    done = await tracking.record(tx, reports, locked=locked, histories=read) if reports else []
    for (number, index, _), one_done in zip(wanted, done, strict=True):
        if one_done.new:
            lines[number][index] = replace(lines[number][index], new=True)
    await _tell_complaints(tx, [r.report for r in done if r.new], before, desk)
    return lines


async def _tell_complaints(
    tx: Tx, news: Sequence[tracking.Report], before: set[Ref], desk: Mapping[int, str]
) -> None:
    complained = {(r.tenant, r.event.delivery_id) for r in news if r.event.kind is EventKind.COMPLAINT}
    for tenant, delivery_id in sorted(complained - before):
        if tenant in desk:
            posts, key = tx.of(tenant).posts, str(delivery_id)
            await posts.want(COMPLAINT_SURFACE, key, desk[tenant])
            await posts.bump(COMPLAINT_SURFACE, [(tenant, key)])  # a second one may be the one that counts


async def _complained(tx: Tx, reports: Sequence[tracking.Report], found: Mapping[Ref, Match]) -> set[Ref]:
    """Those whose address is off our list for a complaint already: the desk has been told."""
    told: set[Ref] = set()
    for report in reports:
        if report.event.kind is EventKind.COMPLAINT:
            ref = (report.tenant, report.event.delivery_id)
            key = (Channel.EMAIL, found[ref].delivery.address)
            standing = (await tx.of(report.tenant).suppressions.active([key])).get(key)
            if standing is not None and standing.reason == tracking.COMPLAINT:
                told.add(ref)
    return told


async def record_by_hand(tx: Tx, orphan: Orphan, found: Returned, delivery: Delivery, actor: str) -> int:
    """What an unmatched report says, as events of the delivery that a person names; how many were new.

    Nobody signed it: it counts as evidence, and suppresses nobody.
    """
    one = Match(tx.tenant, delivery, delivery.attempt, signed=False, named=False)
    reports = [r for r in found.reports if about(r) == orphan.recipient] or list(found.reports)
    known = _known((await tx.events.of([(tx.tenant, delivery.id)]))[tx.tenant, delivery.id])
    events = [to_event(r, one, tx.now, known=known) for r in reports[:MOST_REPORTS]]
    mine = [replace(e, source=EventSource.OPERATOR, actor=actor) for e in events if e is not None]
    done = await tracking.record(tx, [tracking.Report(tx.tenant, event) for event in mine])
    return sum(one.new for one in done)


def about(report: BounceReport) -> str:
    """Whom it names, as an orphan keeps it."""
    return storable(report.recipient or report.original_recipient or "")


_DSN_KEY = "dsn:"


def _known(events: Sequence[Event]) -> dict[str, int]:
    """What reports said of a delivery before: digest -> attempt."""
    return {_digest_of(e): e.attempt for e in events if e.key.startswith(_DSN_KEY)}


def _digest_of(event: Event) -> str:
    return event.key.rpartition(":")[2]


async def _taken_by_their_servers(reports: Sequence[BounceReport], mx_hosts: MxHosts) -> list[bool]:
    """RFC 3464 section 2.3.3: "relayed" says only that somebody without success reports took it on.

    DNS is asked about a few domains of one message only: anybody may send us one that names a thousand.
    """
    hosts: dict[str, frozenset[str]] = {}
    found: list[bool] = []
    for report in reports:
        remote = report.remote_mta.casefold().rstrip(".")
        domain = (report.recipient or report.original_recipient or "").rpartition("@")[2].casefold()
        own = report.action != "relayed"
        if not own and remote and domain:
            own = remote == domain or remote.endswith(f".{domain}")
            if not own and domain not in hosts and len(hosts) < MOST_LOOKUPS:
                hosts[domain] = await mx_hosts(domain)
            own = own or remote in hosts.get(domain, frozenset())
        found.append(own)
    return found


def to_event(
    report: BounceReport,
    found: Match,
    at: datetime,
    *,
    their_server: bool = True,
    known: Mapping[str, int] | None = None,
) -> Event | None:
    """The event that one report makes; None for a report that says nothing of delivery.

    `known` are the digests of what was said of this delivery before: the same words about a mail whose
    attempt they do not name are those of that attempt, however often they come.
    """
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
    known, digest = known or {}, _digest(report, kind)
    if not found.signed and digest not in known:
        digest = f"unsigned-{digest}"  # the same words, signed, may come yet, and count for more
    attempt = found.attempt if found.named else known.get(digest, found.attempt)
    return Event(
        delivery_id=found.delivery.id,
        attempt=attempt,
        kind=kind,
        key=f"{_DSN_KEY}{attempt}:{digest}",
        at=at,
        source=EventSource.DSN,
        reason=Reason.NONE if reported else reason_of(report.cls, report.fault),
        confidence=confidence,
        hard=found.signed and _ends_mail(report, kind, found.delivery.address),
        reply_code=report.reply_code,
        status=report.status,
        diagnostic=report.diagnostic,
        remote=report.remote_mta,
        cls="" if reported else report.cls,
    )


def is_new(report: BounceReport, found: Match, events: Sequence[Event]) -> bool:
    """Whether recording it would add to a delivery's `events`; whichever server said it."""
    keys = {e.key for e in events}
    made = [
        to_event(report, found, found.delivery.created_at, their_server=theirs, known=_known(events))
        for theirs in (True, False)
    ]
    return all(event is not None and event.key not in keys for event in made)


def _digest(report: BounceReport, kind: EventKind) -> str:
    """What a report says, whatever white space and case it came in."""
    content = (report.action, report.status, report.recipient.casefold(), report.diagnostic, kind)
    words = "\x00".join(" ".join(part.split()) for part in content)
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:24]


def event_kind(report: BounceReport) -> EventKind | None:
    """RFC 3464 section 2.3.3: failed, delayed, delivered, relayed, expanded."""
    if report.cls is BounceClass.AUTO_REPLY:
        return EventKind.ANSWERED
    if report.cls is BounceClass.FEEDBACK:
        return None if report.diagnostic.casefold() in NO_COMPLAINT else EventKind.COMPLAINT
    if report.cls is BounceClass.DELIVERED or report.action in ("delivered", "relayed", "expanded"):
        return EventKind.DELIVERED
    if report.action == "delayed":
        return EventKind.DELAYED  # still being tried: never lowers a state
    return EventKind.BOUNCED


def _ends_mail(report: BounceReport, kind: EventKind, address: str) -> bool:
    """Whether it is a reason to stop mailing this very address; what is our fault never is."""
    if kind is EventKind.BOUNCED:
        return report.hard and report.fault is Fault.RECIPIENT and names(report, address)
    if kind is EventKind.COMPLAINT:
        asked = report.diagnostic.casefold() in _WANTS_NO_MAIL
        return asked and (names(report, address) or _redacted(report, address))
    return False


def _redacted(report: BounceReport, address: str) -> bool:
    """RFC 6590: feedback loops blot out who complained, and leave the domain."""
    local, _, domain = report.recipient.casefold().rpartition("@")
    return "redacted" in local and domain == address.rpartition("@")[2].casefold()
