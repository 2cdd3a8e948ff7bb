"""The ledger of invoices issued against notified: its sums, and one line an invoice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

from handlers.contract import Services
from handlers.runs import REASONS, STANDING_WORDS, Criteria, What
from handlers.workflows.run_audience import BATCH
from store.models import Entry, Invoice, Ledger, Run, Subscriber
from store.unit import Tx

Line = tuple[str, str, str, str, str]
"""(invoice, account, issued on, standing, reason)."""


async def of_run(tx: Tx, run: Run) -> tuple[Ledger, Ledger | None, list[str]]:
    """Of its audience; and of all invoices issued on its days, where it tells of new ones, with the numbers
    of the first that are missing."""
    criteria = Criteria.from_json(run.criteria)
    mine = await tx.run_ledger.of_run(run)
    if criteria.what is not What.ISSUED or criteria.since is None:
        return mine, None, []
    days = await tx.run_ledger.of_days(criteria.since, criteria.today)
    missing = await tx.run_ledger.examples(criteria.since, criteria.today) if days.gap else []
    return mine, days, missing


async def lines(services: Services, tenant: int, first: date, last: date) -> AsyncIterator[Line]:
    """Of all invoices issued on these days, in the order of their numbers, a batch in memory at a time."""
    after = ""
    while True:
        async with services.store.read(tenant) as tx:
            invoices = await tx.invoices.issued_page(first, last, after=after, limit=BATCH)
            entries = await tx.run_ledger.entries([i.id for i in invoices])
            owners = await tx.subscribers.by_ids(list({i.subscriber_id for i in invoices}))
        for invoice in invoices:
            yield _line(invoice, owners.get(invoice.subscriber_id), entries.get(invoice.id))
        if len(invoices) < BATCH:
            return
        after = invoices[-1].number


def _line(invoice: Invoice, owner: Subscriber | None, entry: Entry | None) -> Line:
    standing, reason = "in no run so far", ""
    if entry is not None and entry.standing is not None:
        standing = STANDING_WORDS[entry.standing]
    elif entry is not None:
        standing, reason = "left out", REASONS.get(entry.reason, entry.reason)
    account = owner.account if owner is not None else ""
    return invoice.number, account, invoice.issued_on.isoformat(), standing, reason
