"""What the record says of each notice, in words that claim no more than is known. Pure.

Every instant stands in UTC first, then as the provider's own clocks showed it. The addresses of this
account's notices are written out, since who was written to is what has to be shown; any other address or
telephone number that a server happened to quote is masked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from billing.hold_words import what_is_held
from handlers import format as fmt
from handlers import words
from handlers.intents import redact_cards
from handlers.masks import mask_in_text
from handlers.packs import DEEDS
from handlers.profile import TenantProfile
from handlers.proofs.case import ProofCase
from handlers.runs import REASONS
from store.filed import Filed
from store.models import ACCOUNT, Channel, Confidence, Event, EventKind, Outcome

MOST_EVENTS = 20
"""Of one notice; of more the first and the last ones are told, and how many stand between."""
MOST_RAW = 700
"""Characters of one answer; the record that this is made of keeps all of it."""
NOT_RECORDED = "not recorded"
_PHRASES: dict[Confidence, str] = {
    Confidence.HANDSET_RECEIPT: (
        "The telephone network reports that the handset received it. That is no proof that it was read."
    ),
    Confidence.ACCEPTED_BY_SERVER: (
        "The recipient's mail server took responsibility for it. Whether it was put into the inbox, and "
        "whether it was read, is not known."
    ),
    Confidence.HANDED_TO_RELAY: (
        "A relay took it to pass it on. What became of it after that was not reported to us."
    ),
    Confidence.PRESUMED: (
        "A relay took it, and no report that it failed came within 72 hours. That it arrived is presumed."
    ),
}
_DID_NOT: dict[Outcome, str] = {
    Outcome.BOUNCED: "It was not delivered to this address.",
    Outcome.FAILED: "It was not delivered to this address.",
    Outcome.SUPPRESSED: "It was not sent to this address.",
    Outcome.CANCELLED: "It was not sent to this address.",
    Outcome.EXPIRED: "It was not sent to this address.",
    Outcome.NONE: "It had not been handed over when this record was made.",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of what happened; `raw` is the other side's own answer, empty where nobody answered."""

    when: str
    text: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One notice as it stands in the record."""

    title: str
    ended: str
    means: str
    facts: tuple[tuple[str, str], ...]
    attempts: tuple[Attempt, ...]


def utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def both(at: datetime, profile: TenantProfile) -> str:
    """UTC, and what the provider's clocks showed."""
    return f"{utc(at)} ({fmt.moment(at, profile.time_zone, profile.locale)})"


_USER_ID = re.compile(r"[UW][A-Z0-9_]+")


def who(actor: str) -> str:
    """A colleague by their Slack id, which the provider can put a name to; else what did it."""
    return f"a member of staff (Slack {actor})" if _USER_ID.fullmatch(actor) else actor or NOT_RECORDED


def own_words(text: str, address: str) -> str:
    """A server's answer: its own recipient stays, whoever else it names is masked, as is a card number."""
    kept = "\x00"
    text = " ".join(text.split()).replace(kept, "")
    text = re.sub(re.escape(address), kept, text, flags=re.IGNORECASE)
    text = mask_in_text(redact_cards(text)).replace(kept, address)
    return text if len(text) <= MOST_RAW else f"{text[:MOST_RAW]} [cut here: {len(text):,} characters in all]"


def told(case: ProofCase, filed: Filed) -> Told:
    d, n = filed.delivery, filed.notification
    invoice = case.invoices.get(n.invoice_id) if n.invoice_id else None
    frozen = n.context.get("invoice")
    told_number = str(frozen.get("number", "")) if isinstance(frozen, dict) else ""
    number = invoice.number if invoice else told_number
    name = case.templates.get(n.template_hash, "")
    facts = [
        ("Asked for", f"{both(n.created_at, case.profile)} by {who(n.requested_by)}"),
        ("To", f"{d.address} ({'e-mail' if d.channel is Channel.EMAIL else 'text message'})"),
        *_amounts(filed),
        ("Language", n.language or NOT_RECORDED),
        ("Template", name or "its source is not kept any more"),
        ("Template SHA-256", n.template_hash),
        ("Content SHA-256", filed.content_hash or NOT_RECORDED),
        *([("PDF SHA-256", filed.pdf_hash or NOT_RECORDED)] if n.attach_pdf or filed.pdf_hash else []),
        ("Message-ID" if d.channel is Channel.EMAIL else "Our name for it", d.message_id),
        ("Queue id" if d.channel is Channel.EMAIL else "MessageSid", d.queue_id or NOT_RECORDED),
        ("Route", d.route),
    ]
    if filed.archived_at:
        facts.append(("Kept as", f"archived record, made {utc(filed.archived_at)}"))
    return Told(
        title=" ".join(filter(None, (words.kind_words(n), number))),
        ended=words.status(d, filed.events, case.profile.time_zone),
        means=_means(filed),
        facts=tuple(facts),
        attempts=tuple(_attempts(case, filed)),
    )


