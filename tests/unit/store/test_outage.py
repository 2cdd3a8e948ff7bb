"""What a database cannot do for the state that it is in, beside what it refuses for what it was given."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from store.outage import of_the_database


@pytest.mark.parametrize(
    ("before", "statement", "passes"),
    [
        ("PRAGMA max_page_count = 2", "INSERT INTO t VALUES (2, zeroblob(20000))", True),
        ("PRAGMA query_only = ON", "INSERT INTO t VALUES (2, NULL)", True),
        ("SELECT 1", "INSERT INTO t VALUES (1, NULL)", False),
        ("SELECT 1", "INSERT INTO nowhere VALUES (1)", False),
    ],
    ids=["full", "only read", "a row that stands", "no such table"],
)
def test_a_full_disk_passes_and_a_row_that_is_refused_does_not(
    before: str, statement: str, passes: bool
) -> None:
    with create_engine("sqlite://").connect() as conn:
        conn.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, octets BLOB)"))
        conn.execute(text("INSERT INTO t VALUES (1, NULL)"))
        conn.execute(text(before))
        with pytest.raises(DBAPIError) as caught:
            conn.execute(text(statement))
    assert isinstance(caught.value.orig, sqlite3.Error)
    assert of_the_database(caught.value) is passes


def test_what_is_no_error_of_a_database_does_not_pass() -> None:
    assert not of_the_database(LookupError("a bug"))
