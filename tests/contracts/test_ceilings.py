"""Why it is slow, on both databases: everything that waits is under one ceiling, with its numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from notifier.breaker import by_of
from notifier.ceilings import Kind, ceilings
from notifier.limits import by_of as in_line
from notifier.limits import domain_key, route_key
from store.models import Delivery, Priority
from store.unit import Store
from tests.builders import draft, outbox
from tests.contracts.attempts import claim


async def _queue(store: Store, *addresses: str, route: str = "relay") -> list[Delivery]:
    async with store.begin(1) as tx:
        made = await outbox().enqueue(
            tx, draft(f"k{addresses[0]}", *addresses, priority=Priority.BULK, route=route)
        )
        return (await tx.deliveries.of_notifications([made.notification_id]))[made.notification_id]


async def test_each_that_waits_is_under_the_ceiling_that_holds_it(store: Store) -> None:
    assert await _ceilings(store) == []
    await _queue(store, "a@inbox.example", "b@inbox.example", route="own")
    rated = await _queue(store, *(f"r{n}@inbox.example" for n in range(3)), route="visp")
    lined, held, paused = [
        await _queue(store, *(f"{name}{n}@slow.example" for n in range(count)))
        for name, count in (("l", 6), ("h", 5), ("p", 4))
    ]
    key = domain_key("relay", "slow.example")
    async with store.begin(1) as tx:
        now = await tx.limits.real_now()
        soon = tx.now + timedelta(minutes=1)
        await tx.lines.line_up({d.id: soon for d in lined}, reason="Waits its turn", by=in_line(key))
        await tx.limits.set_many({key: (now, "5"), route_key("visp"): (now, "50")})
        row = (await tx.breakers.lock([("relay", "Microsoft")], tx.now))["relay", "Microsoft"]
        await tx.breakers.put(replace(row, state="open", probe_at=soon))
    for _ in (*held, *paused):
        await claim(store)
    for items, by in ((held, by_of("relay", "Microsoft")), (paused, "run:7")):
        async with store.begin(1) as tx:
            for delivery in (await tx.deliveries.get_many([d.id for d in items])).values():
                await tx.deliveries.hold(delivery, reason="Held", by=by)
    found = await _ceilings(store)
    assert [(c[0], c[1], c[2], c[3]) for c in found] == [
        (Kind.DOMAIN, "relay", "slow.example", 6),
        (Kind.BREAKER, "relay", "Microsoft", 5),
        (Kind.PAUSED, "relay", "7", 4),
        (Kind.ROUTE_RATE, "visp", "", len(rated)),
        (Kind.CONNECTIONS, "own", "", 2),
    ]
    assert [c[4] for c in found[:4]] == [5.0, None, None, 50.0]


async def _ceilings(store: Store) -> list[tuple[Kind, str, str, int, float | None]]:
    async with store.read(1) as tx:
        return [(c.kind, c.route, c.subject, c.waiting, c.per_s) for c in await ceilings(tx)]