def _amounts(filed: Filed) -> list[tuple[str, str]]:
    """As the message itself named them: what billing has now may be another figure."""
    frozen = filed.notification.context.get("invoice")
    if not isinstance(frozen, dict):
        balance = filed.notification.context.get("balance")
        return [("Amount told", f"balance {balance}")] if balance else []
    parts = [
        f"total {frozen['total']}" if frozen.get("total") else "",
        f"due {frozen['due']}" if frozen.get("due") else "",
        f"payable by {frozen['due_on']}" if frozen.get("due_on") else "",
        f"issued {frozen['issued_on']}" if frozen.get("issued_on") else "",
    ]
    return [("Amount told", ", ".join(filter(None, parts)))] if any(parts) else []


def _means(filed: Filed) -> str:
    d = filed.delivery
    if d.outcome in (Outcome.SENT, Outcome.DELIVERED):
        return _PHRASES.get(d.confidence, "It was handed over; nothing more is known.")
    if _may_have_gone(filed):
        return "An attempt was cut off: it may have reached this address, and no answer proves either."
    return _DID_NOT.get(d.outcome, "")


def _may_have_gone(filed: Filed) -> bool:
    """Nothing is known of how an attempt ended that had begun: neither that it went nor that it did not."""
    unsent = filed.delivery.outcome in words.NOT_SENT or filed.delivery.outcome is Outcome.NONE
    return unsent and any(e.kind is EventKind.IN_DOUBT for e in filed.events)


def _attempts(case: ProofCase, filed: Filed) -> Iterator[Attempt]:
    events = list(filed.events)
    if len(events) > MOST_EVENTS:
        half = MOST_EVENTS // 2
        between = len(events) - MOST_EVENTS
        yield from (_attempt(case, filed, e) for e in events[:half])
        yield Attempt("", f"{between} more entries between these are left out here; they are kept.")
        events = events[-half:]
    yield from (_attempt(case, filed, e) for e in events)


def _attempt(case: ProofCase, filed: Filed, e: Event) -> Attempt:
    text = words.event_words(e, filed.delivery.address)
    number = f"Attempt {e.attempt}: " if e.attempt else ""
    if words.matched_by_hand(e):
        text += f". The report bears no signature of ours; {who(e.actor)} put it here"
    if e.recorded_at and e.recorded_at - e.at > timedelta(minutes=1):
        text += f" (known here since {utc(e.recorded_at)})"
    codes = " ".join(filter(None, (e.reply_code, e.status)))
    answer = words.raw_answer(e)
    if answer and codes and not answer.startswith(e.reply_code or e.status):
        answer = f"{codes} {answer}"
    raw = own_words(answer, filed.delivery.address) if answer else ""
    by = f" [{e.remote}]" if e.remote and raw else ""
    return Attempt(both(e.at, case.profile), f"{number}{text}", f"{raw}{by}")


def summary(case: ProofCase) -> list[tuple[str, int]]:
    """How many notices ended how, most first."""
    counted = Counter(_ended(filed) for filed in case.filed)
    return counted.most_common()


def _ended(filed: Filed) -> str:
    d = filed.delivery
    if d.outcome in (Outcome.SENT, Outcome.DELIVERED):
        return {
            Confidence.HANDSET_RECEIPT: "Received by the handset",
            Confidence.ACCEPTED_BY_SERVER: "Accepted by the recipient's server",
            Confidence.PRESUMED: "Handed to a relay, no bounce in 72 hours",
        }.get(d.confidence, "Handed to a relay or text provider")
    if _may_have_gone(filed) and d.outcome is not Outcome.NONE:
        return "May have gone out (an attempt was cut off)"
    return {
        Outcome.BOUNCED: "Not delivered (refused or returned)",
        Outcome.FAILED: "Not delivered (given up)",
        Outcome.SUPPRESSED: "Not sent (on the do-not-send list, or opted out)",
        Outcome.CANCELLED: "Not sent (cancelled)",
        Outcome.EXPIRED: "Not sent (out of date before it could be)",
    }.get(d.outcome, "Under way when this record was made")


Section = tuple[str, Sequence[str]]


def around(case: ProofCase) -> list[Section]:
    """What else happened in the period that bears on the notices, each with its lines."""
    return [
        ("Changes of addresses made by staff", _contact_lines(case)),
        ("Do-not-send list", _suppression_lines(case)),
        ("Consent to text messages", _consent_lines(case)),
        ("Invoice runs that left this account out", _left_out_lines(case)),
        ("Holds", _hold_lines(case)),
        ("What staff did with this account", _deed_lines(case)),
    ]


