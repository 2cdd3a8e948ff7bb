"""Evidence for whoever helps us: Client Success, or the postmaster of a subscriber's mail provider. Pure.

The first holds no contact in full, and no name or amount but what a server may have said. The second names
the one mailbox that it is about, since they need it, and nothing else of the subscriber. Times are UTC,
answers are in the servers' own words.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from handlers import words
from handlers.cards import Notice
from handlers.diagnosis import Certainty, Diagnosis, Mark, Step
from handlers.intents import redact_cards
from handlers.masks import mask_address, mask_in_text
from handlers.profile import TenantProfile
from notifier.channels import Route
from store.models import AuditEntry, Channel, Delivery, DomainRecord, Event, EventKind, EventSource, Outcome

MOST_MESSAGES = 8
MOST_ANSWERS = 6
_MARKS = {Mark.OK: "ok", Mark.WARN: "warning", Mark.BAD: "WRONG", Mark.SKIPPED: "-"}
_SURE = {
    Certainty.CERTAIN: "certain",
    Certainty.LIKELY: "likely",
    Certainty.UNKNOWN: "not certain",
}
_LEFT_OUT = (Step.PROFILE,)
"""What is owed, and why an account is held, helps nobody to find a mail."""
DEEDS: dict[str, str] = {
    "contact.mend": "mended an e-mail address",
    "contact.undo": "took a mended address back",
    "address.ask": "asked by text whether an address is right",
    "invoice.resend": "sent an invoice again",
    "suppression.release": "took an address off the do-not-send list",
    "pack.mail": "mailed an evidence pack",
    "pack.postmaster": "wrote to the provider's postmaster",
}
"""What of the audit trail is told, in words; looks are nobody's business."""


