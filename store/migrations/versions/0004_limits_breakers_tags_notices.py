"""Limits, breakers, tags, legal holds, notices; runs that wait and pause

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import store.types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "breakers",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("route", sa.String(length=40), nullable=False),
        sa.Column("operator", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("successes", sa.Integer(), nullable=False),
        sa.Column("window_from", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("opened_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("probe_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("probes", sa.SmallInteger(), nullable=False),
        sa.Column("worker", sa.String(length=80), nullable=True),
        sa.Column("lease_until", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("updated_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "route", "operator", name=op.f("pk_breakers")),
    )
    op.create_table(
        "connection_slots",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("route", sa.String(length=40), nullable=False),
        sa.Column("worker", sa.String(length=80), nullable=False),
        sa.Column("slots", sa.SmallInteger(), nullable=False),
        sa.Column("wanted", sa.SmallInteger(), nullable=False),
        sa.Column("lease_until", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "route", "worker", name=op.f("pk_connection_slots")),
    )
    op.create_table(
        "domain_operators",
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("operator", sa.String(length=80), nullable=False),
        sa.Column("checked_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_domain_operators")),
    )
    op.create_table(
        "processes",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("seen_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("skew_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_processes")),
    )
    op.create_table(
        "legal_holds",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=80), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_legal_holds")),
    )
    with op.batch_alter_table("legal_holds", schema=None) as batch_op:
        batch_op.create_index("ix_legal_holds_subscriber_id", ["tenant_id", "subscriber_id"], unique=False)

    op.create_table(
        "notices",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=True),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("route", sa.String(length=40), nullable=False),
        sa.Column("template_hash", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=12), nullable=False),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("pdf_hash", sa.String(length=64), nullable=True),
        sa.Column("message_id", sa.String(length=120), nullable=False),
        sa.Column("queue_id", sa.String(length=120), nullable=True),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("confidence", sa.String(length=20), nullable=False),
        sa.Column("outcome_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("archived_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_notices")),
    )
    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.create_index("ix_notices_invoice_id", ["tenant_id", "invoice_id", "id"], unique=False)
        batch_op.create_index("ix_notices_subscriber_id", ["tenant_id", "subscriber_id", "id"], unique=False)

    op.create_table(
        "rate_limits",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("free_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("per_s", sa.String(length=40), nullable=False),
        sa.Column("updated_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_rate_limits")),
    )
    op.create_table(
        "subscriber_tags",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("tag", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "subscriber_id"],
            ["subscribers.tenant_id", "subscribers.id"],
            name=op.f("fk_subscriber_tags_tenant_id_subscriber_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "subscriber_id", "tag", name=op.f("pk_subscriber_tags")),
    )
    with op.batch_alter_table("subscriber_tags", schema=None) as batch_op:
        batch_op.create_index("ix_subscriber_tags_tag", ["tenant_id", "tag"], unique=False)

    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("content_hash", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("pdf_hash", sa.String(length=64), nullable=True))

    with op.batch_alter_table("run_exclusions", schema=None) as batch_op:
        batch_op.create_index("ix_run_exclusions_invoice_id", ["tenant_id", "invoice_id"], unique=False)

    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("approved_by", sa.String(length=80), nullable=True))
        batch_op.add_column(sa.Column("approved_at", store.types.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("paused_at", store.types.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("paused_by", sa.String(length=80), nullable=True))
        batch_op.add_column(sa.Column("pause_reason", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("resumed_by", sa.String(length=80), nullable=True))
        batch_op.add_column(sa.Column("resumed_at", store.types.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("cancelled_by", sa.String(length=80), nullable=True))
        batch_op.add_column(sa.Column("cancelled_at", store.types.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("written_to", sa.String(length=40), server_default=sa.text("''"), nullable=False)
        )
        batch_op.add_column(sa.Column("written_at", store.types.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("audience", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch_op.add_column(sa.Column("stop_at", sa.SmallInteger(), nullable=True))
        batch_op.add_column(sa.Column("rehearsal", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_column("rehearsal")
        batch_op.drop_column("stop_at")
        batch_op.drop_column("audience")
        batch_op.drop_column("written_at")
        batch_op.drop_column("written_to")
        batch_op.drop_column("cancelled_at")
        batch_op.drop_column("cancelled_by")
        batch_op.drop_column("resumed_at")
        batch_op.drop_column("resumed_by")
        batch_op.drop_column("pause_reason")
        batch_op.drop_column("paused_by")
        batch_op.drop_column("paused_at")
        batch_op.drop_column("approved_at")
        batch_op.drop_column("approved_by")

    with op.batch_alter_table("run_exclusions", schema=None) as batch_op:
        batch_op.drop_index("ix_run_exclusions_invoice_id")

    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_column("pdf_hash")
        batch_op.drop_column("content_hash")

    with op.batch_alter_table("subscriber_tags", schema=None) as batch_op:
        batch_op.drop_index("ix_subscriber_tags_tag")

    op.drop_table("subscriber_tags")
    op.drop_table("rate_limits")
    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.drop_index("ix_notices_subscriber_id")
        batch_op.drop_index("ix_notices_invoice_id")

    op.drop_table("notices")
    with op.batch_alter_table("legal_holds", schema=None) as batch_op:
        batch_op.drop_index("ix_legal_holds_subscriber_id")

    op.drop_table("legal_holds")
    op.drop_table("processes")
    op.drop_table("domain_operators")
    op.drop_table("connection_slots")
    op.drop_table("breakers")
