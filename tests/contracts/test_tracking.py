"""What becomes known of deliveries, over a real database: one final row whatever order it comes in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from notifier import tracking
from notifier.outbox import delivery_id, email
from notifier.schedule import DOUBT_RETRY, FIRST_RETRY, PRESUMED_AFTER, ROUTE_RETRY
from notifier.tracking import DELIVERY_SURFACE, Report, worker_event
from store.models import (
    Channel,
    Confidence,
    EventKind,
    EventSource,
    Outcome,
    Reason,
    Stage,
)
from store.types import new_id
from store.unit import Store
from tests.builders import NOW, draft, event, outbox
from tests.conftest import FakeClock
from tests.contracts.attempts import (
    DANA,
    accepted_by,
    claim,
    claimed_delivery,
    hard_bounce,
    record,
    reported,
    row,
    said,
    suppressed,
)


async def test_an_acceptance_by_a_relay_is_sent_and_waits_for_evidence(store: Store) -> None:
    item = await claimed_delivery(store)
    (result,) = await record(store, accepted_by(item, diagnostic="250 queued as 4Q9", queue_id="4Q9"))
    assert (result.new, result.moved) == (True, True)
    after = await row(store, item)
    assert (after.stage, after.due_at) == (Stage.AWAITING, NOW + PRESUMED_AFTER)
    assert (after.outcome, after.confidence, after.outcome_at, after.diagnostic) == (
        Outcome.SENT,
        Confidence.HANDED_TO_RELAY,
        NOW,
        "250 queued as 4Q9",
    )
    async with store.system() as tx:
        assert [d.id for d in await tx.deliveries.by_queue_id("4Q9")] == [item.id]


async def test_an_acceptance_by_the_recipients_server_is_delivered_and_still_waits_for_a_bounce(
    store: Store,
) -> None:
    item = await claimed_delivery(store)
    await record(store, accepted_by(item, Confidence.ACCEPTED_BY_SERVER))
    after = await row(store, item)
    assert (after.stage, after.outcome) == (Stage.AWAITING, Outcome.DELIVERED)


async def test_a_deferral_queues_the_next_attempt_with_back_off(store: Store) -> None:
    item = await claimed_delivery(store)
    await record(store, said(item, EventKind.DEFERRED, reason=Reason.CAPACITY))
    after = await row(store, item)
    assert (after.stage, after.due_at, after.attempt) == (Stage.QUEUED, NOW + FIRST_RETRY, 1)
    assert after.outcome is Outcome.NONE, "a transient failure is the result of an attempt, not an outcome"


async def test_a_deferral_by_our_own_way_out_is_tried_again_sooner(store: Store) -> None:
    item = await claimed_delivery(store)
    await record(store, replace(said(item, EventKind.DEFERRED), soon=True))
    assert (await row(store, item)).due_at == NOW + ROUTE_RETRY


async def test_a_doubt_queues_it_again_soon_with_the_same_message_id(store: Store, clock: FakeClock) -> None:
    item = await claimed_delivery(store)
    await record(store, said(item, EventKind.IN_DOUBT))
    assert (await row(store, item)).due_at == NOW + DOUBT_RETRY
    clock.advance(DOUBT_RETRY)
    again = await claim(store)
    assert (again.id, again.attempt, again.message_id) == (item.id, 2, item.message_id)


async def test_the_same_news_twice_changes_nothing_the_second_time(store: Store, clock: FakeClock) -> None:
    item = await claimed_delivery(store)
    await record(store, accepted_by(item))
    before = await row(store, item)
    clock.advance(hours=1)
    (again,) = await record(store, accepted_by(item))
    assert (again.new, again.moved) == (False, False)
    assert await row(store, item) == before


async def test_news_of_a_delivery_that_does_not_exist_is_skipped(store: Store) -> None:
    item = await claimed_delivery(store)
    other_tenant = Report(2, worker_event(item, EventKind.ACCEPTED, NOW))
    unknown = Report(1, event(new_id()))
    results = await record(store, unknown, other_tenant, accepted_by(item))
    assert [result.new for result in results] == [False, False, True]
    async with store.read(1) as tx:
        assert (await tx.events.of([(1, unknown.event.delivery_id)]))[1, unknown.event.delivery_id] == []
    assert await record(store) == []


async def test_a_bounce_after_a_250_is_a_new_event_and_the_outcome(store: Store, clock: FakeClock) -> None:
    item = await claimed_delivery(store)
    await record(store, accepted_by(item, Confidence.ACCEPTED_BY_SERVER))
    clock.advance(hours=2)
    await record(store, hard_bounce(item, at=clock.now))
    after = await row(store, item)
    assert (after.stage, after.outcome, after.reason, after.cls) == (
        Stage.CLOSED,
        Outcome.BOUNCED,
        Reason.RECIPIENT,
        "no_such_user",
    )
    async with store.read(1) as tx:
        kinds = [e.kind for e in (await tx.events.of([(1, item.id)]))[1, item.id]]
    assert kinds == [EventKind.ACCEPTED, EventKind.BOUNCED], "the 250 stands beside it"


async def test_a_delay_never_lowers_a_state(store: Store) -> None:
    item = await claimed_delivery(store)
    await record(store, accepted_by(item, Confidence.ACCEPTED_BY_SERVER))
    before = await row(store, item)
    (result,) = await record(store, reported(item, EventKind.DELAYED))
    assert (result.new, result.moved) == (True, False)
    after = await row(store, item)
    assert replace(after, due_at=before.due_at) == before
    assert after.due_at > before.due_at, "while the relay is still trying, silence is no arrival"


async def test_a_complaint_tells_its_story_and_moves_nothing(store: Store) -> None:
    item = await claimed_delivery(store)
    await record(store, accepted_by(item), reported(item, EventKind.DELIVERED))
    before = await row(store, item)
    await record(store, reported(item, EventKind.COMPLAINT))
    assert await row(store, item) == before


async def test_a_hard_bounce_suppresses_that_one_address_of_several(store: Store) -> None:
    async with store.begin(1) as tx:
        result = await outbox().enqueue(tx, draft("k", "a@example.com", "dead@example.com", "c@example.com"))
    dead = delivery_id(result.notification_id, email("dead@example.com"))
    async with store.system() as tx:
        item = (await tx.deliveries.lock([(1, dead)]))[1, dead]
    await record(store, hard_bounce(item))
    assert await suppressed(store, "a@example.com", "dead@example.com", "c@example.com") == {
        "dead@example.com"
    }
    assert await suppressed(store, "dead@example.com", tenant=2) == set()
    async with store.read(1) as tx:
        (one,) = (await tx.suppressions.active([(Channel.EMAIL, "dead@example.com")])).values()
        stages = {
            d.address: d.stage
            for d in (await tx.deliveries.of_notifications([result.notification_id]))[result.notification_id]
        }
    assert (one.reason, one.delivery_id) == ("no_such_user", dead)
    assert stages == {
        "a@example.com": Stage.QUEUED,
        "dead@example.com": Stage.CLOSED,
        "c@example.com": Stage.QUEUED,
    }


@pytest.mark.parametrize(
    ("reason", "cls"),
    [
        (Reason.INFRASTRUCTURE, "blocked_reputation"),
        (Reason.CONFIG, "blocked_auth"),
        (Reason.CONTENT, "spam_content"),
        (Reason.CAPACITY, "mailbox_full"),
    ],
)
async def test_a_bounce_that_is_not_about_the_recipient_suppresses_nobody(
    store: Store, reason: Reason, cls: str
) -> None:
    item = await claimed_delivery(store)
    await record(store, hard_bounce(item, hard=False, reason=reason, cls=cls))
    assert (await row(store, item)).outcome is Outcome.BOUNCED
    assert await suppressed(store, DANA) == set()


async def test_a_replayed_bounce_does_not_suppress_an_address_that_was_released(store: Store) -> None:
    item = await claimed_delivery(store)
    await record(store, hard_bounce(item))
    async with store.begin(1) as tx:
        assert await tx.suppressions.release(Channel.EMAIL, DANA, actor="U_LEAD")
    await record(store, hard_bounce(item))
    assert await suppressed(store, DANA) == set()


async def test_posts_that_show_the_notification_are_bumped_once_per_record(store: Store) -> None:
    item = await claimed_delivery(store)
    async with store.begin(1) as tx:
        await tx.posts.want(DELIVERY_SURFACE, str(item.notification_id), "C_SUPPORT")
        await tx.posts.want(DELIVERY_SURFACE, str(new_id()), "C_SUPPORT")

    async def wanted() -> list[int]:
        async with store.read(1) as tx:
            return [post.wanted for post in await tx.posts.of(DELIVERY_SURFACE, str(item.notification_id))]

    await record(store, accepted_by(item), reported(item, EventKind.DELAYED))
    assert await wanted() == [2]
    await record(store, accepted_by(item))
    assert await wanted() == [2], "known already"
    await record(store, hard_bounce(item))
    assert await wanted() == [3]


async def test_a_late_acceptance_of_a_lost_claim_stops_the_retry(store: Store) -> None:
    item = await claimed_delivery(store, lease_s=-1)
    async with store.system() as tx:
        assert await tracking.sweep_lost(tx) == 1
    assert (await row(store, item)).stage is Stage.QUEUED
    (result,) = await record(store, accepted_by(item))
    assert result.moved
    assert ((await row(store, item)).stage, (await row(store, item)).outcome) == (
        Stage.AWAITING,
        Outcome.SENT,
    )


async def test_an_acceptance_told_while_another_attempt_runs_stops_the_one_after_it(
    store: Store, clock: FakeClock
) -> None:
    """Attempt 1 was accepted but its worker said so late; attempt 2 was deferred: a third would repeat it."""
    first = await claimed_delivery(store, lease_s=-1)
    async with store.system() as tx:
        await tracking.sweep_lost(tx)
    clock.advance(DOUBT_RETRY)
    second = await claim(store, worker="w2")
    (late,) = await record(store, accepted_by(first))
    assert (late.new, late.moved) == (True, False), "evidence, but the claim is another one's"
    claimed = await row(store, first)
    assert (claimed.stage, claimed.attempt, claimed.outcome) == (Stage.CLAIMED, 2, Outcome.SENT)
    await record(store, said(second, EventKind.DEFERRED))
    assert (await row(store, first)).stage is Stage.AWAITING


@pytest.mark.parametrize(
    "kind",
    [EventKind.DEFERRED, EventKind.IN_DOUBT, EventKind.SUPPRESSED, EventKind.EXPIRED, EventKind.BOUNCED],
)
async def test_an_old_fencing_number_moves_no_stage(store: Store, clock: FakeClock, kind: EventKind) -> None:
    first = await claimed_delivery(store, lease_s=-1)
    async with store.system() as tx:
        await tracking.sweep_lost(tx)
    clock.advance(DOUBT_RETRY)
    second = await claim(store, worker="w2")
    (result,) = await record(store, said(first, kind))
    assert not result.moved
    after = await row(store, first)
    assert (after.stage, after.attempt, after.due_at) == (Stage.CLAIMED, 2, second.due_at)


async def test_a_bounce_of_an_earlier_attempt_does_not_hide_that_the_running_one_was_accepted(
    store: Store, clock: FakeClock
) -> None:
    first = await claimed_delivery(store, lease_s=-1)
    async with store.system() as tx:
        await tracking.sweep_lost(tx)
    clock.advance(DOUBT_RETRY)
    second = await claim(store, worker="w2")
    await record(store, reported(first, EventKind.BOUNCED, attempt=1))
    await record(store, accepted_by(second))
    after = await row(store, first)
    assert (after.outcome, after.stage) == (Outcome.SENT, Stage.AWAITING), "its own bounce may still come"


async def test_a_cancellation_while_the_message_leaves_does_not_end_the_wait_for_evidence(
    store: Store,
) -> None:
    item = await claimed_delivery(store)
    cancel = reported(item, EventKind.CANCELLED, source=EventSource.OPERATOR)
    await record(store, cancel)
    assert ((await row(store, item)).stage, (await row(store, item)).outcome) == (
        Stage.CLOSED,
        Outcome.CANCELLED,
    )
    await record(store, accepted_by(item))
    after = await row(store, item)
    assert (after.stage, after.outcome, after.due_at) == (Stage.AWAITING, Outcome.SENT, NOW + PRESUMED_AFTER)


async def test_an_expired_lease_is_queued_again_once(store: Store) -> None:
    item = await claimed_delivery(store, lease_s=-1)
    async with store.system() as tx:
        assert (await tracking.sweep_lost(tx), await tracking.sweep_lost(tx)) == (1, 0)
    after = await row(store, item)
    assert (after.stage, after.due_at, after.outcome) == (Stage.QUEUED, NOW + DOUBT_RETRY, Outcome.NONE)


async def test_a_dead_workers_claim_is_queued_again_before_its_lease_ends(store: Store) -> None:
    item = await claimed_delivery(store, worker="w1")
    async with store.system() as tx:
        assert await tracking.sweep_lost(tx) == 0
        assert await tracking.sweep_lost(tx, dead_worker="w2") == 0
        assert await tracking.sweep_lost(tx, dead_worker="w1") == 1
    assert (await row(store, item)).stage is Stage.QUEUED


async def test_what_never_bounced_for_72_hours_is_presumed_to_have_arrived(
    store: Store, clock: FakeClock
) -> None:
    item = await claimed_delivery(store)
    await record(store, accepted_by(item))
    clock.advance(PRESUMED_AFTER - timedelta(seconds=1))
    async with store.system() as tx:
        assert await tracking.sweep_settled(tx) == 0
    clock.advance(seconds=1)
    async with store.system() as tx:
        assert (await tracking.sweep_settled(tx), await tracking.sweep_settled(tx)) == (1, 0)
    after = await row(store, item)
    assert (after.stage, after.outcome, after.confidence) == (
        Stage.CLOSED,
        Outcome.DELIVERED,
        Confidence.PRESUMED,
    )
    await record(store, hard_bounce(item, at=clock.now))
    after = await row(store, item)
    assert (after.stage, after.outcome) == (Stage.CLOSED, Outcome.BOUNCED), "late evidence always counts"


@pytest.mark.parametrize("accepted", [Confidence.HANDED_TO_RELAY, Confidence.ACCEPTED_BY_SERVER])
async def test_a_reported_arrival_ends_the_wait(store: Store, accepted: Confidence) -> None:
    item = await claimed_delivery(store)
    await record(store, accepted_by(item, accepted))
    await record(store, reported(item, EventKind.DELIVERED, confidence=Confidence.ACCEPTED_BY_SERVER))
    after = await row(store, item)
    assert (after.stage, after.outcome, after.confidence) == (
        Stage.CLOSED,
        Outcome.DELIVERED,
        Confidence.ACCEPTED_BY_SERVER,
    )


async def test_a_requeue_wakes_the_worker(store: Store) -> None:
    item = await claimed_delivery(store)
    waiting = store.signals.subscribe("deliveries")
    await record(store, said(item, EventKind.IN_DOUBT))
    assert await waiting.wait(5)
    waiting.close()