@dataclass(frozen=True, slots=True)
class Pack:
    title: str
    text: str

    @property
    def seen(self) -> str:
        """What was shown; compared again at the press."""
        return hashlib.sha256(f"{self.title}\n{self.text}".encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class PostmasterPack(Pack):
    domain: str

    @property
    def to(self) -> str:
        """RFC 2142 section 5: every domain that takes mail reads this one."""
        return f"postmaster@{self.domain}"


def evidence_pack(
    found: Diagnosis,
    deeds: Sequence[AuditEntry],
    records: Sequence[DomainRecord],
    now: datetime,
    *,
    profile: TenantProfile,
    asker: str,
) -> Pack:
    """`found`: told in UTC. `asker`: a user's id.

    `deeds`: the account's audit trail, newest first; what is not in DEEDS is left out.
    `records`: our own domains' records, as they were last seen.
    """
    account = found.evidence.subscriber.account
    about = f"account {account}, invoice {found.invoice.number}" if found.invoice else f"account {account}"
    rows = [
        f"About: {about}",
        f"Asked by: {_who(asker)} of {profile.brand.name}",
        f"Made: {_utc(now)}. All times are in UTC.",
        "",
        f"Verdict: {_fit(found.headline)}",
        f"How sure: {_SURE[found.certainty]} ({_fit(found.proof)})",
        *([f"Earlier invoices: {_fit(found.story)}"] if found.story else []),
        "",
        "Evidence",
        *(
            f"  [{_MARKS[line.mark]}] {line.step}: {_fit(line.text)}"
            for line in found.lines
            if line.step not in _LEFT_OUT
        ),
        "",
        "Our sending addresses",
        *_ways(found, profile),
        "",
        "Our domains in DNS, as last seen",
        *_records(records),
        "",
        "Messages, newest first (times in UTC)",
        *_messages(found),
        "",
        "What was done here (times in UTC)",
        *_deeds(deeds),
    ]
    return Pack(f"Help wanted: {about}", "\n".join(rows))


def _fit(text: str) -> str:
    """What a server said may quote anything: no card number, address or telephone number leaves."""
    return mask_in_text(redact_cards(text))


_USER_ID = re.compile(r"[UW][A-Z0-9_]+")


def _who(actor: str) -> str:
    """A user's id says nothing to a stranger, but lets us find them."""
    return f"an agent ({actor})" if _USER_ID.fullmatch(actor) else actor


def _ways(found: Diagnosis, profile: TenantProfile) -> list[str]:
    """Of the routes that were used; where nothing was mailed, of the one that would be."""
    used = [d.route for _, d in _pairs(found) if d.channel is Channel.EMAIL]
    ways = [route for route in profile.routes if route.name in used] or [profile.route()]
    return [
        f"  {way.name}: {', '.join(way.egress_ips) or 'not configured, see the Received lines'}"
        f" (envelope sender {way.envelope_domain})"
        for way in ways
    ]


def _records(records: Sequence[DomainRecord]) -> list[str]:
    rows = []
    for record in records:
        rows.append(f"  {record.domain} {record.kind}: {record.verdict}. {record.said}".rstrip())
        rows += [f"    {value}" for value in record.value.splitlines()]
    return rows or ["  not looked at yet"]


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _pairs(found: Diagnosis) -> list[tuple[Notice, Delivery]]:
    return [
        (notice, d)
        for facts in found.evidence.invoices
        for notice in facts.notices
        for d in notice.deliveries
    ]


def _messages(found: Diagnosis) -> list[str]:
    pairs = _pairs(found)
    if not pairs:
        return ["  none was sent from here"]
    rows = [row for notice, d in pairs[:MOST_MESSAGES] for row in _message(notice, d)]
    left = len(pairs) - MOST_MESSAGES
    return rows + ([f"  and {left} earlier"] if left > 0 else [])


def _message(notice: Notice, d: Delivery) -> list[str]:
    number = f" {notice.invoice.number}" if notice.invoice else ""
    kind = words.kind_words(notice.notification)
    rows = [
        f"  {kind}{number} to {mask_address(d.address)} by {d.route}, queued {_utc(d.created_at)}",
        f"    {'Message-ID' if d.channel is Channel.EMAIL else 'MessageSid'} {_name(d)}",
    ]
    for e in notice.events.get(d.id, ()):
        rows.append(f"    {_utc(e.at)}  {_fit(words.event_words(e, d.address))}")
        if answer := words.raw_answer(e):
            rows.append(f"      {_fit(_one_line(answer))}")
    return rows


def _name(d: Delivery) -> str:
    return d.message_id if d.channel is Channel.EMAIL else (d.queue_id or "none")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _deeds(deeds: Sequence[AuditEntry]) -> list[str]:
    told = [
        f"  {_utc(entry.at)}  {_who(entry.actor)} {DEEDS[entry.action]}"
        for entry in deeds
        if entry.action in DEEDS
    ]
    return told or ["  nothing"]


_NOT_THEIRS = ("no_such_user", "domain_missing", "mailbox_full", "mailbox_disabled")
"""Nothing that a postmaster could change: the mailbox's owner, or nobody, can."""
_REFUSALS = (EventKind.BOUNCED, EventKind.FAILED, EventKind.DEFERRED)


def postmaster_pack(found: Diagnosis, profile: TenantProfile) -> PostmasterPack | None:
    """For the provider of the mailbox in question; None where a postmaster can change nothing."""
    pairs = [
        (notice, d)
        for facts in found.evidence.invoices
        for notice in facts.notices
        for d in notice.deliveries
        if d.channel is Channel.EMAIL and _refusals(found, notice, d) and not _got_through_since(found, d)
    ]
    domain = next((d.address.rpartition("@")[2] for d in _newest_first(found, pairs)), "")
    mine = [(notice, d) for notice, d in pairs if d.address.rpartition("@")[2] == domain]
    if not domain or not mine:
        return None
    routes = {route.name: route for route in profile.routes}
    used = [routes[name] for name in dict.fromkeys(d.route for _, d in mine) if name in routes]
    domains = (
        ", ".join(dict.fromkeys(route.envelope_domain for route in used)) or profile.route().envelope_domain
    )
    rows = [
        f"Mail of ours to {domain} is refused. Our users wait for it: it is about their own account with us.",
        "Please tell us why, and what we should change; or take it, where it is a mistake.",
        "",
        *_sender(used, domains, profile),
        "",
        *(row for notice, d in mine[:MOST_ANSWERS] for row in _refused(found, notice, d)),
    ]
    return PostmasterPack(f"Mail from {domains} refused by {domain}", "\n".join(rows).rstrip(), domain)


def _newest_first(found: Diagnosis, pairs: Sequence[tuple[Notice, Delivery]]) -> list[Delivery]:
    """What the verdict is about before anything else."""
    about = found.about.delivery.id if found.about else None
    return sorted((d for _, d in pairs), key=lambda d: d.id != about)


def _got_through_since(found: Diagnosis, d: Delivery) -> bool:
    """This mail after all, or a later one to the same mailbox: nothing is refused any more."""
    later = (
        other
        for facts in found.evidence.invoices
        for notice in facts.notices
        for other in notice.deliveries
        if other.address == d.address and other.created_at >= d.created_at
    )
    return any(other.outcome in (Outcome.SENT, Outcome.DELIVERED) for other in later)


def _theirs(found: Diagnosis, d: Delivery, e: Event) -> bool:
    """Their server said it: not our own relay to us, and not our network where nobody answered."""
    return e.source is not EventSource.SMTP or (bool(e.reply_code) and d.route not in found.evidence.relays)


def _refusals(found: Diagnosis, notice: Notice, d: Delivery) -> list[tuple[str, str]]:
    """(when, in which words) the other side said no, or not now."""
    events = [e for e in notice.events.get(d.id, ()) if e.kind in _REFUSALS and _theirs(found, d, e)]
    no = [e for e in events if e.cls not in _NOT_THEIRS]
    said = [(e, words.raw_answer(e)) for e in no]
    return [(_utc(e.at), _one_line(answer)) for e, answer in said if answer]


def _sender(used: Sequence[Route], domains: str, profile: TenantProfile) -> list[str]:
    ips = [ip for route in used for ip in route.egress_ips]
    return [
        f"Sending servers: {', '.join(dict.fromkeys(ips)) or 'see the Received lines'}",
        f"Envelope sender: {domains}",
        f"From: {profile.route().from_address}",
    ]


def _refused(found: Diagnosis, notice: Notice, d: Delivery) -> list[str]:
    return [
        f"Recipient: {d.address}",
        f"Message-ID: {d.message_id}",
        f"Sent: {_utc(_first_tried(notice, d))}",
        *(f"Answer, {at}: {answer}" for at, answer in _refusals(found, notice, d)),
        "",
    ]


def _first_tried(notice: Notice, d: Delivery) -> datetime:
    """When a server first had it before it; where none ever did, when it was queued."""
    return min((e.at for e in notice.events.get(d.id, ()) if words.raw_answer(e)), default=d.created_at)


__all__ = ["DEEDS", "Pack", "PostmasterPack", "evidence_pack", "postmaster_pack"]
