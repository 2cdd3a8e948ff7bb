"""What a provider's status is as evidence, and what its list says of a text in doubt: pure, case by case."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from notifier.channels import KnownText, NoAnswer
from notifier.outcome import fold
from notifier.schedule import Look
from notifier.text_desk import CLOCKS_DIFFER, begun_after, look_for
from notifier.texts import ARRIVED, NOT_DELIVERED, TAKEN, Told, event_of, sids_of
from store.models import Channel, Confidence, Delivery, Event, EventKind, EventSource, Outcome, Reason, Stage
from tests.builders import NOW, delivery, event

SID, OTHER = "SM" + "1" * 32, "SM" + "2" * 32
PHONE = "+15415550142"


def text(**more: Any) -> Delivery:
    fields: dict[str, Any] = {"channel": Channel.SMS, "route": "twilio", "stage": Stage.AWAITING}
    return delivery(PHONE, **(fields | {"attempt": 1} | more))


def heard(status: str, code: int | None = None, *, history: tuple[Event, ...] = (), **more: Any) -> Event:
    attempt = more.pop("attempt", 1)
    item = text(**more)
    return event_of(Told(SID, status, code), item, attempt, history, NOW, EventSource.WEBHOOK)


@pytest.mark.parametrize("status", sorted(TAKEN))
def test_what_the_provider_has_is_handed_over_and_no_more(status: str) -> None:
    one = heard(status)
    assert (one.kind, one.confidence) == (EventKind.ACCEPTED, Confidence.HANDED_TO_RELAY)
    assert fold([one]).outcome is Outcome.SENT


@pytest.mark.parametrize("status", sorted(ARRIVED))
def test_only_the_handset_says_that_it_arrived(status: str) -> None:
    one = heard(status)
    assert (one.kind, one.confidence) == (EventKind.DELIVERED, Confidence.HANDSET_RECEIPT)


@pytest.mark.parametrize("status", sorted(NOT_DELIVERED))
@pytest.mark.parametrize(
    ("code", "kind", "cls", "hard"),
    [
        (30006, EventKind.BOUNCED, "sms_landline", True),
        (30007, EventKind.FAILED, "sms_filtered", False),
        (30003, EventKind.DEFERRED, "sms_unreachable", False),
        (None, EventKind.BOUNCED, "sms_other", False),
        (39999, EventKind.BOUNCED, "sms_other", False),
    ],
)
def test_a_failure_is_judged_by_its_code(
    status: str, code: int | None, kind: EventKind, cls: str, hard: bool
) -> None:
    one = heard(status, code)
    assert (one.kind, one.cls, one.hard) == (kind, cls, hard)
    assert one.reply_code == str(code or "")


def test_what_was_called_off_at_the_provider_has_failed() -> None:
    one = heard("canceled")
    assert (one.kind, one.reason, one.cls) == (EventKind.FAILED, Reason.OPERATOR, "sms_canceled")


@pytest.mark.parametrize("status", ["receiving", "received", "teleported", "x" * 500, "Delivered", ""])
def test_an_unknown_status_is_kept_and_proves_only_that_the_provider_has_it(status: str) -> None:
    one = heard(status)
    assert (one.kind, one.confidence) == (EventKind.ACCEPTED, Confidence.HANDED_TO_RELAY)
    assert len(one.key) <= 200
    assert len(one.status) <= 16


def test_sid_status_and_code_make_one_event_and_the_sid_alone_does_not() -> None:
    keys = {heard("sent").key, heard("delivered").key, heard("failed", 30003).key, heard("failed", 30006).key}
    assert len(keys) == 4
    assert heard("sent").key == heard("sent").key


def _given_back(attempt: int, code: int = 30003) -> Event:
    item = text(attempt=attempt)
    return event_of(Told(OTHER, "undelivered", code), item, attempt, (), NOW, EventSource.WEBHOOK)


@pytest.mark.parametrize(
    ("history", "attempt", "kind"),
    [
        ((), 1, EventKind.DEFERRED),
        ((_given_back(1),), 2, EventKind.BOUNCED),
        ((_given_back(1, 30001),), 2, EventKind.DEFERRED),
        ((_given_back(2),), 2, EventKind.DEFERRED),
        ((event(text().id, EventKind.DEFERRED, cls="sms_unreachable"),), 2, EventKind.DEFERRED),
    ],
    ids=["first", "second", "another cause before", "told twice", "put off by the API"],
)
def test_a_phone_that_is_off_gets_one_later_try(
    history: tuple[Event, ...], attempt: int, kind: EventKind
) -> None:
    assert heard("undelivered", 30003, history=history, attempt=attempt).kind is kind


@pytest.mark.parametrize(
    "more",
    [{"stage": Stage.CLOSED}, {"expires_at": NOW + timedelta(minutes=59)}],
    ids=["over", "no time left"],
)
@pytest.mark.parametrize(("code", "kind"), [(30003, EventKind.BOUNCED), (30001, EventKind.FAILED)])
def test_a_passing_failure_without_another_try_is_an_end(
    more: dict[str, Any], code: int, kind: EventKind
) -> None:
    if code == 30001 and "expires_at" in more:
        more = {"expires_at": NOW + timedelta(minutes=4)}
    assert heard("undelivered", code, **more).kind is kind


@pytest.mark.parametrize("last", ["delivered", "undelivered"])
def test_no_order_of_statuses_changes_the_outcome(last: str) -> None:
    end = heard(last, 30006 if last == "undelivered" else None)
    events = [heard("queued"), heard("sending"), heard("sent"), end]
    outcomes = {fold(order).outcome for order in permutations([*events, events[0]])}
    assert outcomes == {Outcome.DELIVERED if last == "delivered" else Outcome.BOUNCED}


def test_the_sids_of_an_attempt_are_those_that_its_news_bear() -> None:
    created = event(text().id, attempt=2, diagnostic=f"201 queued {OTHER}")
    history = [heard("sent"), created, event(text().id, EventKind.IN_DOUBT, diagnostic="TimeoutError")]
    assert sids_of(history, 1) == {SID}
    assert sids_of(history, 2) == {OTHER}
    assert sids_of(history, 3) == frozenset()


# The provider's list

WORDS = "Cascade: your invoice is ready."


def known(sid: str = SID, body: str = WORDS, minutes: float = 1, **more: Any) -> KnownText:
    fields: dict[str, Any] = {"status": "delivered", "error_code": None}
    return KnownText(sid, PHONE, body, created_at=NOW + timedelta(minutes=minutes), **(fields | more))


@pytest.mark.parametrize(
    ("listed", "taken", "look"),
    [
        ([known()], [], Look.FOUND),
        ([], [], Look.ABSENT),
        ([known(body="Other words")], [], Look.ABSENT),
        ([known()], [SID], Look.ABSENT),
        ([known(minutes=-1)], [], Look.ABSENT),
        ([known(body="")], [], Look.UNCLEAR),
        ([known(body="")], [SID], Look.ABSENT),
        ([known(OTHER, body=""), known()], [], Look.FOUND),
        (NoAnswer("503"), [], Look.NO_ANSWER),
    ],
    ids=[
        "there",
        "nothing",
        "words",
        "another's",
        "older",
        "empty",
        "another's empty",
        "both",
        "no answer",
    ],
)
def test_a_text_in_doubt_is_told_by_number_words_and_time(listed: Any, taken: list[str], look: Look) -> None:
    found = look_for(WORDS, NOW, listed, frozenset(taken))
    assert found.look is look
    assert (found.text is not None) is (look is Look.FOUND)


def test_of_two_that_fit_the_first_try_is_taken() -> None:
    newest_first = [known(OTHER, minutes=5), known(SID, minutes=1)]
    found = look_for(WORDS, NOW, newest_first, frozenset())
    assert found.text == known(SID, minutes=1)


def test_one_that_names_no_time_may_be_it() -> None:
    text_without_time = KnownText(SID, PHONE, WORDS, "queued", None, None)
    assert look_for(WORDS, NOW, [text_without_time], frozenset()).look is Look.FOUND


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("“Ready” – now…", '"Ready" - now...'), (" Hello \n", "Hello"), ("Año 2026", "Año 2026")],
)
def test_words_written_in_the_plain_alphabet_are_the_same_words(ours: str, theirs: str) -> None:
    assert look_for(ours, NOW, [known(body=theirs)], frozenset()).look is Look.FOUND


def test_what_an_earlier_attempt_left_is_older_than_this_one() -> None:
    item = text(attempt=2, created_at=NOW)
    first = event(item.id, attempt=1, at=NOW + timedelta(hours=1))
    this = event(item.id, EventKind.IN_DOUBT, attempt=2, at=NOW + timedelta(hours=2))
    assert begun_after(item, [this]) == NOW - CLOCKS_DIFFER
    assert begun_after(item, [first, this]) == NOW + timedelta(hours=1) - CLOCKS_DIFFER
