"""Sweeps and pages read along their indexes, also on SQLite, which guesses: it keeps no statistics of sizes.

What runs every few seconds, or at a press, must not go through every delivery that a provider ever made.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from store.claims import _CLAIM
from store.events import _OF
from store.failed_attempts import NOTHING
from store.models import Channel, EventKind, Outcome, Priority
from store.types import derived_range
from store.unit import Store, Tx
from tests.builders import NOW, delivery, take
from tests.builders import event as said

RUN = UUID(int=7)
SINCE = NOW - timedelta(minutes=10)
_READ = re.compile(r"(?:SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+)(?: \((.*)\))?)?")

ASKED: dict[str, Callable[[Tx], Awaitable[Any]]] = {
    "claim": lambda tx: take(
        tx,
        route="relay",
        highest=Priority.NORMAL,
        limit=5,
        worker="w",
        lease_s=30,
        retry_at=NOW,
    ),
    "lost": lambda tx: tx.deliveries.lost(),
    "settle": lambda tx: tx.deliveries.settle_due(),
    "overdue": lambda tx: tx.deliveries.overdue(),
    "doubtful": lambda tx: tx.deliveries.take_doubtful(NOW),
    "unreceipted": lambda tx: tx.deliveries.take_unreceipted(NOW),
    "let go": lambda tx: tx.deliveries.release_held(1, "hold:1001"),
    "holders": lambda tx: tx.deliveries.holders(1),
    "waiting to": lambda tx: tx.of(1).deliveries.waiting_to(Channel.SMS, "+15415550142"),
    "sids": lambda tx: tx.of(1).deliveries.known_queue_ids(["SM1", "SM2"]),
    "run ends": lambda tx: tx.runs.settle(1, RUN),
    "run waits": lambda tx: tx.runs.waiting(1, RUN),
    "run stands": lambda tx: tx.of(1).runs.standings(RUN),
    "run holds": lambda tx: tx.runs.hold_queued(1, RUN),
    "run has something queued": lambda tx: tx.of(1).runs.waits(RUN),
    "run is due": lambda tx: tx.of(1).runs.next_due(RUN),
    "run lets go": lambda tx: tx.runs.let_go(1, RUN, timedelta()),
    "run goes out of date": lambda tx: tx.runs.out_of_date(1, RUN),
    "run expires": lambda tx: tx.of(1).runs.first_to_expire(RUN),
    "run fails": lambda tx: tx.of(1).run_ledger.failing(RUN, SINCE),
    "run ended": lambda tx: tx.of(1).run_ledger.ended(RUN, SINCE, 50),
    "run still fails": lambda tx: tx.of(1).failures.still_of_run(RUN),
    "ledger of some": lambda tx: tx.of(1).run_ledger.entries([RUN]),
    "ledger of days": lambda tx: tx.of(1).run_ledger.of_days(NOW.date(), NOW.date()),
    "proven": lambda tx: tx.of(1).run_checks.proven(["dana@a.example"]),
    "run tally": lambda tx: tx.of(1).runs.tally(RUN),
    "failures of a run": lambda tx: tx.of(1).failures.of_run(RUN),
    "failures since": lambda tx: tx.of(1).failures.since(SINCE),
    "told": lambda tx: tx.of(1).failures.standing([RUN]),
    "told since": lambda tx: tx.of(1).failures.told_since(RUN, [RUN]),
    "asides": lambda tx: tx.of(1).failures.asides([RUN]),
    "failed attempts": lambda tx: tx.of(1).failed_attempts.after((SINCE, NOTHING), 100),
    "route waits": lambda tx: tx.of(1).incidents.waiting_for("relay"),
    "stuck": lambda tx: tx.of(1).incidents.stuck(RUN),
    "got through": lambda tx: tx.of(1).incidents.got_through(RUN, SINCE, [Outcome.DELIVERED]),
    "queued": lambda tx: tx.of(1).queue.queued(),
    "queued for later": lambda tx: tx.of(1).queue.later("relay"),
    "held": lambda tx: tx.of(1).queue.held(),
    "held by one": lambda tx: tx.of(1).queue.held_by("hold:1001"),
    "in hand": lambda tx: tx.of(1).queue.in_hand("relay"),
    "claimed": lambda tx: tx.of(1).queue.claimed(),
    "head of the line": lambda tx: tx.of(1).queue.head("relay"),
    "handed over lately": lambda tx: tx.of(1).queue.handed_over(timedelta(minutes=1), timedelta(hours=72)),
    "automatic": lambda tx: tx.of(1).conversations.auto_since("+15415550142", SINCE),
    "bounces of days": lambda tx: tx.of(1).mail_health.bounces([SINCE, NOW]),
    "troubles of a day": lambda tx: tx.of(1).mail_health._troubles(SINCE),
    "a route's last failure": lambda tx: tx.of(1).mail_health._newest_failure("relay", SINCE),
    "waiting by route": lambda tx: tx.of(1).mail_health._waiting(["relay", "own"]),
    "routes of an incident": lambda tx: tx.of(1).mail_health.routes_of([RUN]),
    "a number's open question": lambda tx: tx.of(1).questions.open_for("+15415550142"),
    "open questions": lambda tx: tx.of(1).questions.open_ones(),
    "questions whose time is over": lambda tx: tx.of(1).questions.expire(),
    "unmatched reports to try again": lambda tx: tx.orphans.to_rematch(SINCE),
    "unmatched reports": lambda tx: tx.of(1).orphans.count_waiting(),
    "watches due": lambda tx: tx.dns_watches.take_due([1, 2], lambda _: NOW),
    "posts bumped": lambda tx: tx.posts.bump("delivery", [(1, "a"), (1, "b")]),
    "posts behind": lambda tx: tx.posts.claim_behind(worker="w", lease_s=30),
}
LARGE = {"deliveries", "notifications", "events", "conversation_lines", "posts", "invoices"}
LARGE |= {"other", "of_other", "same", "points", "contact_overrides"}  # of store.failures and store.proof
LARGE |= {"address_questions", "orphans"}


@pytest.mark.parametrize("name", ASKED)
async def test_what_is_asked_often_reads_along_an_index(sqlite_store: Store, name: str) -> None:
    statements: list[Any] = []

    def seen(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if not many:
            statements.append((statement, parameters))

    async with sqlite_store.system() as tx:
        engine = tx.conn.sync_connection.engine  # type: ignore[union-attr]  # it is open
        event.listen(engine, "before_cursor_execute", seen)
        try:
            await ASKED[name](tx)
        finally:
            event.remove(engine, "before_cursor_execute", seen)
        steps = [
            row._mapping["detail"]
            for statement, parameters in statements
            for row in await tx.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    assert steps
    slow = [step for step in steps if (read := _READ.match(step)) and read[1] in LARGE and not _narrow(read)]
    assert slow == []


def _narrow(read: re.Match[str]) -> bool:
    """By more than the tenant, or along an index that holds only what it is about."""
    partial = read[2] in {
        "ix_deliveries_due",
        "ix_deliveries_held",
        "ix_events_failures",
        "uq_address_questions_asked",
        "ix_orphans_waiting",
    }
    return partial or (bool(read[3]) and read[3] != "tenant_id=?")


async def test_a_claim_on_postgresql_merges_the_partitions_due_indexes_and_finds_its_rows_by_id(
    postgres_store: Store,
) -> None:
    """The generic plan, which a worker's prepared statement has: it knows neither how many nor which rows."""
    async with postgres_store.system() as tx:
        await tx.partitions.make_ahead("deliveries", months=12)
        await tx.deliveries.add([delivery(f"{n}@example.com") for n in range(2_000)])
        await tx.conn.execute(text("ANALYZE deliveries"))
        types = "int, text, int, timestamptz, int, text, float8, timestamptz"
        await tx.conn.exec_driver_sql(f"PREPARE claim ({types}) AS {_CLAIM}")
        await tx.conn.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        values = "1, 'relay', 5, now(), 200, 'w', 30, now()"
        plan = "\n".join((await tx.conn.exec_driver_sql(f"EXPLAIN EXECUTE claim ({values})")).scalars().all())
    assert "Merge Append" in plan
    assert "id = ANY" in plan, "rows are found by id"
    assert "Seq Scan on deliveries_first" not in plan


async def test_what_is_known_of_a_delivery_is_looked_up_in_its_own_partition_alone(
    postgres_store: Store,
) -> None:
    """The generic plan: which partition it is, is seen delivery by delivery."""
    async with postgres_store.system() as tx:
        await tx.partitions.make_ahead("events", months=12)
        items = [delivery(f"{n}@example.com") for n in range(2_000)]
        await tx.events.append([(1, said(item.id, EventKind.ACCEPTED)) for item in items])
        await tx.conn.execute(text("ANALYZE events"))
        await tx.conn.exec_driver_sql(f"PREPARE known (int4[], uuid[], uuid[], uuid[]) AS {_OF}")
        await tx.conn.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        one = items[0].id
        values = f"'{{1}}', '{{{one}}}', " + ", ".join(f"'{{{end}}}'" for end in derived_range(one))
        asked = f"EXPLAIN (ANALYZE, COSTS OFF) EXECUTE known ({values})"
        plan = (await tx.conn.exec_driver_sql(asked)).scalars().all()
    read = [line for line in plan if " on events" in line and "never executed" not in line]
    assert len(read) == 1
    assert "Index Scan" in read[0]
