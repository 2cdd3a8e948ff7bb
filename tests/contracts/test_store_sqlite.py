"""SQLite's own promises: commits in groups, each told only when it is on disk; one process only."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sqlite3
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event
from sqlalchemy import Engine as SyncEngine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from store.engine import DatabaseError, Engine, is_sqlite, normalise_url
from store.unit import Store
from tests.builders import subscriber_record
from tests.conftest import OpenStore

LOCKER = Path(__file__).with_name("lock_in_a_process.py")


def _on_disk(store: Store) -> set[str]:
    """What another connection to the file sees at this very moment."""
    with contextlib.closing(sqlite3.connect(str(make_url(store.engine.url).database))) as other:
        return {row[0] for row in other.execute("SELECT account FROM subscribers")}


async def _write(store: Store, account: str) -> str:
    async with store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record(account)])
    return account


@pytest.fixture
def commits() -> Iterator[list[None]]:
    """One entry for every COMMIT that was sent."""
    seen: list[None] = []

    def on_commit(conn: Connection) -> None:
        seen.append(None)

    event.listen(SyncEngine, "commit", on_commit)
    yield seen
    event.remove(SyncEngine, "commit", on_commit)


async def test_a_commit_is_told_only_when_others_can_see_it(sqlite_store: Store) -> None:
    async def write_and_look(number: int) -> None:
        account = await _write(sqlite_store, str(number))
        assert account in _on_disk(sqlite_store)

    await asyncio.gather(*(write_and_look(number) for number in range(40)))


async def test_transactions_that_wait_together_share_one_commit(
    sqlite_store: Store, sqlite_url: str, commits: list[None]
) -> None:
    await sqlite_store.close()
    # A window so wide that the clock decides nothing: all forty are there before the first one ends.
    patient = Store(Engine(sqlite_url, group_s=600), sqlite_store.clock)
    try:
        await asyncio.gather(*(_write(patient, str(number)) for number in range(40)))
        assert len(commits) == 1
        assert len(_on_disk(patient)) == 40
    finally:
        await patient.close()


async def test_a_lone_transaction_does_not_wait_for_company(sqlite_store: Store, commits: list[None]) -> None:
    await _write(sqlite_store, "1001")
    assert len(commits) == 1


async def test_urgent_work_goes_before_what_waits_and_is_on_disk_at_once(sqlite_store: Store) -> None:
    order: list[str] = []

    async def write(account: str, *, urgent: bool = False) -> None:
        async with sqlite_store.begin(1, urgent=urgent) as tx:
            await tx.subscribers.upsert([subscriber_record(account)])
            order.append(account)

    outside = contextvars.copy_context()

    async def begun(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, context=outside.copy())
        await asyncio.sleep(0)  # as far as the waiting line
        return task

    async with sqlite_store.begin(1):  # somebody is at it
        waiting = [await begun(write(f"bulk {number}")) for number in range(3)]
        gone = await begun(write("gave up", urgent=True))
        urgent = await begun(write("urgent", urgent=True))
        gone.cancel()
    await urgent
    assert "urgent" in _on_disk(sqlite_store)
    await asyncio.gather(*waiting)
    assert order == ["urgent", "bulk 0", "bulk 1", "bulk 2"]


async def test_a_member_cancelled_before_its_turn_delays_nobody(sqlite_store: Store) -> None:
    inside, leave = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with sqlite_store.begin(1) as tx:
            await tx.subscribers.upsert([subscriber_record("1")])
            inside.set()
            await leave.wait()

    one = asyncio.create_task(first())
    await inside.wait()
    two = asyncio.create_task(_write(sqlite_store, "2"))
    await asyncio.sleep(0)  # it waits for its turn now
    leave.set()
    writer = sqlite_store.engine._writer
    while writer._group is None or not writer._group.members:  # noqa: ASYNC110  # it lasts for one turn
        await asyncio.sleep(0)
    two.cancel()  # the first one left the commit to it at this very moment
    async with asyncio.timeout(5):
        await one
    with pytest.raises(asyncio.CancelledError):
        await two
    assert _on_disk(sqlite_store) == {"1"}


async def test_the_shared_transaction_ends_when_its_only_member_fails(sqlite_store: Store) -> None:
    with pytest.raises(LookupError):
        async with sqlite_store.begin(1):
            raise LookupError
    path = str(make_url(sqlite_store.engine.url).database)
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # "database is locked" if ours were still open
        other.execute("ROLLBACK")


async def test_a_statement_cancelled_half_way_takes_nothing_from_its_group(sqlite_store: Store) -> None:
    """The library throws away a connection whose statement was cancelled: the group must survive that."""
    asked = asyncio.Event()

    async def slow() -> None:
        async with sqlite_store.begin(1) as tx:
            await tx.subscribers.upsert([subscriber_record("slow")])
            asked.set()
            await tx.conn.exec_driver_sql(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) "
                "SELECT count(*) FROM n"
            )

    writers = [asyncio.create_task(_write(sqlite_store, str(number))) for number in range(3)]
    victim = asyncio.create_task(slow())
    late = [asyncio.create_task(_write(sqlite_store, str(number))) for number in range(3, 6)]
    await asked.wait()
    await asyncio.sleep(0)
    victim.cancel()
    with pytest.raises(asyncio.CancelledError):
        await victim
    assert await asyncio.gather(*writers, *late) == [str(number) for number in range(6)]
    assert _on_disk(sqlite_store) == {str(number) for number in range(6)}


async def test_a_task_cancelled_twice_still_leaves_the_writer_whole(sqlite_store: Store) -> None:
    for turns in range(0, 40, 2):
        task = asyncio.create_task(_write(sqlite_store, f"twice-{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await _write(sqlite_store, f"after-{turns}") in _on_disk(sqlite_store)


async def test_on_a_full_disk_nobody_is_told_committed_who_is_not(sqlite_store: Store) -> None:
    async with sqlite_store.begin(1) as tx:
        pages = (await tx.conn.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await tx.conn.exec_driver_sql(f"PRAGMA max_page_count = {int(pages) + 12}")

    async def write(number: int) -> str:
        async with sqlite_store.begin(1) as tx:
            await tx.subscribers.upsert([subscriber_record(str(number), address="x" * 3000)])
        return str(number)

    results = await asyncio.gather(*(write(number) for number in range(60)), return_exceptions=True)
    told = {result for result in results if isinstance(result, str)}
    assert any(isinstance(result, SQLAlchemyError) for result in results)
    assert _on_disk(sqlite_store) == told
    async with sqlite_store.begin(1) as tx:
        await tx.conn.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert await _write(sqlite_store, "again") in _on_disk(sqlite_store)


async def test_when_sqlite_undoes_the_whole_group_every_member_hears_of_it(sqlite_store: Store) -> None:
    """After some errors SQLite rolls back everything at once; here a statement does it in its name."""

    async def spoil() -> None:
        async with sqlite_store.begin(1) as tx:
            await tx.conn.exec_driver_sql("ROLLBACK")
            raise LookupError

    writers = [asyncio.create_task(_write(sqlite_store, str(number))) for number in range(3)]
    spoiler = asyncio.create_task(spoil())
    results = await asyncio.gather(*writers, spoiler, return_exceptions=True)
    told = {result for result in results if isinstance(result, str)}
    assert _on_disk(sqlite_store) == told
    assert isinstance(results[-1], LookupError)
    assert await _write(sqlite_store, "after") in _on_disk(sqlite_store)


async def test_closing_commits_what_is_under_way(sqlite_url: str, open_store: OpenStore) -> None:
    store = await open_store(sqlite_url)
    writers = [asyncio.create_task(_write(store, str(number))) for number in range(5)]
    await asyncio.gather(*writers)
    await store.close()
    assert len(_on_disk(store)) == 5


async def test_a_second_engine_on_the_same_file_is_refused(sqlite_url: str) -> None:
    first, second = Engine(sqlite_url), Engine(sqlite_url)
    first.lock_process()
    with pytest.raises(DatabaseError, match="stop the other one, or use PostgreSQL"):
        second.lock_process()
    await first.close()
    second.lock_process()
    await second.close()


async def test_a_second_process_on_the_same_file_is_refused(sqlite_url: str) -> None:
    engine = Engine(sqlite_url)
    engine.lock_process()
    command = [sys.executable, "-W", "error", str(LOCKER), sqlite_url]
    refused = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    await engine.close()
    assert (refused.returncode, refused.stdout.strip()) == (3, "refused"), refused.stderr
    welcome = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    assert (welcome.returncode, welcome.stdout.strip()) == (0, "locked"), welcome.stderr


@pytest.mark.parametrize("name", ["with space.db", "question?.db", "hash#tag.db", "per%25cent.db"])
async def test_a_database_file_may_have_any_name(
    sqlite_template: Path, tmp_path: Path, open_store: OpenStore, name: str
) -> None:
    url = str(make_url("sqlite:///x").set(database=str(tmp_path / name)))
    Path(str(make_url(url).database)).write_bytes(sqlite_template.read_bytes())
    store = await open_store(url)
    await _write(store, "1001")
    async with store.read(1) as tx:
        assert await tx.subscribers.by_account("1001") is not None


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("sqlite:///dir/x.db", "sqlite+aiosqlite:///dir/x.db"),
        ("postgresql://u:p@h/db", "postgresql+asyncpg://u:p@h/db"),
        ("postgresql+psycopg://h/db", "postgresql+asyncpg://h/db"),
    ],
)
def test_urls_get_their_asynchronous_driver(given: str, normal: str) -> None:
    assert normalise_url(given) == normal
    assert is_sqlite(given) is given.startswith("sqlite")


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://h/db", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_serve_is_refused_in_words(url: str) -> None:
    with pytest.raises(DatabaseError, match=r"sqlite:///|not supported"):
        normalise_url(url)
