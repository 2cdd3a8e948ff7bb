"""The words for a delivery: total over outcome, confidence, stage and class, and never more than is known."""

from __future__ import annotations

import itertools
import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from handlers import words
from notifier.bounces import BounceClass, BounceReport, Fault
from notifier.dsn import event_kind
from notifier.sms_codes import SmsClass
from notifier.tracking import COMPLAINT
from store.models import Confidence, Event, EventKind, Outcome, Reason, Stage
from store.types import new_id
from tests.builders import NOW, delivery, event

ZONE = ZoneInfo("America/Los_Angeles")
CODE = re.compile(r"\b[245]\d\d\b|\b[245]\.\d{1,3}\.\d{1,3}\b")
RAW = "smtp; 550 5.1.1 <dana@example.com>: user unknown (in reply to RCPT TO)"


def _all_deliveries() -> list[dict[str, Any]]:
    classes = ["", *BounceClass, "a class of next year"]
    return [
        {"outcome": o, "confidence": c, "stage": s, "reason": r, "cls": cls}
        for o, c, s, r, cls in itertools.product(Outcome, Confidence, Stage, Reason, classes)
    ]


def test_every_outcome_confidence_stage_reason_and_class_has_words_without_codes() -> None:
    for fields in _all_deliveries():
        raw = "" if fields["outcome"] in (Outcome.CANCELLED, Outcome.EXPIRED) else RAW
        d = delivery(diagnostic=raw, remote="visp", **fields)
        sentence = words.status(d, (), ZONE)
        assert sentence, fields
        assert not CODE.search(sentence), (fields, sentence)
        assert RAW not in sentence, fields
        assert "none" not in sentence.casefold().split(), (fields, sentence)
        assert words.mark(d).startswith(":"), fields
        assert not CODE.search(words.next_step(d)), fields


@pytest.mark.parametrize("stage", Stage)
def test_what_only_a_relay_took_is_never_called_delivered(stage: Stage) -> None:
    d = delivery(outcome=Outcome.SENT, confidence=Confidence.HANDED_TO_RELAY, remote="visp", stage=stage)
    sentence = words.status(d, (), ZONE)
    assert sentence == "Handed to the relay visp, no bounce reported so far"
    assert words.mark(d) != ":white_check_mark:"
    accepted = event(d.id, confidence=Confidence.HANDED_TO_RELAY, remote="visp", diagnostic="250 2.0.0 Ok")
    assert words.event_words(accepted, d.address) == "Handed to the relay visp"


def test_a_relay_without_a_name_leaves_no_hole_in_the_sentence() -> None:
    d = delivery(outcome=Outcome.SENT, confidence=Confidence.HANDED_TO_RELAY, remote="")
    assert words.status(d, (), ZONE) == "Handed to the relay, no bounce reported so far"
    nameless = event(d.id, confidence=Confidence.HANDED_TO_RELAY)
    assert words.event_words(nameless, d.address) == "Handed to the relay"


def test_a_servers_250_is_its_servers_and_nobodys_inbox() -> None:
    d = delivery(
        "a@gmail.com",
        outcome=Outcome.DELIVERED,
        confidence=Confidence.ACCEPTED_BY_SERVER,
        stage=Stage.CLOSED,
    )
    assert words.status(d, (), ZONE) == "Accepted by gmail.com's server"


def test_silence_for_three_days_is_called_probable() -> None:
    d = delivery(outcome=Outcome.DELIVERED, confidence=Confidence.PRESUMED, stage=Stage.CLOSED)
    assert "probably" in words.status(d, (), ZONE)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("confidence", Confidence)
def test_nobody_is_told_that_it_is_in_the_inbox(outcome: Outcome, confidence: Confidence) -> None:
    sentence = words.status(delivery(outcome=outcome, confidence=confidence), (), ZONE).casefold()
    assert "inbox" not in sentence
    assert not re.search(r"(?<!not )delivered", sentence)


NO_BOUNCE = {BounceClass.FEEDBACK, BounceClass.AUTO_REPLY, BounceClass.DELIVERED}


