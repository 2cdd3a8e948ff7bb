"""`ispbot retention`: what a round of removing by age would take, and that round at once.

Counting goes beside the running product; a round writes, so on SQLite it goes while the product is stopped
(which does one each day by itself).
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table

from bot.config import Config
from bot.retention import RetentionDuty, due
from bot.wiring import ensure_tenants, open_store
from store import migrate
from store.engine import DatabaseError
from store.retention import TERMS, Term, before


async def keep_house(config: Config, out: Console, *, dry_run: bool) -> None:
    """DatabaseError with the sentence to print."""
    if await migrate.current(config.database_url) != migrate.head():
        raise DatabaseError("The database's schema is not that of this version. Run `ispbot migrate`.")
    store = open_store(config)
    try:
        if not dry_run:
            store.engine.lock_process()
            await ensure_tenants(store, config)
        for key, tenant in config.app.tenants.items():
            counted = await due(store, tenant.id)
            table = Table(
                "what",
                "kept for",
                "older than",
                Column("past its time", justify="right"),
                Column("kept by a legal hold", justify="right"),
                "then",
                title=key,
            )
            now = store.clock()
            for kept, term in TERMS.items():
                found = counted[kept]
                table.add_row(
                    term.what,
                    told(term),
                    f"{before(now, kept):%Y-%m-%d}",
                    f"{found.removable:,}",
                    f"{found.held:,}",
                    term.then,
                )
            out.print(table)
            if not dry_run:
                removed = await RetentionDuty(store, [tenant.id]).sweep(tenant.id)
                out.print(f"{sum(removed.values()):,} rows removed or moved.")
        if dry_run:
            out.print("Nothing was changed (--dry-run).")
    finally:
        await store.close()


def told(term: Term) -> str:
    if term.days:
        return f"{term.days} days"
    return f"{term.months // 12} years" if term.months % 12 == 0 else f"{term.months} months"
