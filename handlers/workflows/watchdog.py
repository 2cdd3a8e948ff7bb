"""The watchdog: what no message tells of. Nothing moves though work is due, no worker runs, clocks differ,
reports pile up, a run's ledger has a gap, a route fails far more than it used to.

One process does it (store.duty), of either half: a dead worker cannot tell of itself. What it sees twice in a
row becomes an incident; once it does not see it any more it resolves that itself, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from billing.port import Followed
from handlers.contract import Services
from handlers.workflows.incidents import INCIDENT_SURFACE, show_again
from notifier.oncall import Cause, Urgent, kind_of, parse
from store.models import RouteCounts
from store.processes import Process
from store.queue import Head
from store.unit import Tx

SILENT_S = 120.0
"""No sign of a worker for so long: none runs."""
START_S, DAY_S = 30.0, 24 * 3600.0
"""A worker whose sign is old gets so long to come back; older signs than a day tell nothing."""
STILL_S = 120.0
"""The head of a line did not move for so long, while it was due."""
SLOW_S = 5.0
"""A look at the queue that takes longer is a slow database."""
SKEW_MS = 5_000
"""Machines that keep time by NTP differ by milliseconds."""
PILE = 50
"""Reports without a match within a day; a few come always."""
PILE_OVER = 35
BY = "watchdog"
OWN = frozenset(
    {"no_worker", "stalled", "slow_database", "orphans", "clock_skew", "failure_band", "billing_stale"}
)
"""The incidents that it raises, and resolves when it does not see them any more."""
BAND_EVERY_S = 600.0
"""A route's failures are compared so often: the days before are read for it."""
BAND_WINDOW, BAND_BEFORE = timedelta(hours=1), timedelta(days=3)
BAND_LEAST, BAND_NORMAL, BAND_TIMES = 30, 200, 3.0
"""So many mails in the window, and in the time before, are enough to compare; so many times is not usual."""
STALE_AFTER = timedelta(hours=1)
"""The mirror is older than that, and than three of its rounds."""
BAND_FLOOR = 0.10
"""Below this share no alarm, whatever was usual."""


@dataclass(frozen=True, slots=True)
class Trouble:
    cause: Cause

    @property
    def title(self) -> str:
        return self.cause.title


@dataclass(frozen=True, slots=True)
class _Line:
    """How a route stood when it last moved."""

    head: Head
    in_hand: frozenset[UUID]
    due: int
    since: float
    """Monotonic."""


