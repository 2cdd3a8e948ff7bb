"""The gate of a deployment: breakers and limits, held across all workers; tended beside the sending."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

from notifier.admission import Admission, Wish
from notifier.bounces import BounceClass
from notifier.breaker import greylisted
from notifier.breaking import Breaking
from notifier.channels import Deferred, Destinations, SubmitOutcome
from notifier.limits import RouteLimits
from notifier.pacing import Pacing, RouteOf
from notifier.way import Way
from store.models import Channel, Delivery, Priority
from store.unit import Store

TEND_S = 1.0


class SharedGate:
    def __init__(
        self,
        store: Store,
        tenants: Sequence[int],
        limits: Mapping[RouteOf, RouteLimits] | None = None,
        *,
        failover: Mapping[RouteOf, str] | None = None,
        destinations: Destinations | None = None,
        tend_s: float = TEND_S,
    ) -> None:
        """`failover`: by tenant and route, by which other route its mail goes when it is dead."""
        self._tenants, self._tend_s = tuple(tenants), tend_s
        self._pacing = Pacing(store, limits or {})
        self._breaking = Breaking(store, failover=failover, destinations=destinations)

    async def allowance(self, way: Way, highest: Priority, wanted: int) -> int:
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
        await self._pacing.begin(self._tenants)
        while True:
            await self._pacing.tend(self._tenants)
            await self._breaking.tend(self._tenants)
            await asyncio.sleep(self._tend_s)


def _too_fast(outcome: SubmitOutcome) -> bool:
    """A 4xx that speaks of our rate."""
    verdict = outcome.verdict if isinstance(outcome, Deferred) else None
    return (
        verdict is not None
        and verdict.cls == BounceClass.RATE_LIMITED
        and isinstance(outcome, Deferred)
        and not greylisted(outcome)
    )
