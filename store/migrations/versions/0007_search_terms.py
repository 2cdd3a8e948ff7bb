"""Search by any word: terms of subscribers, cuts of words; services by IP and MAC

Fills both tables from what is there, in batches: about a minute for a million subscribers.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import sqlalchemy as sa
from alembic import op

from store.search_words import cuts, mail_term, mendable, name_terms, phone_term

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
_BATCH = 5_000


def _text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "search_terms",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("term", _text(), nullable=False),
        sa.Column("subscriber_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "term", "subscriber_id", name=op.f("pk_search_terms")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_cuts",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("cut", _text(), nullable=False),
        sa.Column("word", _text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "cut", "word", name=op.f("pk_search_cuts")),
        sqlite_with_rowid=False,
    )
    _fill()
    with op.batch_alter_table("search_terms", schema=None) as batch_op:
        batch_op.create_index(
            "ix_search_terms_subscriber_id",
            ["tenant_id", "subscriber_id"],
            unique=False,
            postgresql_include=["term"],
        )
    with op.batch_alter_table("services", schema=None) as batch_op:
        batch_op.create_index("ix_services_ip", ["tenant_id", "ip"], unique=False)
        batch_op.create_index("ix_services_mac", ["tenant_id", "mac"], unique=False)


def _table(name: str, ids: tuple[str, ...], *columns: str) -> sa.TableClause:
    """Ids as each driver has them: nothing here looks into one."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    return sa.table(
        name,
        sa.column("tenant_id", sa.Integer()),
        *(sa.column(one, sa.String() if sqlite else sa.Uuid()) for one in ids),
        *(sa.column(one, sa.Text()) for one in columns),
    )


def _fill() -> None:
    conn = op.get_bind()
    words: set[tuple[int, str]] = set()
    terms = _table("search_terms", ("subscriber_id",), "term")
    for batch in _batches(_terms(conn)):
        conn.execute(sa.insert(terms), batch)
        words |= {(row["tenant_id"], word) for row in batch if (word := mendable(row["term"])) is not None}
    made = (
        {"tenant_id": tenant, "cut": cut, "word": word}
        for tenant, word in sorted(words)
        for cut in sorted(cuts(word))
    )
    for batch in _batches(made):
        conn.execute(sa.insert(_table("search_cuts", (), "cut", "word")), batch)


def _terms(conn: sa.Connection) -> Iterator[dict[str, Any]]:
    subscribers = _table("subscribers", ("id",), "name", "address", "city")
    points = _table("points", ("subscriber_id",), "channel", "address")
    for tenant in conn.scalars(sa.text("SELECT id FROM tenants ORDER BY id")).all():
        after = None
        while people := conn.execute(_next(subscribers, tenant, after)).all():
            after = people[-1].id
            found = {row.id: name_terms(row.name, row.address, row.city) for row in people}
            span = points.c.subscriber_id.between(people[0].id, after)
            for row in conn.execute(sa.select(points).where(points.c.tenant_id == tenant, span)):
                reached = mail_term(row.address) if row.channel == "email" else phone_term(row.address)
                if reached is not None:
                    found[row.subscriber_id].add(reached)
            for one, own in found.items():
                for term in sorted(own):
                    yield {"tenant_id": tenant, "term": term, "subscriber_id": one}


def _next(subscribers: sa.TableClause, tenant: int, after: Any) -> sa.Select[Any]:
    mine = sa.select(subscribers).where(subscribers.c.tenant_id == tenant)
    more = mine if after is None else mine.where(subscribers.c.id > after)
    return more.order_by(subscribers.c.id).limit(_BATCH)


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def downgrade() -> None:
    with op.batch_alter_table("services", schema=None) as batch_op:
        batch_op.drop_index("ix_services_mac")
        batch_op.drop_index("ix_services_ip")
    op.drop_table("search_cuts")
    op.drop_table("search_terms")
