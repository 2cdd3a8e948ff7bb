"""What nobody has begun to send, on both databases: this tenant's alone, and nothing that has ended."""

from __future__ import annotations

from notifier import tracking
from notifier.tracking import Report
from store.models import EventKind, Reason
from store.unit import Store
from tests.builders import event
from tests.unit.handlers import cast


async def test_what_waits_is_unsent_until_it_is_cancelled_and_no_other_tenants(store: Store) -> None:
    dana = await cast.dana(store)
    _, (first, second) = await cast.sent(store, "k", dana, "a@inbox.example", "b@inbox.example")
    async with store.begin(1) as tx:
        assert {d.id for d in await tx.deliveries.unsent()} == {first.id, second.id}
        assert len(await tx.deliveries.unsent(1)) == 1
        assert await tx.of(2).deliveries.unsent() == []
        ended = event(first.id, kind=EventKind.CANCELLED, reason=Reason.OPERATOR, attempt=first.attempt)
        await tracking.record(tx, [Report(1, ended)])
        assert [d.id for d in await tx.deliveries.unsent()] == [second.id]
