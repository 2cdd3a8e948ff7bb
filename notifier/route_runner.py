"""Everything that leaves by one route of one tenant: claim, truth, admission, compose, submit, record.

A claim is committed before any network; no more is claimed than can soon be handed to a free connection;
urgent work has its own claim and its own connections. The channel decides what a message is: the runner only
carries it.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import structlog

from notifier import templates, tracking
from notifier.admission import Admit, Gate, HeldBy, NotBefore, Wish
from notifier.attachments import attachments_of, told, wants_pdf
from notifier.channels import (
    Deferred,
    Destinations,
    OutgoingMessage,
    OutgoingText,
    Route,
    Session,
    SubmitOutcome,
)
from notifier.connections import Share
from notifier.ends import describe, not_composed, tried_again_soon
from notifier.in_flight import InFlight
from notifier.lane import FirstGo, Lane
from notifier.mime import Attachment
from notifier.recorder import Recorder
from notifier.schedule import FIRST_RETRY, ROUTE_RETRY, next_attempt
from notifier.tracking import Report, worker_event
from notifier.truth import Go, Later, Stop, Truth, Wait
from notifier.way import Way
from store.claims import Claimed
from store.models import Delivery, EventKind, Notification, Priority, TemplateSource
from store.unit import Store, Subscription, Tx

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds. `lease_s` is real time; a healthy worker renews it three times over."""

    lease_s: float = 30.0
    poll_s: float = 1.0
    record_s: float = 0.005
    sweep_s: float = 5.0
    urgent_connections: int = 2


_Aside = Wait | Later | NotBefore | HeldBy
TRUE_FOR_S = 5.0
"""So long what the truth check said is good; whoever waited longer for a connection is asked about again."""
_NO_TEMPLATE = Wait("Its template is not stored any more. Ask whoever runs this installation", "no_template")
_NO_NOTICE = Wait("What it was to tell is gone. Ask whoever runs this installation", "no_notice")


@dataclass(slots=True)
class _Work:
    order: tuple[float, int, int]
    """Its slot, then the most urgent, then who came first."""
    delivery: Delivery
    notification: Notification
    source: TemplateSource
    checked: float
    """When the truth was told, in monotonic seconds."""


