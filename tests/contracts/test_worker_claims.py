"""How a worker keeps what it claimed, gives it back or loses it: leases, other workers, failures, a drain."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import pytest
from sqlalchemy import Uuid, bindparam, text
from structlog.testing import capture_logs

from notifier import tracking
from notifier.admission import NoLimits
from notifier.channels import Accepted, Deferred, Destinations, OutgoingMessage, Route, SubmitOutcome
from notifier.lane import FirstGo
from notifier.recorder import MOST_TRIES, Recorder
from notifier.schedule import DOUBT_RETRY
from notifier.truth import Decision, Go
from notifier.way import Way
from notifier.worker import Pace
from store.models import (
    Channel,
    Delivery,
    EventKind,
    EventSource,
    Notification,
    Outcome,
    Stage,
)
from store.unit import Store, Tx
from tests.conftest import FakeClock, OpenStore
from tests.contracts.attempts import accepted_by, claim, claimed_delivery, row
from tests.contracts.sending import MARIA, Sending, eventually
from tests.unit.sandbox.mail_world import MailWorld

LEO = "leo.park@inbox.example"
STILL = Pace(lease_s=30, poll_s=60, record_s=0.001, sweep_s=60)
"""Nothing happens by itself: a store that stumbles stumbles over what the test means."""


async def test_a_slow_but_healthy_send_keeps_its_lease_and_is_sent_once(sending: Sending) -> None:
    """So does the one that waits for the connection meanwhile."""
    await sending.mail.behave(relay="visp", accept_delay_s=3)
    items = await sending.queue(MARIA, LEO)
    pace = Pace(lease_s=2, poll_s=0.02, record_s=0.001, sweep_s=0.05)
    async with sending.working(sending.route(connections=1), pace=pace):
        for item in items:
            after = await sending.until(item, Stage.AWAITING)
            assert (after.attempt, await sending.kinds(item)) == (1, [EventKind.ACCEPTED])
    assert await sending.accepted() == 2


async def test_two_workers_share_200_deliveries_and_send_none_twice(
    postgres_store: Store, postgres_url: str, open_store: OpenStore, clock: FakeClock, mail: MailWorld
) -> None:
    with capture_logs() as logs:
        sending = Sending(postgres_store, clock, mail, logs)
        route = sending.route(connections=4)
        second = await open_store(postgres_url)
        async with sending.working(route), sending.working(route, name="w2", store=second):
            items = await sending.queue(*(f"n{number}@inbox.example" for number in range(200)))

            async def all_gone() -> bool:
                async with sending.store.read(1) as tx:
                    return (await tx.deliveries.counts()).get((Stage.AWAITING, Outcome.SENT)) == 200

            await eventually(all_gone, "200 mails gone", 20)
    assert sending.surprises() == []
    ledger = await mail.ledger()
    assert ledger["by_message_id"] == {item.message_id: 1 for item in items}
    async with postgres_store.read(1) as tx:
        rows = await tx.conn.execute(text("SELECT worker, attempt FROM deliveries"))
        shares = Counter((row.worker, row.attempt) for row in rows)
    assert set(shares) == {("w1", 1), ("w2", 1)}


@pytest.mark.parametrize(
    ("dead", "lease_s"), [(["w8", "w9"], 600.0), ([], -1.0)], ids=["known to be dead", "lease over"]
)
async def test_a_dead_workers_claim_is_taken_over_and_sent_with_the_same_message_id(
    sending: Sending, dead: list[str], lease_s: float
) -> None:
    """Of a dead one the lease does not matter; anybody else's has to end."""
    (item,) = await sending.queue(MARIA)
    await claim(sending.store, worker="w9", lease_s=lease_s)
    async with sending.working(dead=dead):
        waiting = await sending.until(item, Stage.QUEUED, attempt=1)
        (event,) = await sending.events(item)
        assert (event.kind, event.source) == (EventKind.IN_DOUBT, EventSource.SWEEP)
        sending.clock.now = waiting.due_at
        after = await sending.until(item, Stage.AWAITING)
    assert (after.attempt, after.message_id) == (2, item.message_id)
    assert await sending.copies(item) == 1


async def test_the_lease_of_another_living_worker_is_left_alone(sending: Sending) -> None:
    (theirs,) = await sending.queue(LEO)
    await claim(sending.store, worker="w9", lease_s=600)
    (ours,) = await sending.queue(MARIA)
    async with sending.working(name="w1"):
        sending.clock.advance(hours=1)  # business time: leases do not live on it
        await sending.until(ours, Stage.AWAITING)
        assert (await sending.row(theirs)).stage is Stage.CLAIMED
    assert await sending.copies(theirs) == 0


