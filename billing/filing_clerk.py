"""Files what waits for a remote billing system's own books: client log entries, tickets (store.filings).

Claimed, noted as tried, filed outside any transaction, recorded. After a lost answer the system looks for it
first; what it refuses, or does not take for hours, ends and is told in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from billing.port import Applied, BillingSystem, Rejected, TakesFilings, Unclear
from store.filings import SIGNAL, Filing, FilingState
from store.unit import Store

log = structlog.get_logger()
MOST_TRIES = 12
FIRST_PAUSE_S, LONGEST_PAUSE_S = 15.0, 3600.0
NOT_TAKEN = "The billing system takes no such entries."


class FilingClerk:
    def __init__(
        self,
        store: Store,
        systems: Mapping[int, BillingSystem],
        *,
        lease_s: float = 60.0,
        poll_s: float = 2.0,
    ) -> None:
        self._store, self._systems = store, systems
        self._lease_s, self._poll_s = max(lease_s, 60.0), poll_s

    @property
    def needed(self) -> bool:
        return any(isinstance(system, TakesFilings) for system in self._systems.values())

    async def run(self) -> None:
        """Until cancelled."""
        await self._store.signals.keep_working(SIGNAL, self.work, self._poll_s)

    async def work(self) -> int:
        """One round; gives how many were taken."""
        async with self._store.system() as tx:
            taken = await tx.filings.claim(lease_s=self._lease_s)
        for filing in taken:  # one after the other: nobody waits for them
            try:
                await self._file(filing)
            except Exception as error:  # it keeps its lease, and is taken up again when that ends
                log.exception("filing_failed", filing=str(filing.id), error=type(error).__name__)
        return len(taken)

    async def _file(self, filing: Filing) -> None:
        system: object = self._systems.get(filing.tenant)
        answer: Applied | Rejected | Unclear = Rejected(NOT_TAKEN)
        if isinstance(system, TakesFilings):
            async with self._store.begin(filing.tenant) as tx:
                if not await tx.filings.about_to_call(filing):
                    return
            async with asyncio.timeout(self._lease_s * 0.8):
                answer = await system.file(filing)
        await self._record(filing, answer)

    async def _record(self, filing: Filing, answer: Applied | Rejected | Unclear) -> None:
        async with self._store.begin(filing.tenant) as tx:
            if isinstance(answer, Applied):
                await tx.filings.end(filing, FilingState.FILED, ref=answer.ref)
            elif isinstance(answer, Rejected) or filing.attempt >= MOST_TRIES:
                await tx.filings.end(filing, FilingState.REFUSED, result=answer.sentence)
            else:
                pause = min(FIRST_PAUSE_S * 2 ** (filing.attempt - 1), LONGEST_PAUSE_S)
                await tx.filings.put_off(filing, result=answer.sentence, wait_s=pause)
        told = "filed" if isinstance(answer, Applied) else answer.sentence
        log.info("filing", filing=str(filing.id), kind=filing.kind, attempt=filing.attempt, result=told)


__all__ = ["MOST_TRIES", "NOT_TAKEN", "FilingClerk"]
