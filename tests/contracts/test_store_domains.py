"""Watches over DNS records, and what was last seen of our domains, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from store.domain_records import Seen
from store.models import DnsWatch, RecordVerdict, WatchEnd
from store.unit import Store
from tests.builders import NOW
from tests.conftest import FakeClock

DOMAIN = "mail.cascade.example"
IN_A_WEEK = NOW + timedelta(days=7)


async def watch(store: Store, actor: str = "U_AGENT", domain: str = DOMAIN, tenant: int = 1) -> DnsWatch:
    async with store.begin(tenant) as tx:
        return await tx.dns_watches.open_or_join(
            "spf", domain, actor, seen="missing", next_at=tx.now + timedelta(minutes=1), expires_at=IN_A_WEEK
        )


async def take(store: Store, minutes: int = 5) -> list[DnsWatch]:
    async with store.system() as tx:
        return await tx.dns_watches.take_due([1, 2], lambda _: tx.now + timedelta(minutes=minutes))


async def test_two_who_ask_for_one_domain_share_a_watch(store: Store) -> None:
    first, again, second = await watch(store), await watch(store), await watch(store, "U_LEAD")
    assert first.id == again.id == second.id
    assert second.actors == ("U_AGENT", "U_LEAD")
    assert (await watch(store, domain="other.example")).id != first.id
    assert (await watch(store, tenant=2)).id != first.id, "another provider's is another watch"


async def test_many_who_ask_at_once_are_all_named_on_one_watch(store: Store) -> None:
    found = await asyncio.gather(*(watch(store, f"U_{n}") for n in range(8)))
    assert len({w.id for w in found}) == 1
    async with store.read(1) as tx:
        now = await tx.dns_watches.get(found[0].id)
    assert now is not None
    assert sorted(now.actors) == [f"U_{n}" for n in range(8)]


async def test_a_due_look_is_taken_by_one_process(store: Store, clock: FakeClock) -> None:
    made = await watch(store)
    assert await take(store) == []
    clock.advance(minutes=1)
    taken = await asyncio.gather(*(take(store) for _ in range(6)))
    assert [w.id for batch in taken for w in batch] == [made.id]
    clock.advance(minutes=5)
    assert [w.id for w in await take(store)] == [made.id], "a look that was lost is made up for"


async def test_looks_are_counted_until_it_ends_and_then_somebody_may_ask_anew(
    store: Store, clock: FakeClock
) -> None:
    made = await watch(store)
    clock.advance(minutes=1)
    async with store.begin(1) as tx:
        assert await tx.dns_watches.looked(made.id, "still \x00missing")
        assert await tx.dns_watches.end(made.id, WatchEnd.FIXED)
    async with store.begin(1) as tx:
        assert not await tx.dns_watches.end(made.id, WatchEnd.CANCELLED, "U_LEAD")
        assert not await tx.dns_watches.looked(made.id, "late")
        assert not await tx.dns_watches.look_now(made.id)
        over = await tx.dns_watches.get(made.id)
        assert await tx.dns_watches.open_for("spf", DOMAIN) is None
    assert over is not None
    assert (over.checks, over.last_seen, over.ended) == (1, "still missing", WatchEnd.FIXED)
    assert (over.last_at, over.ended_at) == (clock.now, clock.now)
    clock.advance(days=1)
    assert await take(store) == []
    assert (await watch(store)).id != made.id


async def test_one_of_two_may_leave_and_the_last_may_not(store: Store) -> None:
    made = await watch(store)
    await watch(store, "U_LEAD")
    async with store.begin(1) as tx:
        assert not await tx.dns_watches.leave(made.id, "U_ADMIN")
        assert await tx.dns_watches.leave(made.id, "U_AGENT")
        assert not await tx.dns_watches.leave(made.id, "U_LEAD")
        left = await tx.dns_watches.get(made.id)
    assert left is not None
    assert left.actors == ("U_LEAD",)


async def see(store: Store, value: str, verdict: RecordVerdict = RecordVerdict.OK) -> bool:
    async with store.begin(1) as tx:
        return await tx.domain_records.seen(Seen(DOMAIN, "spf", value, verdict, "words")) is not None


async def test_the_first_sight_is_no_change_and_a_change_keeps_what_stood_before(
    store: Store, clock: FakeClock
) -> None:
    assert not await see(store, "v=spf1 a -all")
    changed_at = clock.advance(days=1)
    assert await see(store, "v=spf1 -all", RecordVerdict.WRONG)
    assert not await see(store, "v=spf1 -all", RecordVerdict.WRONG)
    clock.advance(hours=1)
    assert not await see(store, "v=spf1 -all", RecordVerdict.WRONG)
    async with store.read(1) as tx:
        (record,) = await tx.domain_records.all()
        assert await tx.domain_records.get(DOMAIN, "spf") == record
    assert (record.before, record.was) == ("v=spf1 a -all", RecordVerdict.OK)
    assert (record.changed_at, record.checked_at) == (changed_at, clock.now)
    assert await see(store, "v=spf1 -all"), "a verdict that changes alone is a change too"
    async with store.read(2) as tx:
        assert await tx.domain_records.all() == []


async def test_a_change_that_two_see_at_once_is_one_change(store: Store) -> None:
    await see(store, "v=spf1 a -all")
    found = await asyncio.gather(*(see(store, "v=spf1 -all") for _ in range(6)))
    assert sorted(found) == [False] * 5 + [True]


async def turn(store: Store) -> bool:
    async with store.begin(1) as tx:
        return await tx.domain_records.take_turn(tx.now, tx.now + timedelta(minutes=10))


async def test_the_daily_look_is_one_process_s_and_another_s_when_it_dies(
    store: Store, clock: FakeClock
) -> None:
    async with store.read(1) as tx:
        assert await tx.domain_records.due()
    assert sorted(await asyncio.gather(*(turn(store) for _ in range(5)))) == [False] * 4 + [True]
    async with store.read(1) as tx:
        assert not await tx.domain_records.due()
    clock.advance(minutes=10)
    assert await turn(store)
    async with store.begin(1) as tx:
        await tx.domain_records.next_turn(tx.now + timedelta(days=1))
    clock.advance(hours=23)
    assert not await turn(store)
    clock.advance(hours=1)
    assert await turn(store)


async def test_a_watch_of_a_provider_that_another_deployment_serves_is_left_to_it(
    store: Store, clock: FakeClock
) -> None:
    await watch(store)
    theirs = await watch(store, tenant=2)
    clock.advance(minutes=1)
    async with store.system() as tx:
        assert [w.tenant for w in await tx.dns_watches.take_due([1], lambda _: IN_A_WEEK)] == [1]
    assert [w.id for w in await take(store)] == [theirs.id]
