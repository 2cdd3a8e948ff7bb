"""PostgreSQL: deliveries and events partitioned by RANGE(id); an index that nothing reads goes

The table that stands becomes the first partition as it is: nothing is copied, its indexes are taken over, and
its rows are read once for the bound. Ids are UUIDv7 (RFC 9562): their first 48 bits are milliseconds, so that
a range of ids is a range of time. SQLite has one table still.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from alembic import op
from sqlalchemy import Connection, text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = ("deliveries", "events")
AHEAD = 2


def upgrade() -> None:
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index("ix_deliveries_subscriber_id")
    conn = op.get_bind()
    if conn.dialect.name == "postgresql":
        for table in TABLES:
            _partition(conn, table)


def downgrade() -> None:
    conn = op.get_bind()
    if conn.dialect.name == "postgresql":
        for table in TABLES:
            _unite(conn, table)
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "ix_deliveries_subscriber_id", ["tenant_id", "subscriber_id", "id"], unique=False
        )


def _partition(conn: Connection, table: str) -> None:
    first = f"{table}_first"
    indexes = _indexes(conn, table)
    for name, _ in indexes:
        _do(conn, f"ALTER INDEX {name} RENAME TO {name}_first")
    newest = _rows(conn, f"SELECT id FROM {table} ORDER BY id DESC LIMIT 1")  # noqa: S608  # a name of ours
    now = _rows(conn, "SELECT now()")[0][0]
    latest = max([now.astimezone(UTC), *(_time_of(row[0]) for row in newest)])
    _do(conn, f"ALTER TABLE {table} RENAME TO {first}")
    _do(conn, f"CREATE TABLE {table} (LIKE {first} INCLUDING DEFAULTS) PARTITION BY RANGE (id)")
    _build(conn, table, indexes)  # as those that stand, which are taken over when the table is attached
    upper = _month_after(latest)
    _do(
        conn,
        f"ALTER TABLE {table} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ('{_bound(upper)}')",
    )
    for _ in range(AHEAD):
        lower, upper = upper, _month_after(upper)
        bounds = f"FROM ('{_bound(lower)}') TO ('{_bound(upper)}')"
        _do(conn, f"CREATE TABLE {table}_{lower:%Y_%m} PARTITION OF {table} FOR VALUES {bounds}")
    _do(conn, f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")


def _unite(conn: Connection, table: str) -> None:
    """One table again, with every row; those of the first partition are not copied, if it still stands."""
    first, parent = f"{table}_first", f"{table}_parent"
    indexes = _indexes(conn, table)
    kept = _rows(conn, "SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(:t)", t=first)
    if kept:
        _do(conn, f"ALTER TABLE {table} DETACH PARTITION {first}")
    _do(conn, f"ALTER TABLE {table} RENAME TO {parent}")
    for name, _ in indexes:
        _do(conn, f"ALTER INDEX {name} RENAME TO {name}_parent")
    if kept:
        _do(conn, f"ALTER TABLE {first} RENAME TO {table}")
        for name, _ in _indexes(conn, table):
            _do(conn, f"ALTER INDEX {name} RENAME TO {name.removesuffix('_first')}")
    else:
        _do(conn, f"CREATE TABLE {table} (LIKE {parent} INCLUDING DEFAULTS)")
        _build(
            conn, table, [(name, definition.replace(" ON ONLY ", " ON ", 1)) for name, definition in indexes]
        )
    _do(conn, f"INSERT INTO {table} SELECT * FROM {parent}")  # noqa: S608
    _do(conn, f"DROP TABLE {parent}")


def _indexes(conn: Connection, table: str) -> list[Any]:
    """(name, statement that makes it)"""
    question = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = :t"
    )
    return _rows(conn, question, t=table)


def _build(conn: Connection, table: str, indexes: list[Any]) -> None:
    for name, definition in indexes:
        key = f"ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY (tenant_id, id)"
        _do(conn, key if name == f"pk_{table}" else definition)


def _do(conn: Connection, statement: str) -> None:
    conn.exec_driver_sql(statement)


def _rows(conn: Connection, question: str, **values: str) -> list[Any]:
    return list(conn.execute(text(question), values))


def _time_of(found: UUID) -> datetime:
    """Of an id that is none of ours the first 48 bits are no time of this age; it is taken as it is."""
    milliseconds = min(int.from_bytes(found.bytes[:6], "big"), 4_102_444_800_000)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _month_after(moment: datetime) -> datetime:
    return datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)


def _bound(moment: datetime) -> UUID:
    return UUID(int=int(moment.timestamp() * 1000) << 80)
