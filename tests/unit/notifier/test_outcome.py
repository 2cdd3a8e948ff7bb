"""The fold: whatever order news comes in and however often, the same evidence gives the same outcome."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import combinations, permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.outcome import UNDECIDED, evidence, fold, given_back, headline
from store.models import Confidence, Event, EventKind, EventSource, Outcome, Reason
from tests.builders import NOW, event

DID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def e(
    kind: EventKind, attempt: int = 1, minutes: int = 0, confidence: Confidence = Confidence.UNKNOWN
) -> Event:
    key = f"{kind}:{attempt}:{minutes}:{confidence}"
    at = NOW + timedelta(minutes=minutes)
    return event(DID, kind, attempt=attempt, key=key, at=at, confidence=confidence)


RELAY = e(EventKind.ACCEPTED, minutes=1, confidence=Confidence.HANDED_TO_RELAY)
SERVER = e(EventKind.ACCEPTED, minutes=1, confidence=Confidence.ACCEPTED_BY_SERVER)
REPORTED = e(EventKind.DELIVERED, minutes=2, confidence=Confidence.ACCEPTED_BY_SERVER)
RECEIPT = e(EventKind.DELIVERED, minutes=3, confidence=Confidence.HANDSET_RECEIPT)
PRESUMED = e(EventKind.PRESUMED, minutes=9, confidence=Confidence.PRESUMED)
BOUNCED = e(EventKind.BOUNCED, minutes=5)
FAILED = e(EventKind.FAILED, minutes=4)
SUPPRESSED, CANCELLED, EXPIRED = (
    e(EventKind.SUPPRESSED, minutes=1),
    e(EventKind.CANCELLED, minutes=2),
    e(EventKind.EXPIRED, minutes=3),
)
NEWS = [
    e(kind)
    for kind in (
        EventKind.DEFERRED,
        EventKind.DELAYED,
        EventKind.IN_DOUBT,
        EventKind.REQUEUED,
        EventKind.SETTLED,
        EventKind.COMPLAINT,
        EventKind.ANSWERED,
    )
]


def outcome(*events: Event) -> Outcome:
    return fold(events).outcome


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (RELAY, Outcome.SENT),
        (SERVER, Outcome.DELIVERED),
        (REPORTED, Outcome.DELIVERED),
        (RECEIPT, Outcome.DELIVERED),
        (PRESUMED, Outcome.DELIVERED),
        (BOUNCED, Outcome.BOUNCED),
        (FAILED, Outcome.FAILED),
        (SUPPRESSED, Outcome.SUPPRESSED),
        (CANCELLED, Outcome.CANCELLED),
        (EXPIRED, Outcome.EXPIRED),
        *((news, Outcome.NONE) for news in NEWS),
    ],
    ids=lambda value: str(getattr(value, "kind", value)),
)
def test_each_kind_of_event_alone(one: Event, expected: Outcome) -> None:
    assert outcome(one) is expected
    assert outcome(one, *NEWS) is expected


def test_every_kind_of_event_is_evidence_a_decision_or_news() -> None:
    kinds = {one.kind for one in (RELAY, REPORTED, PRESUMED, BOUNCED, FAILED, SUPPRESSED, CANCELLED, EXPIRED)}
    assert kinds | {news.kind for news in NEWS} == set(EventKind)


def test_nothing_known_is_undecided() -> None:
    assert fold([]) == UNDECIDED
    assert fold(NEWS) == UNDECIDED
    assert UNDECIDED.at is None


@pytest.mark.parametrize("confidence", [*Confidence])
def test_only_the_recipients_own_server_or_handset_makes_an_acceptance_a_delivery(
    confidence: Confidence,
) -> None:
    accepted = e(EventKind.ACCEPTED, confidence=confidence)
    strong = confidence in (Confidence.ACCEPTED_BY_SERVER, Confidence.HANDSET_RECEIPT)
    assert evidence(accepted) is (Outcome.DELIVERED if strong else Outcome.SENT)


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        *combinations((BOUNCED, REPORTED, FAILED, RELAY), 2),
        (BOUNCED, SERVER),
        (BOUNCED, PRESUMED),
        (BOUNCED, RECEIPT),
    ],
    ids=lambda one: str(one.kind),
)
def test_within_an_attempt_bounced_beats_delivered_beats_failed_beats_sent(
    stronger: Event, weaker: Event
) -> None:
    assert outcome(stronger, weaker) is outcome(weaker, stronger) is outcome(stronger)


def test_within_an_attempt_the_surest_report_of_a_delivery_decides() -> None:
    assert fold([PRESUMED, REPORTED, RECEIPT, SERVER]).confidence is Confidence.HANDSET_RECEIPT
    assert fold([PRESUMED, REPORTED, RELAY]).confidence is Confidence.ACCEPTED_BY_SERVER
    assert fold([RELAY, PRESUMED]).confidence is Confidence.PRESUMED


GIVEN_BACK = [
    event(DID, EventKind.DEFERRED, key=f"g:{source}", at=NOW, source=source)
    for source in (EventSource.WEBHOOK, EventSource.SWEEP)
]


@pytest.mark.parametrize("back", GIVEN_BACK, ids=lambda one: str(one.source))
def test_what_was_taken_and_given_back_was_not_handed_over(back: Event) -> None:
    """A text that could not be delivered for now: the attempt came to nothing, which is no outcome."""
    for order in permutations((RELAY, back, NEWS[2])):
        assert fold(order) == UNDECIDED
        assert given_back(order, 1)
    assert not given_back([RELAY, back], 2)
    for final in (FAILED, RECEIPT, BOUNCED):
        assert outcome(RELAY, back, final) is outcome(final, back, RELAY) is outcome(final)
        assert not given_back([RELAY, back, final], 1)
    second = e(EventKind.ACCEPTED, attempt=2, confidence=Confidence.HANDED_TO_RELAY)
    assert outcome(RELAY, back, second) is Outcome.SENT
    assert outcome(back, EXPIRED) is Outcome.EXPIRED


def test_a_deferral_that_the_worker_saw_gives_nothing_back() -> None:
    assert outcome(RELAY, e(EventKind.DEFERRED)) is Outcome.SENT
    assert not given_back([RELAY, e(EventKind.DEFERRED)], 1)


def test_of_two_equal_reports_the_earlier_decides() -> None:
    early, late = e(EventKind.BOUNCED, minutes=1), e(EventKind.BOUNCED, minutes=2)
    for order in ([early, late], [late, early]):
        assert fold(order).decided_by is early


def test_across_attempts_a_delivery_beats_a_later_bounce() -> None:
    later = e(EventKind.BOUNCED, attempt=2, minutes=60)
    assert outcome(SERVER, later) is Outcome.DELIVERED
    assert outcome(BOUNCED, e(EventKind.DELIVERED, attempt=2)) is Outcome.DELIVERED


def test_across_attempts_without_a_delivery_the_latest_with_evidence_decides() -> None:
    assert outcome(BOUNCED, e(EventKind.FAILED, attempt=2)) is Outcome.FAILED
    assert outcome(FAILED, e(EventKind.ACCEPTED, attempt=2)) is Outcome.SENT
    assert outcome(RELAY, e(EventKind.BOUNCED, attempt=2)) is Outcome.BOUNCED
    assert outcome(BOUNCED, e(EventKind.DEFERRED, attempt=2)) is Outcome.BOUNCED, "news is no evidence"


def test_an_attempt_that_bounced_after_its_delivery_counts_as_bounced_across_attempts_too() -> None:
    second = e(EventKind.ACCEPTED, attempt=2, confidence=Confidence.HANDED_TO_RELAY)
    assert outcome(SERVER, BOUNCED, second) is Outcome.SENT


@pytest.mark.parametrize("decision", [SUPPRESSED, CANCELLED, EXPIRED], ids=lambda one: str(one.kind))
@pytest.mark.parametrize("proof", [RELAY, SERVER, PRESUMED, BOUNCED, FAILED], ids=lambda one: str(one.kind))
def test_a_decision_of_ours_holds_only_while_no_attempt_has_evidence(decision: Event, proof: Event) -> None:
    assert outcome(decision, *NEWS) is outcome(decision)
    assert outcome(decision, proof) is outcome(proof, decision) is outcome(proof)


def test_of_several_decisions_the_latest_holds() -> None:
    for order in permutations((SUPPRESSED, CANCELLED, EXPIRED)):
        assert outcome(*order) is Outcome.EXPIRED


def test_a_verdict_carries_the_reason_and_time_of_what_decided() -> None:
    bounce = event(DID, EventKind.BOUNCED, key="b", at=NOW, reason=Reason.CAPACITY)
    verdict = fold([RELAY, bounce])
    assert (verdict.reason, verdict.at, verdict.decided_by) == (Reason.CAPACITY, NOW, bounce)


SECOND = [
    e(EventKind.ACCEPTED, attempt=2, minutes=6, confidence=Confidence.HANDED_TO_RELAY),
    e(EventKind.BOUNCED, attempt=2, minutes=7),
    e(EventKind.DELIVERED, attempt=2, minutes=8, confidence=Confidence.ACCEPTED_BY_SERVER),
]
EVERYTHING = [
    RELAY,
    SERVER,
    REPORTED,
    PRESUMED,
    BOUNCED,
    FAILED,
    SUPPRESSED,
    CANCELLED,
    NEWS[0],
    NEWS[3],
    *SECOND,
]


def _orders(events: tuple[Event, ...]) -> Iterable[tuple[Event, ...]]:
    """Every order, and every order with one of the events told twice."""
    yield from permutations(events)
    for repeated in events:
        yield from permutations((*events, repeated))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_order_and_no_repetition_changes_the_verdict(size: int) -> None:
    for events in combinations(EVERYTHING, size):
        expected = fold(events)
        assert all(fold(order) == expected for order in _orders(events)), events


def test_no_order_of_a_long_story_changes_the_verdict() -> None:
    story = (NEWS[2], RELAY, BOUNCED, SUPPRESSED, *SECOND)
    assert {fold(order).decided_by for order in permutations(story)} == {fold(story).decided_by}


events_of_any_kind = st.builds(
    e,
    st.sampled_from(EventKind),
    attempt=st.integers(1, 3),
    minutes=st.integers(0, 3),
    confidence=st.sampled_from(Confidence),
)


@given(st.lists(events_of_any_kind, max_size=8), st.randoms(use_true_random=False), st.data())
def test_any_order_and_duplication_of_any_events_gives_one_verdict(
    events: list[Event], random: st.DataObject, data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    shuffled = data.draw(st.permutations([*events, *again]))
    assert fold(shuffled) == fold(events)


@given(st.lists(events_of_any_kind, max_size=8), events_of_any_kind)
def test_late_news_of_an_attempt_never_takes_a_delivery_back_unless_it_is_its_bounce(
    events: list[Event], late: Event
) -> None:
    if fold(events).outcome is Outcome.DELIVERED and late.kind is not EventKind.BOUNCED:
        assert fold([*events, late]).outcome is Outcome.DELIVERED


@given(st.lists(events_of_any_kind, max_size=8))
def test_a_verdict_is_always_one_that_some_event_gives(events: list[Event]) -> None:
    verdict = fold(events)
    assert verdict.outcome in {Outcome.NONE, *(fold([one]).outcome for one in events)}
    assert (verdict.decided_by is None) == (verdict.outcome is Outcome.NONE)


def test_the_headline_is_the_best_that_any_delivery_reached() -> None:
    best_first = [
        Outcome.DELIVERED,
        Outcome.SENT,
        Outcome.NONE,
        Outcome.BOUNCED,
        Outcome.FAILED,
        Outcome.SUPPRESSED,
        Outcome.CANCELLED,
        Outcome.EXPIRED,
    ]
    assert set(best_first) == set(Outcome)
    for index, best in enumerate(best_first):
        assert headline(best_first[index:]) is headline(reversed(best_first[index:])) is best
    assert headline([]) is Outcome.NONE
