"""Texts, runs, conversations, incidents, links and mended contacts

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import store.types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assignments",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("assignee", sa.String(length=80), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "subject", name=op.f("pk_assignments")),
    )
    op.create_table(
        "conversations",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("sender", sa.String(length=20), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=True),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("closed_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(length=80), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_conversations")),
    )
    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.create_index("ix_conversations_subscriber_id", ["tenant_id", "subscriber_id"], unique=False)
        batch_op.create_index("ix_conversations_number", ["tenant_id", "number"], unique=False)
        batch_op.create_index(
            "uq_conversations_open",
            ["tenant_id", "number", "sender"],
            unique=True,
            postgresql_where=sa.text("closed_at IS NULL"),
            sqlite_where=sa.text("closed_at IS NULL"),
        )

    op.create_table(
        "incidents",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.String(length=200), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_by", sa.String(length=80), nullable=True),
        sa.Column("acknowledged_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.String(length=80), nullable=True),
        sa.Column("resolved_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("texted_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("texts", sa.SmallInteger(), nullable=False),
        sa.Column("acknowledged_count", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("earlier_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_incidents")),
    )
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.create_index("ix_incidents_cause", ["tenant_id", "cause", "resolved_at"], unique=False)
        batch_op.create_index(
            "uq_incidents_unresolved",
            ["tenant_id", "cause"],
            unique=True,
            postgresql_where=sa.text("state <> 'resolved'"),
            sqlite_where=sa.text("state <> 'resolved'"),
        )

    op.create_table(
        "runs",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("step_key", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("criteria", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ready_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("settled_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_runs")),
        sa.UniqueConstraint("tenant_id", "step_key", name=op.f("uq_runs_tenant_id_step_key")),
    )
    op.create_table(
        "contact_overrides",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("old_address", sa.Text(), nullable=False),
        sa.Column("new_address", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "subscriber_id"],
            ["subscribers.tenant_id", "subscribers.id"],
            name=op.f("fk_contact_overrides_tenant_id_subscriber_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_contact_overrides")),
    )
    with op.batch_alter_table("contact_overrides", schema=None) as batch_op:
        batch_op.create_index(
            "ix_contact_overrides_subscriber_id", ["tenant_id", "subscriber_id"], unique=False
        )

    op.create_table(
        "conversation_lines",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("said", sa.String(length=6), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column("at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=True),
        sa.Column("provider_id", sa.String(length=160), nullable=True),
        sa.Column("ts", sa.String(length=24), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "conversation_id"],
            ["conversations.tenant_id", "conversations.id"],
            name=op.f("fk_conversation_lines_tenant_id_conversation_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_conversation_lines")),
        sa.UniqueConstraint(
            "tenant_id", "provider_id", name=op.f("uq_conversation_lines_tenant_id_provider_id")
        ),
    )
    with op.batch_alter_table("conversation_lines", schema=None) as batch_op:
        batch_op.create_index(
            "ix_conversation_lines_conversation_id", ["tenant_id", "conversation_id", "id"], unique=False
        )
        batch_op.create_index(
            "ix_conversation_lines_notification_id", ["tenant_id", "notification_id"], unique=False
        )

    op.create_table(
        "incident_members",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=True),
        sa.Column("at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "incident_id"],
            ["incidents.tenant_id", "incidents.id"],
            name=op.f("fk_incident_members_tenant_id_incident_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "incident_id", "delivery_id", name=op.f("pk_incident_members")),
    )
    with op.batch_alter_table("incident_members", schema=None) as batch_op:
        batch_op.create_index("ix_incident_members_delivery_id", ["tenant_id", "delivery_id"], unique=False)
        batch_op.create_index(
            "ix_incident_members_subscriber_id", ["tenant_id", "subscriber_id"], unique=False
        )

    op.create_table(
        "run_exclusions",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "run_id"],
            ["runs.tenant_id", "runs.id"],
            name=op.f("fk_run_exclusions_tenant_id_run_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_run_exclusions")),
    )
    with op.batch_alter_table("run_exclusions", schema=None) as batch_op:
        batch_op.create_index("ix_run_exclusions_run_id", ["tenant_id", "run_id", "reason"], unique=False)
        batch_op.create_index("ix_run_exclusions_subscriber_id", ["tenant_id", "subscriber_id"], unique=False)

    op.create_table(
        "sweep_cursors",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_sweep_cursors")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_events_failures",
            ["tenant_id", "recorded_at", "id"],
            unique=False,
            postgresql_where=sa.text("kind IN ('bounced', 'failed', 'deferred')"),
            sqlite_where=sa.text("kind IN ('bounced', 'failed', 'deferred')"),
        )

    op.create_table(
        "invoice_links",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("failed", sa.SmallInteger(), nullable=False),
        sa.Column("expires_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("opened_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoices.tenant_id", "invoices.id"],
            name=op.f("fk_invoice_links_tenant_id_invoice_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_invoice_links")),
        sa.UniqueConstraint("tenant_id", "code", name=op.f("uq_invoice_links_tenant_id_code")),
    )
    with op.batch_alter_table("invoice_links", schema=None) as batch_op:
        batch_op.create_index("ix_invoice_links_invoice_id", ["tenant_id", "invoice_id"], unique=False)
        batch_op.create_index("ix_invoice_links_subscriber_id", ["tenant_id", "subscriber_id"], unique=False)

    op.create_table(
        "invoice_pdfs",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "invoice_id"],
            ["invoices.tenant_id", "invoices.id"],
            name=op.f("fk_invoice_pdfs_tenant_id_invoice_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "invoice_id", "revision", name=op.f("pk_invoice_pdfs")),
    )
    with op.batch_alter_table("billing_acts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tell", sa.Boolean(), server_default=sa.true(), nullable=False))
        batch_op.add_column(sa.Column("owed_minor", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("called_at", store.types.UtcDateTime(timezone=True), nullable=True))
        batch_op.create_index(
            "ix_billing_acts_open",
            ["lease_until"],
            unique=False,
            postgresql_where=sa.text("state IN ('intended', 'calling', 'in_doubt')"),
            sqlite_where=sa.text("state IN ('intended', 'calling', 'in_doubt')"),
        )

    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("checks", sa.SmallInteger(), server_default="0", nullable=False))
        batch_op.create_index(
            "ix_deliveries_held",
            ["tenant_id", "stage_by"],
            unique=False,
            postgresql_where=sa.text("stage = 'held'"),
            sqlite_where=sa.text("stage = 'held'"),
        )
        batch_op.create_index(
            "ix_deliveries_settling",
            ["due_at"],
            unique=False,
            postgresql_where=sa.text("stage = 'held' AND stage_by = 'settling'"),
            sqlite_where=sa.text("stage = 'held' AND stage_by = 'settling'"),
        )
        batch_op.create_index(
            "ix_deliveries_trouble",
            ["tenant_id", "outcome_at"],
            unique=False,
            postgresql_where=sa.text("outcome IN ('bounced', 'failed', 'suppressed', 'expired')"),
            sqlite_where=sa.text("outcome IN ('bounced', 'failed', 'suppressed', 'expired')"),
        )

    with op.batch_alter_table("holds", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ended_by", sa.String(length=80), nullable=True))

    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.add_column(sa.Column("run_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("attach_pdf", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("fallback", sa.JSON(), nullable=True))
        batch_op.create_index(
            "ix_notifications_run_id",
            ["tenant_id", "run_id"],
            unique=False,
            postgresql_where=sa.text("run_id IS NOT NULL"),
            sqlite_where=sa.text("run_id IS NOT NULL"),
        )

    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("parent_id", sa.Uuid(), nullable=True))
        batch_op.create_index("ix_posts_place", ["tenant_id", "ts"], unique=False)

    with op.batch_alter_table("template_sources", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sms", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("template_sources", schema=None) as batch_op:
        batch_op.drop_column("sms")

    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.drop_index("ix_posts_place")
        batch_op.drop_column("parent_id")

    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_notifications_run_id",
            postgresql_where=sa.text("run_id IS NOT NULL"),
            sqlite_where=sa.text("run_id IS NOT NULL"),
        )
        batch_op.drop_column("fallback")
        batch_op.drop_column("attach_pdf")
        batch_op.drop_column("run_id")

    with op.batch_alter_table("holds", schema=None) as batch_op:
        batch_op.drop_column("ended_by")

    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_deliveries_trouble",
            postgresql_where=sa.text("outcome IN ('bounced', 'failed', 'suppressed', 'expired')"),
            sqlite_where=sa.text("outcome IN ('bounced', 'failed', 'suppressed', 'expired')"),
        )
        batch_op.drop_index(
            "ix_deliveries_held",
            postgresql_where=sa.text("stage = 'held'"),
            sqlite_where=sa.text("stage = 'held'"),
        )
        batch_op.drop_index(
            "ix_deliveries_settling",
            postgresql_where=sa.text("stage = 'held' AND stage_by = 'settling'"),
            sqlite_where=sa.text("stage = 'held' AND stage_by = 'settling'"),
        )
        batch_op.drop_column("checks")

    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_events_failures",
            postgresql_where=sa.text("kind IN ('bounced', 'failed', 'deferred')"),
            sqlite_where=sa.text("kind IN ('bounced', 'failed', 'deferred')"),
        )

    op.drop_table("sweep_cursors")
    with op.batch_alter_table("billing_acts", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_billing_acts_open",
            postgresql_where=sa.text("state IN ('intended', 'calling', 'in_doubt')"),
            sqlite_where=sa.text("state IN ('intended', 'calling', 'in_doubt')"),
        )
        batch_op.drop_column("called_at")
        batch_op.drop_column("owed_minor")
        batch_op.drop_column("tell")

    op.drop_table("invoice_pdfs")
    with op.batch_alter_table("invoice_links", schema=None) as batch_op:
        batch_op.drop_index("ix_invoice_links_subscriber_id")
        batch_op.drop_index("ix_invoice_links_invoice_id")

    op.drop_table("invoice_links")
    with op.batch_alter_table("run_exclusions", schema=None) as batch_op:
        batch_op.drop_index("ix_run_exclusions_subscriber_id")
        batch_op.drop_index("ix_run_exclusions_run_id")

    op.drop_table("run_exclusions")
    with op.batch_alter_table("incident_members", schema=None) as batch_op:
        batch_op.drop_index("ix_incident_members_subscriber_id")
        batch_op.drop_index("ix_incident_members_delivery_id")

    op.drop_table("incident_members")
    with op.batch_alter_table("conversation_lines", schema=None) as batch_op:
        batch_op.drop_index("ix_conversation_lines_notification_id")
        batch_op.drop_index("ix_conversation_lines_conversation_id")

    op.drop_table("conversation_lines")
    with op.batch_alter_table("contact_overrides", schema=None) as batch_op:
        batch_op.drop_index("ix_contact_overrides_subscriber_id")

    op.drop_table("contact_overrides")
    op.drop_table("runs")
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_incidents_unresolved",
            postgresql_where=sa.text("state <> 'resolved'"),
            sqlite_where=sa.text("state <> 'resolved'"),
        )
        batch_op.drop_index("ix_incidents_cause")

    op.drop_table("incidents")
    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_conversations_open",
            postgresql_where=sa.text("closed_at IS NULL"),
            sqlite_where=sa.text("closed_at IS NULL"),
        )
        batch_op.drop_index("ix_conversations_number")
        batch_op.drop_index("ix_conversations_subscriber_id")

    op.drop_table("conversations")
    op.drop_table("assignments")
