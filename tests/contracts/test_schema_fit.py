"""Old and new processes on one schema: an older one is refused, a newer one that only adds is not."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from bot.wiring import schema_fits
from store import migrate
from store.engine import DatabaseError
from store.models import Stage
from store.unit import Store
from tests.builders import draft, outbox
from tests.contracts.attempts import accepted_by, claim, claimed_delivery, record, row


async def _run(store: Store, *statements: str) -> None:
    async with store.system() as tx:
        for statement in statements:
            await tx.conn.execute(text(statement))


NEWER = "UPDATE alembic_version SET version_num = '9999'"


async def test_the_schema_of_this_version_fits(store: Store, database_url: str) -> None:
    await schema_fits(database_url)


async def test_a_worker_goes_on_while_the_schema_is_extended_and_another_one_starts_on_it(
    store: Store, database_url: str
) -> None:
    before = await claimed_delivery(store)
    await _run(
        store,
        NEWER,
        "CREATE TABLE of_the_next_version (id INTEGER PRIMARY KEY)",
        "ALTER TABLE deliveries ADD COLUMN next_one VARCHAR(20)",
        "ALTER TABLE notifications ADD COLUMN next_two INTEGER NOT NULL DEFAULT 0",
    )
    await record(store, accepted_by(before))
    assert (await row(store, before)).stage is Stage.AWAITING
    async with store.begin(1) as tx:
        await outbox().enqueue(tx, draft("later", "later@example.com"))
    assert (await claim(store)).address == "later@example.com"
    await schema_fits(database_url)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TABLE route_trials", "route_trials is gone"),
        ("ALTER TABLE runs RENAME COLUMN state TO state_of_run", "runs.state is gone"),
        ("ALTER TABLE notes ADD COLUMN must INTEGER", None),
    ],
    ids=["a table", "a column", "nothing that matters"],
)
async def test_a_newer_schema_without_something_that_this_version_needs_is_refused_by_its_name(
    store: Store, database_url: str, statement: str, said: str | None
) -> None:
    await _run(store, NEWER, statement)
    if said is None:
        await schema_fits(database_url)
    else:
        with pytest.raises(DatabaseError, match=said):
            await schema_fits(database_url)


async def test_a_newer_schema_that_wants_more_than_this_version_gives_is_refused(
    postgres_store: Store,
) -> None:
    await _run(postgres_store, NEWER, "ALTER TABLE notes ADD COLUMN must INTEGER NOT NULL")
    with pytest.raises(DatabaseError, match=r"notes\.must has to be filled"):
        await schema_fits(postgres_store.engine.url)


async def test_an_older_schema_is_refused_with_what_to_do(store: Store, database_url: str) -> None:
    await _run(store, "UPDATE alembic_version SET version_num = '0003'")
    with pytest.raises(DatabaseError, match=r"it is at revision 0003.*Run `ispbot migrate`"):
        await schema_fits(database_url)
    assert migrate.head() > "0003"


async def test_a_migration_gives_up_waiting_for_a_table_in_use_and_changes_nothing(
    store: Store, database_url: str
) -> None:
    """Everybody who wants the table after it would wait for it: one long report would stop the sending."""
    if store.engine.sqlite:
        return
    await migrate.downgrade(database_url, "0004")
    async with store.system() as tx:
        await tx.conn.execute(text("LOCK TABLE deliveries IN ACCESS SHARE MODE"))
        with pytest.raises(DatabaseError, match=r"in use for more than 0\.2 seconds, so nothing was changed"):
            await migrate.upgrade(database_url, lock_s=0.2)
    assert await migrate.current(database_url) == "0004"
    await migrate.upgrade(database_url, lock_s=5)
    assert await migrate.drift(database_url) == []
