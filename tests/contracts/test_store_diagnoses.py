"""Kept diagnoses, and reports that wait about an address, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from store.models import EventSource, PastDiagnosis
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, subscriber_record
from tests.conftest import FakeClock


async def somebody(store: Store, account: str = "1001", tenant: int = 1) -> UUID:
    async with store.begin(tenant) as tx:
        await tx.subscribers.upsert([subscriber_record(account)])
        found = await tx.subscribers.by_account(account)
    assert found is not None
    return found.id


def result(subscriber_id: UUID, **more: Any) -> PastDiagnosis:
    fields: dict[str, Any] = {
        "id": new_id(),
        "subscriber_id": subscriber_id,
        "asked_invoice_id": None,
        "invoice_id": new_id(),
        "cause": "mailbox_full",
        "certainty": "certain",
        "headline": "NOT DELIVERED: the mailbox is full",
        "findings": (("Profile", "ok", "account active"), ("November (20011)", "invoice", "bounced")),
        "actor": "U_AGENT",
        "created_at": NOW,
        "previous_id": None,
    }
    return PastDiagnosis(**(fields | more))


async def test_what_was_shown_is_kept_as_it_was(store: Store) -> None:
    sid = await somebody(store)
    kept = result(sid, headline="half \ud83d of it\x00", previous_id=new_id())
    async with store.begin(1) as tx:
        await tx.diagnoses.add(kept)
        await tx.diagnoses.add(result(sid, id=kept.id, headline="another"))
        found = await tx.diagnoses.get(kept.id)
    assert found is not None
    assert found.headline == "half ? of it", "what no database takes is left out; the first result stays"
    assert found.findings == kept.findings
    assert found.previous_id == kept.previous_id


async def test_the_latest_of_an_account_is_found_within_a_time(store: Store, clock: FakeClock) -> None:
    sid, other = await somebody(store), await somebody(store, "1002")
    old, new = result(sid), result(sid, created_at=NOW + timedelta(days=2))
    async with store.begin(1) as tx:
        for one in (new, old, result(other, created_at=NOW + timedelta(days=5))):
            await tx.diagnoses.add(one)
        assert await tx.diagnoses.latest(sid, since=NOW) == new
        assert await tx.diagnoses.latest(sid, since=NOW, other_than=new.id) == old
        assert await tx.diagnoses.latest(sid, since=NOW + timedelta(days=3)) is None
    async with store.begin(2) as tx:
        assert await tx.diagnoses.get(new.id) is None, "of another provider"
        assert await tx.diagnoses.latest(sid, since=NOW) is None


async def test_reports_that_wait_are_found_by_whom_they_are_about(store: Store, clock: FakeClock) -> None:
    async def comes(recipient: str, raw: bytes) -> None:
        async with store.begin(1) as tx:
            await tx.orphans.keep(
                source=EventSource.DSN, recipient=recipient, envelope_to="x@y.example", summary="", raw=raw
            )

    await comes("Dana@Inbox.example", b"1")
    later = clock.advance(minutes=5)
    await comes("dana@inbox.example", b"2")
    await comes("bob@inbox.example", b"3")
    await comes("", b"4")
    addresses = ["dana@inbox.example", "eve@inbox.example"]
    async with store.begin(1) as tx:
        assert await tx.orphans.waiting_about(addresses) == {"dana@inbox.example": later}
        for orphan in await tx.orphans.waiting():
            await tx.orphans.dismiss(orphan.id, by="U_LEAD")
        assert await tx.orphans.waiting_about(addresses) == {}
        assert await tx.orphans.waiting_about([]) == {}
    async with store.begin(2) as tx:
        assert await tx.orphans.waiting_about(addresses) == {}