class RouteRunner:
    """Everything that leaves by one route of one tenant."""

    def __init__(
        self,
        *,
        way: Way,
        store: Store,
        truth: Truth,
        gate: Gate,
        recorder: Recorder,
        name: str,
        pace: Pace,
        in_flight: InFlight,
        stopping: asyncio.Event,
        first_go: FirstGo,
        destinations: Destinations | None,
    ) -> None:
        self._way, self._tenant, self._route = way, way.tenant, way.route
        self._store, self._truth, self._gate, self._recorder = store, truth, gate, recorder
        self._name, self._pace, self._in_flight = name, pace, in_flight
        self._stopping, self._destinations, self._first_go = stopping, destinations, first_go
        self._share = gate.share(way, self._route.connections)
        self._sources: dict[str, TemplateSource] = {}
        self._sequence = 0
        lanes = (
            (Priority.URGENT, Priority.URGENT, self._pace.urgent_connections),
            (Priority.NORMAL, Priority.BULK, self._route.connections),
        )
        self._lanes: list[Lane[_Work]] = [
            Lane(*lane, now=time.monotonic, hurry=recorder.hurry) for lane in lanes
        ]

    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        """What has to run: a claimer and its connections, for urgent work and for the rest."""
        loops: list[Callable[[], Awaitable[None]]] = []
        for lane in self._lanes:
            loops.append(self._claimer(lane))
            loops += [self._connection(lane, number) for number in range(lane.connections)]
        return loops

    async def let_go(self) -> None:
        """What was claimed and no connection has taken: others may have it, and it is not in doubt."""
        items = [work.delivery for lane in self._lanes for work in lane.clear()]
        if not items:
            return
        try:
            async with self._store.system() as tx:
                await tx.deliveries.give_back(items, tx.now)
        finally:  # or the heartbeat would renew for ever what nobody sends
            self._in_flight.end([(d.tenant, d.id) for d in items])

    def _claimer(self, lane: Lane[_Work]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            due = self._store.signals.subscribe("deliveries")
            try:
                while not self._stopping.is_set():
                    await self._claim_once(lane, due)
            finally:
                due.close()

        return run

    async def _claim_once(self, lane: Lane[_Work], due: Subscription) -> None:
        """Takes as much as there are free places for; waits for news when there is less than that."""
        free = await lane.room()
        claimed = 0
        if lane.highest is not Priority.URGENT:
            await self._first_go.let_by()  # or it would wait for a claim of hundreds
        with self._in_flight.claiming(), self._going_first(lane):
            allowed = await self._gate.allowance(self._way, lane.highest, free)
            if allowed and not self._stopping.is_set():
                claimed, going = await self._claim(lane.highest, lane.lowest, allowed)
                lane.put(going)
        if claimed < allowed:  # what was put aside left its place free for the next at once
            await due.wait(self._gate.patience(self._way, self._pace.poll_s))

    def _going_first(self, lane: Lane[_Work]) -> AbstractContextManager[None]:
        return self._first_go.urgent() if lane.highest is Priority.URGENT else nullcontext()

    def _connection(self, lane: Lane[_Work], number: int) -> Callable[[], Awaitable[None]]:
        if lane.highest is Priority.URGENT:  # its own, on each worker
            return lambda: self._connected(lane, lambda: True, set())

        async def run() -> None:
            """As often as it is this one's turn among the connections of all workers."""
            share = self._share
            while True:
                await share.turn(number)
                resting: set[asyncio.Task[None]] = set()
                ends = asyncio.create_task(self._end_resting(share, number, resting))
                try:
                    await self._connected(lane, lambda: share.has(number), resting)
                finally:
                    ends.cancel()
                    share.closed(number)
                if not share.allowed:  # all of them are others' now, and so is what waits here
                    await self.let_go()

        return run

    async def _end_resting(self, share: Share, number: int, resting: set[asyncio.Task[None]]) -> None:
        """Others get this connection: who has a message on the wire ends after it, who waits for one now."""
        await share.over(number)
        for task in resting:
            task.cancel()

    async def _connected(
        self, lane: Lane[_Work], stay: Callable[[], bool], resting: set[asyncio.Task[None]]
    ) -> None:
        session = self._way.provider.session(self._route, self._destinations)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._overlapping):
                    group.create_task(self._carrier(lane, session, stay, resting))
        finally:
            await session.close()

    @property
    def _overlapping(self) -> int:
        """Messages under way on one connection: where one server takes all, the next one's envelope shares
        the round trip of the last one's end (RFC 2920)."""
        return 2 if isinstance(self._route, Route) and self._route.kind == "relay" else 1

    async def _carrier(
        self,
        lane: Lane[_Work],
        session: Session[Any],
        stay: Callable[[], bool],
        resting: set[asyncio.Task[None]],
    ) -> None:
        """One message after the other. What breaks over one of them must not take another along that is on
        the wire: it is told, and after a pause the next one is tried."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        while stay():
            if lane.highest is not Priority.URGENT:
                await self._first_go.let_by()
                if (
                    not stay()
                ):  # others got the connection in that moment: nobody would wake whoever rests now
                    return
            resting.add(task)
            work = await lane.take()
            resting.discard(task)
            try:
                with self._going_first(lane):
                    await self._carry(lane, session, work)
            except Exception as error:
                log.exception("worker_loop_failed", error=type(error).__name__)
                await asyncio.sleep(self._pace.poll_s)

    async def _carry(self, lane: Lane[_Work], session: Session[Any], work: _Work) -> None:
        """One attempt from its slot to its end, which is written while the connection goes on."""
        report: Report | None = None
        ref = (work.delivery.tenant, work.delivery.id)
        try:
            if (wait_s := work.order[0] - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)  # its slot, a moment away
            if await self._still_true(work):
                report = await self._send(session, work)
        finally:
            lane.done(to_write=report is not None)
            if report is None:
                self._in_flight.end([ref])

        def written() -> None:
            lane.written()
            self._in_flight.end([ref])

        if report is not None:
            self._recorder.add(report, written)

    async def _still_true(self, work: _Work) -> bool:
        """Asked again when it has waited for its connection: facts change meanwhile, and a process that stood
        still has lost its claims to others. False: put aside, or another's."""
        if time.monotonic() - work.checked < TRUE_FOR_S:
            return True
        try:
            async with self._store.system() as tx:
                mine = await tx.claims.keep(work.delivery, self._name, self._pace.lease_s)
            if not mine:
                log.warning("claim_lost", delivery=str(work.delivery.id))
                return False
            return bool(await self._sort_out([(work.delivery, work.notification)], again=True))
        except Exception:
            await self._give_back([work.delivery])
            raise

    async def _claim(self, highest: Priority, lowest: Priority, limit: int) -> tuple[int, list[_Work]]:
        """Takes work and commits, before any network; how many there were, and those that may go."""
        async with self._store.system(urgent=highest is Priority.URGENT) as tx:
            claimed = await tx.claims.take(
                tenant=self._tenant,
                route=self._route.name,
                highest=highest,
                lowest=lowest,
                limit=limit,
                worker=self._name,
                lease_s=self._pace.lease_s,
                retry_at=tx.now + timedelta(seconds=self._pace.lease_s),
            )
        if not claimed:
            return 0, []
        refs = [(d.tenant, d.id) for d, _ in claimed]
        self._in_flight.add(refs)
        try:
            return len(claimed), await self._sort_out(claimed)
        except BaseException:
            self._in_flight.end(refs)  # or the heartbeat would renew for ever what nobody sends
            await asyncio.shield(self._give_back([d for d, _ in claimed]))
            raise

    async def _give_back(self, claimed: Sequence[Delivery]) -> None:
        """Nothing was done with them, so nothing is in doubt."""
        async with self._store.system() as tx:
            await tx.deliveries.give_back(claimed, tx.now + timedelta(seconds=self._pace.sweep_s))

    async def _sort_out(self, claimed: Sequence[Claimed], *, again: bool = False) -> list[_Work]:
        """Asks for the truth about each, then whether there is room; what must not go is recorded as such.
        `again`: they have their slots."""
        go: list[_Work] = []
        stops: list[Report] = []
        waits: list[tuple[Delivery, _Aside]] = [(d, _NO_NOTICE) for d, n in claimed if n is None]
        pairs = [(d, n) for d, n in claimed if n is not None]
        async with self._store.read(self._tenant) as tx:
            decisions = await self._truth.check(tx, pairs)
            checked = time.monotonic()
            for delivery, notification in pairs:
                decision = decisions[delivery.id]
                if isinstance(decision, Go):
                    source = await self._source(tx, notification.template_hash)
                    if source is None:  # it alone is held: it must not keep its whole route from going
                        waits.append((delivery, _NO_TEMPLATE))
                        continue
                    self._sequence += 1
                    order = (0.0, int(delivery.priority), self._sequence)
                    go.append(_Work(order, delivery, notification, source, checked))
                elif isinstance(decision, Stop):
                    event = worker_event(
                        delivery, decision.kind, tx.now, reason=decision.reason, diagnostic=decision.sentence
                    )
                    stops.append(Report(delivery.tenant, event, fenced=True))
                else:
                    waits.append((delivery, decision))
        admitted = await self._admitted(go, waits, again)
        if stops or waits:
            await self._put_aside(stops, waits)
        return admitted

    async def _admitted(
        self, go: Sequence[_Work], waits: list[tuple[Delivery, _Aside]], again: bool
    ) -> list[_Work]:
        """Those for which there is room, each with its slot; the others are added to `waits`."""
        if not go:
            return []
        wishes = [Wish(work.delivery, 0 if again else self._weight(work)) for work in go]
        decisions = await self._gate.admit(self._way, wishes)
        admitted = []
        for work in go:
            decision = decisions[work.delivery.id]
            if isinstance(decision, Admit):
                work.order = (decision.at, *work.order[1:])
                admitted.append(work)
            else:
                waits.append((work.delivery, decision))
        return admitted

    def _weight(self, work: _Work) -> int:
        if self._way.weigh is None:
            return 1
        try:
            return max(self._way.weigh(work.delivery, work.notification, work.source), 1)
        except (templates.TemplateProblem, ValueError):
            return 1  # told when it is composed

    async def _put_aside(self, stops: list[Report], waits: list[tuple[Delivery, _Aside]]) -> None:
        done = [(r.tenant, r.event.delivery_id) for r in stops] + [(d.tenant, d.id) for d, _ in waits]
        async with self._store.system() as tx:
            # All at once and in one order: the cards are locked behind them, as everybody does it.
            locked = await tx.deliveries.lock(done)
            await tracking.record(tx, stops, locked=locked)
            for delivery, wait in waits:
                if isinstance(wait, Later | NotBefore):
                    by = wait.limit_key if isinstance(wait, NotBefore) else None
                    await tx.deliveries.postpone(delivery, until=wait.due_at, reason=wait.sentence, by=by)
                else:
                    await tx.deliveries.hold(delivery, reason=wait.sentence, by=wait.by)
            await tracking.bump_cards(tx, [delivery for delivery, _ in waits])
        self._in_flight.end(done)

    async def _source(self, tx: Tx, content_hash: str) -> TemplateSource | None:
        found = self._sources.get(content_hash) or await tx.notifications.template(content_hash)
        if found is not None:
            self._sources[content_hash] = found
        return found

    async def _send(self, session: Session[Any], work: _Work) -> Report | None:
        """The end of the attempt; None when none was made."""
        delivery, notification, attachments = work.delivery, work.notification, self._way.attachments
        wanted = attachments is not None and wants_pdf(notification)
        attached: Sequence[Attachment] = ()
        try:
            if attachments is not None and wanted:
                attached = await attachments_of(attachments, delivery, notification)
        except Exception as error:  # the database went: nothing was done with it, so nothing is in doubt
            log.exception("attachment_not_read", delivery=str(delivery.id), error=type(error).__name__)
            await self._give_back([delivery])
            return None
        try:
            message = self._way.compose(delivery, notification, work.source, attached)
        except (templates.TemplateProblem, ValueError) as error:
            log.warning("compose_failed", delivery=str(delivery.id), error=type(error).__name__)
            return self._report(work, not_composed(error))
        began = time.monotonic()
        outcome = told(await session.submit(message), missing=wanted and not attached)
        took_ms = round((time.monotonic() - began) * 1000)
        try:
            self._gate.ended(self._way, delivery, outcome)
        except Exception as error:  # what is known of this message counts for more than who else is told
            log.exception("gate_not_told", delivery=str(delivery.id), error=type(error).__name__)
        if isinstance(outcome, Deferred) and outcome.route_down:
            log.warning("route_down", route=self._route.name, answer=outcome.reply_code or "no connection")
        return self._report(work, outcome, took_ms, outcome.content_hash or given_hash(message), attached)

    def _report(
        self,
        work: _Work,
        outcome: SubmitOutcome,
        took_ms: int | None = None,
        content_hash: str | None = None,
        attached: Sequence[Attachment] = (),
    ) -> Report:
        delivery = work.delivery
        now, jitter = self._store.clock(), random.random()  # noqa: S311  # spreads retries, hides nothing
        kind, fields, queue_id = describe(outcome, self._route.confidence)
        down, soon = isinstance(outcome, Deferred) and outcome.route_down, tried_again_soon(outcome)
        named = outcome.named if isinstance(outcome, Deferred) else None
        if kind is EventKind.DEFERRED:
            first = ROUTE_RETRY if soon else FIRST_RETRY
            again = next_attempt(delivery.attempt, now, jitter, first, named)
            if again >= delivery.expires_at:  # no attempt would come in time: this answer was the last
                hard = isinstance(outcome, Deferred) and outcome.verdict is not None and outcome.verdict.hard
                kind = EventKind.BOUNCED if hard and not down else EventKind.FAILED
                fields["hard"] = hard and not down
        event = worker_event(delivery, kind, now, source=self._way.source, took_ms=took_ms, **fields)
        return Report(
            delivery.tenant,
            event,
            fenced=True,
            jitter=jitter,
            soon=soon,
            named=named,
            queue_id=queue_id,
            content_hash=content_hash,
            pdf_hash=hashlib.sha256(attached[0].content).hexdigest() if attached else None,
            about=(delivery, work.notification),
        )


def given_hash(message: OutgoingMessage | OutgoingText) -> str:
    """SHA-256 of what the channel was given: all octets of a mail, the words of a text."""
    content = message.content if isinstance(message, OutgoingMessage) else message.body.encode()
    return hashlib.sha256(content).hexdigest()