@pytest.mark.parametrize("cls", [cls for cls in BounceClass if cls not in NO_BOUNCE])
def test_every_class_of_bounce_has_its_own_words_and_a_next_step(cls: BounceClass) -> None:
    assert words.BOUNCE_WORDS[cls]
    assert words.NEXT_STEP[cls]
    assert words.BOUNCE_WORDS[cls] in words.status(delivery(outcome=Outcome.BOUNCED, cls=cls), (), ZONE)


@pytest.mark.parametrize("cls", sorted(NO_BOUNCE))
def test_the_classes_without_words_never_make_a_bounce(cls: BounceClass) -> None:
    report = BounceReport("a@b.example", None, cls, hard=False, fault=Fault.RECIPIENT)
    assert event_kind(report) is not EventKind.BOUNCED
    assert cls not in words.BOUNCE_WORDS


def test_no_word_is_for_a_class_that_does_not_exist() -> None:
    known = {*BounceClass, *SmsClass, COMPLAINT}  # the last one only suppresses
    assert set(words.BOUNCE_WORDS) <= known
    assert set(words.NEXT_STEP) <= known


def test_what_bounced_is_over_so_nobody_is_told_that_it_is_tried_again() -> None:
    for cls in BounceClass:
        assert "tried again by itself" not in words.next_step(delivery(outcome=Outcome.BOUNCED, cls=cls))


@pytest.mark.parametrize("kind", EventKind)
def test_every_event_has_words_without_codes(kind: EventKind) -> None:
    ours = kind in (EventKind.CANCELLED, EventKind.EXPIRED)
    diagnostic = "It was paid meanwhile." if ours else RAW
    classes = ["", BounceClass.NO_SUCH_USER, "a class of next year"]
    for confidence, reason, cls in itertools.product(Confidence, Reason, classes):
        more = {"confidence": confidence, "reason": reason, "cls": cls, "diagnostic": diagnostic}
        sentence = words.event_words(event(new_id(), kind, remote="visp", **more), "dana@example.com")
        assert sentence
        assert not CODE.search(sentence), sentence
        assert RAW not in sentence
        assert not ours or "It was paid meanwhile." in sentence


def _under_way(*events: Event, **more: Any) -> str:
    return words.status(delivery(**more), events, ZONE)


def test_a_fresh_delivery_is_queued_and_a_claimed_one_is_being_sent() -> None:
    assert _under_way() == "Queued"
    assert _under_way(stage=Stage.CLAIMED) == "Being sent now"


def test_a_held_delivery_says_why() -> None:
    assert _under_way(stage=Stage.HELD, stage_reason="sending is switched off") == (
        "Held: sending is switched off"
    )


def test_a_deferral_says_why_in_words_and_when_it_goes_on() -> None:
    put_off = event(new_id(), EventKind.DEFERRED, cls=BounceClass.RATE_LIMITED, diagnostic="451 4.7.1 wait")
    assert _under_way(put_off, attempt=1) == (
        "Not sent yet: their server asks us to wait. Trying again at 1:00 AM"
    )
    ours = event(new_id(), EventKind.DEFERRED, reason=Reason.NETWORK)
    assert "our mail server could not be reached" in _under_way(ours, attempt=1)


def test_a_broken_connection_is_told_as_such() -> None:
    broken = event(new_id(), EventKind.IN_DOUBT, diagnostic="connection lost")
    assert _under_way(broken).startswith("We were cut off while it was being sent. Trying again")


def test_the_raw_answer_is_there_where_a_server_spoke_and_only_there() -> None:
    d = new_id()
    assert words.raw_answer(event(d, EventKind.BOUNCED, reply_code="550", diagnostic=RAW)) == RAW
    assert words.raw_answer(event(d, diagnostic="250 2.0.0 Ok: queued")) == "250 2.0.0 Ok: queued"
    assert words.raw_answer(event(d, EventKind.IN_DOUBT, diagnostic="the worker stopped")) == ""
    assert words.at(NOW, ZONE) == "Mar 2, 2026, 1:00:00 AM PST"
