"""What Twilio's error codes mean for a text: refusals of the API and reasons of an undelivered text, as data.

Follows Twilio's error and warning dictionary. A row says whether it is tried again, whose matter it is, and
whether the number is dead for texts. Nothing that is our own fault ever makes a number dead. A code that is
not here is `UNKNOWN`, never an error. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from store.models import EventKind, Reason


class SmsClass(StrEnum):
    """Why a text did not arrive; at most 24 characters. Words for each are in handlers.words."""

    OPTED_OUT = "opted_out"
    """The word that an opt-out by text leaves too: an opt-in takes back both (handlers.workflows.optouts)."""
    INVALID_NUMBER = "sms_invalid_number"
    LANDLINE = "sms_landline"
    NUMBER_UNKNOWN = "sms_number_unknown"
    UNREACHABLE = "sms_unreachable"
    BLOCKED = "sms_blocked"
    FILTERED = "sms_filtered"
    SENDER_UNREGISTERED = "sms_sender_unregistered"
    SENDER = "sms_sender"
    REGION = "sms_region"
    ACCOUNT = "sms_account"
    LOGIN = "sms_login"
    BUSY = "sms_busy"
    DAILY_CAP = "sms_daily_cap"
    CARRIER = "sms_carrier"
    EXPIRED = "sms_expired"
    CONTENT = "sms_content"
    REQUEST = "sms_request"
    CANCELED = "sms_canceled"
    OTHER = "sms_other"


FOR_EVER = 1_000
"""Tried again until the message expires."""


@dataclass(frozen=True, slots=True)
class TextVerdict:
    """`kind` is the end of the attempt; `retries`: how often a deferral is tried again before it is final.
    `hard`: this number never gets texts, so it is suppressed."""

    kind: Literal[EventKind.BOUNCED, EventKind.FAILED, EventKind.DEFERRED]
    cls: SmsClass
    reason: Reason
    hard: bool = False
    retries: int = 0

    @property
    def permanent(self) -> bool:
        """About this attempt: no other one is worth making."""
        return self.kind is not EventKind.DEFERRED

    def after(self, retries: int) -> TextVerdict:
        """What it comes to when it was tried again so often: a deferral that has had its tries is an end."""
        if self.permanent or retries < self.retries:
            return self
        kind: Literal[EventKind.BOUNCED, EventKind.FAILED] = (
            EventKind.BOUNCED if self.reason is Reason.RECIPIENT else EventKind.FAILED
        )
        return TextVerdict(kind, self.cls, self.reason)


_B: Literal[EventKind.BOUNCED] = EventKind.BOUNCED
_F: Literal[EventKind.FAILED] = EventKind.FAILED
_D: Literal[EventKind.DEFERRED] = EventKind.DEFERRED
_C, _R = SmsClass, Reason

_OPTED_OUT = TextVerdict(_B, _C.OPTED_OUT, _R.OPTED_OUT, hard=True)
_INVALID = TextVerdict(_B, _C.INVALID_NUMBER, _R.RECIPIENT, hard=True)
_LANDLINE = TextVerdict(_B, _C.LANDLINE, _R.RECIPIENT, hard=True)
_UNREGISTERED = TextVerdict(_F, _C.SENDER_UNREGISTERED, _R.CONFIG)
_SENDER = TextVerdict(_F, _C.SENDER, _R.CONFIG)
_REGION = TextVerdict(_F, _C.REGION, _R.CONFIG)
_ACCOUNT = TextVerdict(_F, _C.ACCOUNT, _R.CONFIG)
_CONTENT = TextVerdict(_F, _C.CONTENT, _R.CONTENT)
_REQUEST = TextVerdict(_F, _C.REQUEST, _R.INFRASTRUCTURE)
_BUSY = TextVerdict(_D, _C.BUSY, _R.CAPACITY, retries=FOR_EVER)
_DAILY_CAP = TextVerdict(_D, _C.DAILY_CAP, _R.CAPACITY, retries=FOR_EVER)
LOGIN = TextVerdict(_D, _C.LOGIN, _R.CONFIG, retries=FOR_EVER)
"""The account does not let us in: nothing was said of the message or its recipient, as with a relay's 535."""

