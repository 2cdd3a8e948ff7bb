"""The worker behind its gate, over the wire and on both databases: nobody waits for somebody else's limit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text
from structlog.testing import capture_logs

from notifier.breaker import ROUTE_PROBE, THRESHOLD
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

        async def dead() -> bool:
            async with sending.store.read(1) as tx:
                return any(row.state == "open" for row in await tx.breakers.all())

        await eventually(dead, "its breaker is open")
        later = await sending.queue(*(f"m{n}@{OTHER}" for n in range(10)))
        for item in later:
            held = await sending.until(item, Stage.HELD)
            assert held.stage_by == "breaker:relay:*"
            assert held.attempt == 0
        await sending.mail.behave(relay="visp", refuse=None)
        sending.clock.advance(ROUTE_PROBE * 1.3 + timedelta(minutes=1))
        await _all_gone(sending, [*first, *later], "everything, once it lives")
    assert await sending.accepted() == len(first) + len(later)


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
