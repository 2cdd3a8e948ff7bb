"""The worker behind its gate, over the wire and on both databases: nobody waits for somebody else's limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from sqlalchemy import text
from structlog.testing import capture_logs

from notifier.breaker import ROUTE_PROBE, THRESHOLD, WHOLE_ROUTE
from notifier.failover import TRIED_FIRST, Trial
from notifier.gate import SharedGate
from notifier.limits import RouteLimits, domain_key
from store.models import Delivery, Priority, Stage
from store.unit import Store
from tests.conftest import FakeClock, OpenStore
from tests.contracts.sending import Sending, eventually
from tests.unit.sandbox.mail_world import MailWorld

SLOW, OTHER = "slow.example", "inbox.example"


async def _gone(sending: Sending, items: Sequence[Delivery]) -> int:
    async with sending.store.read(items[0].tenant) as tx:
        found = await tx.deliveries.get_many([item.id for item in items])
    return sum(item.stage is Stage.AWAITING for item in found.values())


async def _all_gone(sending: Sending, items: Sequence[Delivery], what: str) -> None:
    async def look() -> bool:
        return await _gone(sending, items) == len(items)

    await eventually(look, what, 20)


async def _dead(sending: Sending) -> bool:
    """Whether the breaker of the whole route is open."""
    async with sending.store.read(1) as tx:
        rows = await tx.breakers.all()
    return any(row.operator == WHOLE_ROUTE and row.state == "open" for row in rows)


async def test_a_slow_domain_a_capped_tenant_and_a_big_run_delay_nobody_else(sending: Sending) -> None:
    """One worker, two tenants: both are behind mail that takes minutes."""
    slow = await sending.queue(*(f"n{n}@{SLOW}" for n in range(60)), priority=Priority.BULK)
    capped = await sending.queue(*(f"n{n}@{OTHER}" for n in range(60)), tenant=2, priority=Priority.BULK)
    others = await sending.queue(*(f"n{n}@{OTHER}" for n in range(20)), priority=Priority.BULK)
    urgent = await sending.queue(f"u@{SLOW}", priority=Priority.URGENT)
    urgent += await sending.queue(f"u@{OTHER}", tenant=2, priority=Priority.URGENT)
    routes = {1: [sending.route()], 2: [sending.route(tenant=2)]}
    limits = {(1, "relay"): RouteLimits(domains={SLOW: 1.0}), (2, "relay"): RouteLimits(per_s=1.0)}
    gate = SharedGate(sending.store, [1, 2], limits, tend_s=0.05)
    async with sending.working(routes=routes, gate=gate):
        await _all_gone(sending, others, "the mail behind the slow domain")
        for item in urgent:
            await sending.until(item, Stage.AWAITING)
        assert await _gone(sending, slow) < len(slow)
        assert await _gone(sending, capped) < len(capped)


async def test_a_dead_route_holds_its_mail_tries_with_one_and_sends_all_when_it_lives(
    sending: Sending,
) -> None:
    await sending.mail.behave(relay="visp", refuse="connect")
    gate = SharedGate(sending.store, [1], tend_s=0.05)
    first = await sending.queue(*(f"n{n}@{OTHER}" for n in range(THRESHOLD)))
    async with sending.working(gate=gate):
        await eventually(partial(_dead, sending), "its breaker is open")
        later = await sending.queue(*(f"m{n}@{OTHER}" for n in range(10)))
        for item in later:
            held = await sending.until(item, Stage.HELD)
            assert held.stage_by == "breaker:relay:*"
            assert held.attempt == 0
        await sending.mail.behave(relay="visp", refuse=None)
        sending.clock.advance(ROUTE_PROBE * 1.3 + timedelta(minutes=1))

        async def all_gone() -> bool:  # an attempt that was on its way then may be put off once more
            sending.clock.advance(seconds=1)
            return await _gone(sending, [*first, *later]) == len(first) + len(later)

        await eventually(all_gone, "everything, once it lives", 20)
    assert await sending.accepted() == len(first) + len(later)


@asynccontextmanager
async def _failing_over(sending: Sending, count: int) -> AsyncIterator[list[Delivery]]:
    """So many mails that were queued while their route was dead and another one stood in; a worker runs."""
    await sending.mail.behave(relay="visp", refuse="connect")
    gate = SharedGate(sending.store, [1], failover={(1, "relay"): "own"}, tend_s=0.05)
    await sending.queue(*(f"n{n}@{OTHER}" for n in range(THRESHOLD)))
    routes = {1: [sending.route(), sending.route("remote", name="own")]}
    async with sending.working(routes=routes, gate=gate):
        await eventually(partial(_dead, sending), "its breaker is open")
        yield await sending.queue(*(f"m{n}@{OTHER}" for n in range(count)))


async def test_mail_of_a_dead_route_goes_by_the_other_one_once_five_were_taken(sending: Sending) -> None:
    async with _failing_over(sending, TRIED_FIRST * 4) as later:
        await _all_gone(sending, later, "by the route that lives")
    assert {(await sending.row(item)).route for item in later} == {"own"}
    assert [await sending.copies(item) for item in later] == [1] * len(later)


async def test_mail_stays_where_it_is_when_the_other_route_refuses_the_first_five(sending: Sending) -> None:
    await sending.mail.behave(domain=OTHER, reply="550 5.7.1 Message blocked: poor reputation", at="data")
    async with _failing_over(sending, TRIED_FIRST * 3) as later:

        async def refused() -> bool:
            async with sending.store.read(1) as tx:
                return any(row.state == Trial.REFUSED for row in await tx.breakers.all())

        await eventually(refused, "the trial is over", 20)
        rows = [await sending.until(item, Stage.HELD, Stage.CLOSED) for item in later]
    by = Counter(row.route for row in rows)
    assert 1 <= by["own"] <= TRIED_FIRST, "with the first refusal the others of the five go back"
    assert {row.stage for row in rows if row.route == "relay"} == {Stage.HELD}
    assert await sending.accepted() == 0


async def test_two_workers_share_connections_and_a_domains_limit_and_send_everything_once(
    postgres_store: Store, postgres_url: str, open_store: OpenStore, clock: FakeClock, mail: MailWorld
) -> None:
    with capture_logs() as logs:
        sending = Sending(postgres_store, clock, mail, logs)
        second = await open_store(postgres_url)
        limits = {(1, "relay"): RouteLimits(domains={SLOW: 40.0})}
        first_gate, second_gate = (
            SharedGate(store, [1], limits, worker=name, tend_s=0.05)
            for name, store in (("w1", postgres_store), ("w2", second))
        )
        route = sending.route(connections=2)
        slow = await sending.queue(*(f"n{n}@{SLOW}" for n in range(30)))
        async with (
            sending.working(route, gate=first_gate),
            sending.working(route, gate=second_gate, name="w2", store=second),
        ):

            async def moved_on() -> bool:  # business time stands still here: their turns come by this clock
                clock.advance(seconds=0.05)
                return await _gone(sending, slow) == len(slow)

            await eventually(moved_on, "all of it", 20)
            async with postgres_store.read(1) as tx:
                rows = await tx.conn.execute(text("SELECT sum(slots), count(*) FROM connection_slots"))
                assert tuple(rows.one()) == (2, 2)
    assert sending.surprises() == []
    assert await sending.accepted() == 30
    async with postgres_store.read(1) as tx:
        free_at, now = await tx.limits.peek(domain_key("relay", SLOW))
        rows = await tx.conn.execute(text("SELECT count(*) FROM connection_slots"))
        assert rows.scalar_one() == 0, "who has ended keeps none"
    assert free_at is not None
    assert free_at < now + timedelta(seconds=1)