class Watchdog:
    """One tenant's. It remembers how long something has stood still, and what it saw the last time."""

    def __init__(self, services: Services, tenant: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._services, self._profile, self._clock = services, services.profile(tenant), clock
        self._began = clock()
        self._lines: dict[str, _Line] = {}
        self._before: frozenset[str] = frozenset()
        self._compared: float | None = None
        self._out_of_band: list[Trouble] = []

    async def look(self) -> list[Trouble]:
        """One look; gives what stands twice in a row, which is told."""
        seen = await self._seen()
        keys = frozenset(t.cause.key for t in seen)
        standing = [t for t in seen if t.cause.key in self._before]
        self._before = keys
        await self._tell(standing, keys)
        return standing

    async def _seen(self) -> list[Trouble]:
        began = self._clock()
        async with self._services.store.read(self._profile.id) as tx:
            alive = await tx.processes.alive(SILENT_S)
            known = any(process.works for process in await tx.processes.alive(DAY_S))
            still = await self._still(tx)
            piled = await self._piled(tx)
            band = await self._band(tx)
            stale = await self._stale(tx)
        troubles = _clocks(alive) + piled + band + stale
        if not any(process.works for process in alive):
            # Where none ever gave a sign, one may just be starting: it gets the time to.
            grace = START_S if known else SILENT_S
            silent = self._clock() - self._began >= grace
            return troubles + ([Trouble(Cause("no_worker"))] if silent else [])
        if still and self._clock() - began > SLOW_S:
            return [*troubles, Trouble(Cause("slow_database"))]
        return troubles + still

    async def _still(self, tx: Tx) -> list[Trouble]:
        """Routes on which something is due and nothing has moved for STILL_S of real time.

        Moved: another head, fewer that are due, or others in the workers' hands. What is held, paused, or put
        off for the morning is not due.
        """
        now = self._clock()
        due = {q.route: q.due for q in await tx.queue.queued()}
        lines: dict[str, _Line] = {}
        for route, count in due.items():
            head = await tx.queue.head(route)
            if head is None:
                continue
            in_hand, before = await tx.queue.in_hand(route), self._lines.get(route)
            moved = before is None or before.head != head or before.in_hand != in_hand or count < before.due
            since = now if before is None or moved else before.since
            lines[route] = _Line(head, in_hand, count, since)
        self._lines = lines
        return [
            Trouble(Cause("stalled", route)) for route, line in lines.items() if now - line.since >= STILL_S
        ]

    async def _piled(self, tx: Tx) -> list[Trouble]:
        count = await tx.orphans.piled_up(tx.now - timedelta(days=1), PILE)
        cause = Cause("orphans")
        standing = cause.key in self._before  # it is over well below where it began
        return [Trouble(cause)] if count >= (PILE_OVER if standing else PILE) else []

    async def _stale(self, tx: Tx) -> list[Trouble]:
        """A remote billing system that the mirror does not follow any more: a key that was taken back, a
        server that is gone. Before its first round nobody has begun."""
        system: object = self._services.billing.get(self._profile.id)
        if not isinstance(system, Followed):
            return []
        state = await tx.billing_sync.state()
        since = state.synced_at or state.started_at
        old = max(STALE_AFTER, 3 * system.every[0])
        return [Trouble(Cause("billing_stale"))] if since is not None and tx.now - since > old else []

    async def _band(self, tx: Tx) -> list[Trouble]:
        """Routes by which far more fails than in the days before; the last answer stands meanwhile."""
        now = self._clock()
        if self._compared is not None and now - self._compared < BAND_EVERY_S:
            return self._out_of_band
        routes = [route.name for route in self._profile.routes]
        recent = await tx.mail_health.routes(routes, tx.now - BAND_WINDOW)
        longer = await tx.mail_health.routes(routes, tx.now - BAND_WINDOW - BAND_BEFORE)
        self._compared = now
        out = [r for r in routes if out_of_band(*_sums(recent[r]), *_sums(longer[r]))]
        self._out_of_band = [Trouble(Cause("failure_band", route)) for route in out]
        return self._out_of_band

    async def _tell(self, standing: Sequence[Trouble], seen: frozenset[str]) -> None:
        async with self._services.store.read(self._profile.id) as tx:
            open_ = {i.cause: i for i in await tx.incidents.unresolved() if parse(i.cause).name in OWN}
        new = [t for t in standing if t.cause.key not in open_]
        # Whoever has just taken this over has not watched for long enough to say that something is over.
        settled = self._clock() - self._began >= max(STILL_S, SILENT_S)
        over = [incident for key, incident in open_.items() if key not in seen and settled]
        if not new and not over:
            return
        async with self._services.store.begin(self._profile.id) as tx:
            for trouble in new:
                urgent = kind_of(trouble.cause.key).urgent is Urgent.AT_ONCE
                raised = await tx.incidents.alarm(trouble.cause.key, trouble.title, urgent=urgent)
                key = str(raised.incident.id)
                await tx.posts.want(INCIDENT_SURFACE, key, self._profile.oncall_channel)
            for incident in over:
                if await tx.incidents.resolve(incident.id, BY, "It is over."):
                    await show_again(tx, incident.id)


def _sums(counts: RouteCounts) -> tuple[int, int]:
    return counts.accepted, counts.refused


def out_of_band(accepted: int, refused: int, all_accepted: int, all_refused: int) -> bool:
    """Whether the share that failed lately is far from what was usual before. `all` counts the recent too.

    A route that was hardly used has no usual share; a few failures are never an alarm.
    """
    lately, before = accepted + refused, all_accepted + all_refused - accepted - refused
    if lately < BAND_LEAST or before < BAND_NORMAL:
        return False
    usual = (all_refused - refused) / before
    return refused / lately > max(BAND_FLOOR, usual * BAND_TIMES)


def _clocks(alive: Sequence[Process]) -> list[Trouble]:
    """Each machine once."""
    wrong = {p.name.partition("/")[0] for p in alive if abs(p.skew_ms) > SKEW_MS}
    return [Trouble(Cause("clock_skew", machine)) for machine in sorted(wrong)]


__all__ = ["BY", "SILENT_S", "STILL_S", "Trouble", "Watchdog"]
