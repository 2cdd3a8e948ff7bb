"""An intended act comes to one end, told and audited once, whatever happens in between; on both databases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.acts import ACT_SURFACE, MOST_LOOKS, ActExecutor
from billing.port import AccountFacts, Applied, Rejected, Unavailable, Unclear
from billing.systems.local import LocalSystem
from notifier.outbox import Draft
from store.models import (
    ActKind,
    ActState,
    BillingAct,
    NoteLevel,
    NotificationKind,
    Package,
    PackageStatus,
    Subscriber,
)
from store.tables import billing_acts
from store.types import new_id
from store.unit import Store, Tx
from tests.builders import (
    hold_of,
    note_of,
    outbox,
    package_record,
    service_record,
    subscriber_record,
    usd,
)
from tests.conftest import FakeClock

Answer = Applied | Rejected | Unclear


class Killed(BaseException):
    """The process ends here."""


class Billing:
    """The local system behind a wire that can be cut, slow or wrong."""

    acts_by_itself = False
    pauses = False

    def __init__(self, store: Store) -> None:
        self._real = LocalSystem(store, 1)
        self.calls = 0
        self.away = ""
        self.age = timedelta(0)
        self.answer: Callable[[Answer], Awaitable[Answer]] | None = None
        self.does_it = True
        self.before_reading: Callable[[int], None] | None = None
        self._reads = 0

    async def close(self) -> None:
        await self._real.close()

    async def refresh(self, subscriber_id: UUID) -> AccountFacts | Unavailable:
        self._reads += 1
        if self.before_reading is not None:
            self.before_reading(self._reads)
        if self.away:
            return Unavailable(self.away)
        facts = await self._real.refresh(subscriber_id)
        if isinstance(facts, AccountFacts):
            return AccountFacts(facts.subscriber, facts.packages, facts.as_of - self.age)
        return facts

    async def carry_out(
        self,
        kind: ActKind,
        subscriber_id: UUID,
        package_id: UUID,
        reason: str,
        until: date | None = None,
    ) -> Answer:
        self.calls += 1
        done: Answer = Applied("ref-1")
        if self.does_it:
            done = await self._real.carry_out(kind, subscriber_id, package_id, reason)
        return await self.answer(done) if self.answer else done


async def _announce(tx: Tx, act: BillingAct, subscriber: Subscriber, package: Package) -> Draft | None:
    return Draft(
        key=f"act:{act.id}",
        kind=NotificationKind.TEST,
        language="en",
        context={"route": "relay"},
        recipients=[],
        route="relay",
        requested_by=act.actor,
        subscriber_id=subscriber.id,
        id=act.id,
    )


class Desk:
    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store, self.clock, self.billing = store, clock, Billing(store)
        self.sid, self.package_id = new_id(), new_id()
        self.executor = self.worker("w1")

    def worker(self, name: str, *dead: str, lease_s: float = 30.0) -> ActExecutor:
        return ActExecutor(
            store=self.store,
            systems={1: self.billing},
            outbox=outbox(),
            announce=_announce,
            name=name,
            dead=dead,
            lease_s=lease_s,
        )

    async def intend(self, kind: ActKind = ActKind.SUSPEND, **more: Any) -> BillingAct:
        fields: dict[str, Any] = {"tenant": 1, "owed_minor": 4990}
        act = BillingAct(
            new_id(),
            kind,
            self.sid,
            self.package_id,
            ActState.INTENDED,
            "past due",
            "U_LEAD",
            self.clock(),
            **(fields | more),
        )
        async with self.store.begin(1) as tx:
            await tx.acts.intend(f"step:{act.id}", act)
            await tx.posts.want(ACT_SURFACE, str(act.id), "C_SUPPORT")
        return act

    async def after(self, act: BillingAct) -> BillingAct:
        async with self.store.read(1) as tx:
            found = await tx.acts.get(act.id)
        assert found is not None
        return found

    async def statuses(self) -> set[PackageStatus]:
        async with self.store.read(1) as tx:
            (package,) = await tx.packages.of_subscriber(self.sid)
        return {package.status, *(s.status for s in package.services)}

    async def told(self, act: BillingAct) -> bool:
        async with self.store.read(1) as tx:
            return await tx.notifications.get(act.id) is not None

    async def audited(self) -> list[tuple[str, str]]:
        async with self.store.read(1) as tx:
            return [(row.actor, row.action) for row in await tx.audit.of("account:1001")]

    async def wanted(self, act: BillingAct) -> int:
        async with self.store.read(1) as tx:
            (post,) = await tx.posts.of(ACT_SURFACE, str(act.id))
        return post.wanted

    async def wait_over(self) -> None:
        """What was put off is due: waits are in the database's real time, which no test moves."""
        async with self.store.begin(1) as tx:
            past = billing_acts.update().where(billing_acts.c.lease_until.is_not(None))
            await tx.conn.execute(past.values(lease_until=datetime(2020, 1, 1, tzinfo=UTC)))


