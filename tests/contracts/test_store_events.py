"""Events, orphans and suppressions, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.models import (
    Channel,
    Confidence,
    Event,
    EventKind,
    EventSource,
    Reason,
)
from store.types import derived_id, new_id
from store.unit import Store
from tests.builders import NOW, event
from tests.conftest import FakeClock

DANA = (Channel.EMAIL, "dana@example.com")


async def test_an_event_comes_back_as_it_was_given(store: Store, clock: FakeClock) -> None:
    did = new_id()
    given = Event(
        delivery_id=did,
        attempt=2,
        kind=EventKind.BOUNCED,
        key="dsn:2:abc",
        at=NOW - timedelta(minutes=5),
        source=EventSource.DSN,
        reason=Reason.RECIPIENT,
        confidence=Confidence.HANDED_TO_RELAY,
        hard=True,
        reply_code="550",
        status="5.1.1",
        diagnostic="no such user",
        remote="mx.example.com",
        cls="no_such_user",
        actor="U_AGENT",
        recorded_at=clock.now,
    )
    async with store.system() as tx:
        assert await tx.events.append([(1, given)]) == {(did, "dsn:2:abc")}
        assert await tx.events.of([(1, did), (2, did)]) == {(1, did): [given], (2, did): []}


async def test_the_same_key_is_learnt_once_whatever_else_it_says(store: Store) -> None:
    did = new_id()
    first, again = event(did, key="k"), event(did, EventKind.BOUNCED, key="k", diagnostic="later")
    async with store.system() as tx:
        assert await tx.events.append([(1, first), (1, first)]) == {(did, "k")}
    async with store.system() as tx:
        assert await tx.events.append([(1, again), (1, event(did, key="k2"))]) == {(did, "k2")}
        kinds = [e.kind for e in (await tx.events.of([(1, did)]))[1, did]]
    assert kinds == [EventKind.ACCEPTED, EventKind.ACCEPTED]


async def test_the_same_key_of_two_deliveries_is_two_events(store: Store) -> None:
    one, two = new_id(), new_id()
    async with store.system() as tx:
        assert len(await tx.events.append([(1, event(one, key="k")), (1, event(two, key="k"))])) == 2


async def test_the_same_event_appended_at_the_same_time_is_new_for_one_only(store: Store) -> None:
    did = new_id()

    async def append() -> int:
        async with store.system() as tx:
            return len(await tx.events.append([(1, event(did, key="k"))]))

    assert sorted(await asyncio.gather(*(append() for _ in range(8)))) == [0] * 7 + [1]


async def test_events_are_told_in_the_order_in_which_they_were_recorded(
    store: Store, clock: FakeClock
) -> None:
    did = new_id()
    for key, at in (
        ("first", NOW + timedelta(hours=1)),
        ("second", NOW),
        ("third", NOW - timedelta(hours=1)),
    ):
        async with store.system() as tx:
            await tx.events.append([(1, event(did, key=key, at=at))])
        clock.advance(seconds=1)
    async with store.read(1) as tx:
        assert [e.key for e in (await tx.events.of([(1, did)]))[1, did]] == ["first", "second", "third"]


async def test_overlong_texts_of_a_remote_are_cut_and_not_refused(store: Store) -> None:
    did = new_id()
    long = event(did, reply_code="5" * 50, status="5." * 50, diagnostic="d" * 9000, remote="m" * 900)
    async with store.system() as tx:
        await tx.events.append([(1, long)])
        (kept,) = (await tx.events.of([(1, did)]))[1, did]
    assert (len(kept.reply_code), len(kept.status), len(kept.diagnostic), len(kept.remote)) == (
        8,
        16,
        2000,
        255,
    )


@pytest.mark.parametrize("text", ["nul \x00 inside", "lone surrogate \udcff", "\x00"])
async def test_hostile_text_of_a_remote_is_stored_without_what_no_database_takes(
    store: Store, text: str
) -> None:
    did = new_id()
    async with store.system() as tx:
        await tx.events.append([(1, event(did, diagnostic=text, remote=text, status=text))])
        (kept,) = (await tx.events.of([(1, did)]))[1, did]
    assert "\x00" not in kept.diagnostic
    kept.diagnostic.encode()


async def test_more_events_than_fit_in_one_statement(store: Store) -> None:
    did = new_id()
    async with store.system() as tx:
        assert len(await tx.events.append([(1, event(did, key=f"k{n}")) for n in range(1201)])) == 1201
        assert len((await tx.events.of([(1, did)]))[1, did]) == 1201
        assert await tx.events.append([]) == set()


def test_derived_ids_are_stable_distinct_and_sort_with_their_parent() -> None:
    parent, later = new_id(), new_id()
    one, two = derived_id(parent, "event", "a"), derived_id(parent, "event", "b")
    assert one == derived_id(parent, "event", "a")
    assert len({one, two, derived_id(later, "event", "a"), derived_id(parent, "eventa")}) == 4
    assert one.version == 7
    assert one.bytes[:6] == parent.bytes[:6]


async def keep(
    store: Store, recipient: str = "dana@example.com", raw: bytes = b"raw", tenant: int = 1
) -> bool:
    async with store.begin(tenant) as tx:
        return await tx.orphans.keep(
            source=EventSource.DSN,
            recipient=recipient,
            envelope_to="bounces@mail.cascade.example",
            summary="no_such_user: unknown",
            raw=raw,
        )


async def test_an_orphan_is_kept_once_per_report_and_tenant(store: Store) -> None:
    assert await keep(store)
    assert not await keep(store)
    assert await keep(store, recipient="other@example.com")
    assert await keep(store, raw=b"another report")
    assert await keep(store, tenant=2)
    async with store.read(1) as tx:
        assert len(await tx.orphans.waiting()) == 3


async def test_orphans_wait_newest_first_until_they_are_matched(store: Store, clock: FakeClock) -> None:
    for number in range(3):
        await keep(store, raw=b"\x00\xff" + str(number).encode())
        clock.advance(minutes=1)
    async with store.begin(1) as tx:
        newest, middle, oldest = await tx.orphans.waiting()
        assert [o.raw for o in (newest, middle, oldest)] == [b"\x00\xff2", b"\x00\xff1", b"\x00\xff0"]
        await tx.orphans.matched(middle.id, new_id())
        assert [o.id for o in await tx.orphans.waiting()] == [newest.id, oldest.id]
        assert [o.id for o in await tx.orphans.waiting(limit=1)] == [newest.id]
    async with store.begin(2) as tx:
        await tx.orphans.matched(newest.id, new_id())  # of another tenant: nothing happens
    async with store.read(1) as tx:
        assert len(await tx.orphans.waiting()) == 2
    assert (newest.source, newest.envelope_to) == (EventSource.DSN, "bounces@mail.cascade.example")


async def test_a_suppressed_address_is_active_until_released(store: Store, clock: FakeClock) -> None:
    did = new_id()
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(*DANA, reason="no_such_user", actor="bounce", delivery_id=did)
        active = await tx.suppressions.active([DANA, (Channel.SMS, "dana@example.com")])
    assert list(active) == [DANA]
    assert (active[DANA].reason, active[DANA].delivery_id, active[DANA].created_at) == (
        "no_such_user",
        did,
        clock.now,
    )
    async with store.begin(1) as tx:
        assert await tx.suppressions.release(*DANA, actor="U_LEAD")
        assert not await tx.suppressions.release(*DANA, actor="U_LEAD")
        assert await tx.suppressions.active([DANA]) == {}


async def test_suppressing_again_keeps_the_first_reason(store: Store, clock: FakeClock) -> None:
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(*DANA, reason="first", actor="bounce")
    clock.advance(days=1)
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(*DANA, reason="second", actor="bounce")
        active = await tx.suppressions.active([DANA])
    assert (active[DANA].reason, active[DANA].created_at) == ("first", NOW)


async def test_a_released_address_that_fails_again_is_suppressed_again(
    store: Store, clock: FakeClock
) -> None:
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(*DANA, reason="first", actor="bounce")
        await tx.suppressions.release(*DANA, actor="U_LEAD")
    clock.advance(days=1)
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(*DANA, reason="second", actor="bounce")
        active = await tx.suppressions.active([DANA])
    assert (active[DANA].reason, active[DANA].created_at) == ("second", clock.now)


async def test_a_suppression_holds_for_its_tenant_only(store: Store) -> None:
    async with store.system() as tx:
        await tx.suppressions.suppress(*DANA, reason="r", actor="bounce", tenant=2)
    async with store.read(1) as tx:
        assert await tx.suppressions.active([DANA]) == {}
    async with store.read(2) as tx:
        assert list(await tx.suppressions.active([DANA])) == [DANA]


async def test_many_addresses_are_asked_about_at_once(store: Store) -> None:
    asked = [(Channel.EMAIL, f"{n}@example.com") for n in range(1201)]
    async with store.begin(1) as tx:
        for channel, address in asked[::100]:
            await tx.suppressions.suppress(channel, address, reason="r", actor="bounce")
        assert set(await tx.suppressions.active(asked)) == set(asked[::100])
        assert await tx.suppressions.active([]) == {}
