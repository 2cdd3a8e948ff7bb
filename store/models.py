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
    """What a message is about; the channel decides which of its template's parts is used."""

    INVOICE_ISSUED = "invoice_issued"
    REMINDER = "reminder"
    OVERDUE = "overdue"
    RESEND = "resend"
    SUSPENDED = "suspended"
    UNSUSPENDED = "unsuspended"
    REPLY = "reply"
    """An agent's own words to a subscriber, by text."""
    AUTO_REPLY = "auto_reply"
    """Our fixed answer to a subscriber's text (HELP, a confirmed STOP, a balance, ...)."""
    ONCALL = "oncall"
    """A text to whoever is on call."""
    TEST = "test"
    ADDRESS_QUESTION = "address_question"
    """Asked by text: is this your e-mail address?"""
    TRIAL = "trial"
    """The same mail by two routes to a test mailbox of our own; about nobody."""
    PACK = "pack"
    """Evidence for whoever helps us: Client Success, or a postmaster. Never to a subscriber."""


ABOUT_NOBODY = (NotificationKind.TRIAL, NotificationKind.PACK)
"""Our own tests and letters: what becomes of them is told on their cards, and is no subscriber's trouble."""


class RunState(StrEnum):
    """waiting (for approval) -> running <-> paused; running -> settled; each but settled -> cancelled."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    SETTLED = "settled"


class IncidentState(StrEnum):
    """open -> acknowledged -> resolved; open -> resolved."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Said(StrEnum):
    """Who said a line of a conversation, and whether the subscriber saw it."""

    IN = "in"
    """The subscriber, by text."""
    OUT = "out"
    """A text of ours to the subscriber."""
    NOTE = "note"
    """A colleague, to the team only: never sent."""
    EVENT = "event"
    """Something that happened (opted out, account chosen); never sent."""
    DRAFT = "draft"
    """What a colleague was shown before sending it; nobody else sees it."""


AUTO = "auto:"
"""How authors of automatic texts begin; behind it stands which text it was."""


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

    deferred, in_doubt, delayed, requeued, settled, complaint and answered tell the story without being an
    outcome; suppressed, cancelled and expired are decisions of ours.
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
    """It was in doubt, and is certainly not there: another attempt is made."""
    SETTLED = "settled"
    """No receipt came and none is waited for any more: it stays what it was."""
    COMPLAINT = "complaint"
    ANSWERED = "answered"
    """The mailbox answered by itself (out of office): somebody's program has seen the mail."""
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
    PAUSE = "pause"
    """Neither used nor billed until a day; billing brings it back itself."""


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
    SMS = "sms"
    """A subscriber's text, from the provider's webhook."""
    SMS_STATUS = "sms_status"
    """A provider's word on a text of ours."""
    BILLING = "billing"
    """A remote billing system says that something has changed in it."""


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

    @property
    def issue(self) -> str:
        """What was billed, as a key: the same whatever was paid since, another one when it was corrected."""
        return f"{self.number}:{self.total.minor}:{self.due_on:%Y%m%d}"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One channel and one normalised address; becomes one delivery, one RCPT, one To."""

    channel: Channel
    address: str
    subscriber_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Fallback:
    """A second way, used only when the first is settled without success."""

    channel: Channel
    address: str
    route: str


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
    run_id: UUID | None = None
    attach_pdf: bool = False
    """E-mail carries the invoice as a PDF, drawn once per revision."""
    fallback: tuple[Fallback, ...] = ()
    """Where it goes when no delivery by the first channel can succeed any more."""


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
    queue_id: str | None = None
    """The other side's own name for it: a relay's queue id, a provider's MessageSid."""
    checks: int = 0
    """How often a missing final status was asked for."""


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
    took_ms: int | None = None
    """From handing it to the channel until the other side's answer, connecting included; of answers only."""


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
    sms: str = ""
    """The one line for a text; empty where the message never goes by text."""