@pytest.fixture
async def desk(store: Store, clock: FakeClock) -> Desk:
    desk = Desk(store, clock)
    services = (service_record("Line"), service_record("Router"))
    async with store.begin(1) as tx:
        desk.sid = (await tx.subscribers.upsert([subscriber_record()]))["1001"]
        await tx.packages.upsert([package_record(desk.sid, services=services)])
        desk.package_id = (await tx.packages.of_subscriber(desk.sid))[0].id
    return desk


async def test_an_act_is_done_verified_told_and_audited_on_whose_behalf(desk: Desk) -> None:
    act = await desk.intend()
    assert await desk.executor.work() == 1
    done = await desk.after(act)
    assert (done.state, done.verified_at) == (ActState.DONE, desk.clock())
    assert await desk.statuses() == {PackageStatus.SUSPENDED}
    assert await desk.told(act)
    assert await desk.audited() == [("U_LEAD", "billing.suspend.done")]
    assert await desk.wanted(act) > 1, "its card follows"
    assert await desk.executor.work() == 0


async def test_the_other_way_back(desk: Desk) -> None:
    await desk.intend()
    await desk.executor.work()
    back = await desk.intend(ActKind.UNSUSPEND)
    await desk.executor.work()
    assert (await desk.after(back)).state is ActState.DONE
    assert await desk.statuses() == {PackageStatus.ACTIVE}


async def test_nobody_is_told_who_should_not_be(desk: Desk) -> None:
    act = await desk.intend(tell=False)
    await desk.executor.work()
    assert (await desk.after(act)).state is ActState.DONE
    assert not await desk.told(act)


async def _pay(desk: Desk, left: str) -> None:
    async with desk.store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record(balance=usd(left))])


@pytest.mark.parametrize(
    ("left", "sentence"), [("0.00", "its balance is zero"), ("20.00", "A payment on account 1001 came in")]
)
async def test_a_payment_between_the_decision_and_the_act_refuses(
    desk: Desk, left: str, sentence: str
) -> None:
    act = await desk.intend()
    await _pay(desk, left)
    await desk.executor.work()
    refused = await desk.after(act)
    assert refused.state is ActState.FAILED
    assert sentence in refused.result
    assert (desk.billing.calls, await desk.told(act)) == (0, False)
    assert await desk.statuses() == {PackageStatus.ACTIVE}
    assert await desk.audited() == [("U_LEAD", "billing.suspend.refused")]


async def test_a_hold_or_a_block_set_in_between_refuses(desk: Desk) -> None:
    act = await desk.intend()
    async with desk.store.begin(1) as tx:
        hold = hold_of("1001")
        await tx.notes.add_hold(hold)
    await desk.executor.work()
    assert "is held until" in (await desk.after(act)).result
    second = await desk.intend()
    async with desk.store.begin(1) as tx:
        await tx.notes.end_hold(hold.id, "U_AGENT")
        await tx.notes.add(note_of(desk.sid, level=NoteLevel.BLOCK, text="Medical line"))
    await desk.executor.work()
    assert "Medical line" in (await desk.after(second)).result
    assert desk.billing.calls == 0


async def test_the_second_of_two_acts_finds_it_done_and_does_nothing(desk: Desk) -> None:
    first, second = await desk.intend(), await desk.intend()
    while await desk.executor.work():
        pass
    assert (await desk.after(first)).state is ActState.DONE
    late = await desk.after(second)
    assert (late.state, late.result) == (ActState.FAILED, "Fiber 500 is suspended already.")
    assert (await desk.told(first), await desk.told(second)) == (True, False)
    assert desk.billing.calls == 1


async def test_billing_that_cannot_be_asked_is_waited_for_and_says_so(desk: Desk) -> None:
    act = await desk.intend()
    desk.billing.away = "The billing system does not answer."
    await desk.executor.work()
    waiting = await desk.after(act)
    assert (waiting.state, waiting.result) == (ActState.INTENDED, "The billing system does not answer.")
    assert await desk.executor.work() == 0, "not at once again"
    desk.billing.away = ""
    await desk.wait_over()
    await desk.executor.work()
    assert (await desk.after(act)).state is ActState.DONE


