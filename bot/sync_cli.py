"""`ispbot sync`: one round over a remote billing system, with a bar, and what came of it."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from billing.port import Followed, SyncResult, Unavailable
from bot.config import Config
from bot.wiring import close_billing, ensure_tenants, open_billing, open_store
from handlers.reply import UserError

SHOWN = 50


async def catch_up(loaded: Config, key: str, out: Console, err: Console, *, full: bool) -> None:
    """UserError where there is nothing to catch up with, or billing does not let us."""
    tenant = loaded.app.tenants[key]
    store = open_store(loaded)
    systems = open_billing(loaded, store)
    try:
        system = systems[tenant.id]
        if not isinstance(system, Followed):
            raise UserError(
                f"The billing of {key} is {tenant.billing}: there is nothing to catch up with.",
                "Files come in by `ispbot import`.",
            )
        store.engine.lock_process()
        await ensure_tenants(store, loaded)
        result = await _with_a_bar(system, err, full=full)
    finally:
        await close_billing(systems)
        await store.close()
    if isinstance(result, Unavailable):
        raise UserError(result.sentence, "The same command again goes on where it stopped.")
    _tell(result, out)


async def _with_a_bar(system: Followed, err: Console, *, full: bool) -> SyncResult | Unavailable:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as progress:
        task = progress.add_task("clients", total=None)

        def step(section: str, done: int, expected: int) -> None:
            progress.update(task, description=section, completed=done, total=expected or None)

        return await system.sync(full=full, progress=step)


def _tell(result: SyncResult, out: Console) -> None:
    archived = f", {result.archived} archived" if result.archived else ""
    out.print(
        f"{result.clients} clients{archived}, {result.services} services, {result.invoices} invoices read; "
        f"{len(result.problems)} could not be taken in"
    )
    if result.problems:
        table = Table("what", "why")
        for what, why in result.problems[:SHOWN]:
            table.add_row(escape(what), escape(why))
        out.print(table)
        if len(result.problems) > SHOWN:
            out.print(f"... and {len(result.problems) - SHOWN} more")
