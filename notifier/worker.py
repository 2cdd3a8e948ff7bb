"""The worker: all routes of all tenants in one process, with their heartbeat and sweeps.

A connection runs ahead of the disk by a few messages at most: after kill -9 only messages whose bytes were on
the wire may go twice (docs/adr/0014-batches-and-doubt.md). A mail in doubt goes again with the same
Message-ID; a text in doubt is looked up at its provider first, since nobody could fold a second one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import cast

import structlog

from notifier import runs, tracking
from notifier.admission import Gate, NoLimits
from notifier.attachments import Attachments, NoAttachments
from notifier.channels import AnyProvider, Destinations, Route, SmsRoute, TextProvider
from notifier.compose import Composer
from notifier.in_flight import InFlight
from notifier.lane import FirstGo
from notifier.recorder import WRITERS, Recorder
from notifier.route_runner import Pace, RouteRunner
from notifier.text_desk import TextDesk
from notifier.truth import Truth
from notifier.way import Way
from store.models import Channel, EventSource
from store.unit import Store

__all__ = ["Pace", "Worker"]
log = structlog.get_logger()
_API = EventSource.WORKER
"""Of a text it is the provider's API that answers the worker."""


class Worker:
    """All routes of all tenants in one process, with their heartbeat and sweeps."""

    def __init__(
        self,
        *,
        store: Store,
        routes: Mapping[int, Sequence[Route]],
        providers: Mapping[Channel, AnyProvider],
        truth: Truth,
        composer: Composer,
        name: str,
        text_routes: Mapping[int, SmsRoute] | None = None,
        dead: Sequence[str] = (),
        destinations: Destinations | None = None,
        attachments: Attachments | None = None,
        gate: Gate | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`text_routes`: of the tenants that send texts. `dead`: owners of leases that are known to be gone
        (store.presence); taken over at the start."""
        self._store, self._name, self._dead, self._pace = store, name, tuple(dead), pace or Pace()
        self._routes = {tenant: [route.name for route in rs] for tenant, rs in routes.items()}
        self._text_routes = {tenant: [route.name] for tenant, route in (text_routes or {}).items()}
        self._text_desk = partial(
            TextDesk, store, text_routes or {}, cast(TextProvider, providers.get(Channel.SMS)), composer
        )
        self._gate = gate or NoLimits()
        self._in_flight = InFlight()
        self._stopping, first_go = asyncio.Event(), FirstGo()
        self._recorder = Recorder(store, self._pace.record_s, first_go.let_by)
        ways = [
            Way(
                tenant,
                route,
                providers[Channel.EMAIL],
                partial(composer.compose, route),
                EventSource.SMTP,
                attachments or NoAttachments(),
            )
            for tenant, tenant_routes in routes.items()
            for route in tenant_routes
        ] + [
            Way(
                tenant,
                text_route,
                providers[Channel.SMS],
                partial(composer.text, text_route),
                _API,
                weigh=composer.segments,
            )
            for tenant, text_route in (text_routes or {}).items()
        ]
        self._runners = [
            RouteRunner(
                way=way,
                store=store,
                truth=truth,
                gate=self._gate,
                recorder=self._recorder,
                name=name,
                pace=self._pace,
                in_flight=self._in_flight,
                stopping=self._stopping,
                first_go=first_go,
                destinations=destinations,
            )
            for way in ways
        ]

    async def run(self) -> None:
        """Until cancelled. A loop that fails for a passing reason (database gone) starts again."""
        if self._dead:
            async with self._store.system() as tx:
                await tx.slots.forget(self._dead)
        for dead in self._dead:
            async with self._store.system() as tx:
                recovered = await tracking.sweep_lost(tx, dead_worker=dead)
            log.info("claims_recovered", count=recovered)
        await self._reroute(Channel.EMAIL, self._routes)
        await self._reroute(Channel.SMS, self._text_routes)
        await self._forget_breakers()
        loops: list[Callable[[], Awaitable[None]]] = [
            *[self._recorder.run] * WRITERS,
            self._heartbeat,
            self._sweep,
            self._gate.run,
        ]
        if self._text_routes:
            loops.append(self._ask_about_texts)
        loops += [loop for runner in self._runners for loop in runner.loops()]
        try:
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(self._keep_running(loop), name=loop.__qualname__)
        finally:
            await self._give_up_connections()

    async def _give_up_connections(self) -> None:
        """They are closed by now: whoever comes next need not wait for their leases to end."""
        try:
            async with self._store.system() as tx:
                await tx.slots.forget([self._name])
        except Exception as error:  # noqa: BLE001  # whatever it is, the leases end by themselves
            log.warning("connections_not_given_up", error=type(error).__name__)

    async def _reroute(self, channel: Channel, routes: Mapping[int, Sequence[str]]) -> None:
        """What waits for a route that was taken out of the configuration goes by the first one."""
        for tenant, known in routes.items():
            async with self._store.system() as tx:
                moved = await tx.deliveries.reroute(tenant, channel, known, known[0])
            if moved:
                log.warning("deliveries_rerouted", count=moved, route=known[0])

    async def _forget_breakers(self) -> None:
        """Of routes that were taken out of the configuration: what they held goes (notifier.breaking)."""
        for tenant in self._routes.keys() | self._text_routes.keys():
            known = [*self._routes.get(tenant, ()), *self._text_routes.get(tenant, ())]
            async with self._store.system() as tx:
                gone = await tx.breakers.forget_others(tenant, known)
            if gone:
                log.warning("breakers_of_gone_routes_forgotten", count=gone)

    async def drain(self, timeout_s: float) -> None:
        """Claims nothing more and lets what is on the wire end, so that a restart leaves nothing in doubt."""
        self._stopping.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self._in_flight.ended()
        except TimeoutError:
            for runner in self._runners:
                await runner.let_go()
            log.warning("drain_cut_short", left=len(self._in_flight.refs()))

    async def _keep_running(self, loop: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await loop()
            except Exception as error:  # logged, and the loop begins again
                log.exception("worker_loop_failed", error=type(error).__name__)
            if self._stopping.is_set():
                return
            await asyncio.sleep(self._pace.poll_s)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._pace.lease_s / 3)
            if refs := self._in_flight.refs():
                async with self._store.system() as tx:
                    await tx.deliveries.renew(self._name, refs, self._pace.lease_s)

    async def _ask_about_texts(self) -> None:
        desk = self._text_desk()
        try:
            while True:
                doubtful, asked = await desk.settle(), await desk.ask_for_receipts()
                if doubtful or asked:
                    log.info("texts_asked_for", doubtful=doubtful, receipts=asked)
                await asyncio.sleep(self._pace.sweep_s)
        finally:
            await desk.close()

    async def _sweep(self) -> None:
        async with self._store.duty("sweep") as duty:
            while True:
                if await duty.mine():
                    await self._sweep_once()
                await asyncio.sleep(self._pace.sweep_s)

    async def _sweep_once(self) -> None:
        # Each in its own transaction: one that goes on locking while it holds the cards of what it has
        # done would wait for a recorder that waits for it.
        lost = 0
        # After an outage every lease is over, and its owner is well: it gets the time of one to say so.
        if not self._store.engine.outage.lately(self._pace.lease_s):
            async with self._store.system() as tx:
                lost = await tracking.sweep_lost(tx)
        async with self._store.system() as tx:
            settled = await tracking.sweep_settled(tx)
        async with self._store.system() as tx:
            overdue = await tracking.sweep_overdue(tx)
        runs_ended = await runs.sweep(self._store)
        if lost or settled or overdue or runs_ended:
            log.info("swept", lost=lost, settled=settled, overdue=overdue, runs=runs_ended)
