"""Texts followed to their end: a real worker, a real database, the sandbox's Twilio and phones on sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text as sql
from structlog.testing import capture_logs

from handlers import webhooks
from notifier import tracking
from notifier.compose import Composer
from notifier.keys import DeliveryToken
from notifier.schedule import ROUTE_RETRY, SETTLING, SETTLING_PERIOD, UNCLEAR
from notifier.texts import Told, learn
from store.models import (
    Channel,
    Confidence,
    ConsentState,
    Delivery,
    EventKind,
    EventSource,
    NotificationKind,
    Outcome,
    Priority,
    Reason,
    Stage,
)
from store.types import new_id
from store.unit import Store
from tests.builders import KEYRING, NOW, take
from tests.conftest import FakeClock
from tests.contracts.attempts import suppressed
from tests.contracts.sending import eventually
from tests.contracts.texting import WORDS, Texting
from tests.unit.sandbox.phone_world import LANDLINE, MARIA, OPTED_OUT, Phones, phone_world


@pytest.fixture
async def phones(tmp_path: Path) -> AsyncIterator[Phones]:
    (tmp_path / "phones").mkdir()
    async with phone_world(tmp_path / "phones") as world:
        yield world


@pytest.fixture
async def desk(store: Store, clock: FakeClock, phones: Phones) -> AsyncIterator[Texting]:
    with capture_logs() as logs:
        desk = Texting(store, clock, phones, logs)
        yield desk
    assert desk.surprises() == []
    assert set(phones.problems()) <= desk.displeased, "nothing else would have displeased Twilio"


async def test_a_text_is_followed_to_the_handsets_receipt(desk: Texting) -> None:
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        after = await desk.until(item, Stage.CLOSED)
    (shown,) = await desk.phones.shown()
    assert shown["body"].startswith("Cascade")
    assert WORDS in shown["body"]
    assert (after.outcome, after.confidence) == (Outcome.DELIVERED, Confidence.HANDSET_RECEIPT)
    assert (after.queue_id, after.attempt) == (shown["sid"], 1)
    assert sorted(await desk.kinds(item)) == ["accepted", "accepted", "delivered"]
    assert "carrier's clock" in after.diagnostic


async def test_what_twilio_took_waits_for_a_receipt_and_is_not_called_delivered(desk: Texting) -> None:
    item = await desk.queue_text()
    async with desk.texting():
        after = await desk.until(item, Stage.AWAITING)
    assert (after.outcome, after.confidence) == (Outcome.SENT, Confidence.HANDED_TO_RELAY)
    assert after.due_at == NOW + timedelta(minutes=10), "then its receipt is asked for"


@pytest.mark.parametrize(
    "behaviour",
    [{"shuffle": True}, {"duplicate": True}, {"shuffle": True, "duplicate": True}],
    ids=["last first", "each twice", "both"],
)
async def test_callbacks_in_any_order_and_number_give_one_outcome(
    desk: Texting, behaviour: dict[str, Any]
) -> None:
    await desk.phones.behave(**behaviour)
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        await desk.until(item, Stage.CLOSED)
        expected = 4 if "duplicate" in behaviour else 2
        await eventually(lambda: _learnt(desk, expected), "all callbacks")
    after = await desk.row(item)
    assert (after.outcome, after.confidence) == (Outcome.DELIVERED, Confidence.HANDSET_RECEIPT)
    assert sorted(await desk.kinds(item)) == ["accepted", "accepted", "delivered"]


async def _learnt(desk: Texting, number: int) -> bool:
    return len(desk.learnt) >= number


async def test_a_callback_that_comes_before_the_answer_of_the_create_call_counts(desk: Texting) -> None:
    await desk.phones.behave(slow_s=2, times=1)
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        await desk.until_said(item, EventKind.DELIVERED)
        assert (await desk.row(item)).stage is Stage.CLAIMED, "the worker will say"
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.confidence) == (Outcome.DELIVERED, Confidence.HANDSET_RECEIPT)
    assert await desk.copies_at() == 1


async def test_a_landline_says_so_and_is_suppressed_for_texts_only(desk: Texting) -> None:
    item = await desk.queue_text(LANDLINE)
    async with desk.texting(), desk.listening():
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.reason, after.cls) == (Outcome.BOUNCED, Reason.RECIPIENT, "sms_landline")
    assert await desk.suppressed_numbers(LANDLINE) == {LANDLINE: "sms_landline"}
    assert await suppressed(desk.store, LANDLINE) == set(), "of mails it says nothing"


async def test_somebody_who_opted_out_at_twilio_has_withdrawn_consent_here_too(desk: Texting) -> None:
    item = await desk.queue_text(OPTED_OUT)
    async with desk.texting():
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.reason, after.cls) == (Outcome.BOUNCED, Reason.OPTED_OUT, "opted_out")
    assert await desk.suppressed_numbers(OPTED_OUT) == {OPTED_OUT: "opted_out"}
    async with desk.store.read(1) as tx:
        consent = (await tx.consents.current([(Channel.SMS, OPTED_OUT)]))[Channel.SMS, OPTED_OUT]
    async with desk.store.read(2) as tx:
        assert await tx.consents.current([(Channel.SMS, OPTED_OUT)]) == {}
    assert (consent.state, consent.source) == (ConsentState.WITHDRAWN, "carrier")


@pytest.mark.parametrize("code", [21408, 21606, 30007, 30034, 30008, 30004])
async def test_what_is_not_about_the_number_suppresses_nobody(desk: Texting, code: int) -> None:
    await desk.phones.behave(error_code=code)
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        after = await desk.until(item, Stage.CLOSED)
    assert after.outcome in (Outcome.BOUNCED, Outcome.FAILED)
    assert await desk.suppressed_numbers(MARIA) == {}


async def test_a_phone_that_is_switched_off_is_tried_once_more_later_and_then_it_has_failed(
    desk: Texting,
) -> None:
    await desk.phones.behave(error_code=30003)
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        waiting = await desk.until(item, Stage.QUEUED, attempt=1)
        assert timedelta(hours=1) <= waiting.due_at - NOW <= timedelta(hours=1.2)
        assert waiting.outcome is Outcome.NONE, "it came to nothing, and that is no outcome"
        desk.clock.now = waiting.due_at
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.cls, after.attempt) == (Outcome.BOUNCED, "sms_unreachable", 2)
    assert await desk.copies_at() == 2, "the first one was never shown: the carrier gave it up"
    assert await desk.suppressed_numbers(MARIA) == {}


async def test_a_phone_that_is_back_in_time_gets_the_text(desk: Texting) -> None:
    await desk.phones.behave(error_code=30003, times=1)
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        waiting = await desk.until(item, Stage.QUEUED, attempt=1)
        desk.clock.now = waiting.due_at
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.confidence) == (Outcome.DELIVERED, Confidence.HANDSET_RECEIPT)


async def test_a_passing_cause_without_time_for_another_try_is_an_end(desk: Texting) -> None:
    await desk.phones.behave(error_code=30003)
    item = await desk.queue_text(lifetime=timedelta(minutes=30))
    async with desk.texting(), desk.listening():
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.cls, after.attempt) == (Outcome.BOUNCED, "sms_unreachable", 1)


async def test_too_fast_for_the_api_is_tried_again_soon_and_sent_once(desk: Texting) -> None:
    await desk.phones.behave(error_code=20429, times=1)
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        waiting = await desk.until(item, Stage.QUEUED, attempt=1)
        assert ROUTE_RETRY <= waiting.due_at - NOW <= ROUTE_RETRY * 1.2
        desk.clock.now = waiting.due_at
        await desk.until(item, Stage.CLOSED)
    assert await desk.copies_at() == 1
    assert EventKind.DEFERRED in await desk.kinds(item)


async def test_a_login_that_is_refused_loses_no_text(desk: Texting) -> None:
    desk.displeased = {"20003: Authenticate"}
    item = await desk.queue_text()
    async with desk.texting(route=desk.text_route(auth_tokens=("of last year",))):
        waiting = await desk.until(item, Stage.QUEUED, attempt=1)
    (event,) = await desk.events(item)
    assert (event.kind, event.reason, event.cls) == (EventKind.DEFERRED, Reason.CONFIG, "sms_login")
    desk.clock.now = waiting.due_at
    async with desk.texting(), desk.listening():
        after = await desk.until(item, Stage.CLOSED)
    assert after.outcome is Outcome.DELIVERED


async def test_a_text_that_is_too_long_is_told_plainly_and_the_next_one_goes(desk: Texting) -> None:
    long, fine = await desk.queue_text(body="x" * 1600), await desk.queue_text()
    async with desk.texting(), desk.listening():
        after = await desk.until(long, Stage.CLOSED)
        await desk.until(fine, Stage.CLOSED)
    assert (after.outcome, after.reason) == (Outcome.FAILED, Reason.INFRASTRUCTURE)
    assert "a text holds 1,600 at most" in after.diagnostic


async def test_urgent_texts_have_connections_of_their_own(desk: Texting) -> None:
    for number in range(4):
        await desk.phones.behave(f"+154155501{number:02d}", slow_s=1.5, times=1)
    slow = [await desk.queue_text(f"+154155501{number:02d}") for number in range(4)]
    async with desk.texting(), desk.listening():
        await desk.until(slow[0], Stage.CLAIMED)
        urgent = await desk.queue_text(priority=Priority.URGENT)
        await desk.until(urgent, Stage.CLOSED)
        assert (await desk.row(slow[3])).stage in (Stage.QUEUED, Stage.CLAIMED)


# Doubt


async def test_a_lost_answer_makes_no_second_text_since_the_callback_settles_it(desk: Texting) -> None:
    await desk.phones.behave(lose_response=True, times=1)
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.attempt) == (Outcome.DELIVERED, 1)
    assert await desk.copies_at() == 1


async def test_a_lost_answer_without_callbacks_is_looked_up_after_a_settling_period(desk: Texting) -> None:
    await desk.phones.behave(lose_response=True, lose_callbacks=True, times=1)
    item = await desk.queue_text()
    async with desk.texting():
        held = await desk.until(item, Stage.HELD)
        assert (held.stage_by, held.due_at) == (SETTLING, NOW + SETTLING_PERIOD)
        assert (held.outcome, held.checks) == (Outcome.NONE, 0)
        await desk.phones.settled("delivered")
        desk.clock.advance(SETTLING_PERIOD)
        after = await desk.until(item, Stage.CLOSED)
    (shown,) = await desk.phones.shown()
    assert (after.outcome, after.confidence) == (Outcome.DELIVERED, Confidence.HANDSET_RECEIPT)
    assert (after.queue_id, after.attempt) == (shown["sid"], 1)
    assert {event.source for event in await desk.events(item)} == {EventSource.WORKER, EventSource.SWEEP}


@pytest.mark.parametrize("http_status", [500, 503])
async def test_a_text_that_did_not_go_out_is_sent_once_it_was_absent_twice(
    desk: Texting, http_status: int
) -> None:
    await desk.phones.behave(http_status=http_status, times=1)
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        await desk.until(item, Stage.HELD)
        desk.clock.advance(SETTLING_PERIOD)
        await eventually(lambda: _looked(desk, item), "looked for once")
        assert await desk.copies_at() == 0
        assert (await desk.row(item)).stage is Stage.HELD
        desk.clock.advance(SETTLING_PERIOD)
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.attempt) == (Outcome.DELIVERED, 2)
    assert await desk.copies_at() == 1
    assert {EventKind.IN_DOUBT, EventKind.REQUEUED} <= set(await desk.kinds(item))


async def _looked(desk: Texting, item: Delivery) -> bool:
    return (await desk.row(item)).checks == 1


async def test_a_claim_lost_to_kill_9_makes_no_second_text(desk: Texting) -> None:
    """The text was created, and the process died before it could write so."""
    item = await desk.queue_text()
    await claim_text(desk, "w9")
    sid = (await desk.phones.create(body=await body_of(desk, item))).sid
    async with desk.texting(dead=["w9"]):
        held = await desk.until(item, Stage.HELD)
        assert held.stage_by == SETTLING
        await desk.phones.settled("delivered")
        desk.clock.advance(SETTLING_PERIOD)
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.queue_id, after.attempt) == (Outcome.DELIVERED, sid, 1)
    assert await desk.copies_at() == 1


async def claim_text(desk: Texting, worker: str) -> None:
    async with desk.store.system() as tx:
        (claimed,) = await take(
            tx,
            route="twilio",
            limit=1,
            worker=worker,
            lease_s=600,
            retry_at=tx.now + timedelta(seconds=600),
        )
    assert claimed.attempt == 1


async def body_of(desk: Texting, item: Delivery) -> str:
    async with desk.store.read(1) as tx:
        notification = await tx.notifications.get(item.notification_id)
        assert notification is not None
        source = await tx.notifications.template(notification.template_hash)
    assert source is not None
    return Composer(KEYRING, desk.clock).text(desk.text_route(), item, notification, source).body


async def test_the_same_words_sent_before_to_the_same_phone_are_not_taken_for_it(desk: Texting) -> None:
    first = await desk.queue_text()
    async with desk.texting(), desk.listening():
        await desk.until(first, Stage.CLOSED)
        await desk.phones.behave(http_status=503, times=1)
        second = await desk.queue_text()
        await desk.until(second, Stage.HELD)
        desk.clock.advance(SETTLING_PERIOD)
        await eventually(lambda: _looked(desk, second), "looked for once")
        desk.clock.advance(SETTLING_PERIOD)
        after = await desk.until(second, Stage.CLOSED)
    assert after.outcome is Outcome.DELIVERED
    assert after.queue_id != (await desk.row(first)).queue_id
    assert await desk.copies_at() == 2


async def test_two_texts_with_the_same_words_in_doubt_are_not_both_taken_for_the_one_that_went_out(
    desk: Texting,
) -> None:
    """Settled at the same moment by two processes: exactly one of them has reached the provider."""
    items = []
    async with desk.texting():
        for wish in ({"lose_response": True, "lose_callbacks": True}, {"http_status": 503}):
            await desk.phones.behave(times=1, **wish)
            items.append(await desk.queue_text())
            await desk.until(items[-1], Stage.HELD)
    assert await desk.copies_at() == 1
    desk.clock.advance(SETTLING_PERIOD)
    desks = [desk.text_desk(), desk.text_desk()]
    assert await asyncio.gather(*(one.settle(limit=1) for one in desks)) == [1, 1]
    for one in desks:
        await one.close()
    found = [await desk.row(item) for item in items]
    assert sorted(bool(d.queue_id) for d in found) == [False, True]
    assert [d.stage for d in found if not d.queue_id] == [Stage.HELD]


async def test_a_text_in_doubt_that_cannot_be_worked_on_does_not_keep_the_others_waiting(
    desk: Texting,
) -> None:
    await desk.phones.behave(http_status=503, times=2)
    broken = await desk.queue_text(kind=NotificationKind.REPLY)
    sound = await desk.queue_text()
    async with desk.texting():
        for item in (broken, sound):
            await desk.until(item, Stage.HELD)
    async with desk.store.system() as tx:
        await tx.conn.execute(sql("DELETE FROM template_sources WHERE name = 'reply'"))
    desk.clock.advance(SETTLING_PERIOD)
    one = desk.text_desk()
    assert await one.settle() == 2
    await one.close()
    assert ((await desk.row(broken)).checks, (await desk.row(sound)).checks) == (0, 1)


async def _moved_on(desk: Texting, item: Delivery) -> bool:
    found = await desk.row(item)
    return found.due_at > desk.clock.now


async def test_a_provider_that_cannot_be_asked_settles_nothing(desk: Texting) -> None:
    await desk.phones.behave(http_status=503, times=1)
    item = await desk.queue_text()
    async with desk.texting(route=desk.text_route()):
        await desk.until(item, Stage.HELD)
    deaf = desk.text_route(api_url="http://127.0.0.1:9")
    async with desk.texting(route=deaf):
        for _ in range(3):
            desk.clock.advance(SETTLING_PERIOD)
            await eventually(lambda: _moved_on(desk, item), "asked in vain")
    after = await desk.row(item)
    assert (after.stage, after.stage_by, after.checks) == (Stage.HELD, SETTLING, 0)


async def test_what_no_list_can_tell_goes_to_a_person(desk: Texting) -> None:
    """The text that may be it was emptied at the provider."""
    await desk.phones.behave(lose_response=True, lose_callbacks=True, times=1)
    item = await desk.queue_text()
    async with desk.texting():
        await desk.until(item, Stage.HELD)
        await desk.phones.settled("delivered")
        (shown,) = await desk.phones.shown()
        status, _ = await desk.phones.raw("POST", f"Messages/{shown['sid']}.json", Body="")
        assert status == 200
        desk.clock.advance(SETTLING_PERIOD)
        await eventually(lambda: _looked(desk, item), "looked for once")
        desk.clock.advance(SETTLING_PERIOD)
        await eventually(lambda: _given(desk, item), "given to a person")
        after = await desk.row(item)
    assert (after.stage, after.stage_by, after.stage_reason) == (Stage.HELD, "doubt", UNCLEAR)
    assert await desk.copies_at() == 1


async def _given(desk: Texting, item: Delivery) -> bool:
    return (await desk.row(item)).stage_by == "doubt"


async def test_a_text_in_doubt_is_looked_for_also_when_it_is_out_of_date(desk: Texting) -> None:
    await desk.phones.behave(http_status=503, times=1)
    item = await desk.queue_text(lifetime=timedelta(minutes=1))
    async with desk.texting():
        await desk.until(item, Stage.HELD)
        desk.clock.advance(SETTLING_PERIOD)
        await eventually(lambda: _looked(desk, item), "looked for once")
        desk.clock.advance(SETTLING_PERIOD)
        after = await desk.until(item, Stage.CLOSED)
    assert after.outcome is Outcome.EXPIRED
    assert EventKind.REQUEUED in await desk.kinds(item), "it certainly did not go out"


# Receipts that do not come


async def test_a_receipt_that_got_lost_is_fetched_after_ten_minutes(desk: Texting) -> None:
    await desk.phones.behave(lose_callbacks=True)
    item = await desk.queue_text()
    async with desk.texting():
        await desk.until(item, Stage.AWAITING)
        await desk.phones.settled("delivered")
        desk.clock.advance(minutes=10)
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.confidence) == (Outcome.DELIVERED, Confidence.HANDSET_RECEIPT)


async def test_a_text_that_never_gets_a_receipt_stays_handed_to_the_carrier(desk: Texting) -> None:
    await desk.phones.behave(statuses=["sent"])
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        await desk.until_said(item, EventKind.ACCEPTED, 2)
        for checks, minutes in ((1, 10), (2, 50)):
            desk.clock.advance(minutes=minutes)
            waiting = await eventually(partial(_checked, desk, item, checks), f"asked {checks} times")
        assert waiting.due_at == NOW + timedelta(hours=24)
        desk.clock.advance(hours=23)
        after = await desk.until(item, Stage.CLOSED)
    assert (after.outcome, after.confidence) == (Outcome.SENT, Confidence.HANDED_TO_RELAY)
    assert (await desk.kinds(item))[-1] is EventKind.SETTLED


async def _checked(desk: Texting, item: Delivery, checks: int) -> Delivery | None:
    found = await desk.row(item)
    return found if found.checks == checks else None


async def test_a_receipt_that_comes_after_all_that_still_counts(desk: Texting) -> None:
    await desk.phones.behave(statuses=["sent"])
    item = await desk.queue_text()
    async with desk.texting():
        await desk.until(item, Stage.AWAITING)
        desk.clock.advance(days=2)
        settled = await desk.until(item, Stage.CLOSED)
    assert settled.queue_id is not None
    await tell(desk, item, Told(settled.queue_id, "delivered"))
    after = await desk.row(item)
    assert (after.stage, after.outcome) == (Stage.CLOSED, Outcome.DELIVERED)


# What callbacks may say


async def tell(desk: Texting, item: Delivery, told: Told, attempt: int = 1) -> str:
    async with desk.store.system() as tx:
        return await learn(
            tx,
            tenant=1,
            delivery_id=item.id,
            attempt=attempt,
            told=told,
            source=EventSource.WEBHOOK,
        )


SID, OTHER = "SM" + "1" * 32, "SM" + "2" * 32


async def test_a_status_that_nobody_has_heard_of_is_kept_and_changes_no_outcome(desk: Texting) -> None:
    item = await desk.queue_text()
    async with desk.texting():
        sent = await desk.until(item, Stage.AWAITING)
    assert sent.queue_id is not None
    assert await tell(desk, item, Told(sent.queue_id, "quantum_entangled_with_the_handset")) == "recorded"
    after = await desk.row(item)
    assert (after.stage, after.outcome) == (Stage.AWAITING, Outcome.SENT)
    assert any("quantum_entangled_with_the_handset" in e.diagnostic for e in await desk.events(item))


async def test_another_texts_sid_is_not_believed(desk: Texting) -> None:
    item = await desk.queue_text()
    async with desk.texting():
        await desk.until(item, Stage.AWAITING)
    assert await tell(desk, item, Told(OTHER, "undelivered", 30006)) == "other_text"
    after = await desk.row(item)
    assert (after.stage, after.outcome) == (Stage.AWAITING, Outcome.SENT)
    assert await desk.suppressed_numbers(MARIA) == {}


async def test_the_sid_is_learnt_from_a_callback_that_comes_first(desk: Texting) -> None:
    item = await desk.queue_text()
    await claim_text(desk, "w9")
    assert await tell(desk, item, Told(SID, "sent")) == "recorded"
    assert await tell(desk, item, Told(SID, "sent")) == "known"
    assert (await desk.row(item)).queue_id == SID
    assert await tell(desk, item, Told(OTHER, "delivered")) == "other_text"
    async with desk.store.system() as tx:
        await tracking.sweep_lost(tx, dead_worker="w9")
    after = await desk.row(item)
    assert (after.stage, after.outcome) == (Stage.AWAITING, Outcome.SENT), "the callback settles the doubt"


async def test_late_news_of_an_earlier_attempt_names_no_later_one(desk: Texting) -> None:
    await desk.phones.behave(error_code=30003, times=1)
    item = await desk.queue_text()
    async with desk.texting(), desk.listening():
        waiting = await desk.until(item, Stage.QUEUED, attempt=1)
        desk.clock.now = waiting.due_at
        after = await desk.until(item, Stage.CLOSED)
    first = waiting.queue_id
    assert first is not None
    assert await tell(desk, item, Told(first, "failed", 30003)) == "recorded"
    again = await desk.row(item)
    assert (again.queue_id, again.outcome, again.stage) == (after.queue_id, Outcome.DELIVERED, Stage.CLOSED)


async def test_news_of_a_text_that_is_not_there_is_kept_for_a_person(desk: Texting) -> None:
    token = KEYRING.delivery_token(DeliveryToken(1, new_id(), 1))
    params = {"MessageSid": SID, "MessageStatus": "delivered"}
    for sent in (token, "b" + "a" * 47):
        payload = {"token": sent, "params": params}
        assert await webhooks.text_status(desk.store, KEYRING, payload) == "no_delivery"
    async with desk.store.read(1) as tx:
        assert await tx.orphans.waiting() == [], "it is no bounce: nobody is asked to match it"
        (row,) = (await tx.conn.execute(sql("SELECT source, summary FROM orphans"))).all()
    assert tuple(row) == (EventSource.WEBHOOK, "no_delivery: delivered")


async def test_a_doubt_that_nobody_can_settle_any_more_ends_a_day_after_its_time(desk: Texting) -> None:
    """The provider was taken out of the configuration: there is nobody left to ask."""
    item = await desk.queue_text(lifetime=timedelta(hours=1))
    await claim_text(desk, "w9")
    async with desk.working(routes={}, dead=["w9"]):
        await desk.until(item, Stage.HELD)
        desk.clock.advance(hours=24)
        assert (await desk.row(item)).stage is Stage.HELD
        desk.clock.advance(hours=1)
        after = await desk.until(item, Stage.CLOSED)
    assert after.outcome is Outcome.EXPIRED
