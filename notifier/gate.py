"""The gate of a deployment: limits held across all workers; what it learns is tended beside the sending."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog

from notifier.admission import Admission, Wish
from notifier.bounces import BounceClass
from notifier.channels import Deferred, SubmitOutcome
from notifier.limits import RouteLimits
from notifier.pacing import Pacing, RouteOf
from notifier.way import Way
from store.models import Channel, Delivery, Priority
from store.unit import Store

log = structlog.get_logger()
TEND_S = 1.0


class SharedGate:
    def __init__(
        self, store: Store, tenants: Sequence[int], limits: Mapping[RouteOf, RouteLimits] | None = None
    ) -> None:
        self._tenants = tuple(tenants)
        self._pacing = Pacing(store, limits or {})

    async def allowance(self, way: Way, highest: Priority, wanted: int) -> int:
        return await self._pacing.allowance(way, highest, wanted)

    def patience(self, way: Way, poll_s: float) -> float:
        return self._pacing.patience(way, poll_s)

    async def admit(self, way: Way, wishes: Sequence[Wish]) -> Mapping[UUID, Admission]:
        return await self._pacing.admit(way, wishes)

    def ended(self, way: Way, delivery: Delivery, outcome: SubmitOutcome) -> None:
        if delivery.channel is Channel.EMAIL and _too_fast(outcome):
            self._pacing.too_fast(way, delivery)

    async def run(self) -> None:
        await self._pacing.begin(self._tenants)
        while True:
            await self._pacing.tend(self._tenants)
            await asyncio.sleep(TEND_S)


_GREYLISTING = ("greylist", "graylist", "grey list", "gray list", "greylisting")


def _too_fast(outcome: SubmitOutcome) -> bool:
    """A 4xx that speaks of our rate; greylisting speaks of one pair of addresses (RFC 6647)."""
    verdict = outcome.verdict if isinstance(outcome, Deferred) else None
    if verdict is None or verdict.cls != BounceClass.RATE_LIMITED or not isinstance(outcome, Deferred):
        return False
    said = outcome.text.casefold()
    return not any(word in said for word in _GREYLISTING)