@dataclass
class Gated:
    """A channel that answers "later" once the gate is open."""

    gate: asyncio.Event
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    channel = Channel.EMAIL

    def session(self, route: Route, destinations: Destinations | None = None) -> Gated:
        return self

    async def submit(self, message: OutgoingMessage) -> Deferred:
        self.taken.set()
        await self.gate.wait()
        return Deferred("relay", "451", "4.3.2", "451 4.3.2 Try again later")

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_worker_whose_claim_was_taken_away_moves_nothing_with_its_late_answer(
    sending: Sending,
) -> None:
    # Two mails fill the first worker's room, so that it does not claim again by itself.
    items = late, _ = await sending.queue(LEO, MARIA)
    gated = Gated(asyncio.Event())
    async with sending.working(sending.route(connections=1), pace=STILL, provider=gated):
        for item in items:
            await sending.until(item, Stage.CLAIMED)
        async with sending.store.system() as tx:
            assert await tracking.sweep_lost(tx, dead_worker="w1") == 2
        sending.clock.advance(DOUBT_RETRY * 1.2)
        again = {found.id: found for found in [await claim(sending.store, worker="w2") for _ in items]}
        gated.gate.set()
        events = await sending.until_said(late, EventKind.DEFERRED)
        after = await sending.row(late)
    assert again[late.id].attempt == 2
    assert after == again[late.id], "stage, due time and number are the other worker's"
    assert {(e.kind, e.attempt) for e in events} == {(EventKind.IN_DOUBT, 1), (EventKind.DEFERRED, 1)}


