"""The page's view of the phones, asked from the phone part's own control calls, and its words for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.page.mailbox import ApiClient
from sandbox.phone.errors import failure_words

PHONES_SHOWN: Final = 60
TEXTS_SHOWN: Final = 100
DIGITS_OF_A_NUMBER: Final = 10

STATUS_WORDS: Final = {
    "accepted": "Accepted by Twilio",
    "scheduled": "Scheduled",
    "queued": "Queued",
    "sending": "Being sent",
    "sent": "Handed to the carrier",
    "delivered": "Delivered",
    "undelivered": "Not delivered",
    "failed": "Failed",
    "canceled": "Canceled",
    "read": "Read",
}


class Phones:
    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def rows(self, find: str, limit: int) -> list[dict[str, Any]]:
        """The phones that fit; a number that nobody has when all of one was typed."""
        path = "/sandbox/phone/numbers"
        rows: list[dict[str, Any]] = await self._api.get(path, [], search=find, limit=str(limit))
        if not rows and sum(one.isdigit() for one in find) >= DIGITS_OF_A_NUMBER:
            rows = await self._api.get(path, [], number=_with_country(find))
        return rows

    async def row(self, number: str) -> dict[str, Any] | None:
        if not number:
            return None
        rows = await self._api.get("/sandbox/phone/numbers", [], number=number)
        return rows[0] if rows else None

    async def texts(self, number: str, limit: int) -> list[dict[str, Any]]:
        """The newest `limit` of one phone, oldest first."""
        if not number:
            return []
        query = {"number": number, "limit": str(limit)}
        texts: list[dict[str, Any]] = await self._api.get("/sandbox/phone", [], **query)
        return texts


def _with_country(typed: str) -> str:
    digits = "".join(one for one in typed if one.isdigit())
    return f"+1{digits}" if len(digits) == DIGITS_OF_A_NUMBER else f"+{digits}"


def dashed(number: str) -> str:
    """+15415550123 as people write it; other countries' numbers as they are."""
    if number.startswith("+1") and len(number) == 12:
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number


def status_words(text: Mapping[str, Any]) -> str:
    """What became of a text, with its error code."""
    words = STATUS_WORDS.get(text["status"], str(text["status"]))
    code = text["error_code"]
    return words if code is None else f"{words}: {code} {failure_words(code)}"


def behaviour_words(behaviour: Mapping[str, Any]) -> str:
    """A behaviour of a number in a few words; empty for none."""
    code, statuses = behaviour.get("error_code"), behaviour.get("statuses")
    parts = []
    if code is not None:
        parts.append(f"refused: {code}" if code < 30000 else f"{code} {failure_words(code)}")
    if statuses is not None:
        parts.append(f"then {', '.join(statuses)}" if statuses else "no further status")
    if "http_status" in behaviour:
        parts.append(f"Twilio answers {behaviour['http_status']}")
    flags = {
        "lose_response": "response lost",
        "lose_callbacks": "callbacks lost",
        "shuffle": "callbacks shuffled",
        "duplicate": "everything twice",
        "slow_s": "slow",
    }
    parts += [words for key, words in flags.items() if behaviour.get(key)]
    if parts and "times" in behaviour:
        parts.append(f"{behaviour['times']} more")
    return ", ".join(parts)
