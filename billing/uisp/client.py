"""Asks UISP's CRM: one request at a time, paging, waiting when it is told to, errors in words.

UispError tree: Refused (it said no and did nothing: NotThere, NoAccess), Busy (429: it did nothing), Away
(nothing reached it), Lost (it was asked, and what it did is not known). No sentence holds a key, a URL or
anything of a client's: what UISP writes about a field is passed on by field and rule only.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import structlog

from billing.port import outside_transactions
from notifier.retry_after import header

log = structlog.get_logger()

PAGE = 500
"""Entries asked for at once; UISP may give fewer, so that only an empty page is the end."""
LONGEST_BODY = 32 * 1024 * 1024
Json = Any
Query = Sequence[tuple[str, str]]


class UispError(Exception):
    """`sentence` may be shown to an agent."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Refused(UispError):
    """It says no, and did nothing."""


class NotThere(Refused):
    """404: UISP has no such thing (any more)."""


class NoAccess(Refused):
    """401 or 403: the app key is wrong, or may not do this."""


class Busy(UispError):
    """429, longer than anybody wanted to wait; nothing was done."""


class Away(UispError):
    """It could not be reached; nothing was done."""


class Lost(UispError):
    """It was asked, and the answer is lost: what it did is not known."""


class UispClient:
    """One provider's UISP. The session is opened at the first call: `close` it at the end."""

    def __init__(
        self,
        url: str,
        app_key: str,
        *,
        timeout_s: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`url` such as https://uisp.example.net/crm/api/v1.0, without a slash at the end."""
        self._url, self._app_key, self._timeout_s, self._sleep = url, app_key, timeout_s, sleep
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, query: Query = (), *, patience_s: float = 0.0) -> Json:
        """The JSON of the answer, numbers with a point as Decimal. Asked again for up to `patience_s`
        seconds while UISP is busy, away or does not answer: reading changes nothing."""
        return _decoded(await self.read(path, query, patience_s=patience_s))

    async def read(self, path: str, query: Query = (), *, patience_s: float = 0.0) -> bytes:
        """As `get`, whatever the answer holds."""
        until, pause = time.monotonic() + patience_s, 1.0
        while True:
            try:
                return await self._once("GET", path, query, None, until)
            except (Busy, Away, Lost):
                if time.monotonic() + pause > until:
                    raise
                log.info("uisp_asked_again", pause_s=pause)
                await self._sleep(pause)
                pause *= 2

    async def pages(
        self, path: str, query: Query = (), *, start: int = 0, patience_s: float = 0.0
    ) -> AsyncIterator[tuple[int, list[Json]]]:
        """(position behind the page, its entries), from `start` on until the list is empty.

        The list may change under us. Each page begins with the last entry of the one before: where that is
        missing something was removed in front of it, and it is gone back to what was seen already, so that
        nothing is passed over. An entry may come twice.
        """
        position, last = start, None
        seen: set[Any] = set()
        while True:
            first = position if last is None else position - 1
            entries = await self._page(path, query, first, patience_s)
            if last is not None and entries and _id(entries[0]) == last:
                first, entries = position, entries[1:]
            elif last is not None:
                while first > 0 and not (entries and _id(entries[0]) in seen):
                    first = max(first - PAGE, 0)
                    entries = await self._page(path, query, first, patience_s)
            if not entries:
                return
            position, last = first + len(entries), _id(entries[-1])
            seen.update(map(_id, entries))
            yield position, entries

    async def _page(self, path: str, query: Query, offset: int, patience_s: float) -> list[Json]:
        asked = [*query, ("limit", str(PAGE)), ("offset", str(offset))]
        found = await self.get(path, asked, patience_s=patience_s)
        if not isinstance(found, list):
            raise Lost("UISP answered something else than a list.")
        return found

    async def change(
        self, method: str, path: str, body: Mapping[str, Any], *, patience_s: float = 0.0
    ) -> Json:
        """PATCH or POST; None for an empty answer. Asked again only while nothing has reached UISP, or
        while it says itself that it is too busy."""
        until = time.monotonic() + patience_s
        content = await self._once(method, path, (), dict(body), until)
        return _decoded(content) if content.strip() else None

    async def _once(
        self, method: str, path: str, query: Query, body: dict[str, Any] | None, until: float
    ) -> bytes:
        """One call, and more only while it answers 429 and names a time before `until`."""
        outside_transactions()
        while True:
            status, headers, content = await self._call(method, path, query, body)
            if status != 429:
                break
            asked = _wait_s(headers.get("Retry-After", ""))
            if time.monotonic() + asked > until:
                raise Busy(f"UISP is busy and asks to come back in {asked:.0f} seconds; nothing was done.")
            log.info("uisp_busy", wait_s=asked)
            await self._sleep(asked)
        if 200 <= status < 300:
            return content
        raise _told(status, content)

    async def _call(
        self, method: str, path: str, query: Query, body: dict[str, Any] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        session = self._session
        if session is None:
            session = self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, connect=self._timeout_s / 2),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        try:
            async with session.request(
                method,
                f"{self._url}/{path}",
                params=list(query),
                json=body,
                headers={"X-Auth-App-Key": self._app_key},
                allow_redirects=False,  # the key goes nowhere else
            ) as answer:
                content = await answer.content.read(LONGEST_BODY + 1)
                while not answer.content.at_eof() and len(content) <= LONGEST_BODY:
                    content += await answer.content.read(LONGEST_BODY + 1 - len(content))
                if len(content) > LONGEST_BODY:
                    raise Lost("UISP's answer is larger than anything it should send.")
                return answer.status, answer.headers, content
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            log.warning("uisp_away", error=type(error).__name__)
            raise Away("UISP cannot be reached.") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("uisp_lost", error=type(error).__name__)
            raise Lost("UISP did not answer to the end.") from None


