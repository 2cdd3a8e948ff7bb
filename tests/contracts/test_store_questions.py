"""Questions about addresses and trials of routes in the store, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from notifier.tracking import FOLLOWED_BY, bump_cards, worker_event
from store.models import (
    AddressQuestion,
    ContactRole,
    EventKind,
    Priority,
    QuestionState,
    RouteTrial,
)
from store.types import new_id
from store.unit import Store
from tests.builders import draft, outbox, subscriber_record
from tests.conftest import FakeClock

NUMBER = "+15415550142"


@pytest.fixture
async def question(store: Store) -> AddressQuestion:
    async with store.begin(1) as tx:
        ids = await tx.subscribers.upsert([subscriber_record("1042")])
        asked = _question(ids["1042"], store)
        assert await tx.questions.add(asked)
    return asked


def _question(subscriber_id: UUID, store: Store) -> AddressQuestion:
    now = store.clock()
    return AddressQuestion(
        id=new_id(),
        subscriber_id=subscriber_id,
        role=ContactRole.BILLING,
        old_address="k@gmial.com",
        suggested="k@gmail.com",
        number=NUMBER,
        invoice_id=None,
        notification_id=new_id(),
        state=QuestionState.ASKED,
        actor="U_AGENT",
        channel_id="C_SUPPORT",
        created_at=now,
        expires_at=now + timedelta(days=3),
    )


async def test_a_number_is_asked_one_question_at_a_time(store: Store, question: AddressQuestion) -> None:
    async with store.begin(1) as tx:
        assert await tx.questions.open_for(NUMBER) == question
        assert not await tx.questions.add(question), "asked twice is asked once"
        other = replace(question, id=new_id(), suggested="k@gmail.net")
        assert not await tx.questions.add(other), "an answer must not be taken for that to another question"
        assert await tx.questions.end(question.id, QuestionState.OTHER, answer="kev@inbox.example")
        assert not await tx.questions.end(question.id, QuestionState.CONFIRMED), "the first answer counts"
        assert await tx.questions.add(other)
        ended = await tx.questions.get(question.id)
    assert ended is not None
    assert (ended.state, ended.answer, ended.answered_at) == (
        QuestionState.OTHER,
        "kev@inbox.example",
        store.clock(),
    )
    async with store.read(2) as tx:
        assert await tx.questions.open_for(NUMBER) is None, "another provider's"


async def test_after_three_days_nobody_waits_for_an_answer(
    store: Store, question: AddressQuestion, clock: FakeClock
) -> None:
    clock.now += timedelta(days=3)
    async with store.begin(1) as tx:
        assert await tx.questions.open_for(NUMBER) is None
        assert await tx.questions.expire() == [question.id]
        assert await tx.questions.expire() == []
        assert await tx.questions.open_ones() == []


async def test_an_address_changed_meanwhile_overtakes_the_question(
    store: Store, question: AddressQuestion
) -> None:
    async with store.begin(1) as tx:
        assert await tx.questions.overtake(question.subscriber_id, "other@inbox.example") == []
        assert await tx.questions.overtake(question.subscriber_id, "k@gmial.com") == [question.id]
        (seen,) = await tx.questions.of_subscribers([question.subscriber_id])
    assert seen.state is QuestionState.OVERTAKEN


async def test_a_trial_is_kept_once_with_its_notifications(store: Store) -> None:
    trial = RouteTrial(
        id=new_id(),
        code="K7Q2",
        mailbox="me@inbox.example",
        notifications=(("visp", new_id()), ("remote", new_id())),
        actor="U_LEAD",
        created_at=store.clock(),
    )
    async with store.begin(1) as tx:
        assert await tx.trials.add(trial)
        assert not await tx.trials.add(trial)
        assert await tx.trials.get(trial.id) == trial
        assert await tx.trials.get(new_id()) is None


@pytest.mark.parametrize(("priority", "bumped"), [(Priority.NORMAL, 2), (Priority.BULK, 1)])
async def test_a_card_that_follows_a_notification_is_drawn_again_when_it_moves(
    store: Store, priority: Priority, bumped: int
) -> None:
    context = dict(draft().context) | {FOLLOWED_BY: ["address_question", "q-1"]}
    async with store.begin(1) as tx:
        await tx.posts.want("address_question", "q-1", "C_SUPPORT")
        queued = await outbox().enqueue(tx, draft(context=context, priority=priority))
        (found,) = (await tx.deliveries.of_notifications([queued.notification_id])).values()
        await bump_cards(tx, found)
        (post,) = await tx.posts.of("address_question", "q-1")
    assert post.wanted == bumped, "what goes out in bulk is looked up for nobody"


async def test_how_long_an_answer_took_is_kept_with_it(store: Store) -> None:
    async with store.begin(1) as tx:
        queued = await outbox().enqueue(tx, draft())
        ((delivery,),) = (await tx.deliveries.of_notifications([queued.notification_id])).values()
        answer = worker_event(delivery, EventKind.ACCEPTED, tx.now, took_ms=412)
        await tx.events.append([(1, answer)])
        (kept,) = (await tx.events.of([(1, delivery.id)]))[(1, delivery.id)]
    assert kept.took_ms == 412
