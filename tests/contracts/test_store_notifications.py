"""Notifications, their idempotency keys and their templates, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from store.models import NotificationKind, Priority, TemplateSource
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, notification


async def test_a_free_key_is_reserved_and_later_askers_learn_who_holds_it(store: Store) -> None:
    mine, other = new_id(), new_id()
    async with store.begin(1) as tx:
        assert await tx.notifications.reserve([("k", "hash", mine)]) == {"k": ("hash", mine)}
    async with store.begin(1) as tx:
        assert await tx.notifications.reserve([("k", "another", other)]) == {"k": ("hash", mine)}


async def test_a_key_asked_for_twice_at_once_goes_to_the_first(store: Store) -> None:
    first, second = new_id(), new_id()
    async with store.begin(1) as tx:
        assert await tx.notifications.reserve([("k", "h", first), ("k", "h", second)]) == {"k": ("h", first)}


async def test_keys_of_two_tenants_do_not_meet(store: Store) -> None:
    for tenant in (1, 2):
        mine = new_id()
        async with store.begin(tenant) as tx:
            assert await tx.notifications.reserve([("k", "h", mine)]) == {"k": ("h", mine)}


async def test_a_rolled_back_reservation_leaves_the_key_free(store: Store) -> None:
    mine, other = new_id(), new_id()

    async def fail() -> None:
        async with store.begin(1) as tx:
            await tx.notifications.reserve([("k", "h", other)])
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with store.begin(1) as tx:
        assert await tx.notifications.reserve([("k", "h", mine)]) == {"k": ("h", mine)}


async def test_of_many_who_want_one_key_at_the_same_time_all_name_the_same_holder(store: Store) -> None:
    async def reserve() -> tuple[str, UUID]:
        async with store.begin(1) as tx:
            return (await tx.notifications.reserve([("k", "h", new_id())]))["k"]

    assert len(set(await asyncio.gather(*(reserve() for _ in range(12))))) == 1


async def test_more_keys_than_fit_in_one_statement(store: Store) -> None:
    wanted = [(f"k-{number}", "h", new_id()) for number in range(1203)]
    async with store.begin(1) as tx:
        holders = await tx.notifications.reserve(wanted)
    assert holders == {key: (content, holder) for key, content, holder in wanted}


async def test_a_notification_comes_back_as_it_was_given(store: Store) -> None:
    given = notification(
        kind=NotificationKind.INVOICE_ISSUED,
        subscriber_id=new_id(),
        invoice_id=new_id(),
        context={"invoice": {"due": "$49.90", "lines": [1, 2.5, None, True, "Ünï"]}},
        priority=Priority.URGENT,
        receipt=True,
    )
    async with store.begin(1) as tx:
        await tx.notifications.add([given])
    async with store.read(1) as tx:
        assert await tx.notifications.get(given.id) == given
        assert await tx.notifications.get(new_id()) is None
    async with store.read(2) as tx:
        assert await tx.notifications.get(given.id) is None


async def test_pages_of_notifications_are_newest_first_with_the_total(store: Store) -> None:
    mine, other, bill = new_id(), new_id(), new_id()
    items = [notification(subscriber_id=mine, invoice_id=bill if n % 2 else None) for n in range(7)]
    async with store.begin(1) as tx:
        await tx.notifications.add([*items, notification(subscriber_id=other)])
    async with store.read(1) as tx:
        first, total = await tx.notifications.page(subscriber_ids=[mine], limit=3)
        second, _ = await tx.notifications.page(subscriber_ids=[mine], offset=3, limit=3)
        of_bill, bills = await tx.notifications.page(invoice_id=bill)
        nobody, none = await tx.notifications.page(subscriber_ids=[])
    newest = sorted((item.id for item in items), reverse=True)
    assert [item.id for item in first + second] == newest[:6]
    assert total == 7
    assert ({item.invoice_id for item in of_bill}, bills) == ({bill}, 3)
    assert (nobody, none) == ([], 0)


async def test_a_template_is_kept_once_by_its_hash(store: Store) -> None:
    source = TemplateSource("a" * 64, "test", "en", "Hello", "text", "<p>html</p>")
    async with store.begin(1) as tx:
        await tx.notifications.keep_template(source)
        await tx.notifications.keep_template(source)
    async with store.read(2) as tx:  # sources are shared: they hold no tenant's facts
        assert await tx.notifications.template("a" * 64) == source
        assert await tx.notifications.template("b" * 64) is None


async def test_expiry_is_kept_to_the_microsecond(store: Store) -> None:
    given = notification(expires_at=NOW + timedelta(microseconds=1))
    async with store.begin(1) as tx:
        await tx.notifications.add([given])
        found = await tx.notifications.get(given.id)
    assert found is not None
    assert found.expires_at == given.expires_at
