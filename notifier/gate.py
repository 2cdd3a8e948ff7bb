"""The gate of a deployment: breakers and limits, held across all workers; tended beside the sending."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from uuid import UUID

from notifier.admission import Admission, Wish
from notifier.bounces import BounceClass
from notifier.breaker import greylisted
from notifier.breaking import Breaking
from notifier.channels import Deferred, Destinations, SubmitOutcome
from notifier.connections import Share, fair
from notifier.limits import AHEAD_S, RouteLimits
from notifier.pacing import Pacing, RouteOf
from notifier.way import Way
from store.models import Channel, Delivery, Priority
from store.unit import Store

TEND_S = 1.0
LEASE_S, RENEW_S = 10.0, 3.0
"""Of the connections that a worker may hold; renewed three times over."""


class SharedGate:
    def __init__(
        self,
        store: Store,
        tenants: Sequence[int],
        limits: Mapping[RouteOf, RouteLimits] | None = None,
        *,
        failover: Mapping[RouteOf, str] | None = None,
        destinations: Destinations | None = None,
        worker: str = "w1",
        tend_s: float = TEND_S,
    ) -> None:
        """`failover`: by tenant and route, by which other route its mail goes when it is dead."""
        self._store, self._worker = store, worker
        self._tenants, self._tend_s = tuple(tenants), tend_s
        self._shares: dict[RouteOf, Share] = {}
        self._pacing = Pacing(store, limits or {})
        self._breaking = Breaking(store, failover=failover, destinations=destinations)

    def share(self, way: Way, wanted: int) -> Share:
        share = Share(wanted, 0)  # none before its lease
        self._shares[way.tenant, way.route.name] = share
        return share

    async def allowance(self, way: Way, highest: Priority, wanted: int) -> int:
        share = self._shares.get((way.tenant, way.route.name))
        if share is not None and not share.allowed and highest is not Priority.URGENT:
            await asyncio.sleep(AHEAD_S)  # others hold all of its connections: they take what there is
            return 0
        return await self._pacing.allowance(way, highest, wanted)

    def patience(self, way: Way, poll_s: float) -> float:
        return self._pacing.patience(way, poll_s)

    async def admit(self, way: Way, wishes: Sequence[Wish]) -> Mapping[UUID, Admission]:
        held = await self._breaking.hold(way, wishes)
        free = [wish for wish in wishes if wish.delivery.id not in held]
        return {**held, **(await self._pacing.admit(way, free) if free else {})}

    def ended(self, way: Way, delivery: Delivery, outcome: SubmitOutcome) -> None:
        if delivery.channel is Channel.EMAIL and _too_fast(outcome):
            self._pacing.too_fast(way, delivery)
        self._breaking.ended(way, delivery, outcome)

    async def run(self) -> None:
        await self._lease()
        await self._pacing.begin(self._tenants)
        leased = time.monotonic()
        while True:
            if time.monotonic() - leased >= RENEW_S:
                leased = time.monotonic()
                await self._lease()
            await self._pacing.tend(self._tenants)
            await self._breaking.tend(self._tenants)
            await asyncio.sleep(self._tend_s)

    async def _lease(self) -> None:
        """This worker's connections on each route, for LEASE_S."""
        for (tenant, route), share in self._shares.items():
            async with self._store.begin(tenant) as tx:
                allowed = await tx.slots.lease(
                    route,
                    self._worker,
                    limit=share.wanted,
                    wanted=share.wanted,
                    holding=share.holding,
                    lease_s=LEASE_S,
                    fair=fair,
                )
            share.allow(allowed)


def _too_fast(outcome: SubmitOutcome) -> bool:
    """A 4xx that speaks of our rate."""
    verdict = outcome.verdict if isinstance(outcome, Deferred) else None
    return (
        verdict is not None
        and verdict.cls == BounceClass.RATE_LIMITED
        and isinstance(outcome, Deferred)
        and not greylisted(outcome)
    )