async def test_stale_facts_are_no_facts(desk: Desk) -> None:
    act = await desk.intend()
    desk.billing.age = timedelta(seconds=61)
    await desk.executor.work()
    waiting = await desk.after(act)
    assert waiting.state is ActState.INTENDED
    assert "older than a minute" in waiting.result
    assert desk.billing.calls == 0


async def test_an_act_that_waited_an_hour_is_given_up(desk: Desk) -> None:
    act = await desk.intend()
    desk.billing.away = "The billing system does not answer."
    desk.clock.advance(minutes=61)
    await desk.executor.work()
    given_up = await desk.after(act)
    assert given_up.state is ActState.FAILED
    assert "could not be asked for an hour" in given_up.result


async def test_billings_own_no_is_the_end(desk: Desk) -> None:
    act = await desk.intend()
    desk.billing.does_it = False

    async def no(_: Answer) -> Answer:
        return Rejected("Billing has a lock on this package.")

    desk.billing.answer = no
    await desk.executor.work()
    assert (await desk.after(act)).result == "Billing has a lock on this package."
    assert (await desk.after(act)).state is ActState.FAILED


async def test_a_lost_answer_is_resolved_by_reading_back(desk: Desk) -> None:
    act = await desk.intend()

    async def lost(_: Answer) -> Answer:
        return Unclear("The connection broke.")

    desk.billing.answer = lost
    await desk.executor.work()
    assert (await desk.after(act)).state is ActState.DONE
    assert desk.billing.calls == 1


async def test_what_is_only_said_to_be_done_is_in_doubt_and_done_once_it_shows(desk: Desk) -> None:
    act = await desk.intend()
    desk.billing.does_it = False
    await desk.executor.work()
    doubt = await desk.after(act)
    assert doubt.state is ActState.IN_DOUBT
    assert "does not show it" in doubt.result
    assert not await desk.told(act), "nobody is told of what is not known"
    desk.billing.does_it = True
    await desk.wait_over()
    await desk.executor.work()
    assert (await desk.after(act)).state is ActState.DONE
    assert await desk.told(act)


async def test_a_doubt_that_stays_waits_for_a_person_who_can_look_again(desk: Desk) -> None:
    act = await desk.intend()
    desk.billing.does_it = False
    for _ in range(MOST_LOOKS):
        assert await desk.executor.work() == 1
        await desk.wait_over()
    assert await desk.executor.work() == 0
    desk.billing.does_it = True
    async with desk.store.begin(1) as tx:
        assert await tx.acts.look_again(act.id)
    await desk.executor.work()
    assert (await desk.after(act)).state is ActState.DONE


@pytest.mark.parametrize("moment", ["before the call", "after the call", "before reading back"])
async def test_killed_at_any_moment_it_is_done_once_and_told_once(desk: Desk, moment: str) -> None:
    act = await desk.intend()

    async def killed(_: Answer) -> Answer:
        raise Killed

    def killed_reading(number: int) -> None:
        if number == (1 if moment == "before the call" else 2):
            raise Killed

    if moment == "after the call":
        desk.billing.answer = killed
    else:
        desk.billing.before_reading = killed_reading
    with pytest.raises(Killed):
        await desk.worker("dead").work()
    assert (await desk.after(act)).state is ActState.CALLING
    desk.billing.answer = desk.billing.before_reading = None
    async with desk.store.system() as tx:
        await tx.acts.release(["dead"])
    assert await desk.executor.work() == 1
    done = await desk.after(act)
    assert (done.state, done.attempt) == (ActState.DONE, 2)
    assert desk.billing.calls == 1
    assert await desk.told(act)
    assert await desk.audited() == [("U_LEAD", "billing.suspend.done")]


async def test_a_worker_that_lost_its_claim_changes_nothing_any_more(desk: Desk) -> None:
    act = await desk.intend()

    async def taken_over(done: Answer) -> Answer:
        desk.billing.answer = None
        async with desk.store.system() as tx:
            await tx.acts.release(["slow"])
        assert await desk.executor.work() == 1
        return done

    desk.billing.answer = taken_over
    await desk.worker("slow").work()
    assert (await desk.after(act)).attempt == 2
    assert await desk.audited() == [("U_LEAD", "billing.suspend.done")]
