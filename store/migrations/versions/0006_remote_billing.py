"""A remote system of record: its own names for what is mirrored, how far the mirror is, what is filed there

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import store.types

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("billing_acts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("until", sa.Date(), nullable=True))
    op.create_table(
        "billing_refs",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("remote_id", sa.String(length=40), nullable=False),
        sa.Column("local_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "remote_id", name=op.f("pk_billing_refs")),
    )
    with op.batch_alter_table("billing_refs", schema=None) as batch_op:
        batch_op.create_index("ix_billing_refs_local_id", ["tenant_id", "local_id"], unique=False)
    op.create_table(
        "billing_sync",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("full", sa.Boolean(), nullable=False),
        sa.Column("started_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("section", sa.String(length=10), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("touched_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("synced_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("full_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_billing_sync")),
    )
    op.create_table(
        "billing_filings",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("lease_until", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("called_at", store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("external_ref", sa.String(length=80), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("created_at", store.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "subscriber_id"],
            ["subscribers.tenant_id", "subscribers.id"],
            name=op.f("fk_billing_filings_tenant_id_subscriber_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_billing_filings")),
    )
    with op.batch_alter_table("billing_filings", schema=None) as batch_op:
        batch_op.create_index(
            "ix_billing_filings_open",
            ["created_at"],
            unique=False,
            postgresql_where=sa.text("state = 'waiting'"),
            sqlite_where=sa.text("state = 'waiting'"),
        )


def downgrade() -> None:
    op.drop_table("billing_filings")
    op.drop_table("billing_sync")
    op.drop_table("billing_refs")
    with op.batch_alter_table("billing_acts", schema=None) as batch_op:
        batch_op.drop_column("until")
