"""Diagnoses, records of our domains, watches, questions about addresses, trials of routes

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import store.types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dns_watches",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("actors", sa.JSON(), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("next_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("checks", sa.SmallInteger(), nullable=False),
        sa.Column("last_seen", sa.Text(), nullable=False),
        sa.Column("last_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.String(length=12), nullable=True),
        sa.Column("ended_by", sa.String(length=80), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_dns_watches")),
    )
    with op.batch_alter_table("dns_watches", schema=None) as batch_op:
        batch_op.create_index(
            "ix_dns_watches_next_at",
            ["next_at"],
            unique=False,
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index(
            "uq_dns_watches_open",
            ["tenant_id", "kind", "domain"],
            unique=True,
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "domain_records",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("was", sa.String(length=12), nullable=True),
        sa.Column("changed_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("checked_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "domain", "kind", name=op.f("pk_domain_records")),
    )
    op.create_table(
        "route_trials",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("notifications", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_route_trials")),
    )
    op.create_table(
        "address_questions",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.Column("old_address", sa.Text(), nullable=False),
        sa.Column("suggested", sa.Text(), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("channel_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("answered_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "subscriber_id"],
            ["subscribers.tenant_id", "subscribers.id"],
            name=op.f("fk_address_questions_tenant_id_subscriber_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_address_questions")),
    )
    with op.batch_alter_table("address_questions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_address_questions_subscriber_id", ["tenant_id", "subscriber_id"], unique=False
        )
        batch_op.create_index(
            "uq_address_questions_asked",
            ["tenant_id", "number"],
            unique=True,
            postgresql_where=sa.text("state = 'asked'"),
            sqlite_where=sa.text("state = 'asked'"),
        )

    op.create_table(
        "diagnoses",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("asked_invoice_id", sa.Uuid(), nullable=True),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("certainty", sa.String(length=10), nullable=False),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("previous_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "subscriber_id"],
            ["subscribers.tenant_id", "subscribers.id"],
            name=op.f("fk_diagnoses_tenant_id_subscriber_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_diagnoses")),
    )
    with op.batch_alter_table("diagnoses", schema=None) as batch_op:
        batch_op.create_index(
            "ix_diagnoses_subscriber_id", ["tenant_id", "subscriber_id", "id"], unique=False
        )

    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("took_ms", sa.Integer(), nullable=True))

    with op.batch_alter_table("orphans", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cls", sa.String(length=20), server_default="", nullable=False))
        batch_op.add_column(sa.Column("why", sa.String(length=20), server_default="no_token", nullable=False))
        batch_op.add_column(sa.Column("dismissed_at", store.types.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("closed_by", sa.String(length=80), nullable=True))
        batch_op.create_index(
            "ix_orphans_waiting",
            ["tenant_id", "received_at"],
            unique=False,
            postgresql_where=sa.text("matched_at IS NULL AND dismissed_at IS NULL"),
            sqlite_where=sa.text("matched_at IS NULL AND dismissed_at IS NULL"),
        )


def downgrade() -> None:
    with op.batch_alter_table("orphans", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_orphans_waiting",
            postgresql_where=sa.text("matched_at IS NULL AND dismissed_at IS NULL"),
            sqlite_where=sa.text("matched_at IS NULL AND dismissed_at IS NULL"),
        )
        batch_op.drop_column("closed_by")
        batch_op.drop_column("dismissed_at")
        batch_op.drop_column("why")
        batch_op.drop_column("cls")

    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_column("took_ms")

    with op.batch_alter_table("diagnoses", schema=None) as batch_op:
        batch_op.drop_index("ix_diagnoses_subscriber_id")

    op.drop_table("diagnoses")
    with op.batch_alter_table("address_questions", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_address_questions_asked",
            postgresql_where=sa.text("state = 'asked'"),
            sqlite_where=sa.text("state = 'asked'"),
        )
        batch_op.drop_index("ix_address_questions_subscriber_id")

    op.drop_table("address_questions")
    op.drop_table("route_trials")
    op.drop_table("domain_records")
    with op.batch_alter_table("dns_watches", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_dns_watches_open",
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_dns_watches_next_at",
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )

    op.drop_table("dns_watches")