class Unmatched(StrEnum):
    """Why a report belongs to no delivery; surest first."""

    FORGED = "forged"
    """It bears what looks like a token of ours, and no key of ours made it."""
    OLD_KEY = "old_key"
    """Its token was made with a retired key, longer ago than such keys count."""
    GONE = "gone"
    """Its token is ours; the delivery is not on file (any more)."""
    AMBIGUOUS = "ambiguous"
    """It is about somebody else than the deliveries that it points to."""
    NO_TOKEN = "no_token"  # noqa: S105  # a reason
    NO_REPORT = "no_report"
    """An ordinary mail to our bounce address."""
    GIVEN_UP = "given_up"
    """A fault of ours: it could not be worked on."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A report that matched no delivery; kept, and shown until somebody matches or dismisses it."""

    id: UUID
    source: EventSource
    recipient: str
    envelope_to: str
    summary: str
    raw: bytes
    received_at: datetime
    cls: str = ""
    """The bounce class; empty where it is no report."""
    why: Unmatched = Unmatched.NO_TOKEN
    matched_at: datetime | None = None
    delivery_id: UUID | None = None
    dismissed_at: datetime | None = None
    closed_by: str = ""


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
    parent_id: UUID | None = None
    """The post in whose thread it stands; shown only once that one is."""

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


MOST_COUNTED = 10_000
"""Notices that a hold on a town or tag touches are counted so far, and no further."""
ACCOUNT, TOWN, TAG = "account", "town", "tag"
"""What a hold is set on."""