UNKNOWN = TextVerdict(_B, _C.OTHER, _R.NETWORK)
"""30008 and every code that nobody has told us of: not delivered, and it says nothing against the number."""
UNKNOWN_REFUSAL = _REQUEST
"""The API refused the call for a reason that is not in the table: ours to look at."""

CODES: dict[int, TextVerdict] = {
    # The account and its rates: asked before anything about the message.
    20003: LOGIN,  # authenticate
    20005: LOGIN,  # account not active
    20429: _BUSY,  # too many requests: never processed
    14107: _BUSY,  # message rate exceeded
    # Refusals of the create call.
    21211: _INVALID,  # "To" is not a phone number
    21217: _INVALID,  # nor one that can be dialled
    21401: _INVALID,
    21421: _INVALID,
    21614: _LANDLINE,  # not a mobile number
    21635: _LANDLINE,
    21610: _OPTED_OUT,
    21408: _REGION,
    21606: _SENDER,  # "From" is not a sender of ours
    21612: _SENDER,  # "From" does not reach this "To"
    21659: _SENDER,  # "From" is not a number of this account's country
    21701: _SENDER,  # no such Messaging Service
    21703: _SENDER,  # the Messaging Service has no sender
    21611: _BUSY,  # the sender's queue is full
    21617: _CONTENT,  # over 1600 characters
    21619: _CONTENT,  # nothing in it
    21609: _REQUEST,  # the callback URL is none
    21624: _REQUEST,  # validity period
    # Why a text that was taken did not arrive.
    30001: _BUSY,  # queue overflow
    30002: _ACCOUNT,  # account suspended
    # Switched off, out of reach, or a landline after all: one later try.
    30003: TextVerdict(_D, _C.UNREACHABLE, _R.RECIPIENT, retries=1),
    30004: TextVerdict(_B, _C.BLOCKED, _R.POLICY),
    30005: TextVerdict(_B, _C.NUMBER_UNKNOWN, _R.RECIPIENT, hard=True),
    30006: _LANDLINE,  # from a short code it may be a carrier out of reach; our senders are full numbers
    30007: TextVerdict(_F, _C.FILTERED, _R.INFRASTRUCTURE),  # the carrier takes our texts for spam
    30008: UNKNOWN,
    30017: TextVerdict(_D, _C.CARRIER, _R.NETWORK, retries=3),  # congestion
    30022: _BUSY,  # the sender's rate
    30023: _DAILY_CAP,
    30027: _DAILY_CAP,  # T-Mobile's, by brand
    30032: _UNREGISTERED,  # toll-free number not verified
    30034: _UNREGISTERED,  # 10DLC number not registered
    30036: TextVerdict(_F, _C.EXPIRED, _R.STALE),  # its validity period ran out
    30410: TextVerdict(_B, _C.CARRIER, _R.NETWORK),  # no answer by the carrier: it may have gone out
}


RETRY_AFTER: dict[str, timedelta] = {
    SmsClass.UNREACHABLE: timedelta(hours=1),
    SmsClass.CARRIER: timedelta(minutes=15),
    SmsClass.BUSY: timedelta(minutes=5),
    SmsClass.DAILY_CAP: timedelta(hours=4),
}
"""How long after a text was given back it is tried again, the first time; doubling."""


def verdict_of(code: int | None) -> TextVerdict:
    """Of an undelivered text's ErrorCode; without one the cause is unknown."""
    return UNKNOWN if code is None else CODES.get(code, UNKNOWN)


def refusal_of(code: int | None, http_status: int) -> TextVerdict:
    """Of a create call that was answered 4xx; `code` as in the answer, None where it holds none."""
    known = CODES.get(code) if code is not None else None
    return known or BY_HTTP_STATUS.get(http_status, UNKNOWN_REFUSAL)


BY_HTTP_STATUS: dict[int, TextVerdict] = {401: LOGIN, 403: LOGIN, 429: _BUSY}
