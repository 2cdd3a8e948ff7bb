"""What is known of a text, in words an agent can repeat to a customer. Pure.

"Delivered" is said only of a handset's receipt: what provider or carrier took is handed over, no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from handlers.format import clock_time
from store.models import Confidence, Delivery, Event, EventKind, Outcome, Reason, Stage

TEXT_CAUSES: dict[str, str] = {
    "opted_out": "the subscriber has opted out of texts",
    "sms_invalid_number": "the number does not exist",
    "sms_landline": "the number is a landline",
    "sms_number_unknown": "nobody has this number any more",
    "sms_unreachable": "the phone is switched off or out of reach",
    "sms_blocked": "the phone or its carrier blocks our number",
    "sms_filtered": "the carrier took it for spam",
    "sms_sender_unregistered": "our number is not registered with the carriers",
    "sms_sender": "our number cannot text this one",
    "sms_region": "our account may not text this region",
    "sms_account": "our text provider has suspended our account",
    "sms_login": "our text provider does not let us in",
    "sms_busy": "too many texts were going out at once",
    "sms_daily_cap": "our texts for today are used up",
    "sms_carrier": "the carrier had a fault",
    "sms_expired": "the phone could not be reached in time",
    "sms_content": "the text is too long or empty",
    "sms_request": "our text provider did not understand us",
    "sms_canceled": "it was called off at our text provider",
    "sms_other": "the carrier could not deliver it and does not say why",
}

_CHECK_NUMBER = "Check the number with the customer, digit by digit."
_OTHER_NUMBER = "Ask the customer for a mobile number, or write by mail."
_OURS = "Our side: tell whoever runs our texts. It says nothing against the number."

TEXT_NEXT_STEP: dict[str, str] = {
    "opted_out": "Write by mail, or call. The customer can text START to get texts again.",
    "sms_invalid_number": _CHECK_NUMBER,
    "sms_landline": _OTHER_NUMBER,
    "sms_number_unknown": _CHECK_NUMBER,
    "sms_unreachable": "It was tried again later, too. Write by mail, or ask the customer to switch it on.",
    "sms_blocked": "Ask the customer to allow our number, or write by mail.",
    "sms_filtered": _OURS,
    "sms_sender_unregistered": _OURS,
    "sms_sender": _OURS,
    "sms_region": _OURS,
    "sms_account": _OURS,
    "sms_login": _OURS,
    "sms_busy": "Send it again later.",
    "sms_daily_cap": "Send it again tomorrow, or by mail.",
    "sms_carrier": "Send it again later, or by mail.",
    "sms_expired": "Send it again later, or by mail.",
    "sms_content": "Make it shorter, or write by mail.",
    "sms_request": _OURS,
    "sms_canceled": "Ask whoever runs our texts why.",
    "sms_other": "Send it again later, or by mail.",
}

REASONS: dict[Reason, str] = {
    Reason.NETWORK: "our text provider could not be reached",
    Reason.INFRASTRUCTURE: "something on our side failed",
    Reason.CONFIG: "our settings for texts are wrong",
    Reason.CAPACITY: "there was no room for it in time",
}
_NOT_SENT = (Outcome.FAILED, Outcome.SUPPRESSED, Outcome.CANCELLED, Outcome.EXPIRED)
NOT_WRITTEN = "The message could not be written: "
"""How the worker begins what it says of a text that it could not write (notifier.ends)."""
_ASKED = "We were cut off while it was being sent. We ask our text provider before anything is sent again"


def _cause(cls: str, reason: Reason, otherwise: str) -> str:
    return TEXT_CAUSES.get(cls) or REASONS.get(reason, otherwise)


def text_status(delivery: Delivery, events: Sequence[Event], zone: ZoneInfo) -> str:
    """Where a text stands, in one sentence."""
    if delivery.outcome is Outcome.NONE:
        return _under_way(delivery, events, zone)
    in_doubt = {e.attempt for e in events if e.kind is EventKind.IN_DOUBT}
    cleared = {e.attempt for e in events if e.kind is EventKind.REQUEUED}
    if delivery.outcome in _NOT_SENT and in_doubt - cleared:
        return f"It may have gone out, and is not tried again: {_why_not(delivery)}"
    match delivery.outcome:
        case Outcome.DELIVERED if delivery.confidence is Confidence.HANDSET_RECEIPT:
            return "Delivered to the phone (handset receipt)"
        case Outcome.DELIVERED | Outcome.SENT:
            return _handed_over(events)
        case Outcome.BOUNCED:
            return f"Not delivered: {_cause(delivery.cls, delivery.reason, TEXT_CAUSES['sms_other'])}"
        case Outcome.FAILED if any(e.kind is EventKind.ACCEPTED for e in events):
            return f"Not delivered: {_why_not(delivery)}"
        case _:
            return f"Not sent: {_why_not(delivery)}"


def _handed_over(events: Sequence[Event]) -> str:
    whom = "the carrier" if any(_at_the_carrier(e) for e in events) else "our text provider"
    settled = any(e.kind is EventKind.SETTLED for e in events)
    return f"Handed to {whom}, no receipt came" if settled else f"Handed to {whom}, no receipt so far"


def _at_the_carrier(event: Event) -> bool:
    return event.kind is EventKind.ACCEPTED and event.status == "sent"


def _why_not(delivery: Delivery) -> str:
    if delivery.outcome is Outcome.SUPPRESSED:
        opted_out = delivery.reason is Reason.OPTED_OUT
        return TEXT_CAUSES["opted_out"] if opted_out else "this number is on our do-not-text list"
    if delivery.outcome is Outcome.FAILED:
        if delivery.diagnostic.startswith(NOT_WRITTEN):
            return f"it could not be written: {delivery.diagnostic.removeprefix(NOT_WRITTEN)}"
        return _cause(delivery.cls, delivery.reason, "it could not be handed over")
    return delivery.diagnostic or str(delivery.outcome)


def _under_way(delivery: Delivery, events: Sequence[Event], zone: ZoneInfo) -> str:
    if delivery.stage is Stage.HELD:
        if delivery.stage_by == "settling":
            return f"{_ASKED}, at {clock_time(delivery.due_at, zone)}"
        return f"Held: {delivery.stage_reason}" if delivery.stage_reason else "Held"
    if delivery.stage is Stage.CLAIMED:
        return "Being sent now"
    if delivery.stage_reason:
        return delivery.stage_reason
    waits = [e for e in events if e.kind is EventKind.DEFERRED]
    if not waits:
        return "Queued"
    when = clock_time(delivery.due_at, zone)
    why = _cause(waits[-1].cls, waits[-1].reason, "our text provider could not be reached")
    sent = any(e.kind is EventKind.ACCEPTED for e in events)
    return f"Not {'delivered' if sent else 'sent'} yet: {why}. Trying again at {when}"


def text_next_step(delivery: Delivery) -> str:
    """What to do about it; empty when nothing is to be done."""
    if delivery.outcome in (Outcome.BOUNCED, Outcome.FAILED):
        otherwise = "Look at the raw answer under Timeline." if delivery.outcome is Outcome.BOUNCED else ""
        return TEXT_NEXT_STEP.get(delivery.cls, otherwise)
    if delivery.outcome is Outcome.SUPPRESSED:
        return TEXT_NEXT_STEP["opted_out" if delivery.reason is Reason.OPTED_OUT else "sms_landline"]
    return ""


_EVENTS: dict[EventKind, str] = {
    EventKind.IN_DOUBT: "We were cut off in the middle: it may or may not have gone out",
    EventKind.REQUEUED: "Our text provider does not have it, asked twice: put back in the queue",
    EventKind.SETTLED: "No receipt came, asked three times: none is waited for any more",
    EventKind.DELIVERED: "Delivered to the phone (handset receipt)",
    EventKind.PRESUMED: "Taken as arrived",
    EventKind.DELAYED: "The carrier is still trying",
    EventKind.COMPLAINT: "The subscriber complained about it",
    EventKind.ANSWERED: "The phone answered automatically",
}


def text_event_words(event: Event) -> str:
    """One line of a text's timeline, without codes."""
    if event.kind in _EVENTS:
        return _EVENTS[event.kind]
    why = _cause(event.cls, event.reason, TEXT_CAUSES["sms_other"])
    match event.kind:
        case EventKind.ACCEPTED:
            return "Handed to the carrier" if _at_the_carrier(event) else "Taken by our text provider"
        case EventKind.DEFERRED:
            return f"Put off: {why}"
        case EventKind.BOUNCED:
            return f"Not delivered: {why}"
        case EventKind.FAILED if event.diagnostic.startswith(NOT_WRITTEN):
            return f"It could not be written: {event.diagnostic.removeprefix(NOT_WRITTEN)}"
        case EventKind.FAILED:
            return f"Given up: {_cause(event.cls, event.reason, 'it could not be handed over')}"
        case EventKind.SUPPRESSED if event.reason is Reason.OPTED_OUT:
            return f"Not sent: {TEXT_CAUSES['opted_out']}"
        case EventKind.SUPPRESSED:
            return "Not sent: the number is on our do-not-text list"
    return f"{event.kind.capitalize()}: {event.diagnostic}" if event.diagnostic else event.kind.capitalize()


def text_headline(deliveries: Sequence[Delivery], best: Outcome) -> str | None:
    """A card's headline where all deliveries are texts; None where mail's words fit."""
    if best is Outcome.SENT:
        return ":outbox_tray: Handed over, no receipt yet"
    if best is Outcome.DELIVERED:
        receipt = any(d.confidence is Confidence.HANDSET_RECEIPT for d in deliveries)
        return ":white_check_mark: Delivered to the phone" if receipt else ":outbox_tray: Handed over"
    return None
