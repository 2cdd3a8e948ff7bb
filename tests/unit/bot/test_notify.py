"""`ispbot notify invoices` as it is typed, over a real database."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from bot.config import load_config
from bot.notify import ASKER, Wanted, notify_invoices
from bot.wiring import open_store
from handlers.runs import issued_since
from handlers.workflows import run as workflow
from notifier import tracking
from notifier.tracking import Report
from store.engine import Engine
from store.models import EventKind, Run, RunState, Standing
from store.unit import Store
from tests.builders import billing_email, event, invoice_record, subscriber_record
from tests.unit.bot.deployment import ENVIRON, load, tenant, write
from tests.unit.bot.test_cli import ispbot


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A deployment with five invoices of four people, on SQLite."""
    path = write(tmp_path)
    assert ispbot("migrate", "-c", path).exit_code == 0
    asyncio.run(_fill(path))
    return path


async def _fill(path: Path) -> None:
    store = open_store(load_config(path, dict(ENVIRON)))
    try:
        await add_to(store)
    finally:
        await store.close()


async def add_to(store: Store) -> None:
    async with store.begin(1) as tx:
        for account in ("1001", "1002", "1003", "1004"):
            points = () if account == "1004" else (billing_email(f"p{account}@inbox.example"),)
            ids = await tx.subscribers.upsert([subscriber_record(account, points=points)])
            await tx.invoices.upsert([invoice_record(ids[account], f"2{account}")])
            if account == "1001":
                await tx.invoices.upsert([invoice_record(ids[account], "21001b")])


def runs(path: Path) -> list[tuple[Run, dict[Standing, int], dict[str, int]]]:
    async def read() -> list[tuple[Run, dict[Standing, int], dict[str, int]]]:
        store = open_store(load_config(path, dict(ENVIRON)))
        try:
            async with store.read(1) as tx:
                return [
                    (run, dict(await tx.runs.standings(run.id)), await tx.runs.left_out(run.id))
                    for run in await tx.runs.latest()
                ]
        finally:
            await store.close()

    return asyncio.run(read())


def test_a_dry_run_tells_whom_it_would_reach_and_writes_nothing(config: Path) -> None:
    done = ispbot("notify", "invoices", "--issued-since", "2026-01-01", "--dry-run", "-c", config)
    assert done.exit_code == 0, done.output
    assert "by mail" in done.output
    assert "no address on file" in done.output
    assert "1004" in done.output
    assert "Nothing was written" in done.output
    assert runs(config) == []


def test_a_run_queues_the_notices_and_a_second_one_finds_nobody_left(config: Path) -> None:
    done = ispbot("notify", "invoices", "--issued-since", "2026-01-01", "-c", config)
    assert done.exit_code == 0, done.output
    assert "4 under way, 1 left out" in done.output
    assert "when the product runs" in done.output
    ((run, standings, left_out),) = runs(config)
    assert standings == {Standing.UNDER_WAY: 4}
    assert left_out == {"no_address": 1}
    assert run.ready_at is not None
    again = ispbot("notify", "invoices", "--issued-since", "2026-01-01", "-c", config)
    assert again.exit_code == 0
    assert "Nobody is left to tell" in again.output
    assert len(runs(config)) == 1


def test_a_run_that_was_cut_off_is_gone_on_with(config: Path) -> None:
    async def cut_off() -> None:
        store = open_store(load_config(config, dict(ENVIRON)))
        try:
            async with store.begin(1) as tx:
                since = issued_since("2026-01-01", store.clock().date())
                await workflow.begin(tx, since, "cli:gone", requested_by=ASKER, locale="en_US")
        finally:
            await store.close()

    asyncio.run(cut_off())
    done = ispbot("notify", "invoices", "--issued-since", "2026-01-01", "-c", config)
    assert "4 under way, 1 left out" in done.output
    ((run, _, _),) = runs(config)
    assert run.ready_at is not None


