"""The DNS records of our mail domains in words: what each is worth, what changed and what it means. Pure."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from handlers.blocks import Mrkdwn, code, lines, md
from store.models import DomainRecord, RecordVerdict

MARKS: dict[RecordVerdict, str] = {
    RecordVerdict.OK: ":white_check_mark:",
    RecordVerdict.WEAK: ":warning:",
    RecordVerdict.MISSING: ":x:",
    RecordVerdict.WRONG: ":x:",
    RecordVerdict.UNKNOWN: ":grey_question:",
}
BAD = frozenset({RecordVerdict.MISSING, RecordVerdict.WRONG})
_RANK = {RecordVerdict.OK: 0, RecordVerdict.WEAK: 1, RecordVerdict.MISSING: 2, RecordVerdict.WRONG: 2}
_MOST_SHOWN = 900
"""Characters of a record on a card; a DKIM key of 4,096 bits has about 740."""

CONSEQUENCES: dict[str, str] = {
    "spf": "Receivers may refuse our mail, or put it into spam.",
    "dkim": "Our signatures count for nothing, so forwarded mail fails and receivers trust us less.",
    "dmarc": "Big receivers ask for a DMARC record, and may refuse our bulk mail without it.",
    "mx": "What is sent to this domain, bounces among it, does not arrive, so failures stay unseen.",
}
"""What it leads to when a record is wrong or gone, by its kind."""


class Drift(StrEnum):
    """What a change of a record is to us."""

    WORSE = "worse"
    STILL_BAD = "still_bad"
    MENDED = "mended"
    HARMLESS = "harmless"


def drift_of(record: DomainRecord) -> Drift:
    """Of a record that has just changed."""
    if record.verdict in BAD:
        worse = record.was is None or _RANK.get(record.verdict, 0) > _RANK.get(record.was, 0)
        return Drift.WORSE if worse else Drift.STILL_BAD
    return Drift.MENDED if record.was in BAD else Drift.HARMLESS


def kind_name(kind: str) -> str:
    """`dkim:ispbot1` -> `DKIM key ispbot1`."""
    base, _, selector = kind.partition(":")
    if base == "dkim":
        return f"DKIM key {selector}"
    return {"spf": "SPF record", "dmarc": "DMARC record", "mx": "mail servers (MX)"}.get(base, base)


def dkim_kind(selector: str) -> str:
    """As records of this kind are kept."""
    return f"dkim:{selector}"[:80]


def title(record: DomainRecord) -> str:
    """What has happened, in a sentence without a full stop."""
    of = f"{kind_name(record.kind)} of {record.domain}"
    plural = record.kind == "mx"
    if record.verdict is RecordVerdict.MISSING:
        return f"The {of} {'are' if plural else 'is'} gone"
    match drift_of(record):
        case Drift.WORSE if record.before == record.value:
            return f"The {of} {'are' if plural else 'is'} the same, but {'do' if plural else 'does'} not work"
        case Drift.WORSE:
            return f"The {of} {'were' if plural else 'was'} changed and {'are' if plural else 'is'} wrong now"
        case Drift.STILL_BAD:
            return (
                f"The {of} {'were' if plural else 'was'} changed and {'are' if plural else 'is'} still wrong"
            )
        case Drift.MENDED:
            return f"The {of} {'are' if plural else 'is'} right now"
        case _ if record.before == record.value:
            return f"The {of} {'are' if plural else 'is'} the same; what it leads to has changed"
    return f"The {of} {'were' if plural else 'was'} changed and {'are' if plural else 'is'} still right"


def meaning(record: DomainRecord) -> str:
    """What it means, in plain words."""
    if record.verdict in BAD:
        return f"{CONSEQUENCES.get(record.kind.partition(':')[0], '')} {record.said}".strip()
    return record.said


def before_and_after(record: DomainRecord) -> Mrkdwn:
    """Both as they stand in DNS; one where nothing but what they lead to has changed."""
    if record.before is None or record.before == record.value:
        return lines([md("Published (unchanged):"), published(record.value)])
    return lines([md("Before:"), published(record.before), md("Now:"), published(record.value)])


def published(value: str) -> Mrkdwn:
    if not value:
        return md("_(no record)_")
    cut = value if len(value) <= _MOST_SHOWN else value[:_MOST_SHOWN] + "…"
    return code(cut)


def post_key(record: DomainRecord) -> str:
    """A post about this change: short, whatever the names, and another one for the next change."""
    at = round(record.changed_at.timestamp() * 1000) if record.changed_at else 0
    return f"{record_key(record)}#{at}"


def record_key(record: DomainRecord) -> str:
    return hashlib.sha256(f"{record.domain} {record.kind}".encode()).hexdigest()[:24]
