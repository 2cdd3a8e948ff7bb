"""Acts, notes and holds in the store: claimed by one, fenced, ended once; on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

from store.models import ActKind, ActState, BillingAct, NoteLevel, PackageStatus
from store.types import new_id
from store.unit import Store
from tests.builders import (
    FACTS,
    NOW,
    hold_of,
    note_of,
    package_record,
    service_record,
    subscriber_record,
)
from tests.conftest import FakeClock

LEASE_S = 30.0


async def _subscriber(store: Store, account: str = "1001") -> UUID:
    async with store.begin(1) as tx:
        return (await tx.subscribers.upsert([subscriber_record(account)]))[account]


def act_of(subscriber_id: UUID, kind: ActKind = ActKind.SUSPEND, **more: object) -> BillingAct:
    act = BillingAct(
        new_id(), kind, subscriber_id, new_id(), ActState.INTENDED, "past due", "U_LEAD", NOW, tenant=1
    )
    return replace(act, **more)  # type: ignore[arg-type]  # fields of BillingAct by name


async def _intended(store: Store, step: str = "i-1:act") -> BillingAct:
    sid = await _subscriber(store)
    act = act_of(sid)
    async with store.begin(1) as tx:
        await tx.acts.intend(step, act)
    return act


async def _claim(store: Store, worker: str = "w1", lease_s: float = LEASE_S) -> list[BillingAct]:
    async with store.system() as tx:
        return await tx.acts.claim(worker=worker, lease_s=lease_s)


async def test_a_billing_act_is_intended_once_per_step(store: Store) -> None:
    sid = await _subscriber(store)
    first = act_of(sid, owed_minor=4990, tell=False)
    second = act_of(sid, ActKind.UNSUSPEND)
    async with store.begin(1) as tx:
        assert await tx.acts.intend("i-1:suspend", first) == first.id
        assert await tx.acts.intend("i-1:suspend", act_of(sid)) == first.id
        assert await tx.acts.intend("i-2:unsuspend", second) == second.id
        assert await tx.acts.of_subscriber(sid) == [second, first]
        assert await tx.acts.get(first.id) == first
    async with store.read(2) as tx:
        assert await tx.acts.of_subscriber(sid) == []
        assert await tx.acts.get(first.id) is None


async def test_an_act_is_claimed_by_one_worker_with_the_next_number(store: Store) -> None:
    act = await _intended(store)
    (taken,) = await _claim(store)
    assert (taken.id, taken.state, taken.attempt) == (act.id, ActState.CALLING, 1)
    assert await _claim(store, "w2") == []


async def test_a_lost_claim_is_taken_again_and_its_first_holder_may_say_nothing_more(store: Store) -> None:
    await _intended(store)
    (first,) = await _claim(store, lease_s=-1)
    (second,) = await _claim(store, "w2")
    assert second.attempt == 2
    async with store.begin(1) as tx:
        assert not await tx.acts.about_to_call(first)
        assert not await tx.acts.finish(first, ActState.DONE, verified_at=tx.now)
        assert not await tx.acts.put_off(first, ActState.INTENDED, result="busy", wait_s=1)
        assert await tx.acts.about_to_call(second)
        assert await tx.acts.finish(second, ActState.DONE, verified_at=tx.now)
        done = await tx.acts.get(second.id)
    assert done is not None
    assert (done.state, done.called_at, done.verified_at, done.finished_at) == (ActState.DONE, NOW, NOW, NOW)
    assert await _claim(store) == []


async def test_the_claim_of_a_dead_process_is_free_at_once(store: Store) -> None:
    await _intended(store)
    await _claim(store, "dead")
    async with store.system() as tx:
        await tx.acts.release(["somebody else"])
    assert await _claim(store) == []
    async with store.system() as tx:
        await tx.acts.release(["dead"])
    assert len(await _claim(store)) == 1


async def test_what_is_put_off_waits_and_says_why(store: Store) -> None:
    await _intended(store)
    (taken,) = await _claim(store)
    async with store.begin(1) as tx:
        assert await tx.acts.put_off(taken, ActState.INTENDED, result="Billing is away.", wait_s=60)
        waiting = await tx.acts.unfinished(taken.package_id)
    assert waiting is not None
    assert (waiting.state, waiting.result) == (ActState.INTENDED, "Billing is away.")
    assert await _claim(store) == []


async def test_an_act_in_doubt_without_a_wait_is_looked_at_again_only_when_a_person_asks(
    store: Store,
) -> None:
    await _intended(store)
    (taken,) = await _claim(store)
    async with store.begin(1) as tx:
        assert await tx.acts.put_off(taken, ActState.IN_DOUBT, result="No answer.", wait_s=None)
    assert await _claim(store) == []
    async with store.begin(2) as tx:
        assert not await tx.acts.look_again(taken.id), "another provider's act"
    async with store.begin(1) as tx:
        assert await tx.acts.look_again(taken.id)
    (again,) = await _claim(store)
    assert again.attempt == 2


async def test_a_status_changes_with_the_services_that_stood_alike(store: Store) -> None:
    sid = await _subscriber(store)
    services = (service_record("Line"), service_record("Old line", status=PackageStatus.INACTIVE))
    async with store.begin(1) as tx:
        await tx.packages.upsert(
            [package_record(sid, "P-1", services=services), package_record(sid, "P-2", services=services)]
        )
        package = (await tx.packages.of_subscriber(sid))[0]
        change = (package.id, PackageStatus.ACTIVE, PackageStatus.SUSPENDED, FACTS)
        assert await tx.packages.change_status(*change)
        assert not await tx.packages.change_status(*change), "it does not stand there any more"
        first, other = await tx.packages.of_subscriber(sid)
    assert first.status is PackageStatus.SUSPENDED
    assert [s.status for s in first.services] == [PackageStatus.SUSPENDED, PackageStatus.INACTIVE]
    assert other.status is PackageStatus.ACTIVE
    assert other.services[0].status is PackageStatus.ACTIVE


async def test_notes_are_newest_first_and_added_once(store: Store, clock: FakeClock) -> None:
    sid = await _subscriber(store)
    async with store.begin(1) as tx:
        old = note_of(sid, level=NoteLevel.BLOCK)
        new = note_of(sid, created_at=clock.advance(hours=1), text="Ünï")
        for note in (old, new, replace(old, text="changed")):
            await tx.notes.add(note)
        assert await tx.notes.of_subscriber(sid) == [new, old]
        assert await tx.notes.of_subscriber(new_id()) == []
    async with store.read(2) as tx:
        assert await tx.notes.of_subscriber(sid) == []


async def test_a_removed_note_is_gone_and_removed_once(store: Store) -> None:
    sid = await _subscriber(store)
    note = note_of(sid)
    async with store.begin(1) as tx:
        await tx.notes.add(note)
        assert await tx.notes.get(note.id) == note
        assert await tx.notes.remove(note.id, "U_AGENT")
        assert not await tx.notes.remove(note.id, "U_LEAD")
        assert await tx.notes.of_subscriber(sid) == []
        assert await tx.notes.get(note.id) is None
        await tx.notes.add(note)
        assert await tx.notes.get(note.id) is None, "the same note again does not bring it back"


async def test_holds_are_told_soonest_end_first_and_added_once(store: Store) -> None:
    async with store.begin(1) as tx:
        late, soon = hold_of("1001"), hold_of("1001", until=date(2026, 3, 10))
        for hold in (late, soon, replace(soon, reason="changed")):
            await tx.notes.add_hold(hold)
        assert await tx.notes.holds_of("1001") == [soon, late]
        assert await tx.notes.holds_of_many(["1001", "1002"]) == {"1001": [soon, late], "1002": []}
    async with store.read(2) as tx:
        assert await tx.notes.holds_of("1001") == []


async def test_a_hold_stands_through_its_last_day_and_ends_once(store: Store) -> None:
    hold = hold_of("1001", until=date(2026, 3, 10))
    async with store.begin(1) as tx:
        await tx.notes.add_hold(hold)
        assert await tx.notes.holds_over(date(2026, 3, 10)) == []
        assert await tx.notes.holds_over(date(2026, 3, 11)) == [hold]
        assert await tx.notes.end_hold(hold.id, None)
        assert not await tx.notes.end_hold(hold.id, "U_AGENT")
        assert await tx.notes.holds_over(date(2026, 3, 11)) == []
        ended = await tx.notes.hold(hold.id)
    assert ended == replace(hold, ended_at=NOW)
