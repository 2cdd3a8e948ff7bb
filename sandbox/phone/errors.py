"""Twilio's error codes, as refusals of the API and as reasons of an undelivered text, in words of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

# code -> (HTTP status, sentence)
REFUSALS: Final[dict[int, tuple[int, str]]] = {
    20001: (400, "Unknown or invalid parameter"),
    20003: (401, "Authenticate"),
    20009: (409, "The message is still on its way and cannot be deleted"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too many requests"),
    20500: (500, "Internal server error"),
    21211: (400, "The 'To' number is not a valid phone number"),
    21266: (400, "'To' and 'From' must be two different numbers"),
    21408: (400, "Sending to the region of the 'To' number is not permitted for this account"),
    21603: (400, "A 'From' number or a 'MessagingServiceSid' is required"),
    21604: (400, "A 'To' number is required"),
    21606: (400, "The 'From' number is not a sender of this account that can reach the 'To' number"),
    21609: (400, "The 'StatusCallback' is not a valid URL"),
    21610: (400, "The recipient has unsubscribed from this sender"),
    21611: (400, "The queue of the 'From' number is full"),
    21612: (400, "This 'To' number cannot be reached from this 'From' number"),
    21614: (400, "The 'To' number is not a mobile number"),
    21617: (400, "The body is longer than 1600 characters"),
    21619: (400, "A body or media is required"),
    21624: (400, "'ValidityPeriod' must be a whole number of seconds from 1 to 36000"),
    21635: (400, "The 'To' number is a landline"),
    21655: (400, "There is no content template of this 'ContentSid'"),
    21701: (400, "There is no such Messaging Service"),
    30409: (400, "Only a scheduled message can be canceled"),
    35114: (400, "'SendAt' must be a UTC time between 5 minutes and 35 days ahead"),
    35118: (400, "Scheduling needs a 'MessagingServiceSid'"),
}

FAILURES: Final[dict[int, str]] = {
    30001: "Queue overflow",
    30002: "Account suspended",
    30003: "Handset unreachable",
    30004: "Blocked by the recipient's carrier",
    30005: "Unknown or inactive number",
    30006: "Landline or unreachable carrier",
    30007: "Filtered by the carrier",
    30008: "Unknown error",
    30017: "Carrier network congestion",
    30022: "Rate limit of the sender exceeded",
    30023: "Daily limit of the sender exceeded",
    30027: "Daily limit of the carrier exceeded",
    30032: "Sender not verified",
    30034: "Sender not registered",
    30036: "Validity period over",
    30410: "Carrier did not answer in time",
}
UNKNOWN_FAILURE: Final = 30008

# What the product learns only by asking: such a refusal is no mistake of its call.
NO_MISTAKE: Final = frozenset({21610, 21614, 21635})


@dataclass
class TwilioError(Exception):
    """A refusal by the API. `detail` replaces the code's sentence; `told` when a behaviour asked for it."""

    code: int
    detail: str = ""
    told: bool = False

    @property
    def status(self) -> int:
        return REFUSALS.get(self.code, (400, ""))[0]

    @property
    def sentence(self) -> str:
        return self.detail or REFUSALS.get(self.code, (400, "The message was refused"))[1]

    def body(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.sentence,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def failure_words(code: int | None) -> str | None:
    """What a code on an undelivered text means; None without a code."""
    return None if code is None else FAILURES.get(code, FAILURES[UNKNOWN_FAILURE])
