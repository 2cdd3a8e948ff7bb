"""The shared vocabulary: frozen dataclasses and enums that every layer speaks.

Terms are those of docs/glossary.md. Instants are aware UTC datetimes, business dates are `date`
in the tenant's zone, money is integer minor units with an ISO 4217 currency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

from store.money import Money

JsonObject = Mapping[str, Any]


class SubscriberKind(StrEnum):
    RESIDENTIAL = "residential"
    BUSINESS = "business"


class SubscriberStatus(StrEnum):
    PROSPECT = "prospect"
    ACTIVE = "active"
    ARCHIVED = "archived"


class ContactRole(StrEnum):
    SERVICE = "service"
    BILLING = "billing"
    TECHNICAL = "technical"
    EMERGENCY = "emergency"


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"


class PackageKind(StrEnum):
    INTERNET = "internet"
    VOICE = "voice"
    TV = "tv"


class PackageStatus(StrEnum):
    """pending -> active; active <-> suspended; active <-> hibernated; any live -> inactive."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    HIBERNATED = "hibernated"
    INACTIVE = "inactive"


class InvoiceStatus(StrEnum):
    """draft -> open -> partially_paid -> paid; open | partially_paid -> void | uncollectible."""

    DRAFT = "draft"
    OPEN = "open"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class NotificationKind(StrEnum):
    INVOICE_ISSUED = "invoice_issued"
    RESEND = "resend"
    TEST = "test"


class Priority(IntEnum):
    """Lower goes first; URGENT has a claim of its own."""

    URGENT = 0
    NORMAL = 5
    BULK = 9


class Stage(StrEnum):
    """Where a delivery stands with the scheduler; changes only by compare-and-set."""

    HELD = "held"
    QUEUED = "queued"
    CLAIMED = "claimed"
    AWAITING = "awaiting"
    CLOSED = "closed"


class Outcome(StrEnum):
    """What the evidence says; a pure function of the multiset of events."""

    NONE = "none"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Reason(StrEnum):
    """Whose matter an outcome is."""

    NONE = "none"
    RECIPIENT = "recipient"
    CONTENT = "content"
    POLICY = "policy"
    INFRASTRUCTURE = "infrastructure"
    CAPACITY = "capacity"
    NETWORK = "network"
    CONFIG = "config"
    OPTED_OUT = "opted_out"
    STALE = "stale"
    OPERATOR = "operator"


class Confidence(StrEnum):
    """How sure an outcome is, strongest first; words shown to people follow it."""

    HANDSET_RECEIPT = "handset_receipt"
    ACCEPTED_BY_SERVER = "accepted_by_server"
    HANDED_TO_RELAY = "handed_to_relay"
    PRESUMED = "presumed"
    UNKNOWN = "unknown"


class EventKind(StrEnum):
    """What can be learnt of a delivery. Evidence: accepted, delivered, bounced, failed.

    deferred, in_doubt, delayed, requeued and complaint tell the story without being an outcome;
    suppressed, cancelled and expired are decisions of ours.
    """

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    PRESUMED = "presumed"
    BOUNCED = "bounced"
    FAILED = "failed"
    DEFERRED = "deferred"
    DELAYED = "delayed"
    IN_DOUBT = "in_doubt"
    REQUEUED = "requeued"
    COMPLAINT = "complaint"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class EventSource(StrEnum):
    SMTP = "smtp"
    DSN = "dsn"
    WEBHOOK = "webhook"
    SWEEP = "sweep"
    WORKER = "worker"
    OPERATOR = "operator"


class ConsentState(StrEnum):
    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


class NoteLevel(StrEnum):
    INFO = "info"
    WARN = "warn"
    BLOCK = "block"


class ActKind(StrEnum):
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"


class ActState(StrEnum):
    INTENDED = "intended"
    CALLING = "calling"
    DONE = "done"
    IN_DOUBT = "in_doubt"
    FAILED = "failed"


class InteractionKind(StrEnum):
    COMMAND = "command"
    ACTION = "action"
    SUBMIT = "submit"
    EVENT = "event"
    DSN = "dsn"


