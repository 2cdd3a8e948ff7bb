"""The list call: To, From and DateSent filters, newest first, in pages whose token keeps them stable.

A text not sent yet has no DateSent and matches no filter on it, as at Twilio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from sandbox.phone.account import dialled
from sandbox.phone.errors import TwilioError
from sandbox.phone.messages import API_VERSION, Messages, Text

KEYS: Final = frozenset({"To", "From", "DateSent", "DateSent<", "DateSent>", "Page", "PageSize", "PageToken"})
FILTERS: Final = ("To", "From", "DateSent", "DateSent<", "DateSent>")
PAGE_SIZE: Final = 50
BIGGEST_PAGE: Final = 1000
TOKEN: Final = "PA"  # noqa: S105 - a page token is this and the sid of the last text before the page

Test = Callable[[Text], bool]


def page_of(messages: Messages, account_sid: str, query: Mapping[str, str]) -> dict[str, Any]:
    """One page as Twilio answers it."""
    if unknown := sorted(set(query) - KEYS):
        raise TwilioError(20001, f"Unknown parameter: {', '.join(unknown)}")
    number, size = _whole(query, "Page", 0, 0), _whole(query, "PageSize", PAGE_SIZE, 1)
    size = min(size, BIGGEST_PAGE)
    tests = [_test(name, query[name]) for name in FILTERS if query.get(name)]
    found = [text for text in reversed(messages.all()) if all(test(text) for test in tests)]
    start = _start(found, query.get("PageToken"), number * size)
    shown = found[start : start + size]
    path = f"/{API_VERSION}/Accounts/{account_sid}/Messages.json"
    kept = {name: query[name] for name in FILTERS if query.get(name)}

    def uri(page: int, after: int) -> str:
        token = {"PageToken": f"{TOKEN}{found[after - 1]['sid']}"} if after else {}
        return f"{path}?{urlencode({**kept, 'PageSize': size, 'Page': page, **token})}"

    more = start + size < len(found)
    return {
        "end": start + len(shown) - 1 if shown else 0,
        "first_page_uri": uri(0, 0),
        "messages": [messages.resource(text) for text in shown],
        "next_page_uri": uri(number + 1, start + size) if more else None,
        "page": number,
        "page_size": size,
        "previous_page_uri": uri(number - 1, max(start - size, 0)) if number else None,
        "start": start,
        "uri": uri(number, start),
    }


def _start(found: list[Text], token: str | None, otherwise: int) -> int:
    """After the token's text, wherever newer ones have moved it."""
    if token is None:
        return otherwise
    for index, text in enumerate(found):
        if token == f"{TOKEN}{text['sid']}":
            return index + 1
    raise TwilioError(20001, "Invalid page token")


def _whole(query: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise TwilioError(20001, f"Invalid {name}")
    return int(text)


def _test(name: str, value: str) -> Test:
    if name in ("To", "From"):
        key, number = name.lower(), dialled(value) or value
        # Until a Messaging Service has chosen a sender there is none to match; the sandbox knows it before.
        return lambda text: text[key] == number
    try:
        wanted = date.fromisoformat(value[:10])
        instant = datetime.fromisoformat(value) if len(value) > 10 else None
    except ValueError:
        raise TwilioError(20001, f"Invalid {name}") from None

    def matches(text: Text) -> bool:
        if text["sent_at"] is None:
            return False
        sent = datetime.fromisoformat(text["sent_at"])
        if name == "DateSent":  # a day in GMT, whatever time of day the library adds to it
            return sent.date() == wanted
        if instant is None or instant.tzinfo is None:
            return sent.date() <= wanted if name == "DateSent<" else sent.date() >= wanted
        return sent <= instant if name == "DateSent<" else sent >= instant

    return matches
