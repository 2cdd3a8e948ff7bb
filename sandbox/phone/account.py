"""The one Twilio account of this world: secrets and senders, random for each state directory.

Also how numbers are read: strictly in control calls, as dialled in the United States by the API.
"""

from __future__ import annotations

import random
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

import phonenumbers

from sandbox.world import ControlError, Documents

KIND: Final = "phone_account"
# Area codes of the cast's region that no subscriber has: see cast_people.AREA_CODES.
SENDER_AREAS: Final = ("206", "253", "425", "564")
E164: Final = re.compile(r"\+[1-9]\d{6,14}")
SEPARATORS: Final = re.compile(r"[\s().-]")


@dataclass(frozen=True)
class Account:
    """All senders are long codes of the one Messaging Service."""

    sid: str
    auth_token: str
    messaging_service_sid: str
    senders: tuple[str, ...]

    @classmethod
    def kept_in(cls, documents: Documents) -> Account:
        kept = documents.get(KIND, "one")
        if kept is None:
            sender = f"+1{random.choice(SENDER_AREAS)}55501{random.randrange(100):02d}"
            kept = {
                "sid": f"AC{secrets.token_hex(16)}",
                "auth_token": secrets.token_hex(16),
                "messaging_service_sid": f"MG{secrets.token_hex(16)}",
                "senders": [sender],
            }
            documents.put(KIND, "one", kept)
        return cls(**{**kept, "senders": tuple(kept["senders"])})

    def endpoint(self, api: str) -> dict[str, Any]:
        """The section "twilio" of endpoints.json."""
        return {
            "api": api,
            "account_sid": self.sid,
            "auth_token": self.auth_token,
            "messaging_service_sid": self.messaging_service_sid,
            "senders": list(self.senders),
        }


def control_number(text: str) -> str:
    """E.164 of a control call's number. A plus sign that was not encoded in a query arrives as a space."""
    bare = SEPARATORS.sub("", text)
    number = bare if bare.startswith("+") else f"+{bare}"
    if not E164.fullmatch(number):
        raise ControlError(f"{text!r} is not a telephone number like +15415550123.")
    return number


def dialled(text: str) -> str | None:
    """E.164 of a number that the API was given; None when it is not a valid one."""
    try:
        number = phonenumbers.parse(text, "US")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
