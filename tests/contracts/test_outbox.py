"""Enqueueing: asked twice is one notification, and what is sent is frozen; on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from notifier import templates
from notifier.keys import DeliveryToken
from notifier.outbox import Draft, Enqueued, KeyConflict, Outbox, email
from store.models import Channel, Delivery, NotificationKind, Outcome, Priority, Recipient, Stage
from store.types import new_id
from store.unit import Store
from tests.builders import DOMAIN, KEYRING, NOW, draft, outbox


async def enqueue(store: Store, *drafts: Draft, tenant: int = 1) -> list[Enqueued]:
    async with store.begin(tenant) as tx:
        return await outbox().enqueue_many(tx, drafts)


async def deliveries(store: Store, notification_id: UUID, tenant: int = 1) -> list[Delivery]:
    async with store.read(tenant) as tx:
        return (await tx.deliveries.of_notifications([notification_id]))[notification_id]


async def test_a_draft_becomes_one_notification_and_a_delivery_per_address(store: Store) -> None:
    sid, other, bill = new_id(), new_id(), new_id()
    wanted = draft(
        "k",
        subscriber_id=sid,
        invoice_id=bill,
        priority=Priority.URGENT,
        receipt=True,
        recipients=[email("a@example.com"), email("b@example.com", other)],
    )
    (result,) = await enqueue(store, wanted)
    assert (result.key, result.created) == ("k", True)
    async with store.read(1) as tx:
        notification = await tx.notifications.get(result.notification_id)
        assert notification is not None
        source = await tx.notifications.template(notification.template_hash)
    assert source == templates.load(NotificationKind.TEST, "en")
    assert (notification.kind, notification.subscriber_id, notification.invoice_id) == (
        NotificationKind.TEST,
        sid,
        bill,
    )
    assert (
        notification.context,
        notification.receipt,
        notification.expires_at,
        notification.requested_by,
    ) == (
        wanted.context,
        True,
        NOW + timedelta(days=3),
        "U_AGENT",
    )
    found = {d.address: d for d in await deliveries(store, result.notification_id)}
    assert {a: d.subscriber_id for a, d in found.items()} == {"a@example.com": sid, "b@example.com": other}
    for one in found.values():
        assert (one.stage, one.attempt, one.outcome, one.route) == (Stage.QUEUED, 0, Outcome.NONE, "relay")
        assert (one.due_at, one.expires_at, one.priority) == (NOW, notification.expires_at, Priority.URGENT)


async def test_a_message_keeps_its_providers_own_template_and_another_providers_is_ours(store: Store) -> None:
    mine = templates.Templates({"test.en.subject": "A trial of {{ brand.name }}\n"})
    box = Outbox(KEYRING, DOMAIN, {1: mine})
    for tenant, wanted in ((1, mine.load("test", "en")), (2, templates.load("test", "en"))):
        async with store.begin(tenant) as tx:
            made = await box.enqueue(tx, draft())
        async with store.read(tenant) as tx:
            notification = await tx.notifications.get(made.notification_id)
            assert notification is not None
            assert await tx.notifications.template(notification.template_hash) == wanted


async def test_the_message_id_holds_the_deliverys_token_on_the_tenants_domain(store: Store) -> None:
    for tenant in (1, 2):
        (result,) = await enqueue(store, draft(), tenant=tenant)
        (one,) = await deliveries(store, result.notification_id, tenant)
        token, _, domain = one.message_id.strip("<>").partition("@")
        assert KEYRING.read_delivery_token(token) == DeliveryToken(tenant, one.id, 0)
        assert domain == DOMAIN[tenant]
        assert len(one.message_id) <= 120


async def test_asking_again_with_the_same_content_adds_nothing(store: Store) -> None:
    (first,) = await enqueue(store, draft("k"))
    (second,) = await enqueue(store, draft("k", requested_by="U_LEAD"))
    assert second == replace(first, created=False)
    assert len(await deliveries(store, first.notification_id)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"recipients": [email("other@example.com")]},
        {"recipients": [email("dana@example.com"), email("other@example.com")]},
        {"recipients": [Recipient(Channel.SMS, "dana@example.com")]},
        {"context": {"route": "direct"}},
        {"language": "es", "kind": NotificationKind.RESEND},
        {"invoice_id": UUID(int=7)},
    ],
    ids=lambda change: "+".join(change),
)
async def test_the_same_key_for_other_content_is_refused_and_changes_nothing(
    store: Store, change: dict[str, Any]
) -> None:
    (first,) = await enqueue(store, draft("k"))
    with pytest.raises(KeyConflict, match="k stands for another message"):
        await enqueue(store, draft("free"), draft("k", **change))
    (free,) = await enqueue(store, draft("free"))
    assert free.created, "the refused batch reserved nothing"
    assert len(await deliveries(store, first.notification_id)) == 1


async def test_the_order_of_recipients_and_of_the_context_is_no_other_content(store: Store) -> None:
    await enqueue(
        store, draft("k", "a@example.com", "b@example.com", context={"a": 1, "b": {"c": 2, "d": 3}})
    )
    again = draft("k", "b@example.com", "a@example.com", context={"b": {"d": 3, "c": 2}, "a": 1})
    assert [result.created for result in await enqueue(store, again)] == [False]


async def test_the_same_key_of_another_tenant_is_another_notification(store: Store) -> None:
    (one,), (two,) = await enqueue(store, draft("k")), await enqueue(store, draft("k"), tenant=2)
    assert one.created
    assert two.created
    assert one.notification_id != two.notification_id


async def test_a_key_given_twice_in_one_call_is_one_notification(store: Store) -> None:
    first, second = await enqueue(store, draft("k"), draft("k"))
    assert (first.created, second.created) == (True, False)
    assert first.notification_id == second.notification_id
    with pytest.raises(KeyConflict):
        await enqueue(store, draft("j"), draft("j", "other@example.com"))


async def test_an_address_listed_twice_is_one_delivery(store: Store) -> None:
    (result,) = await enqueue(store, draft("k", "a@example.com", "b@example.com", "a@example.com"))
    found = await deliveries(store, result.notification_id)
    assert sorted(d.address for d in found) == ["a@example.com", "b@example.com"]


async def test_of_many_who_ask_for_one_key_at_the_same_time_one_creates_it(store: Store) -> None:
    results = [result for (result,) in await asyncio.gather(*(enqueue(store, draft("k")) for _ in range(12)))]
    assert sum(result.created for result in results) == 1
    assert len({result.notification_id for result in results}) == 1
    assert len(await deliveries(store, results[0].notification_id)) == 1


async def test_what_the_callers_transaction_undoes_was_never_enqueued(store: Store) -> None:
    async def fail() -> None:
        async with store.begin(1) as tx:
            await outbox().enqueue(tx, draft("k"))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with store.read(1) as tx:
        assert await tx.deliveries.counts() == {}
    assert [result.created for result in await enqueue(store, draft("k"))] == [True]


async def test_what_must_not_go_before_a_time_is_due_then_and_lives_from_then(store: Store) -> None:
    later = NOW + timedelta(hours=11)
    (result,) = await enqueue(store, draft("k", not_before=later, lifetime=timedelta(hours=5)))
    (one,) = await deliveries(store, result.notification_id)
    assert (one.due_at, one.expires_at) == (later, later + timedelta(hours=5))


async def test_the_language_of_the_template_that_was_found_is_kept(store: Store) -> None:
    (result,) = await enqueue(store, draft("k", language="es-MX", kind=NotificationKind.RESEND))
    (fallback,) = await enqueue(store, draft("j", language="fi"))
    async with store.read(1) as tx:
        one = await tx.notifications.get(result.notification_id)
        two = await tx.notifications.get(fallback.notification_id)
    assert one is not None
    assert two is not None
    assert (one.language, two.language) == ("es", "en")


async def test_many_drafts_are_enqueued_in_the_order_given(store: Store) -> None:
    drafts = [draft(f"k{n}", f"{n}@example.com") for n in range(1100)]
    results = await enqueue(store, *drafts)
    assert [result.key for result in results] == [d.key for d in drafts]
    assert all(result.created for result in results)
    async with store.read(1) as tx:
        assert await tx.deliveries.counts() == {(Stage.QUEUED, Outcome.NONE): 1100}
    assert await enqueue(store) == []


async def test_enqueueing_wakes_the_worker_and_asking_again_does_not(store: Store) -> None:
    waiting = store.signals.subscribe("deliveries")
    await enqueue(store, draft("k"))
    assert await waiting.wait(5)
    await enqueue(store, draft("k"))
    assert not await waiting.wait(0)
    waiting.close()