class InteractionState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Tenant:
    id: int
    key: str
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Where a mirrored fact comes from and how old it is."""

    source: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Subscriber:
    id: UUID
    account: str
    kind: SubscriberKind
    status: SubscriberStatus
    name: str
    language: str
    time_zone: str | None
    address: str
    city: str
    region: str
    postal_code: str
    payer_account: str | None
    """Bill-to-another: the account whose billing contact gets the invoices; None is itself."""
    balance: Money
    """Positive: owed to the provider."""
    invoice_notices: bool
    facts: Facts


@dataclass(frozen=True, slots=True)
class Point:
    """One way to reach a contact: one normalised address on one channel."""

    id: UUID
    subscriber_id: UUID
    role: ContactRole
    channel: Channel
    address: str
    raw: str
    position: int
    problem: str | None
    facts: Facts


@dataclass(frozen=True, slots=True)
class Service:
    id: UUID
    name: str
    kind: str
    status: PackageStatus
    ip: str | None
    mac: str | None


@dataclass(frozen=True, slots=True)
class Package:
    id: UUID
    subscriber_id: UUID
    ref: str
    name: str
    kind: PackageKind
    status: PackageStatus
    status_until: date | None
    price: Money
    facts: Facts
    services: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class Invoice:
    id: UUID
    subscriber_id: UUID
    number: str
    status: InvoiceStatus
    issued_on: date
    due_on: date
    total: Money
    paid: Money
    revision: int
    facts: Facts

    @property
    def due(self) -> Money:
        """What is still owed; derived, never stored."""
        return self.total - self.paid


@dataclass(frozen=True, slots=True)
class Recipient:
    """One channel and one normalised address; becomes one delivery, one RCPT, one To."""

    channel: Channel
    address: str
    subscriber_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    id: UUID
    kind: NotificationKind
    subscriber_id: UUID | None
    invoice_id: UUID | None
    template_hash: str
    language: str
    context: JsonObject
    requested_by: str
    priority: Priority
    receipt: bool
    """Ask the mail servers for a positive report: somebody is watching this one."""
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    id: UUID
    tenant: int
    notification_id: UUID
    subscriber_id: UUID | None
    channel: Channel
    address: str
    route: str
    priority: Priority
    stage: Stage
    stage_reason: str | None
    stage_by: str | None
    due_at: datetime
    attempt: int
    outcome: Outcome
    reason: Reason
    confidence: Confidence
    outcome_at: datetime | None
    cls: str
    """Class of the deciding bounce (notifier.bounces); empty where there is none."""
    diagnostic: str
    """The raw answer that decided; for the one press away, never the first line."""
    remote: str
    """The server or relay that the deciding evidence is about."""
    message_id: str
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One thing learnt about one attempt. `key` makes learning it twice change nothing."""

    delivery_id: UUID
    attempt: int
    kind: EventKind
    key: str
    at: datetime
    source: EventSource
    reason: Reason = Reason.NONE
    confidence: Confidence = Confidence.UNKNOWN
    hard: bool = False
    reply_code: str = ""
    status: str = ""
    diagnostic: str = ""
    remote: str = ""
    cls: str = ""
    actor: str = ""
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Suppression:
    channel: Channel
    address: str
    reason: str
    created_at: datetime
    delivery_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """What was rendered, kept by the SHA-256 of its content so that a proof shows what was sent."""

    hash: str
    name: str
    language: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Orphan:
    """A report that matched no delivery; kept, shown and rematched."""

    id: UUID
    source: EventSource
    recipient: str
    envelope_to: str
    summary: str
    raw: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Interaction:
    """One thing that came in (Slack, a bounce), persisted before it is acknowledged."""

    tenant: int
    id: str
    """The sender's own idea of identity, hashed: trigger_id, event_id, or the body."""
    kind: InteractionKind
    payload: JsonObject
    received_at: datetime
    state: InteractionState = InteractionState.PENDING
    body: bytes = b""
    response_url: bytes = b""
    """Encrypted; purged after a day."""
    response_uses: int = 0
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Post:
    """A Slack message that changes by itself: what is wanted against what is shown."""

    tenant: int
    id: UUID
    surface: str
    key: str
    channel: str
    thread_ts: str | None
    ts: str | None
    wanted: int
    shown: int
    attempt: int
    created_at: datetime
    posted_in: str | None = None
    """Where it really stands: Slack answers a post to a person with the direct message's id."""
    posting: bool = False
    """chat.postMessage was called and its answer never recorded: look before posting again."""

    @property
    def place(self) -> str:
        """The channel to talk to Slack about."""
        return self.posted_in or self.channel


@dataclass(frozen=True, slots=True)
class AuditEntry:
    at: datetime
    actor: str
    action: str
    subject: str
    detail: JsonObject = field(default_factory=dict)
    personal: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    id: UUID
    subscriber_id: UUID
    text: str
    level: NoteLevel
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """`scope` account, town or tag; `scope_key` the account's number, the town's or the tag's name."""

    id: UUID
    scope: str
    scope_key: str
    until: date
    reason: str
    owner: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BillingAct:
    id: UUID
    kind: ActKind
    subscriber_id: UUID
    package_id: UUID
    state: ActState
    reason: str
    actor: str
    created_at: datetime
