"""One round over everything that UISP has: clients, services, invoices, a piece of a page to a transaction.

UISP tells neither what changed nor what was removed. So the short round reads all clients (their balances)
and services and the invoices that are unpaid, and asks for each that was open here and is not among them; the
full one reads every invoice, and asks for each client of whom it saw nothing: only a 404 of its own says that
one is gone. Broken off anywhere, the next one goes on behind what was committed last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from billing.port import Progress, SyncResult, Unavailable
from billing.uisp import mirror
from billing.uisp.client import PAGE, NotThere, UispClient, UispError
from billing.uisp.mapping import SOURCE, UNPAID, Problems
from billing.uisp.mirror import Reading
from store.billing_refs import RefKind
from store.billing_sync import SyncState
from store.models import Facts
from store.repository import batched
from store.unit import Store, Tx

log = structlog.get_logger()

SECTIONS = ("clients", "services", "invoices", "rest")
PATHS: Mapping[str, str] = {
    "clients": "clients",
    "services": "clients/services",
    "invoices": "invoices",
}
PATIENCE_S = 120.0
"""How long one page is asked for again while UISP is busy or away."""
GOES_ON_WITHIN = timedelta(hours=1)
"""A round that was broken off longer ago begins anew: what it saw is old."""
AT_ONCE = 100
"""Entries to a transaction: on SQLite everybody else waits for the one writer."""
FEW = 10
Write = Callable[[Tx, Reading, Sequence[Any], Facts, Problems], Awaitable[Any]]


@dataclass
class _Tally:
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SECTIONS, 0))
    archived: int = 0
    problems: Problems = field(default_factory=Problems)


class Round:
    def __init__(
        self,
        store: Store,
        tenant: int,
        client: UispClient,
        reading: Reading,
        progress: Progress | None = None,
    ) -> None:
        self._store, self._tenant, self._client, self._reading = store, tenant, client, reading
        self._progress, self._tally = progress, _Tally()

    async def run(self, *, full: bool) -> SyncResult | Unavailable:
        state = await self._begun(full=full)
        started = state.started_at
        if started is None:
            raise LookupError("a round that was just begun")
        try:
            for section in SECTIONS[SECTIONS.index(state.section) : -1]:
                start = max(state.position - PAGE, 0) if section == state.section else 0
                await self._section(section, start, full=full)
            await self._rest(started, full=full)
        except UispError as error:
            async with self._store.begin(self._tenant) as tx:
                await tx.billing_sync.failed(error.sentence)
            log.warning("billing_sync_broken_off", billing=SOURCE, why=error.sentence)
            return Unavailable(error.sentence)
        async with self._store.begin(self._tenant) as tx:
            await tx.billing_sync.done(full=full, started_at=started)
        result = self._result(full=full)
        log.info(
            "billing_sync_done",
            billing=SOURCE,
            full=full,
            clients=result.clients,
            services=result.services,
            invoices=result.invoices,
            archived=result.archived,
            unreadable=len(result.problems),
        )
        return result

    def _result(self, *, full: bool) -> SyncResult:
        done, told = self._tally.done, tuple(dict.fromkeys(self._tally.problems.told))
        return SyncResult(
            full, done["clients"], done["services"], done["invoices"], self._tally.archived, told
        )

    async def _begun(self, *, full: bool) -> SyncState:
        """The round that is open where it can be gone on with, else a new one."""
        async with self._store.begin(self._tenant) as tx:
            state = await tx.billing_sync.state()
            fresh = state.touched_at is not None and tx.now - state.touched_at < GOES_ON_WITHIN
            if state.started_at is None or state.full is not full or not fresh:
                await tx.billing_sync.begin(full=full, section=SECTIONS[0])
                state = await tx.billing_sync.state()
            else:
                log.info("billing_sync_goes_on", billing=SOURCE, section=state.section)
        return state

    async def _section(self, section: str, start: int, *, full: bool) -> None:
        writers: Mapping[str, Write] = {
            "clients": mirror.write_clients,
            "services": mirror.write_services,
            "invoices": mirror.write_invoices,
        }
        query = []
        if section == "invoices" and not full:
            query = [("statuses[]", str(code)) for code in UNPAID]
        expected = await self._expected(section)
        asked_at = self._store.clock()
        pages = self._client.pages(PATHS[section], query, start=start, patience_s=PATIENCE_S)
        async for position, entries in pages:
            behind = position - len(entries)
            for piece in batched(entries, AT_ONCE):
                behind += len(piece)
                async with self._store.begin(self._tenant) as tx:
                    facts = Facts(SOURCE, asked_at)
                    await writers[section](tx, self._reading, piece, facts, self._tally.problems)
                    await tx.billing_sync.came_to(section, behind)
                self._tally.done[section] = behind
                if self._progress is not None:
                    self._progress(section, behind, max(expected, position))
            asked_at = self._store.clock()

    async def _expected(self, section: str) -> int:
        kinds = {"clients": RefKind.CLIENT, "invoices": RefKind.INVOICE}
        if section not in kinds:
            return 0
        async with self._store.read(self._tenant) as tx:
            return await tx.billing_refs.count(kinds[section])

    async def _rest(self, started: datetime, *, full: bool) -> None:
        """What UISP told nothing of: asked for one by one, since a list may have moved under us."""
        async with self._store.begin(self._tenant) as tx:
            await tx.billing_sync.came_to("rest", 0)
            unseen = await tx.billing_sync.unseen_clients(started)
            known = await tx.billing_refs.count(RefKind.CLIENT)
        # What came and could not be read is there.
        told = {what.removeprefix("client ") for what, _ in self._tally.problems.told}
        unseen = {client_id: found for client_id, found in unseen.items() if client_id not in told}
        if len(unseen) > max(FEW, known // 2):
            raise UispError(
                f"UISP told nothing of {len(unseen)} of {known} clients. It may be another one, or the key "
                "may not see them: nothing was archived."
            )
        for client_id, subscriber_id in unseen.items():
            found = await self._one("client", f"clients/{client_id}", mirror.write_clients)
            if not found:
                async with self._store.begin(self._tenant) as tx:
                    await mirror.write_gone(tx, client_id, subscriber_id)
                self._tally.archived += 1
        await self._rest_of_invoices(started)
        unreadable = any(what.startswith("service ") for what, _ in self._tally.problems.told)
        if full and not unreadable:
            async with self._store.begin(self._tenant) as tx:
                await tx.billing_sync.end_packages(started, SOURCE)

    async def _rest_of_invoices(self, started: datetime) -> None:
        async with self._store.read(self._tenant) as tx:
            open_here = await tx.billing_sync.unseen_invoices(started)
        for invoice_id, remote in open_here.items():
            if remote and await self._one("invoice", f"invoices/{remote}", mirror.write_invoices):
                continue
            async with self._store.begin(self._tenant) as tx:
                await tx.invoices.void(invoice_id, Facts(SOURCE, tx.now))

    async def _one(self, kind: str, path: str, write: Write) -> bool:
        """False when UISP says that there is none."""
        asked_at = self._store.clock()
        try:
            entry = await self._client.get(path, patience_s=PATIENCE_S)
        except NotThere:
            return False
        async with self._store.begin(self._tenant) as tx:
            await write(tx, self._reading, [entry], Facts(SOURCE, asked_at), self._tally.problems)
        return True
