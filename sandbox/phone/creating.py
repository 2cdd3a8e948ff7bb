"""The create call's form: what Twilio's Message resource takes, checked in the order of its refusals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from sandbox.phone.account import Account, dialled
from sandbox.phone.errors import TwilioError

LONGEST_BODY: Final = 1600
LONGEST_URL: Final = 4000
LONGEST_VALIDITY_S: Final = 36_000
SOONEST: Final = timedelta(minutes=5)
LATEST: Final = timedelta(days=35)
# The account's geographic permissions: North America.
COUNTRY: Final = "+1"
HOST: Final = re.compile(r"[A-Za-z0-9.-]+|[0-9A-Fa-f:.]+")

KEYS: Final = frozenset(
    {"To", "From", "MessagingServiceSid", "Body", "MediaUrl", "ContentSid", "ContentVariables"}
    | {"StatusCallback", "ApplicationSid", "MaxPrice", "ProvideFeedback", "Attempt", "ValidityPeriod"}
    | {"ForceDelivery", "ContentRetention", "AddressRetention", "SmartEncoded", "PersistentAction"}
    | {"TrafficType", "ShortenUrls", "ScheduleType", "SendAt", "SendAsMms", "MessageIntent", "RiskCheck"}
    | {"FallbackFrom"}
)

Form = Mapping[str, Sequence[str]]
"""The posted parameters, blank ones too; a key may stand several times."""


@dataclass(frozen=True)
class Wish:
    """A create call that Twilio would accept as far as its parameters go."""

    to: str
    sender: str
    service: str | None
    body: str
    media: tuple[str, ...]
    callback: str | None
    send_at: datetime | None
    smart: bool


def only(form: Form, keys: frozenset[str]) -> None:
    """20001 for a key that the resource does not have, though the real API overlooks some."""
    if unknown := sorted(set(form) - keys):
        raise TwilioError(20001, f"Unknown parameter: {', '.join(unknown)}")


def recipient(form: Form) -> str:
    to = _value(form, "To")
    if not to:
        raise TwilioError(21604)
    number = dialled(to)
    if number is None:
        raise TwilioError(21211, f"The 'To' number {to} is not a valid phone number")
    if not number.startswith(COUNTRY):
        raise TwilioError(21408)
    return number


def wish_of(form: Form, account: Account, now: datetime) -> Wish:
    only(form, KEYS)
    to = recipient(form)
    sender, service = _sender(form, account)
    if sender == to:
        raise TwilioError(21266)
    body, media = _content(form)
    callback = _value(form, "StatusCallback") or None
    if callback is not None and not _is_callback(callback):
        raise TwilioError(21609, f"The 'StatusCallback' {callback} is not a valid URL")
    _check_validity(_value(form, "ValidityPeriod"))
    send_at = _send_at(form, service, now)
    smart = _value(form, "SmartEncoded") or ("true" if service else "false")
    return Wish(to, sender, service, body, media, callback, send_at, smart.lower() == "true")


def _value(form: Form, key: str) -> str:
    return form[key][-1] if form.get(key) else ""


def _sender(form: Form, account: Account) -> tuple[str, str | None]:
    given, service = _value(form, "From"), _value(form, "MessagingServiceSid") or None
    if not given and service is None:
        raise TwilioError(21603)
    if service is not None and service != account.messaging_service_sid:
        raise TwilioError(21701)
    sender = dialled(given) if given else account.senders[0]
    if sender is None or sender not in account.senders:
        raise TwilioError(21606, f"The 'From' {given} is not a sender of this account")
    return sender, service


def _content(form: Form) -> tuple[str, tuple[str, ...]]:
    if _value(form, "ContentSid"):
        raise TwilioError(21655)
    body, media = _value(form, "Body"), tuple(form.get("MediaUrl", ()))
    if not body and not media:
        raise TwilioError(21619)
    if len(body) > LONGEST_BODY:
        raise TwilioError(21617)
    return body, media


def _is_callback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        len(url) <= LONGEST_URL
        and url.isascii()
        and not any(character.isspace() for character in url)
        and parts.scheme in {"http", "https"}
        and HOST.fullmatch(host) is not None
        and port_is_right
    )


def _check_validity(text: str) -> None:
    if text and not (text.isdecimal() and 1 <= int(text) <= LONGEST_VALIDITY_S):
        raise TwilioError(21624)


def _send_at(form: Form, service: str | None, now: datetime) -> datetime | None:
    kind, text = _value(form, "ScheduleType"), _value(form, "SendAt")
    if not kind and not text:
        return None
    if service is None:
        raise TwilioError(35118)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise TwilioError(35114) from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if kind != "fixed" or not SOONEST <= when - now <= LATEST:
        raise TwilioError(35114)
    return when