@dataclass(frozen=True, slots=True)
class Hold:
    """`scope` account, town or tag; `scope_key` the account's number, the town's or the tag's name."""

    id: UUID
    scope: str
    scope_key: str
    until: date
    """The last day on which it stands, in the tenant's zone."""
    reason: str
    owner: str
    created_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None
    """Who ended it before its day; None: its day was over, or it stands."""


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
    tenant: int = 0
    tell: bool = True
    """The subscriber is told by mail and text once it is done."""
    owed_minor: int | None = None
    """What the asker saw owed: less than that at the act means a payment came in between."""
    attempt: int = 0
    """Claims so far; the fencing number."""
    called_at: datetime | None = None
    """Billing was asked to do it, at least once; whether it did, reading back tells."""
    result: str = ""
    """Why it was not done, or waits, in a sentence for an agent."""
    finished_at: datetime | None = None
    verified_at: datetime | None = None
    """Reading back showed the package as wanted."""
    until: date | None = None
    """Of a pause: the day on which billing brings the package back."""

    @property
    def open(self) -> bool:
        return self.state in (ActState.INTENDED, ActState.CALLING, ActState.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class Run:
    """One invoice run: an audience notified at once, followed until all of it is settled."""

    id: UUID
    kind: NotificationKind
    label: str
    criteria: JsonObject
    """What was asked for: issued_since, overdue, invoice, ..."""
    state: RunState
    requested_by: str
    created_at: datetime
    ready_at: datetime | None = None
    """When its whole audience was enqueued or left out; None: still at it."""
    settled_at: datetime | None = None
    """No attempt is left to make, also of a cancelled one."""
    written_to: str = ""
    """The number of the last invoice that was decided: whoever takes the run up again goes on behind it."""
    written_at: datetime | None = None
    audience: int = 0
    """How many invoices were decided so far: each is a notice or left out."""
    approved_by: str | None = None
    approved_at: datetime | None = None
    paused_by: str | None = None
    """A person, or ERRORS: too many failed."""
    paused_at: datetime | None = None
    pause_reason: str = ""
    """Why it paused itself, or was cancelled by itself."""
    resumed_by: str | None = None
    resumed_at: datetime | None = None
    """What failed before counts no more when it is judged whether it pauses itself."""
    cancelled_by: str | None = None
    cancelled_at: datetime | None = None
    stop_at: int | None = None
    """Pauses itself when more than so many per cent fail; None: never."""
    rehearsal: JsonObject = field(default_factory=dict)
    """What was foreseen when it was begun (handlers.runs.Rehearsal.as_json)."""


class Standing(StrEnum):
    """How one notice stands, over all its deliveries, best news first."""

    ACCEPTED = "accepted"
    """The recipient's own server or handset has it."""
    HANDED = "handed"
    """A relay or provider has it: it may still bounce."""
    PRESUMED = "presumed"
    """Handed over long ago, and no bounce came."""
    UNDER_WAY = "under_way"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Ledger:
    """issued = notified + left out + in nobody's audience + archived + gap."""

    issued: int
    notified: Mapping[Standing, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    outside: int = 0
    """In no run's audience: nobody has asked for their notices yet."""
    archived: int = 0
    """Of a run so old that its messages went to the notices by age: told or not, it is not counted here."""

    @property
    def told(self) -> int:
        return sum(self.notified.values())

    @property
    def excluded(self) -> int:
        return sum(self.left_out.values())

    @property
    def gap(self) -> int:
        """Invoices that should be somewhere and are nowhere; 0 unless something is broken."""
        return self.issued - self.told - self.excluded - self.outside - self.archived


@dataclass(frozen=True, slots=True)
class Entry:
    """One invoice of the ledger."""

    standing: Standing | None = None
    reason: str = ""
    """Why a run left it out, where there is no notice."""


class Aside(StrEnum):
    """Why a delivery counts less than others as proof that its recipient has the notice (store.proof)."""

    TEST = "test"
    """A test of a mail server."""
    ELSEWHERE = "elsewhere"
    """A copy to an address or number that is not, and was not, on file for the payer."""
    MENDED = "mended"
    """Its address was mended since, and no receipt came from there."""
    KEPT = "kept"
    """Its address was mended since; a receipt had come from there, which stays a proof."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many deliveries of a run are alike."""

    channel: Channel
    stage: Stage
    outcome: Outcome
    confidence: Confidence
    reason: Reason
    cls: str
    count: int
    recent: int = 0


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Somebody whom a run left out, and why, in words for an agent."""

    run_id: UUID
    subscriber_id: UUID
    invoice_id: UUID | None
    reason: str
    """A stable code (no_address, paid, held, ...): handlers know its words."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said by text with one number; one open conversation a number and sender."""

    id: UUID
    number: str
    """The subscriber's, E.164."""
    sender: str
    """Ours, E.164: answers leave by the number that was written to."""
    subscriber_id: UUID | None
    """None: nobody on file has this number, or it is not known yet which account is meant."""
    choices: tuple[UUID, ...]
    """The accounts between which the subscriber was asked to choose; empty when not (any more)."""
    paused: bool
    """Automatic texts wait until an agent has decided what was meant."""
    created_at: datetime
    last_at: datetime
    closed_at: datetime | None = None
    closed_by: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationLine:
    """One thing said in a conversation. `body` is redacted before it is ever kept."""

    id: UUID
    conversation_id: UUID
    said: Said
    body: str
    author: str
    """A Slack user id; `auto:` and which text for automatic ones; empty for the subscriber."""
    at: datetime
    notification_id: UUID | None = None
    provider_id: str | None = None
    """What made it, once: the provider's MessageSid of an inbound text, else an interaction and a step."""
    ts: str | None = None
    """The Slack message that a note was."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One cause of failures, told once to whoever is on call."""

    id: UUID
    cause: str
    """A stable key: class and whom it is about, such as `blocked_reputation:bigmail.example`."""
    title: str
    state: IncidentState
    urgent: bool
    """It cannot wait until morning."""
    count: int
    first_at: datetime
    last_at: datetime
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    resolved_by: str | None = None
    resolved_at: datetime | None = None
    texted_at: datetime | None = None
    """When the on-call number was texted last."""
    texts: int = 0
    """How often it was texted."""
    acknowledged_count: int | None = None
    """How many messages it had caught when it was acknowledged."""
    note: str = ""
    """What was done about it, told at its resolution."""
    earlier_id: UUID | None = None
    """The last incident of the same cause, resolved before this one began."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An event that tells of a failure or of a postponement, with what is known of its delivery."""

    event_id: UUID
    delivery_id: UUID
    notification_id: UUID
    subscriber_id: UUID | None
    """Whose matter it is: the account that the message is about, else whoever was written to."""
    notification_kind: NotificationKind
    channel: Channel
    address: str
    route: str
    priority: Priority
    kind: EventKind
    source: EventSource
    reason: Reason
    cls: str
    hard: bool
    reply_code: str
    status: str
    diagnostic: str
    remote: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class InvoiceLink:
    """A short link to one invoice's page; `failed` counts wrong ZIP codes."""

    id: UUID
    code: str
    invoice_id: UUID
    subscriber_id: UUID
    expires_at: datetime
    created_at: datetime
    failed: int = 0
    opened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InvoicePdf:
    """The drawing of one revision of an invoice, made once."""

    invoice_id: UUID
    revision: int
    hash: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who takes care of something (a failed delivery, a cause)."""

    subject: str
    assignee: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ContactOverride:
    """An address that an agent mended here and billing does not have yet."""

    id: UUID
    subscriber_id: UUID
    role: ContactRole
    channel: Channel
    old_address: str
    new_address: str
    actor: str
    created_at: datetime
    ended_at: datetime | None = None


class WatchEnd(StrEnum):
    FIXED = "fixed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class DnsWatch:
    """Somebody wants to know when a domain's record is right; looked at on a schedule until `expires_at`."""

    tenant: int
    id: UUID
    kind: str
    domain: str
    actors: tuple[str, ...]
    """Everybody who asked, in that order."""
    created_at: datetime
    next_at: datetime
    expires_at: datetime
    checks: int = 0
    last_seen: str = ""
    """What the last look found, in a sentence."""
    last_at: datetime | None = None
    ended_at: datetime | None = None
    ended: WatchEnd | None = None
    ended_by: str | None = None
    """Who stopped it."""


class RecordVerdict(StrEnum):
    """What a domain's record is worth, best first. Unknown: DNS never answered."""

    OK = "ok"
    WEAK = "weak"
    """It works, and could protect or say more."""
    MISSING = "missing"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DomainRecord:
    """What was last seen in DNS of a domain that we send from. `kind`: spf, dmarc, mx, dkim:<selector>."""

    domain: str
    kind: str
    value: str
    """The records as published, one a line; empty: there is none."""
    verdict: RecordVerdict
    said: str
    """What it means, in a sentence."""
    checked_at: datetime
    before: str | None = None
    """What stood there before it last changed; None: it never did."""
    was: RecordVerdict | None = None
    """What it was worth then."""
    changed_at: datetime | None = None


class QuestionState(StrEnum):
    """asked -> confirmed | declined | other | stopped | expired | overtaken."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    OTHER = "other"
    """They wrote another address: an agent looks at it."""
    STOPPED = "stopped"
    """They opted out of texts instead."""
    EXPIRED = "expired"
    OVERTAKEN = "overtaken"
    """The address, or the number, was changed before they answered."""


@dataclass(frozen=True, slots=True)
class AddressQuestion:
    """ "Is this your address?", asked by text of whoever gets the invoices."""

    id: UUID
    subscriber_id: UUID
    """Whose address it is about: who pays."""
    role: ContactRole
    old_address: str
    """What is on file, and is to be mended by a yes."""
    suggested: str
    number: str
    """E.164."""
    invoice_id: UUID | None
    """The invoice that goes out again once it is mended."""
    notification_id: UUID
    state: QuestionState
    actor: str
    """The agent who asked."""
    channel_id: str
    created_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None
    answer: str | None = None
    """The other address that they wrote."""


@dataclass(frozen=True, slots=True)
class RouteTrial:
    """The same mail by several routes to one test mailbox. `notifications`: (route, notification id)."""

    id: UUID
    code: str
    """Stands in the subjects, so that whoever opens the mailbox finds them."""
    mailbox: str
    notifications: tuple[tuple[str, UUID], ...]
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PastDiagnosis:
    """What somebody was told when they asked why an invoice did not arrive; contacts in it are masked."""

    id: UUID
    subscriber_id: UUID
    asked_invoice_id: UUID | None
    """The invoice that was named; None: asked for the account."""
    invoice_id: UUID | None
    """The invoice that the verdict is about."""
    cause: str
    """A stable key (handlers.diagnosis.causes)."""
    certainty: str
    headline: str
    findings: tuple[tuple[str, str, str], ...]
    """(step, mark, text), as they were shown."""
    actor: str
    created_at: datetime
    previous_id: UUID | None = None
    """The result that it was compared with."""


NOT_BEGUN = "not_begun"
"""Why something is queued for later that nobody has tried yet and that has no reason written on it."""


@dataclass(frozen=True, slots=True)
class Queued:
    """What waits on one route for a worker, now or later."""

    route: str
    due: int
    later: int
    urgent: int
    """Of those that are due: what goes before everything else."""
    oldest_due: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody or something holds."""

    by: str
    route: str
    count: int
    oldest: datetime
    """When the oldest of them was made."""


@dataclass(frozen=True, slots=True)
class RouteCounts:
    """E-mail on one route since an instant; the last success and failure may be three days older."""

    accepted: int = 0
    refused: int = 0
    put_off: int = 0
    waiting: int = 0
    last_success: datetime | None = None
    last_failure: datetime | None = None
    last_cls: str = ""
    last_reason: Reason = Reason.NONE
    last_domain: str = ""


@dataclass(frozen=True, slots=True)
class Bounces:
    """Deliveries that bounced or failed on a day (an index into the edges asked for)."""

    day: int
    domain: str
    cls: str
    count: int