def _contact_lines(case: ProofCase) -> list[str]:
    rows = []
    for o in case.contact_changes:
        what = f"{o.old_address or 'nothing'} to {o.new_address}"
        rows.append(f"{both(o.created_at, case.profile)}: {o.channel} changed from {what} by {who(o.actor)}")
        if o.ended_at:
            rows.append(f"{both(o.ended_at, case.profile)}: that change ended")
    return rows


def _suppression_lines(case: ProofCase) -> list[str]:
    verb = {"suppressed": "put on the list", "released": "taken off the list"}
    return [
        f"{both(c.at, case.profile)}: {c.address} {verb.get(c.change, c.change)}"
        f"{f' ({words.bounce_words(c.reason)})' if c.reason else ''}, by {who(c.actor)}"
        for c in case.suppressions
    ]


def _consent_lines(case: ProofCase) -> list[str]:
    return [f"{both(c.at, case.profile)}: {c.address} {c.state} (source: {c.source})" for c in case.consents]


def _left_out_lines(case: ProofCase) -> list[str]:
    rows = []
    for run, exclusion, at in case.left_out:
        why = REASONS.get(exclusion.reason, exclusion.reason)
        detail = f": {exclusion.detail}" if exclusion.detail else ""
        invoice = case.invoices.get(exclusion.invoice_id) if exclusion.invoice_id else None
        about = f", invoice {invoice.number}" if invoice else ""
        rows.append(f"{both(at, case.profile)}: {run.label}{about}: {why}{detail}")
    return rows


def _hold_lines(case: ProofCase) -> list[str]:
    rows = []
    for h in case.holds:
        end = f", ended {utc(h.ended_at)}" if h.ended_at else ""
        why = f" ({h.reason})" if h.reason else ""
        held = "reminders" if h.scope == ACCOUNT else "all notices"
        rows.append(
            f"{both(h.created_at, case.profile)}: {what_is_held(h)}: "
            f"{held} held until {h.until.isoformat()}{why} by {who(h.owner)}{end}"
        )
    for legal in case.legal_holds:
        end = f", released {utc(legal.ended_at)}" if legal.ended_at else ", stands"
        rows.append(f"{both(legal.created_at, case.profile)}: legal hold by {who(legal.actor)}{end}")
    return rows


def _deed_lines(case: ProofCase) -> list[str]:
    return [
        f"{both(entry.at, case.profile)}: {who(entry.actor)} {DEEDS[entry.action]}"
        for entry in case.deeds
        if entry.action in DEEDS
    ]


SHOWS = (
    "For each notice: that it was asked for at the time stated and by whom, to which address it went, which "
    "content it had (by its SHA-256), each attempt to hand it over, and what the other side answered in its "
    "own words.",
    "“Accepted by a server” means that the recipient's mail server said it takes responsibility for the "
    "message (RFC 5321 section 6.1: a 250 reply after the data).",
    "“Received by the handset” means that the telephone network reported a receipt from the handset.",
)
SHOWS_NOT = (
    "Not that anybody read a notice, opened it or understood it.",
    "Not that it was in the inbox: a server that has accepted a message may file it as spam, forward it or "
    "delete it without telling the sender.",
    "Not who owns or reads an address. It is the address that was on file, or that staff named.",
    "Where a message was handed to a relay, not what the relay did with it, unless the relay or the "
    "recipient's server reported back. “No bounce in 72 hours” is a presumption, not a receipt.",
    "Bounce reports that bear no signature of ours can be forged. They are here only where a member of staff "
    "matched them by hand, and are marked as such.",
    "Times are those of the provider's own servers, kept by their operating systems' clocks. They are not "
    "certified by a time-stamping authority; where the other side gave its own time, it is in its answer.",
    "The text of the messages is not part of this record. Its SHA-256 proves that a copy shown elsewhere is, "
    "or is not, the same to the byte.",
    "Changes of addresses that the billing system made by itself are not listed one by one; only those made "
    "by staff here are.",
    "Mail that the billing system or a member of staff sent by another way is not in here.",
    "This record was drawn from the provider's own database. The audit chain shows changes made after the "
    "fact; it does not replace an independent witness.",
)
REMOVED_BY_AGE = (
    "What was removed by age: live entries are archived 13 months after a message was asked for, with all "
    "answers, and archived records are deleted after 7 years unless a legal hold stands on the account. "
    "Copies of attached PDFs, and reports that matched no message, are kept for shorter times. {older}"
)


def removed_by_age(case: ProofCase) -> str:
    oldest = case.made_at - timedelta(days=7 * 365)
    older = (
        "The period asked for reaches further back than that: older notices may have existed."
        if case.asked.since < oldest
        else "The period asked for lies within these times."
    )
    return REMOVED_BY_AGE.format(older=older)


__all__ = [
    "SHOWS",
    "SHOWS_NOT",
    "Attempt",
    "Told",
    "around",
    "both",
    "own_words",
    "removed_by_age",
    "summary",
    "told",
    "utc",
    "who",
]
