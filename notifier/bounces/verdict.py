"""The vocabulary of bounces: what happened, whose fault it is, and whether to stop mailing the address.

Classes follow what an operator does next, not the RFC 3463 subject: a full mailbox is waited out, a
reputation block is ours to mend, an unknown user is written off.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BounceClass(StrEnum):
    """What a bounce, a report or an SMTP answer says about one recipient."""

    NO_SUCH_USER = "no_such_user"
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_DISABLED = "mailbox_disabled"
    DOMAIN_MISSING = "domain_missing"
    FILTERED = "filtered"
    BLOCKED_AUTH = "blocked_auth"
    BLOCKED_REPUTATION = "blocked_reputation"
    SPAM_CONTENT = "spam_content"
    TOO_BIG = "too_big"
    RATE_LIMITED = "rate_limited"
    RELAY_OR_SECURITY = "relay_or_security"
    TEMPORARY = "temporary"
    OTHER = "other"
    FEEDBACK = "feedback"
    AUTO_REPLY = "auto_reply"
    DELIVERED = "delivered"


class Fault(StrEnum):
    """Who has to act: a bounce that is ours alerts on-call and suppresses nobody."""

    RECIPIENT = "recipient"
    CONTENT = "content"
    OURS = "ours"
    NETWORK = "network"
    POLICY = "policy"


FAULT_OF: dict[BounceClass, Fault] = {
    BounceClass.NO_SUCH_USER: Fault.RECIPIENT,
    BounceClass.MAILBOX_FULL: Fault.RECIPIENT,
    BounceClass.MAILBOX_DISABLED: Fault.RECIPIENT,
    BounceClass.DOMAIN_MISSING: Fault.RECIPIENT,
    BounceClass.FILTERED: Fault.RECIPIENT,
    BounceClass.BLOCKED_AUTH: Fault.OURS,
    BounceClass.BLOCKED_REPUTATION: Fault.OURS,
    BounceClass.SPAM_CONTENT: Fault.CONTENT,
    BounceClass.TOO_BIG: Fault.CONTENT,
    BounceClass.RATE_LIMITED: Fault.POLICY,
    BounceClass.RELAY_OR_SECURITY: Fault.POLICY,
    BounceClass.TEMPORARY: Fault.NETWORK,
    BounceClass.OTHER: Fault.POLICY,
    BounceClass.FEEDBACK: Fault.RECIPIENT,
    BounceClass.AUTO_REPLY: Fault.RECIPIENT,
    BounceClass.DELIVERED: Fault.RECIPIENT,
}

# Stop mailing: the mailbox or its domain is gone. A moved user and a domain that declares itself
# mail-less (null MX) are hard too; the rule that recognises them says so.
HARD_CLASSES = frozenset({BounceClass.NO_SUCH_USER, BounceClass.DOMAIN_MISSING})


@dataclass(frozen=True, slots=True)
class BounceVerdict:
    """The judgement of one answer.

    `hard` is about the address, `permanent` about this attempt: a 450 "user unknown" is hard and not
    permanent, so it is tried again and suppresses only when the attempts have run out.
    """

    cls: BounceClass
    hard: bool
    fault: Fault
    permanent: bool


@dataclass(frozen=True, slots=True)
class BounceReport:
    """What one message says about one recipient; empty strings where it is silent.

    `status` is the RFC 3463 code, `reply_code` the three digits of SMTP, `action` the RFC 3464 action
    (failed, delayed, delivered, relayed, expanded) or empty outside delivery reports.
    """

    recipient: str
    original_recipient: str | None
    cls: BounceClass
    hard: bool
    fault: Fault
    status: str = ""
    reply_code: str = ""
    diagnostic: str = ""
    action: str = ""
    remote_mta: str = ""
    envelope_id: str | None = None