def test_one_invoice_and_overdue_ones_are_runs_of_their_own(config: Path) -> None:
    assert "1 under way" in ispbot("notify", "invoices", "--invoice", "21001b", "-c", config).output
    assert "4 under way" in ispbot("notify", "invoices", "--overdue", "-c", config).output


def test_beside_the_running_product_a_run_is_refused_kindly_and_a_rehearsal_is_not(config: Path) -> None:
    engine = Engine(load_config(config, dict(ENVIRON)).database_url)
    engine.lock_process()
    try:
        refused = ispbot("notify", "invoices", "--overdue", "-c", config)
        rehearsed = ispbot("notify", "invoices", "--overdue", "--dry-run", "-c", config)
    finally:
        asyncio.run(engine.close())
    assert refused.exit_code == 1
    assert "The product is running" in refused.output
    assert "run` in Slack" in refused.output
    assert rehearsed.exit_code == 0, rehearsed.output
    assert runs(config) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "Say one of"),
        (["--overdue", "--invoice", "1"], "Say one of"),
        (["--issued-since", "yore"], "I cannot read that date"),
        (["--invoice", "9"], "There is no invoice 9"),
        (["--overdue", "--follow"], "--follow needs PostgreSQL"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(config: Path, options: list[Any], sentence: str) -> None:
    done = ispbot("notify", "invoices", *options, "-c", config)
    assert done.exit_code == 2
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_a_run_above_the_threshold_waits_for_a_lead(tmp_path: Path) -> None:
    path = write(tmp_path, tenants={"cascade": tenant() | {"runs": {"approve_above": 3}}})
    assert ispbot("migrate", "-c", path).exit_code == 0
    asyncio.run(_fill(path))
    done = ispbot("notify", "invoices", "--issued-since", "2026-01-01", "-c", path)
    assert done.exit_code == 0, done.output
    assert "nothing goes out before somebody with the role lead approves it" in " ".join(done.output.split())
    ((run, standings, _),) = runs(path)
    assert (run.state, standings) == (RunState.WAITING, {})


def test_the_ledger_adds_up_and_writes_a_line_an_invoice(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "ledger.csv"
    before = ispbot("notify", "ledger", "--since", "2026-01-01", "-c", config)
    assert before.exit_code == 0, before.output
    assert "in no run so far" in before.output
    ispbot("notify", "invoices", "--issued-since", "2026-01-01", "-c", config)
    done = ispbot("notify", "ledger", "--since", "2026-01-01", "--csv", str(file), "-c", config)
    assert "It adds up." in done.output
    assert len(file.read_text().splitlines()) == 6
    wrong = ispbot("notify", "ledger", "--csv", str(tmp_path / "no" / "x.csv"), "-c", config)
    assert (wrong.exit_code, "cannot be written" in wrong.output) == (2, True)


async def test_follow_waits_beside_the_product_until_all_are_sent(
    tmp_path: Path, postgres_store: Store, postgres_url: str
) -> None:
    config = load(tmp_path, {"ISPBOT_DATABASE_URL": postgres_url})
    await add_to(postgres_store)
    out = Console(file=io.StringIO(), width=200)
    wanted = Wanted(issued_since="2026-01-01", follow=True)
    told = postgres_store.signals.subscribe("deliveries")
    await postgres_store.start()
    following = asyncio.create_task(
        notify_invoices(config, "cascade", wanted, out, Console(file=io.StringIO()))
    )
    while not (waiting := await _queued(postgres_store)):
        await told.wait(1.0)
    assert not following.done()
    for delivery_id in waiting:
        async with postgres_store.system() as tx:
            await tracking.record(tx, [Report(1, event(delivery_id, EventKind.DELIVERED, attempt=0))])
    await asyncio.wait_for(following, 20)
    assert "4 accepted by their servers, 1 left out" in out.file.getvalue()  # type: ignore[attr-defined]
    told.close()


async def _queued(store: Store) -> list[UUID]:
    async with store.read(1) as tx:
        found = await tx.runs.latest(1)
        return await tx.runs.waiting(1, found[0].id) if found and found[0].ready_at else []
