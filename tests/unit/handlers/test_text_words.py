"""The words for a text: total over outcome, confidence, stage and class, and never more than is known."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from handlers import text_words, words
from handlers.cards import Notice
from handlers.commands.messages.card import card
from handlers.commands.messages.view import timeline
from notifier import ends
from notifier.sms_codes import SmsClass
from store.models import (
    Channel,
    Confidence,
    Delivery,
    Event,
    EventKind,
    EventSource,
    NotificationKind,
    Outcome,
    Reason,
    Stage,
)
from tests.builders import NOW, delivery, event, notification
from tests.unit.handlers.support import legal, profile

ZONE = ZoneInfo("America/Los_Angeles")
CODE = re.compile(r"\b[2-6]\d{4}\b|\bSM[0-9a-f]{32}\b|\b201\b")
RAW = "undelivered 30006 SM" + "1" * 32
PHONE = "+15415550142"


def text(**more: Any) -> Delivery:
    return delivery(PHONE, channel=Channel.SMS, route="twilio", **more)


def said(kind: EventKind, **more: Any) -> Event:
    return event(text().id, kind, source=EventSource.WEBHOOK, **more)


def test_every_outcome_confidence_stage_reason_and_class_has_words_without_codes() -> None:
    classes = ["", *SmsClass, "a class of next year"]
    for outcome, confidence, stage, reason, cls in itertools.product(
        Outcome, Confidence, Stage, Reason, classes
    ):
        raw = "" if outcome in (Outcome.CANCELLED, Outcome.EXPIRED) else RAW
        d = text(outcome=outcome, confidence=confidence, stage=stage, reason=reason, cls=cls, diagnostic=raw)
        sentence = words.status(d, (), ZONE)
        assert sentence
        assert not CODE.search(sentence), sentence
        assert "server" not in sentence, "a phone has none"
        assert "relay" not in sentence
        assert "bounce" not in sentence.casefold()
        assert not CODE.search(words.next_step(d))
        receipt = outcome is Outcome.DELIVERED and confidence is Confidence.HANDSET_RECEIPT
        assert sentence.startswith("Delivered") is receipt, "only a handset's receipt says so"


@pytest.mark.parametrize("cls", SmsClass)
def test_every_class_has_its_own_words_and_a_next_step(cls: SmsClass) -> None:
    assert words.bounce_words(cls) == text_words.TEXT_CAUSES[cls]
    bounced = text(outcome=Outcome.BOUNCED, cls=cls)
    assert text_words.TEXT_CAUSES[cls] in words.status(bounced, (), ZONE)
    assert words.next_step(bounced) == text_words.TEXT_NEXT_STEP[cls]


def test_no_word_is_for_a_class_that_does_not_exist() -> None:
    assert set(text_words.TEXT_CAUSES) == set(text_words.TEXT_NEXT_STEP) == set(SmsClass)
    assert ends.NOT_WRITTEN + ": " == text_words.NOT_WRITTEN


@pytest.mark.parametrize("kind", EventKind)
def test_every_event_of_a_text_has_words_without_codes(kind: EventKind) -> None:
    for reason, cls, status in itertools.product(Reason, ["", "sms_landline", "x"], ["", "sent", "queued"]):
        ours = kind in (EventKind.CANCELLED, EventKind.EXPIRED)
        raw = "It was paid meanwhile." if ours else RAW
        sentence = words.event_words(said(kind, reason=reason, cls=cls, status=status, diagnostic=raw), PHONE)
        assert sentence
        assert not CODE.search(sentence), sentence
        assert "@" not in sentence
        assert "relay" not in sentence
        assert "server" not in sentence


SENT = {"outcome": Outcome.SENT, "confidence": Confidence.HANDED_TO_RELAY, "stage": Stage.AWAITING}
TAKEN = said(EventKind.ACCEPTED, status="queued", diagnostic="queued")
AT_CARRIER = said(EventKind.ACCEPTED, status="sent", key="sent", diagnostic="sent")
DOUBT = said(EventKind.IN_DOUBT)
OPTED_OUT = said(EventKind.SUPPRESSED, reason=Reason.OPTED_OUT)


@pytest.mark.parametrize(
    ("fields", "events", "sentence"),
    [
        (
            {"outcome": Outcome.DELIVERED, "confidence": Confidence.HANDSET_RECEIPT},
            (TAKEN, AT_CARRIER),
            "Delivered to the phone (handset receipt)",
        ),
        (SENT, (TAKEN,), "Handed to our text provider, no receipt so far"),
        (SENT, (TAKEN, AT_CARRIER), "Handed to the carrier, no receipt so far"),
        (SENT, (AT_CARRIER, said(EventKind.SETTLED)), "Handed to the carrier, no receipt came"),
        (
            {"outcome": Outcome.BOUNCED, "cls": "sms_landline", "reason": Reason.RECIPIENT},
            (TAKEN,),
            "Not delivered: the number is a landline",
        ),
        (
            {"outcome": Outcome.FAILED, "cls": "sms_filtered", "reason": Reason.INFRASTRUCTURE},
            (TAKEN,),
            "Not delivered: the carrier took it for spam",
        ),
        (
            {"outcome": Outcome.FAILED, "cls": "sms_sender", "reason": Reason.CONFIG},
            (),
            "Not sent: our number cannot text this one",
        ),
        (
            {"outcome": Outcome.FAILED, "diagnostic": f"{ends.NOT_WRITTEN}: it has 1,601 characters"},
            (),
            "Not sent: it could not be written: it has 1,601 characters",
        ),
        (
            {"outcome": Outcome.SUPPRESSED, "reason": Reason.OPTED_OUT},
            (),
            "Not sent: the subscriber has opted out of texts",
        ),
        (
            {"outcome": Outcome.SUPPRESSED, "reason": Reason.RECIPIENT},
            (),
            "Not sent: this number is on our do-not-text list",
        ),
        ({"outcome": Outcome.EXPIRED, "diagnostic": "out of date"}, (), "Not sent: out of date"),
        (
            {"outcome": Outcome.EXPIRED, "diagnostic": "out of date"},
            (DOUBT,),
            "It may have gone out, and is not tried again: out of date",
        ),
        (
            {"outcome": Outcome.EXPIRED, "diagnostic": "out of date"},
            (DOUBT, said(EventKind.REQUEUED)),
            "Not sent: out of date",
        ),
        (
            {"outcome": Outcome.EXPIRED, "diagnostic": "out of date", "attempt": 2},
            (DOUBT, said(EventKind.REQUEUED), replace(DOUBT, attempt=2)),
            "It may have gone out, and is not tried again: out of date",
        ),
        ({}, (), "Queued"),
        ({"stage": Stage.CLAIMED}, (), "Being sent now"),
        (
            {"stage": Stage.HELD, "stage_by": "settling"},
            (DOUBT,),
            "We were cut off while it was being sent. We ask our text provider before anything is sent "
            "again, at 1:00 AM",
        ),
        (
            {"stage": Stage.HELD, "stage_by": "doubt", "stage_reason": "Ask them."},
            (DOUBT,),
            "Held: Ask them.",
        ),
        (
            {"attempt": 1},
            (TAKEN, said(EventKind.DEFERRED, cls="sms_unreachable", reason=Reason.RECIPIENT)),
            "Not delivered yet: the phone is switched off or out of reach. Trying again at 1:00 AM",
        ),
        (
            {"attempt": 1},
            (said(EventKind.DEFERRED, reason=Reason.NETWORK),),
            "Not sent yet: our text provider could not be reached. Trying again at 1:00 AM",
        ),
    ],
)
def test_where_a_text_stands(fields: dict[str, Any], events: tuple[Event, ...], sentence: str) -> None:
    assert words.status(text(**fields), events, ZONE) == sentence


@pytest.mark.parametrize(
    ("one", "sentence"),
    [
        (TAKEN, "Taken by our text provider"),
        (AT_CARRIER, "Handed to the carrier"),
        (said(EventKind.DELIVERED), "Delivered to the phone (handset receipt)"),
        (said(EventKind.BOUNCED, cls="sms_landline"), "Not delivered: the number is a landline"),
        (
            said(EventKind.SUPPRESSED, reason=Reason.OPTED_OUT),
            "Not sent: the subscriber has opted out of texts",
        ),
    ],
)
def test_a_line_of_the_timeline(one: Event, sentence: str) -> None:
    assert words.event_words(one, PHONE) == sentence


def test_the_providers_own_words_are_one_press_away() -> None:
    assert words.raw_answer(said(EventKind.BOUNCED, reply_code="30006", diagnostic=RAW)) == RAW
    created = event(text().id, diagnostic="201 queued SM1")
    assert words.raw_answer(created) == "201 queued SM1"


def test_every_kind_of_message_has_a_title_on_card_and_page() -> None:
    assert set(words.KIND_WORDS) == set(NotificationKind)


@pytest.mark.parametrize(
    ("fields", "headline"),
    [
        (SENT, "Handed over, no receipt yet"),
        ({"outcome": Outcome.DELIVERED, "confidence": Confidence.HANDSET_RECEIPT}, "Delivered to the phone"),
        ({"outcome": Outcome.BOUNCED, "cls": "sms_landline"}, "Not delivered"),
        ({}, "Under way"),
    ],
)
def test_the_cards_headline_fits_a_text_and_masks_its_number(fields: dict[str, Any], headline: str) -> None:
    wanted = notification(kind=NotificationKind.TEST, created_at=NOW)
    d = text(notification_id=wanted.id, **fields)
    reply = legal(card(Notice(wanted, None, (d,), {d.id: ()}), None, profile()))
    shown = str(reply.blocks)
    assert headline in shown
    assert PHONE not in shown
    assert "0142" in shown
    assert "relay" not in shown


def test_the_timeline_names_the_text_as_its_provider_does() -> None:
    wanted = notification(kind=NotificationKind.TEST, created_at=NOW)
    sid = "SM" + "1" * 32
    d = text(notification_id=wanted.id, queue_id=sid, outcome=Outcome.BOUNCED, cls="sms_landline")
    bounced = said(EventKind.BOUNCED, cls="sms_landline", reply_code="30006", diagnostic=RAW)
    reply = legal(timeline(Notice(wanted, None, (d,), {d.id: (TAKEN, bounced)}), profile()))
    shown = str(reply.blocks)
    for part in (
        f"MessageSid {sid}",
        "What our text provider said:",
        RAW,
        "Ask the customer for a mobile number",
    ):
        assert part in shown
    assert "Message-ID" not in shown
    assert PHONE not in shown