async def test_what_waited_for_its_connection_while_its_claim_was_taken_away_is_not_sent(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still (stopped, swapped out) has a queue of claims that others took over."""
    monkeypatch.setattr("notifier.route_runner.TRUE_FOR_S", 0.0)  # every wait is a long one
    items = await sending.queue(LEO, MARIA)
    gated = Gated(asyncio.Event())
    direct = sending.route("mx", connections=1)  # one is under way, the other waits for the connection
    async with sending.working(direct, pace=STILL, provider=gated):
        await gated.taken.wait()
        for item in items:
            await sending.until(item, Stage.CLAIMED)
        async with sending.store.system() as tx:
            assert await tracking.sweep_lost(tx, dead_worker="w1") == 2
        sending.clock.advance(DOUBT_RETRY * 1.2)
        again = [await claim(sending.store, worker="w2") for _ in items]
        gated.gate.set()

        async def let_go() -> bool:
            said = [await sending.kinds(item) for item in items]
            left = any(entry["event"] == "claim_lost" for entry in sending.logs)
            return left and sorted(len(kinds) for kinds in said) == [1, 2]

        await eventually(let_go, "an answer for the one on the wire, the other is left to the other worker")
    assert {found.id: await sending.row(found) for found in again} == {found.id: found for found in again}


async def test_a_message_whose_template_is_gone_is_held_and_keeps_no_other_from_going(
    sending: Sending,
) -> None:
    broken, fine = await sending.queue(LEO), await sending.queue(MARIA)
    async with sending.store.system() as tx:
        await tx.conn.execute(
            text("UPDATE notifications SET template_hash = 'gone' WHERE id = :id").bindparams(
                bindparam("id", broken[0].notification_id, Uuid())
            )
        )
    async with sending.working():
        await sending.until(fine[0], Stage.AWAITING)
        held = await sending.until(broken[0], Stage.HELD)
    assert (held.attempt, held.stage_by) == (0, "no_template")


class Forgetful(NoLimits):
    """A gate that cannot take in how an attempt ended."""

    def ended(self, way: Way, delivery: Delivery, outcome: SubmitOutcome) -> None:
        raise LookupError("a bug")


async def test_an_answer_is_kept_though_the_gate_cannot_be_told_of_it(sending: Sending) -> None:
    """To lose it would send the mail again."""
    (item,) = await sending.queue(MARIA)
    async with sending.working(gate=Forgetful()):
        await sending.until(item, Stage.AWAITING)
    assert await sending.kinds(item) == [EventKind.ACCEPTED]
    assert any(entry["event"] == "gate_not_told" for entry in sending.logs)


class Stumbling(Store):
    """The same database, which fails the next `stumbles` writing transactions of one task at one point."""

    def __init__(self, store: Store, at: Literal["begin", "commit", "answer"], whose: str) -> None:
        """`whose`: the name of the loop or of the coroutine, such as `Recorder.run`."""
        super().__init__(store.engine, store.clock)
        self.signals = store.signals
        self.at, self.stumbles, self._whose = at, 0, whose

    def _meets(self) -> bool:
        task = asyncio.current_task()
        assert task is not None
        return self._whose in (task.get_name(), getattr(task.get_coro(), "__qualname__", ""))

    @asynccontextmanager
    async def begin(self, tenant: int, *, urgent: bool = False) -> AsyncIterator[Tx]:
        stumbling = self.stumbles > 0 and self._meets()
        self.stumbles -= stumbling
        if stumbling and self.at == "begin":
            raise ConnectionError("the database is gone")
        async with super().begin(tenant, urgent=urgent) as tx:
            yield tx
            if stumbling and self.at == "commit":
                raise ConnectionError("the database is gone")
        if stumbling:
            raise ConnectionError("the database has committed, but its answer was lost")


@pytest.mark.parametrize("at", ["begin", "commit", "answer"])
async def test_a_database_error_while_recording_is_tried_again_and_nothing_is_sent_twice(
    sending: Sending, at: Literal["begin", "commit", "answer"]
) -> None:
    sending.expected = {"record_failed"}
    await sending.mail.behave(relay="visp", accept_delay_s=0.3)
    (item,) = await sending.queue(MARIA)
    stumbling = Stumbling(sending.store, at, "Recorder.run")
    async with sending.working(store=stumbling, pace=STILL):
        await sending.until(item, Stage.CLAIMED)
        stumbling.stumbles = 1
        after = await sending.until(item, Stage.AWAITING)
    assert (stumbling.stumbles, after.attempt) == (0, 1)
    assert await sending.kinds(item) == [EventKind.ACCEPTED]
    assert await sending.copies(item) == 1


@dataclass
class Unsure:
    """A truth whose first `failures` checks end in an error; then everything may go."""

    failures: int
    along: Stumbling | None = None
    """This store fails right after the first one, too."""

    async def check(
        self, tx: Tx, deliveries: Sequence[tuple[Delivery, Notification]]
    ) -> Mapping[UUID, Decision]:
        if self.failures:
            self.failures -= 1
            if self.along is not None:
                self.along.stumbles = 1
            raise ConnectionError("billing's facts cannot be read")
        return {delivery.id: Go() for delivery, _ in deliveries}


@dataclass
class Breaking:
    """A channel whose first `failures` messages end in an error that nobody foresaw."""

    failures: int
    channel = Channel.EMAIL

    def session(self, route: Route, destinations: Destinations | None = None) -> Breaking:
        return self

    async def submit(self, message: OutgoingMessage) -> Accepted:
        if self.failures:
            self.failures -= 1
            raise LookupError("a bug")
        return Accepted("relay", "250 Ok", "")

    async def close(self) -> None:
        """Nothing is open."""


async def test_what_was_claimed_when_the_truth_could_not_be_told_is_given_back_and_is_not_in_doubt(
    sending: Sending,
) -> None:
    """Its heartbeat must not go on for a delivery that nobody is sending."""
    sending.expected = {"worker_loop_failed"}
    (item,) = await sending.queue(MARIA)
    async with sending.working(truth=Unsure(1)):
        waiting = await eventually(lambda: _put_off(sending, item), "given back, for later")
        assert (waiting.attempt, await sending.kinds(item)) == (0, [])
        sending.clock.now = waiting.due_at
        after = await sending.until(item, Stage.AWAITING)
    assert (after.attempt, after.outcome) == (1, Outcome.SENT)


async def _put_off(sending: Sending, item: Delivery) -> Delivery | None:
    found = await sending.row(item)
    return found if found.stage is Stage.QUEUED and found.due_at > sending.clock.now else None


async def test_what_could_not_even_be_given_back_is_queued_again_once_its_lease_is_over(
    sending: Sending,
) -> None:
    sending.expected = {"worker_loop_failed"}
    (item,) = await sending.queue(MARIA)
    stumbling = Stumbling(sending.store, "begin", "RouteRunner._give_back")
    pace = Pace(lease_s=0.6, poll_s=0.5, record_s=0.001, sweep_s=0.9)
    async with sending.working(pace=pace, store=stumbling, truth=Unsure(1, stumbling)):
        waiting = await sending.until(item, Stage.QUEUED, attempt=1)
        assert await sending.kinds(item) == [EventKind.IN_DOUBT]
        sending.clock.now = waiting.due_at
        after = await sending.until(item, Stage.AWAITING)
    assert (stumbling.stumbles, after.attempt, after.outcome) == (0, 2, Outcome.SENT)


async def test_what_a_channel_broke_over_is_queued_again_once_its_lease_is_over(sending: Sending) -> None:
    """Nobody knows how far it came, so it is in doubt; its heartbeat must not go on."""
    sending.expected = {"worker_loop_failed"}
    (item,) = await sending.queue(MARIA)
    pace = Pace(lease_s=2, poll_s=0.02, record_s=0.001, sweep_s=0.05)
    async with sending.working(pace=pace, provider=Breaking(1)):
        waiting = await sending.until(item, Stage.QUEUED, attempt=1)
        assert waiting.due_at >= sending.clock.now + DOUBT_RETRY
        sending.clock.now = waiting.due_at
        after = await sending.until(item, Stage.AWAITING)
    assert (after.attempt, after.outcome) == (2, Outcome.SENT)


async def test_one_end_that_cannot_be_written_takes_no_other_with_it(
    sqlite_store: Store, clock: FakeClock, mail: MailWorld
) -> None:
    with capture_logs() as logs:
        sending = Sending(sqlite_store, clock, mail, logs)
        items = *others, poisoned = await sending.queue(LEO, MARIA, "p@inbox.example")
        await mail.behave(address=poisoned.address, slow_s=0.05)  # the last of its group
        async with sqlite_store.system() as tx:
            await tx.conn.execute(
                text(
                    "CREATE TRIGGER poison BEFORE INSERT ON events "
                    f"WHEN NEW.delivery_id = '{poisoned.id.hex}' BEGIN SELECT RAISE(ABORT, 'no'); END"
                )
            )
        one_group = Pace(lease_s=30, poll_s=60, record_s=0.2, sweep_s=60)
        async with sending.working(sending.route(connections=3), pace=one_group):
            for item in others:
                await sending.until(item, Stage.AWAITING)
            assert (await sending.row(poisoned)).stage is Stage.CLAIMED
    assert await sending.accepted() == len(items)
    assert {entry["event"] for entry in sending.surprises()} == {"record_failed"}


async def _only_read(store: Store, setting: str) -> None:
    """As a standby is, and a disk without room: reading goes on, nothing can be written."""
    async with store.system() as tx:
        await tx.conn.exec_driver_sql(f"SET SESSION default_transaction_read_only = {setting}")


async def test_an_end_waits_for_a_database_that_takes_nothing_as_long_as_it_takes(
    postgres_store: Store,
) -> None:
    """To give it up after a few tries would send that mail again."""
    claimed = await claimed_delivery(postgres_store)
    recorder, written = Recorder(postgres_store, 0.001, FirstGo().let_by, pause_s=0.001), asyncio.Event()
    await _only_read(postgres_store, "on")
    with capture_logs() as logs:
        recorder.add(accepted_by(claimed), written.set)
        running = asyncio.create_task(recorder.run())
        try:

            async def many() -> bool:
                return len([entry for entry in logs if entry["event"] == "record_failed"]) > 2 * MOST_TRIES

            await eventually(many, "tried again and again")
            assert not written.is_set()
            await _only_read(postgres_store, "off")
            async with asyncio.timeout(10):
                await written.wait()
        finally:
            running.cancel()
            await asyncio.wait([running])
    assert (await row(postgres_store, claimed)).stage is Stage.AWAITING


async def test_a_drained_worker_ends_what_is_on_the_wire_and_takes_nothing_new(sending: Sending) -> None:
    await sending.mail.behave(relay="visp", accept_delay_s=0.3)
    (on_the_wire,) = await sending.queue(MARIA)
    worker = sending.worker(pace=STILL)
    running = asyncio.create_task(worker.run())
    try:
        await sending.until(on_the_wire, Stage.CLAIMED)
        draining = asyncio.create_task(worker.drain(10))
        await asyncio.sleep(0)  # it has begun
        (late,) = await sending.queue(LEO)
        await draining
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert (await sending.row(on_the_wire)).outcome is Outcome.SENT
    assert (await sending.row(late)).stage is Stage.QUEUED
    assert await sending.accepted() == 1
