"""The worker: claim -> truth check -> render -> submit -> record, for every route, forever.

A claim is committed before any network; no more is claimed than can soon be handed to a free connection;
urgent work has its own claim and its own connections. A connection takes its next message only when the
end of the last one is on disk: after kill -9 only mails whose bytes were on the wire can go out twice,
and with the same Message-ID. An expired lease puts the delivery back in the queue.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from notifier import runs, templates, tracking
from notifier.attachments import Attachments, NoAttachments, attachments_of, told, wants_pdf
from notifier.bounces import BounceClass, BounceVerdict, Fault
from notifier.channels import (
    Accepted,
    Deferred,
    Destinations,
    InDoubt,
    Provider,
    Refused,
    Route,
    Session,
    SubmitOutcome,
)
from notifier.compose import Composer
from notifier.dsn import reason_of
from notifier.schedule import FIRST_RETRY, ROUTE_RETRY, next_attempt
from notifier.tracking import Report, worker_event
from notifier.truth import Go, Later, Stop, Truth, Wait
from store.deliveries import Ref
from store.models import (
    Channel,
    Confidence,
    Delivery,
    EventKind,
    EventSource,
    Notification,
    Priority,
    Reason,
    TemplateSource,
)
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


@dataclass(order=True, slots=True)
class _Work:
    order: tuple[int, int]
    delivery: Delivery = field(compare=False)
    notification: Notification = field(compare=False)
    source: TemplateSource = field(compare=False)


MOST_TRIES = 5


class InFlight:
    """What this worker has claimed and not ended yet: renewed by the heartbeat, waited for by a drain."""

    def __init__(self) -> None:
        self._refs: set[Ref] = set()
        self._claiming = 0
        self._empty = asyncio.Event()
        self._settle()

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """Around a claim: between its commit and `add` there is work that no ref tells of yet."""
        self._claiming += 1
        self._settle()
        try:
            yield
        finally:
            self._claiming -= 1
            self._settle()

    def add(self, refs: Iterable[Ref]) -> None:
        self._refs.update(refs)
        self._settle()

    def end(self, refs: Iterable[Ref]) -> None:
        self._refs.difference_update(refs)
        self._settle()

    def _settle(self) -> None:
        if self._refs or self._claiming:
            self._empty.clear()
        else:
            self._empty.set()

    def refs(self) -> list[Ref]:
        return sorted(self._refs)

    async def ended(self) -> None:
        """Until nothing is left."""
        await self._empty.wait()


class Recorder:
    """Writes the ends of attempts in small groups; `record` returns when its own is committed."""

    def __init__(self, store: Store, window_s: float, pause_s: float = 0.5) -> None:
        self._store, self._window_s, self._pause_s = store, window_s, pause_s
        self._pending: list[tuple[Report, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()

    async def record(self, report: Report) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((report, done))
        self._wake.set()
        await done

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._window_s)
            self._wake.clear()
            batch, self._pending = self._pending, []
            if batch:
                await self._flush(batch)

    async def _flush(self, batch: Sequence[tuple[Report, asyncio.Future[None]]]) -> None:
        """Tries until it is written: what is known of a mail is never thrown away while this process lives.

        A database that is gone is waited for. One report that cannot be written is told apart by halving, so
        that it takes nobody with it.
        """
        tries = 0
        while True:
            try:
                async with self._store.system() as tx:
                    await tracking.record(tx, [report for report, _ in batch])
            except Exception as error:
                log.exception("record_failed", error=type(error).__name__, reports=len(batch))
                if not await self._database_answers():
                    await asyncio.sleep(self._pause_s)
                elif len(batch) > 1:
                    middle = len(batch) // 2
                    await self._flush(batch[:middle])
                    await self._flush(batch[middle:])
                    return
                elif (tries := tries + 1) >= MOST_TRIES:
                    if not batch[0][1].done():
                        batch[0][1].set_exception(error)
                    return
                else:
                    await asyncio.sleep(self._pause_s * tries)
                continue
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
            return

    async def _database_answers(self) -> bool:
        try:
            async with self._store.system() as tx:
                await tx.tenants.all()
        except Exception as error:  # noqa: BLE001  # whatever it is, it does not answer
            log.warning("database_gone", error=type(error).__name__)
            return False
        return True


class RouteRunner:
    """Everything that leaves by one route of one tenant."""

    def __init__(
        self,
        *,
        tenant: int,
        route: Route,
        provider: Provider,
        store: Store,
        truth: Truth,
        composer: Composer,
        recorder: Recorder,
        name: str,
        pace: Pace,
        in_flight: InFlight,
        stopping: asyncio.Event,
        destinations: Destinations | None,
        attachments: Attachments,
    ) -> None:
        self._tenant, self._route, self._provider, self._store = tenant, route, provider, store
        self._truth, self._composer, self._recorder = truth, composer, recorder
        self._name, self._pace, self._in_flight = name, pace, in_flight
        self._stopping, self._destinations = stopping, destinations
        self._attachments = attachments
        self._sources: dict[str, TemplateSource] = {}
        self._sequence = 0

    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        """What has to run: a claimer and its connections, for urgent work and for the rest."""
        lanes = (
            (Priority.URGENT, Priority.URGENT, self._pace.urgent_connections),
            (Priority.NORMAL, Priority.BULK, self._route.connections),
        )
        loops: list[Callable[[], Awaitable[None]]] = []
        for highest, lowest, connections in lanes:
            queue: asyncio.PriorityQueue[_Work] = asyncio.PriorityQueue()
            room = asyncio.Semaphore(connections * 2)
            loops.append(self._claimer(queue, room, highest, lowest, connections * 2))
            loops += [self._sender(queue, room) for _ in range(connections)]
        return loops

    def _claimer(
        self,
        queue: asyncio.PriorityQueue[_Work],
        room: asyncio.Semaphore,
        highest: Priority,
        lowest: Priority,
        size: int,
    ) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            due = self._store.signals.subscribe("deliveries")
            try:
                while not self._stopping.is_set():
                    await self._claim_once(queue, room, highest, lowest, size, due)
            finally:
                due.close()

        return run

    async def _claim_once(
        self,
        queue: asyncio.PriorityQueue[_Work],
        room: asyncio.Semaphore,
        highest: Priority,
        lowest: Priority,
        size: int,
        due: Subscription,
    ) -> None:
        """Takes as much as there are free places for; waits for news when there is less than that."""
        await room.acquire()  # one free place at least, then as many as there are
        free = 1
        while free < size and not room.locked():
            await room.acquire()
            free += 1
        claimed = taken = 0
        try:
            with self._in_flight.claiming():
                claimed, going = await self._claim(highest, lowest, free)
                for work in going:
                    queue.put_nowait(work)
                    taken += 1
        finally:
            for _ in range(free - taken):
                room.release()
        if claimed < free:  # not `taken`: what was put aside left its place free for the next at once
            await due.wait(self._pace.poll_s)

    def _sender(
        self, queue: asyncio.PriorityQueue[_Work], room: asyncio.Semaphore
    ) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            session = self._provider.session(self._route, self._destinations)
            try:
                while True:
                    work = await queue.get()
                    try:
                        await self._send(session, work)
                    finally:
                        room.release()
                        self._in_flight.end([(work.delivery.tenant, work.delivery.id)])
            finally:
                await session.close()

        return run

    async def _claim(self, highest: Priority, lowest: Priority, limit: int) -> tuple[int, list[_Work]]:
        """Takes work and commits, before any network; how many there were, and those that may go."""
        async with self._store.system() as tx:
            claimed = await tx.deliveries.claim_due(
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
        refs = [(d.tenant, d.id) for d in claimed]
        self._in_flight.add(refs)
        try:
            return len(claimed), await self._sort_out(claimed)
        except BaseException:
            self._in_flight.end(refs)  # or the heartbeat would renew for ever what nobody sends
            await asyncio.shield(self._give_back(claimed))
            raise

    async def _give_back(self, claimed: Sequence[Delivery]) -> None:
        """Nothing was done with them, so nothing is in doubt."""
        async with self._store.system() as tx:
            await tx.deliveries.give_back(claimed, tx.now + timedelta(seconds=self._pace.sweep_s))

    async def _sort_out(self, claimed: Sequence[Delivery]) -> list[_Work]:
        """Asks for the truth about each; what must not go out is recorded as such."""
        go: list[_Work] = []
        stops: list[Report] = []
        waits: list[tuple[Delivery, Wait | Later]] = []
        async with self._store.read(self._tenant) as tx:
            notifications = await tx.notifications.get_many(list({d.notification_id for d in claimed}))
            pairs = [(d, notifications[d.notification_id]) for d in claimed]
            decisions = await self._truth.check(tx, pairs)
            for delivery, notification in pairs:
                decision = decisions[delivery.id]
                if isinstance(decision, Go):
                    source = await self._source(tx, notification.template_hash)
                    self._sequence += 1
                    order = (int(delivery.priority), self._sequence)
                    go.append(_Work(order, delivery, notification, source))
                elif isinstance(decision, Stop):
                    event = worker_event(
                        delivery, decision.kind, tx.now, reason=decision.reason, diagnostic=decision.sentence
                    )
                    stops.append(Report(delivery.tenant, event, fenced=True))
                else:
                    waits.append((delivery, decision))
        if stops or waits:
            await self._put_aside(stops, waits)
        return go

    async def _put_aside(self, stops: list[Report], waits: list[tuple[Delivery, Wait | Later]]) -> None:
        async with self._store.system() as tx:
            await tracking.record(tx, stops)
            for delivery, wait in waits:
                if isinstance(wait, Later):
                    await tx.deliveries.postpone(delivery, until=wait.due_at, reason=wait.sentence)
                else:
                    await tx.deliveries.hold(delivery, reason=wait.sentence, by=wait.by)
            await tracking.bump_cards(tx, [delivery for delivery, _ in waits])
        done = [(r.tenant, r.event.delivery_id) for r in stops] + [(d.tenant, d.id) for d, _ in waits]
        self._in_flight.end(done)

    async def _source(self, tx: Tx, content_hash: str) -> TemplateSource:
        found = self._sources.get(content_hash)
        if found is None:
            found = await tx.notifications.template(content_hash)
            if found is None:
                raise LookupError(f"template {content_hash[:12]} is not stored")
            self._sources[content_hash] = found
        return found

    async def _send(self, session: Session, work: _Work) -> None:
        delivery = work.delivery
        try:
            attached = await attachments_of(self._attachments, delivery, work.notification)
        except Exception as error:  # the database went: nothing was done with it, so nothing is in doubt
            log.exception("attachment_not_read", delivery=str(delivery.id), error=type(error).__name__)
            await self._give_back([delivery])
            return
        try:
            message = self._composer.compose(self._route, delivery, work.notification, work.source, attached)
        except (templates.TemplateProblem, ValueError) as error:
            log.warning("compose_failed", delivery=str(delivery.id), error=type(error).__name__)
            await self._recorder.record(self._report(delivery, _not_composed(error)))
            return
        missing = wants_pdf(work.notification) and not attached
        outcome = told(await session.submit(message), missing=missing)
        await self._recorder.record(self._report(delivery, outcome))
        if isinstance(outcome, Deferred) and outcome.route_down:
            log.warning("route_down", route=self._route.name, answer=outcome.reply_code or "no connection")

    def _report(self, delivery: Delivery, outcome: SubmitOutcome) -> Report:
        now, jitter = self._store.clock(), random.random()  # noqa: S311  # spreads retries, hides nothing
        kind, fields, queue_id = describe(outcome, self._route.confidence)
        down = isinstance(outcome, Deferred) and outcome.route_down
        if kind is EventKind.DEFERRED:
            again = next_attempt(delivery.attempt, now, jitter, ROUTE_RETRY if down else FIRST_RETRY)
            if again >= delivery.expires_at:  # no attempt would come in time: this answer was the last
                hard = isinstance(outcome, Deferred) and outcome.verdict is not None and outcome.verdict.hard
                kind = EventKind.BOUNCED if hard and not down else EventKind.FAILED
                fields["hard"] = hard and not down
        event = worker_event(delivery, kind, now, source=EventSource.SMTP, **fields)
        return Report(delivery.tenant, event, fenced=True, jitter=jitter, route_down=down, queue_id=queue_id)


def _not_composed(error: Exception) -> Refused:
    verdict = BounceVerdict(BounceClass.OTHER, hard=False, fault=Fault.OURS, permanent=True)
    text = f"The message could not be written: {error}"
    return Refused("", "", "", text, verdict, about_sender=True)


def describe(outcome: SubmitOutcome, accepted_as: Confidence) -> tuple[EventKind, dict[str, Any], str]:
    """The event that an attempt's end makes, and the server's queue id."""
    if isinstance(outcome, Accepted):
        accepted = {"confidence": accepted_as, "remote": outcome.remote, "diagnostic": outcome.text}
        return EventKind.ACCEPTED, accepted, outcome.queue_id
    if isinstance(outcome, InDoubt):
        return EventKind.IN_DOUBT, {"remote": outcome.remote, "diagnostic": outcome.text}, ""
    verdict = outcome.verdict
    fields: dict[str, Any] = {
        "remote": outcome.remote,
        "diagnostic": outcome.text,
        "reply_code": outcome.reply_code,
        "status": outcome.status,
        "cls": verdict.cls if verdict else "",
        "reason": reason_of(verdict.cls, verdict.fault) if verdict else Reason.NETWORK,
    }
    if isinstance(outcome, Deferred):
        if outcome.route_down:  # nothing was said about this message or its recipient
            login = outcome.reply_code.startswith("53")
            fields |= {"cls": "", "reason": Reason.CONFIG if login else Reason.NETWORK}
        return EventKind.DEFERRED, fields, ""
    if outcome.about_sender:
        reason = Reason.CONFIG if outcome.reply_code else Reason.INFRASTRUCTURE
        return EventKind.FAILED, fields | {"cls": "", "reason": reason}, ""
    fields["hard"] = verdict.hard if verdict else False
    # No reply code: it never reached a server. That is a failure of ours, not a bounce.
    return (EventKind.BOUNCED if outcome.reply_code or outcome.status else EventKind.FAILED), fields, ""


class Worker:
    """All routes of all tenants in one process, with their heartbeat and sweeps."""

    def __init__(
        self,
        *,
        store: Store,
        routes: Mapping[int, Sequence[Route]],
        providers: Mapping[Channel, Provider],
        truth: Truth,
        composer: Composer,
        name: str,
        dead: Sequence[str] = (),
        destinations: Destinations | None = None,
        attachments: Attachments | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`dead`: owners of leases that are known to be gone (store.presence); taken over at the start."""
        self._store, self._name, self._dead, self._pace = store, name, tuple(dead), pace or Pace()
        self._routes = {tenant: [route.name for route in rs] for tenant, rs in routes.items()}
        self._recorder = Recorder(store, self._pace.record_s)
        self._in_flight = InFlight()
        self._stopping = asyncio.Event()
        self._runners = [
            RouteRunner(
                tenant=tenant,
                route=route,
                provider=providers[Channel.EMAIL],
                store=store,
                truth=truth,
                composer=composer,
                recorder=self._recorder,
                name=name,
                pace=self._pace,
                in_flight=self._in_flight,
                stopping=self._stopping,
                destinations=destinations,
                attachments=attachments or NoAttachments(),
            )
            for tenant, tenant_routes in routes.items()
            for route in tenant_routes
        ]

    async def run(self) -> None:
        """Until cancelled. A loop that fails for a passing reason (database gone) starts again."""
        for dead in self._dead:
            async with self._store.system() as tx:
                recovered = await tracking.sweep_lost(tx, dead_worker=dead)
            log.info("claims_recovered", count=recovered)
        for tenant, known in self._routes.items():
            async with self._store.system() as tx:
                moved = await tx.deliveries.reroute(tenant, known, known[0])
            if moved:
                log.warning("deliveries_rerouted", count=moved, route=known[0])
        loops: list[Callable[[], Awaitable[None]]] = [self._recorder.run, self._heartbeat, self._sweep]
        loops += [loop for runner in self._runners for loop in runner.loops()]
        async with asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(self._keep_running(loop))

    async def drain(self, timeout_s: float) -> None:
        """Claims nothing more and lets what is on the wire end, so that a restart leaves nothing in doubt."""
        self._stopping.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self._in_flight.ended()
        except TimeoutError:
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

    async def _sweep(self) -> None:
        while True:
            async with self._store.system() as tx:
                lost = await tracking.sweep_lost(tx)
                settled = await tracking.sweep_settled(tx)
                overdue = await tracking.sweep_overdue(tx)
                runs_ended = await runs.sweep(tx)
            if lost or settled or overdue or runs_ended:
                log.info("swept", lost=lost, settled=settled, overdue=overdue, runs=runs_ended)
            await asyncio.sleep(self._pace.sweep_s)
