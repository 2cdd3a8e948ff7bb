"""Another way out for a route that is dead: five messages first, the rest only when those were accepted.

A trial's state is a row of `breakers` whose operator is `>OTHER`: trial, going, refused, closed. What it has
moved bears `failover:ROUTE`, so that its end is known. Nothing goes over silently: the row is what the
incident's card tells, and each delivery shows the route that it took.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum

import structlog

from notifier.breaker import WHOLE_ROUTE, Happened, State, by_of, counted
from notifier.channels import SubmitOutcome
from notifier.pacing import RouteOf
from notifier.way import Way
from store.breakers import BreakerRow
from store.models import Delivery
from store.unit import Store, Tx

log = structlog.get_logger()
TRIED_FIRST = 5
MOVED_AT_ONCE = 1_000
TRIAL_LEASE = timedelta(minutes=15)
"""A trial that has not ended by then (its messages were put aside, say) is made anew."""


class Trial(StrEnum):
    CLOSED = "closed"
    """No failover."""
    TRIAL = "trial"
    GOING = "going"
    REFUSED = "refused"
    """The other route took not even the first ones: what is held stays held."""


def moved_by(route: str) -> str:
    """`stage_by` of what was moved off `route`."""
    return f"failover:{route}"[:80]


def operator_for(other: str) -> str:
    return f">{other}"


class Failover:
    def __init__(self, store: Store, to: Mapping[RouteOf, str]) -> None:
        self._store, self._to = store, to
        self._ends: Counter[tuple[int, str, bool]] = Counter()
        """(tenant, the dead route, whether it went well)."""

    def ended(self, way: Way, delivery: Delivery, outcome: SubmitOutcome) -> None:
        by = delivery.stage_by or ""
        if not by.startswith("failover:"):
            return
        told = counted(outcome, relay=True)
        if told is not None:
            refused = told.happened is Happened.REFUSED
            self._ends[way.tenant, by.removeprefix("failover:"), not refused] += 1

    async def tend(self, tenant: int) -> None:
        for (owner, route), other in self._to.items():
            if owner == tenant:
                await self._tend(tenant, route, other)

    async def _tend(self, tenant: int, route: str, other: str) -> None:
        well = self._ends.pop((tenant, route, True), 0)
        badly = self._ends.pop((tenant, route, False), 0)
        async with self._store.read(tenant) as tx:
            rows = {row.operator: row for row in await tx.breakers.all() if row.route == route}
        trial = rows.get(operator_for(other))
        dead = rows.get(WHOLE_ROUTE)
        is_dead = dead is not None and dead.state != State.CLOSED
        if not is_dead and (trial is None or trial.state == Trial.CLOSED):
            return
        async with self._store.begin(tenant) as tx:
            keys = [(route, WHOLE_ROUTE), (route, operator_for(other))]
            locked = await tx.breakers.lock(keys, tx.now)
            row = locked[keys[1]]
            row = replace(row, successes=row.successes + well, failures=row.failures + badly)
            if locked[keys[0]].state == State.CLOSED:
                after = replace(row, state=Trial.CLOSED.value, successes=0, failures=0, probes=0)
            else:
                after = await self._step(tx, row, other)
            if after != locked[keys[1]]:
                await tx.breakers.put(after)
            if after.state != locked[keys[1]].state:
                log.warning("failover", route=route, to=other, state=after.state)

    async def _step(self, tx: Tx, row: BreakerRow, other: str) -> BreakerRow:
        """The route is dead: begin, top up, judge, or move on. `probes` counts the trial's messages."""
        state = Trial(row.state)
        if state is Trial.TRIAL and row.failures:
            return replace(row, state=Trial.REFUSED.value)
        if state is Trial.TRIAL and row.successes >= TRIED_FIRST:
            state, row = Trial.GOING, replace(row, state=Trial.GOING.value, opened_at=tx.now)
        if state is Trial.GOING:
            return replace(row, probes=row.probes + await self._move(tx, row.route, other, MOVED_AT_ONCE))
        over = row.probe_at is not None and tx.now >= row.probe_at
        if state is Trial.REFUSED:
            return replace(row, state=Trial.CLOSED.value, failures=0, successes=0, probes=0) if over else row
        if state is Trial.TRIAL and over:
            row = replace(row, probes=row.successes)  # those that never came to an end are tried by others
        moved = await self._move(
            tx, row.route, other, TRIED_FIRST - (row.probes if state is Trial.TRIAL else 0)
        )
        if not moved:
            return row
        if state is Trial.TRIAL:
            return replace(row, probes=row.probes + moved)
        return replace(
            row,
            state=Trial.TRIAL.value,
            successes=0,
            failures=0,
            probes=moved,
            cause="failover",
            opened_at=tx.now,
            probe_at=tx.now + TRIAL_LEASE,
        )

    async def _move(self, tx: Tx, route: str, other: str, most: int) -> int:
        if most <= 0:
            return 0
        ids = await tx.lines.first_held(by_of(route, WHOLE_ROUTE), most, movable=True)
        return await tx.lines.let_go(ids, by=moved_by(route), route=other)
