"""`ispbot notify ledger`: invoices issued against notified, to the row; beside the running product."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bot.config import Config
from bot.wiring import build_services, open_store
from handlers.contract import Services
from handlers.csv_cells import safe
from handlers.reply import UserError
from handlers.runs import LEDGER_HEAD, REASONS, STANDING_WORDS, issued_since
from handlers.workflows.run_ledger import lines
from store import migrate
from store.engine import DatabaseError
from store.models import Ledger

DAYS = 31
"""Back from today, where no day is named."""


async def notify_ledger(config: Config, key: str, since: str | None, file: Path | None, out: Console) -> int:
    """Prints the sums, writes one line an invoice where a file is named; how many invoices are missing."""
    tenant = config.app.tenants[key].id
    if await migrate.current(config.database_url) != migrate.head():
        raise DatabaseError("The database's schema is not that of this version. Run `ispbot migrate`.")
    store = open_store(config)
    try:
        services = build_services(config, store, {})
        today = services.now().astimezone(services.profile(tenant).time_zone).date()
        first = issued_since(since, today).since if since else today - timedelta(days=DAYS)
        first = first or today
        async with store.read(tenant) as tx:
            made = await tx.run_ledger.of_days(first, today)
            missing = await tx.run_ledger.examples(first, today) if made.gap else []
        _tell(made, first, missing, out)
        if file is not None:
            await _write(services, tenant, first, today, file)
            out.print(f"One line an invoice in {file}", highlight=False)
        return made.gap
    finally:
        await store.close()


def _tell(made: Ledger, first: date, missing: list[str], out: Console) -> None:
    table = Table(f"invoices issued since {first.isoformat()}", f"{made.issued:,}")
    for standing, words in STANDING_WORDS.items():
        if standing in made.notified:
            table.add_row(words, f"{made.notified[standing]:,}")
    for reason, number in sorted(made.left_out.items(), key=lambda item: -item[1]):
        table.add_row(f"left out: {REASONS.get(reason, reason)}", f"{number:,}")
    table.add_row("in no run so far", f"{made.outside:,}")
    table.add_row("missing", f"{made.gap:,}", style="bold red" if made.gap else "")
    out.print(table)
    if made.gap:
        examples = ", ".join(missing)
        out.print(
            f"{made.gap:,} invoices stood in a run's audience and were neither told nor left out: {examples}",
            highlight=False,
        )
    else:
        out.print("It adds up.")


async def _write(services: Services, tenant: int, first: date, last: date, file: Path) -> None:
    try:
        with file.open("w", newline="", encoding="utf-8") as target:
            writer = csv.writer(target)
            writer.writerow(LEDGER_HEAD)
            async for line in lines(services, tenant, first, last):
                writer.writerow([safe(cell) for cell in line])
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from None