def _wait_s(value: str) -> float:
    """Their Retry-After in seconds; RFC 9110 section 10.2.3. What is not understood is five seconds."""
    if value.strip().isdecimal() and len(value) < 6:
        return max(float(value), 0.1)
    named: timedelta | None = header(value, datetime.now(UTC)) if value else None
    return named.total_seconds() if named else 5.0


def _id(entry: Json) -> Any:
    return entry.get("id") if isinstance(entry, dict) else None


def _decoded(content: bytes) -> Json:
    try:
        return json.loads(content, parse_float=Decimal)
    except ValueError:
        raise Lost("UISP answered something that is not JSON.") from None


def _told(status: int, content: bytes) -> UispError:
    """https://ucrm.docs.apiary.io: 400, 401, 403, 404, 422 with {code, message, errors{field: [...]}}."""
    if status == 401:
        return NoAccess("UISP does not accept our app key. An admin has to look at it (docs/uisp.md).")
    if status == 403:
        return NoAccess("Our app key may not do this in UISP. An admin has to widen its rights there.")
    if status == 404:
        return NotThere("UISP does not have this any more.")
    if status in (400, 422):
        return Refused(f"UISP refuses it: {_fields(content)}")
    if 300 <= status < 500:
        return Refused(f"UISP refuses it (HTTP {status}). An admin has to look at the address of its API.")
    return Lost(f"UISP has trouble of its own (HTTP {status}).")


def _fields(content: bytes) -> str:
    """What it says of each field; its own words, shortened."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    body = body if isinstance(body, dict) else {}
    told = []
    errors = body.get("errors")
    for field, sentences in errors.items() if isinstance(errors, dict) else ():
        words = sentences if isinstance(sentences, list) else [sentences]
        told += [f"{str(field)[:40]}: {' '.join(str(word).split())[:160]}" for word in words[:3]]
    if not told and body.get("message"):
        told = [" ".join(str(body["message"]).split())[:160]]
    return ("; ".join(told[:5]) or "it gives no reason").rstrip(".") + "."
