"""The schema (SQLAlchemy Core). Private to `store`; migrations/ holds its history.

Every key leads with tenant_id. `deliveries` and `events` have no unique constraint but their primary
key, since PostgreSQL partitions them by RANGE(id) (store.partitions): their ids are derived from what they
name (store.types.derived_id), and the key alone refuses a second one. Each of their indexes is paid for at
every insert and every change of stage: one that no query reads has no place here.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    text,
    true,
)

from store.types import UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


FAILURES = "kind IN ('bounced', 'failed', 'deferred')"
"""Literal: a partial index is used only by a query that says the same without parameters (SQLite)."""


def _tenant() -> Column[int]:
    return Column("tenant_id", Integer, nullable=False)


def _id(name: str = "id", *, nullable: bool = False) -> Column[object]:
    return Column(name, Uuid, nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, UtcDateTime, nullable=nullable)


def _ordered(name: str) -> Column[str]:
    """Text of which ranges are read: in the order of its code points, whatever the database's own is."""
    kind = Text().with_variant(Text(collation="C"), "postgresql")
    return Column(name, kind, nullable=False)


def _facts() -> tuple[Column[str], Column[object]]:
    return Column("source", String(40), nullable=False), _at("as_of")


def _fk(column: str, table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"])


def _pk(*more: str) -> PrimaryKeyConstraint:
    return PrimaryKeyConstraint("tenant_id", *(more or ("id",)))


tenants = Table(
    "tenants",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 24 bits: it travels in VERP tokens
    Column("key", String(40), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("time_zone", String(60), nullable=False),
    _at("created_at"),
)

subscribers = Table(
    "subscribers",
    metadata,
    _tenant(),
    _id(),
    Column("account", String(40), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("status", String(12), nullable=False),
    Column("name", Text, nullable=False),
    Column("search_name", Text, nullable=False),
    Column("language", String(12), nullable=False),
    Column("time_zone", String(60)),
    Column("address", Text, nullable=False),
    Column("city", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("postal_code", String(20), nullable=False),
    Column("payer_account", String(40)),
    Column("balance_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("invoice_notices", Boolean, nullable=False),
    *_facts(),
    _at("created_at"),
    _at("updated_at"),
    _pk(),
    UniqueConstraint("tenant_id", "account"),
    Index("ix_subscribers_search_name", "tenant_id", "search_name"),
    Index("ix_subscribers_payer_account", "tenant_id", "payer_account"),
)

contacts = Table(
    "contacts",
    metadata,
    _tenant(),
    _id(),
    _id("subscriber_id"),
    Column("role", String(12), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    _pk(),
    UniqueConstraint("tenant_id", "subscriber_id", "role"),
    _fk("subscriber_id", "subscribers"),
)

points = Table(
    "points",
    metadata,
    _tenant(),
    _id(),
    _id("contact_id"),
    _id("subscriber_id"),
    Column("channel", String(8), nullable=False),
    Column("address", Text, nullable=False),
    Column("raw", Text, nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("problem", Text),
    *_facts(),
    _pk(),
    UniqueConstraint("tenant_id", "contact_id", "channel", "address"),
    _fk("contact_id", "contacts"),
    _fk("subscriber_id", "subscribers"),
    Index("ix_points_address", "tenant_id", "channel", "address"),
    Index("ix_points_subscriber_id", "tenant_id", "subscriber_id"),
)

packages = Table(
    "packages",
    metadata,
    _tenant(),
    _id(),
    _id("subscriber_id"),
    Column("ref", String(60), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("status", String(12), nullable=False),
    Column("status_until", Date),
    Column("price_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    *_facts(),
    _pk(),
    UniqueConstraint("tenant_id", "ref"),
    _fk("subscriber_id", "subscribers"),
    Index("ix_packages_subscriber_id", "tenant_id", "subscriber_id"),
)

services = Table(
    "services",
    metadata,
    _tenant(),
    _id(),
    _id("package_id"),
    Column("name", Text, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("status", String(12), nullable=False),
    Column("ip", String(45)),
    Column("mac", String(17)),
    _pk(),
    UniqueConstraint("tenant_id", "package_id", "name"),
    _fk("package_id", "packages"),
    Index("ix_services_ip", "tenant_id", "ip"),
    Index("ix_services_mac", "tenant_id", "mac"),
)

# Made from subscribers and points (store.search): nothing else refers to them.
search_terms = Table(
    "search_terms",
    metadata,
    _tenant(),
    _ordered("term"),
    _id("subscriber_id"),
    _pk("term", "subscriber_id"),
    # With the term beside it, so that what somebody has is read from the index alone.
    Index("ix_search_terms_subscriber_id", "tenant_id", "subscriber_id", postgresql_include=["term"]),
    sqlite_with_rowid=False,
)

search_cuts = Table(
    "search_cuts",
    metadata,
    _tenant(),
    _ordered("cut"),
    _ordered("word"),
    _pk("cut", "word"),
    sqlite_with_rowid=False,
)

invoices = Table(
    "invoices",
    metadata,
    _tenant(),
    _id(),
    _id("subscriber_id"),
    Column("number", String(40), nullable=False),
    Column("status", String(16), nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("paid_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("revision", Integer, nullable=False),
    *_facts(),
    _pk(),
    UniqueConstraint("tenant_id", "number"),
    _fk("subscriber_id", "subscribers"),
    Index("ix_invoices_subscriber_id", "tenant_id", "subscriber_id", "issued_on"),
    Index("ix_invoices_issued_on", "tenant_id", "issued_on"),
)

template_sources = Table(
    "template_sources",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("name", String(60), nullable=False),
    Column("language", String(12), nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("sms", Text, nullable=False, server_default=""),
    _at("created_at"),
)

notifications = Table(
    "notifications",
    metadata,
    _tenant(),
    _id(),
    Column("kind", String(30), nullable=False),
    _id("subscriber_id", nullable=True),
    _id("invoice_id", nullable=True),
    Column("template_hash", String(64), nullable=False),
    Column("language", String(12), nullable=False),
    Column("context", JSON, nullable=False),
    Column("requested_by", String(80), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("receipt", Boolean, nullable=False),
    _at("expires_at"),
    _at("created_at"),
    _id("run_id", nullable=True),
    Column("attach_pdf", Boolean, nullable=False, server_default=false()),
    Column("fallback", JSON, nullable=True),  # [[channel, address, route], ...]; null once it was used
    _pk(),
    Index(
        "ix_notifications_run_id",
        "tenant_id",
        "run_id",
        postgresql_where=text("run_id IS NOT NULL"),
        sqlite_where=text("run_id IS NOT NULL"),
    ),
    Index("ix_notifications_subscriber_id", "tenant_id", "subscriber_id", "id"),
    Index("ix_notifications_invoice_id", "tenant_id", "invoice_id", "id"),
)

idempotency = Table(
    "idempotency",
    metadata,
    _tenant(),
    Column("key", String(200), nullable=False),
    Column("content_hash", String(64), nullable=False),
    _id("notification_id"),
    _at("created_at"),
    _pk("key"),
)

deliveries = Table(
    "deliveries",
    metadata,
    _tenant(),
    _id(),
    _id("notification_id"),
    _id("subscriber_id", nullable=True),
    Column("channel", String(8), nullable=False),
    Column("address", Text, nullable=False),
    Column("route", String(40), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("stage", String(10), nullable=False),
    Column("stage_reason", Text),
    Column("stage_by", String(80)),
    _at("due_at"),
    _at("lease_until", nullable=True),
    Column("worker", String(80)),
    Column("attempt", SmallInteger, nullable=False),
    Column("outcome", String(12), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("confidence", String(20), nullable=False),
    _at("outcome_at", nullable=True),
    Column("cls", String(24), nullable=False),
    Column("diagnostic", Text, nullable=False),
    Column("remote", Text, nullable=False),
    Column("message_id", String(120), nullable=False),
    Column("queue_id", String(120)),
    _at("expires_at"),
    _at("created_at"),
    Column("checks", SmallInteger, nullable=False, server_default="0"),
    Column("content_hash", String(64)),  # SHA-256 of the bytes of the latest attempt
    Column("pdf_hash", String(64)),
    _pk(),
    Index("ix_deliveries_notification_id", "tenant_id", "notification_id"),
    Index("ix_deliveries_address", "tenant_id", "channel", "address"),
    # The claim reads exactly this order; see `Claims.take`.
    Index(
        "ix_deliveries_due",
        "tenant_id",
        "route",
        "priority",
        "due_at",
        postgresql_where=text("stage = 'queued'"),
        sqlite_where=text("stage = 'queued'"),
    ),
    Index(
        "ix_deliveries_lease",
        "lease_until",
        postgresql_where=text("stage = 'claimed'"),
        sqlite_where=text("stage = 'claimed'"),
    ),
    Index(
        "ix_deliveries_settle",
        "due_at",
        postgresql_where=text("stage = 'awaiting'"),
        sqlite_where=text("stage = 'awaiting'"),
    ),
    # What needs attention: failures of the last days by cause.
    Index(
        "ix_deliveries_trouble",
        "tenant_id",
        "outcome_at",
        postgresql_where=text("outcome IN ('bounced', 'failed', 'suppressed', 'expired')"),
        sqlite_where=text("outcome IN ('bounced', 'failed', 'suppressed', 'expired')"),
    ),
    # What is let go when a hold ends.
    Index(
        "ix_deliveries_held",
        "tenant_id",
        "stage_by",
        postgresql_where=text("stage = 'held'"),
        sqlite_where=text("stage = 'held'"),
    ),
    # Texts in doubt: held until the provider's list says whether they went out.
    Index(
        "ix_deliveries_settling",
        "due_at",
        postgresql_where=text("stage = 'held' AND stage_by = 'settling'"),
        sqlite_where=text("stage = 'held' AND stage_by = 'settling'"),
    ),
    Index(
        "ix_deliveries_expiry",
        "expires_at",
        postgresql_where=text("stage IN ('queued', 'held')"),
        sqlite_where=text("stage IN ('queued', 'held')"),
    ),
    Index(
        "ix_deliveries_queue_id",
        "queue_id",
        postgresql_where=text("queue_id IS NOT NULL"),
        sqlite_where=text("queue_id IS NOT NULL"),
    ),
    postgresql_partition_by="RANGE (id)",
)

events = Table(
    "events",
    metadata,
    _tenant(),
    _id(),  # derived from (delivery, key): the same event twice is one row
    _id("delivery_id"),
    Column("attempt", SmallInteger, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("key", String(200), nullable=False),
    _at("at"),
    _at("recorded_at"),
    Column("source", String(10), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("confidence", String(20), nullable=False),
    Column("hard", Boolean, nullable=False),
    Column("reply_code", String(8), nullable=False),
    Column("status", String(16), nullable=False),
    Column("diagnostic", Text, nullable=False),
    Column("remote", Text, nullable=False),
    Column("cls", String(24), nullable=False),
    Column("actor", String(80), nullable=False),
    Column("took_ms", Integer, nullable=True),
    _pk(),
    Index("ix_events_delivery_id", "tenant_id", "delivery_id"),
    # The on-call sweep reads along it. Partial: what goes well pays nothing for it.
    Index(
        "ix_events_failures",
        "tenant_id",
        "recorded_at",
        "id",
        postgresql_where=text(FAILURES),
        sqlite_where=text(FAILURES),
    ),
    postgresql_partition_by="RANGE (id)",
)

orphans = Table(
    "orphans",
    metadata,
    _tenant(),
    _id(),
    Column("key", String(64), nullable=False),  # hash of the report: kept once
    Column("source", String(10), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("envelope_to", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("cls", String(20), nullable=False, server_default=""),
    Column("why", String(20), nullable=False, server_default="no_token"),
    Column("raw", LargeBinary, nullable=False),
    _at("received_at"),
    _at("matched_at", nullable=True),
    _id("delivery_id", nullable=True),
    _at("dismissed_at", nullable=True),
    Column("closed_by", String(80), nullable=True),  # who matched or dismissed it; null: nobody, or a rematch
    _pk(),
    UniqueConstraint("tenant_id", "key"),
    Index(
        "ix_orphans_waiting",
        "tenant_id",
        "received_at",
        postgresql_where=text("matched_at IS NULL AND dismissed_at IS NULL"),
        sqlite_where=text("matched_at IS NULL AND dismissed_at IS NULL"),
    ),
)

suppressions = Table(
    "suppressions",
    metadata,
    _tenant(),
    Column("channel", String(8), nullable=False),
    Column("address", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _id("delivery_id", nullable=True),
    Column("actor", String(80), nullable=False),
    _at("created_at"),
    _at("released_at", nullable=True),
    Column("released_by", String(80)),
    _pk("channel", "address"),
)

suppression_log = Table(  # suppressions says what holds now; this, what was said when
    "suppression_log",
    metadata,
    _tenant(),
    _id(),
    Column("channel", String(8), nullable=False),
    Column("address", Text, nullable=False),
    Column("change", String(10), nullable=False),  # suppressed, released
    Column("reason", Text, nullable=False),
    _id("delivery_id", nullable=True),
    Column("actor", String(80), nullable=False),
    _at("at"),
    _pk(),
    Index("ix_suppression_log_address", "tenant_id", "channel", "address"),
)

consents = Table(
    "consents",
    metadata,
    _tenant(),
    _id(),
    Column("channel", String(8), nullable=False),
    Column("address", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("source", String(40), nullable=False),
    Column("evidence", Text, nullable=False),
    _at("at"),
    _pk(),
    Index("ix_consents_address", "tenant_id", "channel", "address", "at"),
)

interactions = Table(
    "interactions",
    metadata,
    _tenant(),
    Column("id", String(64), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("response_url", LargeBinary, nullable=False),
    Column("response_uses", SmallInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("worker", String(80)),
    _at("lease_until", nullable=True),
    _at("received_at"),
    _at("finished_at", nullable=True),
    Column("error", Text),
    _pk("id"),
    Index(
        "ix_interactions_open",
        "received_at",
        postgresql_where=text("state IN ('pending', 'running')"),
        sqlite_where=text("state IN ('pending', 'running')"),
    ),
    Index("ix_interactions_received_at", "received_at"),
)

posts = Table(
    "posts",
    metadata,
    _tenant(),
    _id(),
    Column("surface", String(30), nullable=False),
    Column("key", String(200), nullable=False),
    Column("channel", String(40), nullable=False),
    Column("thread_ts", String(24), nullable=False),  # empty: not in a thread
    Column("ts", String(24)),
    Column("posted_in", String(40)),
    Column("wanted", Integer, nullable=False),
    Column("shown", Integer, nullable=False),
    Column("posting", Boolean, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(80)),
    _at("lease_until", nullable=True),
    _at("not_before"),
    Column("error", Text),
    _at("created_at"),
    _id("parent_id", nullable=True),
    _pk(),
    UniqueConstraint("tenant_id", "surface", "key", "channel", "thread_ts"),
    Index("ix_posts_place", "tenant_id", "ts"),
    Index(
        "ix_posts_behind",
        "not_before",
        postgresql_where=text("wanted > shown"),
        sqlite_where=text("wanted > shown"),
    ),
)

billing_acts = Table(
    "billing_acts",
    metadata,
    _tenant(),
    _id(),
    Column("step_key", String(120), nullable=False),
    Column("kind", String(12), nullable=False),
    _id("subscriber_id"),
    _id("package_id"),
    Column("state", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("worker", String(80)),
    _at("lease_until", nullable=True),
    Column("external_ref", String(80)),  # the billing system's own name for the act
    Column("result", Text),
    _at("created_at"),
    _at("finished_at", nullable=True),
    _at("verified_at", nullable=True),
    Column("tell", Boolean, nullable=False, server_default=true()),
    Column("owed_minor", BigInteger),  # what the asker saw owed, in the subscriber's currency
    _at("called_at", nullable=True),
    Column("until", Date),  # of a pause: the day on which billing brings it back
    _pk(),
    UniqueConstraint("tenant_id", "step_key"),
    _fk("subscriber_id", "subscribers"),
    Index("ix_billing_acts_subscriber_id", "tenant_id", "subscriber_id", "id"),
    Index(
        "ix_billing_acts_open",
        "lease_until",
        postgresql_where=text("state IN ('intended', 'calling', 'in_doubt')"),
        sqlite_where=text("state IN ('intended', 'calling', 'in_doubt')"),
    ),
)

audit = Table(
    "audit",
    metadata,
    _tenant(),
    _id(),
    Column("step_key", String(160), nullable=False),
    _at("at"),
    Column("actor", String(80), nullable=False),
    Column("action", String(60), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("personal_hmac", String(64), nullable=False),
    Column("seq", BigInteger),
    Column("hash", String(64)),
    _pk(),
    UniqueConstraint("tenant_id", "step_key"),
    UniqueConstraint("tenant_id", "seq"),
    Index(
        "ix_audit_unsealed",
        "tenant_id",
        "id",
        postgresql_where=text("seq IS NULL"),
        sqlite_where=text("seq IS NULL"),
    ),
    Index("ix_audit_subject", "tenant_id", "subject", "id"),
)

audit_personal = Table(
    "audit_personal",
    metadata,
    _tenant(),
    _id("audit_id"),
    Column("key", LargeBinary, nullable=False),
    Column("fields", JSON, nullable=False),
    _pk("audit_id"),
)

notes = Table(
    "notes",
    metadata,
    _tenant(),
    _id(),
    _id("subscriber_id"),
    Column("text", Text, nullable=False),
    Column("level", String(6), nullable=False),
    Column("author", String(80), nullable=False),
    _at("created_at"),
    _at("removed_at", nullable=True),
    Column("removed_by", String(80)),
    _pk(),
    _fk("subscriber_id", "subscribers"),
    Index("ix_notes_subscriber_id", "tenant_id", "subscriber_id"),
)

holds = Table(
    "holds",
    metadata,
    _tenant(),
    _id(),
    Column("scope", String(10), nullable=False),  # account, town, tag
    Column("scope_key", String(80), nullable=False),
    Column("until", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("owner", String(80), nullable=False),
    _at("created_at"),
    _at("ended_at", nullable=True),
    Column("ended_by", String(80)),
    _pk(),
    Index("ix_holds_scope", "tenant_id", "scope", "scope_key"),
    Index("ix_holds_until", "tenant_id", "until"),
)

runs = Table(
    "runs",
    metadata,
    _tenant(),
    _id(),
    Column("step_key", String(120), nullable=False),
    Column("kind", String(30), nullable=False),
    Column("label", Text, nullable=False),
    Column("criteria", JSON, nullable=False),
    Column("state", String(10), nullable=False),
    Column("requested_by", String(80), nullable=False),
    _at("created_at"),
    _at("ready_at", nullable=True),  # its whole audience is enqueued or left out
    _at("settled_at", nullable=True),
    Column("approved_by", String(80)),
    _at("approved_at", nullable=True),
    _at("paused_at", nullable=True),
    Column("paused_by", String(80)),  # a person, or `errors`: it stopped itself
    Column("pause_reason", Text),
    Column("resumed_by", String(80)),
    _at("resumed_at", nullable=True),
    Column("cancelled_by", String(80)),
    _at("cancelled_at", nullable=True),
    Column("written_to", String(40), nullable=False, server_default=""),  # the last invoice decided
    _at("written_at", nullable=True),
    Column("audience", Integer, nullable=False, server_default="0"),  # how many were decided so far
    Column("stop_at", SmallInteger),  # pauses itself when so many per cent fail; null: never
    Column("rehearsal", JSON),  # what was foreseen when it was begun
    _pk(),
    UniqueConstraint("tenant_id", "step_key"),
)

run_exclusions = Table(
    "run_exclusions",
    metadata,
    _tenant(),
    _id(),  # derived from (run, subscriber, invoice)
    _id("run_id"),
    _id("subscriber_id"),
    _id("invoice_id", nullable=True),
    Column("reason", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    _at("at"),
    _pk(),
    _fk("run_id", "runs"),
    Index("ix_run_exclusions_run_id", "tenant_id", "run_id", "reason"),
    Index("ix_run_exclusions_subscriber_id", "tenant_id", "subscriber_id"),
    Index("ix_run_exclusions_invoice_id", "tenant_id", "invoice_id"),
)

conversations = Table(
    "conversations",
    metadata,
    _tenant(),
    _id(),
    Column("number", String(20), nullable=False),
    Column("sender", String(20), nullable=False),
    _id("subscriber_id", nullable=True),
    Column("choices", JSON, nullable=False),
    Column("paused", Boolean, nullable=False),
    _at("created_at"),
    _at("last_at"),
    _at("closed_at", nullable=True),
    Column("closed_by", String(80)),
    _pk(),
    Index(
        "uq_conversations_open",
        "tenant_id",
        "number",
        "sender",
        unique=True,
        postgresql_where=text("closed_at IS NULL"),
        sqlite_where=text("closed_at IS NULL"),
    ),
    Index("ix_conversations_subscriber_id", "tenant_id", "subscriber_id"),
    Index("ix_conversations_number", "tenant_id", "number"),
)

conversation_lines = Table(
    "conversation_lines",
    metadata,
    _tenant(),
    _id(),
    _id("conversation_id"),
    Column("said", String(6), nullable=False),
    Column("body", Text, nullable=False),
    Column("author", String(80), nullable=False),
    _at("at"),
    _id("notification_id", nullable=True),
    Column("provider_id", String(160)),
    Column("ts", String(24)),
    _pk(),
    _fk("conversation_id", "conversations"),
    UniqueConstraint("tenant_id", "provider_id"),
    Index("ix_conversation_lines_conversation_id", "tenant_id", "conversation_id", "id"),
    Index("ix_conversation_lines_notification_id", "tenant_id", "notification_id"),
)

incidents = Table(
    "incidents",
    metadata,
    _tenant(),
    _id(),
    Column("cause", String(200), nullable=False),
    Column("title", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("count", Integer, nullable=False),
    _at("first_at"),
    _at("last_at"),
    Column("acknowledged_by", String(80)),
    _at("acknowledged_at", nullable=True),
    Column("resolved_by", String(80)),
    _at("resolved_at", nullable=True),
    _at("texted_at", nullable=True),
    Column("texts", SmallInteger, nullable=False),
    Column("acknowledged_count", Integer),
    Column("note", Text, nullable=False),
    _id("earlier_id", nullable=True),
    _pk(),
    Index("ix_incidents_cause", "tenant_id", "cause", "resolved_at"),
    Index(
        "uq_incidents_unresolved",
        "tenant_id",
        "cause",
        unique=True,
        postgresql_where=text("state <> 'resolved'"),
        sqlite_where=text("state <> 'resolved'"),
    ),
)

incident_members = Table(
    "incident_members",
    metadata,
    _tenant(),
    _id("incident_id"),
    _id("delivery_id"),
    _id("subscriber_id", nullable=True),
    _at("at"),
    _pk("incident_id", "delivery_id"),
    _fk("incident_id", "incidents"),
    Index("ix_incident_members_subscriber_id", "tenant_id", "subscriber_id"),
    Index("ix_incident_members_delivery_id", "tenant_id", "delivery_id"),
)

sweep_cursors = Table(  # how far a sweep over what was recorded has come
    "sweep_cursors",
    metadata,
    _tenant(),
    Column("name", String(40), nullable=False),
    _at("at"),
    _pk("name"),
)

invoice_links = Table(
    "invoice_links",
    metadata,
    _tenant(),
    _id(),
    Column("code", String(32), nullable=False),
    _id("invoice_id"),
    _id("subscriber_id"),
    Column("failed", SmallInteger, nullable=False),
    _at("expires_at"),
    _at("created_at"),
    _at("opened_at", nullable=True),
    _pk(),
    UniqueConstraint("tenant_id", "code"),
    _fk("invoice_id", "invoices"),
    Index("ix_invoice_links_invoice_id", "tenant_id", "invoice_id"),
    Index("ix_invoice_links_subscriber_id", "tenant_id", "subscriber_id"),
)

invoice_pdfs = Table(
    "invoice_pdfs",
    metadata,
    _tenant(),
    _id("invoice_id"),
    Column("revision", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
    _at("created_at"),
    _pk("invoice_id", "revision"),
    _fk("invoice_id", "invoices"),
)

assignments = Table(
    "assignments",
    metadata,
    _tenant(),
    Column("subject", String(160), nullable=False),
    Column("assignee", String(80), nullable=False),
    Column("actor", String(80), nullable=False),
    _at("at"),
    _pk("subject"),
)

billing_refs = Table(  # what a remote billing system calls the things of the mirror
    "billing_refs",
    metadata,
    _tenant(),
    Column("kind", String(10), nullable=False),
    Column("remote_id", String(40), nullable=False),
    _id("local_id"),
    _pk("kind", "remote_id"),
    Index("ix_billing_refs_local_id", "tenant_id", "local_id"),
)

billing_sync = Table(  # how far the mirror has followed a remote billing system; one row a tenant
    "billing_sync",
    metadata,
    _tenant(),
    Column("full", Boolean, nullable=False),  # of the round that is open
    _at("started_at", nullable=True),  # None: no round is open
    Column("section", String(10), nullable=False),
    Column("position", Integer, nullable=False),
    _at("touched_at", nullable=True),
    _at("synced_at", nullable=True),
    _at("full_at", nullable=True),
    Column("trouble", Text, nullable=False),
    PrimaryKeyConstraint("tenant_id"),
)

billing_filings = Table(  # what is written down in a remote billing system: client log entries, tickets
    "billing_filings",
    metadata,
    _tenant(),
    _id(),
    Column("kind", String(10), nullable=False),
    _id("subscriber_id"),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),  # empty once it is there
    Column("state", String(8), nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    _at("lease_until", nullable=True),
    _at("called_at", nullable=True),
    Column("external_ref", String(80)),
    Column("result", Text),
    _at("created_at"),
    _pk(),
    _fk("subscriber_id", "subscribers"),
    Index(
        "ix_billing_filings_open",
        "created_at",
        postgresql_where=text("state = 'waiting'"),
        sqlite_where=text("state = 'waiting'"),
    ),
)

contact_overrides = Table(
    "contact_overrides",
    metadata,
    _tenant(),
    _id(),
    _id("subscriber_id"),
    Column("role", String(12), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("old_address", Text, nullable=False),
    Column("new_address", Text, nullable=False),
    Column("actor", String(80), nullable=False),
    _at("created_at"),
    _at("ended_at", nullable=True),
    _pk(),
    _fk("subscriber_id", "subscribers"),
    Index("ix_contact_overrides_subscriber_id", "tenant_id", "subscriber_id"),
)

diagnoses = Table(
    "diagnoses",
    metadata,
    _tenant(),
    _id(),
    _id("subscriber_id"),
    _id("asked_invoice_id", nullable=True),
    _id("invoice_id", nullable=True),
    Column("cause", String(40), nullable=False),
    Column("certainty", String(10), nullable=False),
    Column("headline", Text, nullable=False),
    Column("findings", JSON, nullable=False),  # [[step, mark, text], ...] as they were shown
    Column("actor", String(80), nullable=False),
    _at("created_at"),
    _id("previous_id", nullable=True),
    _pk(),
    _fk("subscriber_id", "subscribers"),
    Index("ix_diagnoses_subscriber_id", "tenant_id", "subscriber_id", "id"),
)

domain_records = Table(  # what was last seen in DNS of the domains that a tenant sends from
    "domain_records",
    metadata,
    _tenant(),
    Column("domain", String(255), nullable=False),
    Column("kind", String(80), nullable=False),  # spf, dmarc, mx, dkim:<selector>
    Column("value", Text, nullable=False),
    Column("verdict", String(12), nullable=False),
    Column("said", Text, nullable=False),
    Column("before", Text, nullable=True),
    Column("was", String(12), nullable=True),  # the verdict before it last changed
    _at("changed_at", nullable=True),
    _at("checked_at"),
    _pk("domain", "kind"),
)

dns_watches = Table(  # "tell me when it is fixed"
    "dns_watches",
    metadata,
    _tenant(),
    _id(),
    Column("kind", String(80), nullable=False),
    Column("domain", String(255), nullable=False),
    Column("actors", JSON, nullable=False),  # everybody who asked, in that order
    _at("created_at"),
    _at("next_at"),
    _at("expires_at"),
    Column("checks", SmallInteger, nullable=False),
    Column("last_seen", Text, nullable=False),
    _at("last_at", nullable=True),
    _at("ended_at", nullable=True),
    Column("ended", String(12), nullable=True),  # fixed, expired, cancelled
    Column("ended_by", String(80), nullable=True),
    _pk(),
    # Whoever asks for what is watched already joins that watch.
    Index(
        "uq_dns_watches_open",
        "tenant_id",
        "kind",
        "domain",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
        sqlite_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_dns_watches_next_at",
        "next_at",
        postgresql_where=text("ended_at IS NULL"),
        sqlite_where=text("ended_at IS NULL"),
    ),
)

address_questions = Table(  # "is this your address?", asked by text
    "address_questions",
    metadata,
    _tenant(),
    _id(),
    _id("subscriber_id"),
    Column("role", String(12), nullable=False),
    Column("old_address", Text, nullable=False),
    Column("suggested", Text, nullable=False),
    Column("number", String(20), nullable=False),
    _id("invoice_id", nullable=True),
    _id("notification_id"),
    Column("state", String(12), nullable=False),  # models.QuestionState
    Column("actor", String(80), nullable=False),
    Column("channel_id", String(40), nullable=False),
    _at("created_at"),
    _at("expires_at"),
    _at("answered_at", nullable=True),
    Column("answer", Text, nullable=True),  # another address that they wrote
    _pk(),
    _fk("subscriber_id", "subscribers"),
    Index("ix_address_questions_subscriber_id", "tenant_id", "subscriber_id"),
    # One open question a number: an answer must not be taken for the answer to another.
    Index(
        "uq_address_questions_asked",
        "tenant_id",
        "number",
        unique=True,
        postgresql_where=text("state = 'asked'"),
        sqlite_where=text("state = 'asked'"),
    ),
)

route_trials = Table(  # the same mail by two routes to a test mailbox, side by side
    "route_trials",
    metadata,
    _tenant(),
    _id(),
    Column("code", String(12), nullable=False),
    Column("mailbox", Text, nullable=False),
    Column("notifications", JSON, nullable=False),  # [[route, notification id], ...]
    Column("actor", String(80), nullable=False),
    _at("created_at"),
    _pk(),
)

subscriber_tags = Table(
    "subscriber_tags",
    metadata,
    _tenant(),
    _id("subscriber_id"),
    Column("tag", String(80), nullable=False),  # as billing has it, in small letters
    _pk("subscriber_id", "tag"),
    _fk("subscriber_id", "subscribers"),
    Index("ix_subscriber_tags_tag", "tenant_id", "tag"),
)

rate_limits = Table(  # the next free moment of each limit: what all workers reserve from
    "rate_limits",
    metadata,
    _tenant(),
    Column("key", String(200), nullable=False),  # route:NAME, domain:ROUTE:DOMAIN, segments:SENDER
    _at("free_at"),  # the database's real time
    Column("per_s", String(40), nullable=False),  # as it was set, for people
    _at("updated_at"),
    _pk("key"),
)

connection_slots = Table(  # how many connections a worker may hold on a route, by lease
    "connection_slots",
    metadata,
    _tenant(),
    Column("route", String(40), nullable=False),
    Column("worker", String(80), nullable=False),
    Column("slots", SmallInteger, nullable=False),
    Column("wanted", SmallInteger, nullable=False),
    _at("lease_until"),
    _pk("route", "worker"),
)

breakers = Table(  # one route to one mailbox operator
    "breakers",
    metadata,
    _tenant(),
    Column("route", String(40), nullable=False),
    Column("operator", String(80), nullable=False),
    Column("state", String(10), nullable=False),  # closed, open, half_open
    Column("failures", Integer, nullable=False),
    Column("successes", Integer, nullable=False),
    _at("window_from"),
    Column("cause", String(40), nullable=False),
    Column("said", Text, nullable=False),  # the last answer that counted, in the server's words
    _at("opened_at", nullable=True),
    _at("probe_at", nullable=True),
    Column("probes", SmallInteger, nullable=False),
    Column("worker", String(80)),  # who sends the probe
    _at("lease_until", nullable=True),
    _at("updated_at"),
    _pk("route", "operator"),
)

domain_operators = Table(  # who runs a domain's mail, by its MX
    "domain_operators",
    metadata,
    Column("domain", String(255), primary_key=True),
    Column("operator", String(80), nullable=False),
    _at("checked_at"),
)

processes = Table(  # who runs: each half of the product watches the other
    "processes",
    metadata,
    Column("name", String(80), primary_key=True),  # as in leases (store.presence)
    Column("role", String(16), nullable=False),
    _at("seen_at"),  # the database's real time
    Column("skew_ms", Integer, nullable=False),
)

legal_holds = Table(  # nothing of this account is removed by age
    "legal_holds",
    metadata,
    _tenant(),
    _id(),
    _id("subscriber_id"),
    Column("reason", Text, nullable=False),
    Column("actor", String(80), nullable=False),
    _at("created_at"),
    _at("ended_at", nullable=True),
    Column("ended_by", String(80)),
    _pk(),
    Index("ix_legal_holds_subscriber_id", "tenant_id", "subscriber_id"),
)

notices = Table(  # what is kept of a delivery for seven years, when its events are gone
    "notices",
    metadata,
    _tenant(),
    _id(),  # the delivery's
    _id("notification_id"),
    _id("subscriber_id", nullable=True),
    _id("invoice_id", nullable=True),
    Column("kind", String(30), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("address", Text, nullable=False),
    Column("route", String(40), nullable=False),
    Column("template_hash", String(64), nullable=False),
    Column("language", String(12), nullable=False),
    Column("context", JSON, nullable=False),
    Column("content_hash", String(64)),
    Column("pdf_hash", String(64)),
    Column("message_id", String(120), nullable=False),
    Column("queue_id", String(120)),
    Column("requested_by", String(80), nullable=False),
    Column("outcome", String(12), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("confidence", String(20), nullable=False),
    _at("outcome_at", nullable=True),
    Column("attempts", SmallInteger, nullable=False),
    Column("answers", JSON, nullable=False),  # the events, oldest first, in the other side's own words
    _at("created_at"),
    _at("archived_at"),
    _pk(),
    Index("ix_notices_subscriber_id", "tenant_id", "subscriber_id", "id"),
    Index("ix_notices_invoice_id", "tenant_id", "invoice_id", "id"),
)
