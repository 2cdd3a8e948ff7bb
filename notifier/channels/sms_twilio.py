"""Texts by Twilio: the twilio library on an HTTP client of our own.

Creating a message is not idempotent there: a time-out or a 5xx leaves the text in doubt, and whoever repeats
it by itself may send it twice. So nothing is repeated here and every time-out is ours. A connection is used
again only within REUSE_S and when nothing has come on it: one that is closed under a call leaves it in doubt.
"""

from __future__ import annotations

import asyncio
import json
import logging
import select
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from weakref import WeakSet

import aiohttp
import structlog
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from twilio.base import values
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from notifier.channels import (
    Accepted,
    Deferred,
    Destinations,
    InDoubt,
    KnownText,
    NoAnswer,
    OutgoingText,
    Refused,
    SmsRoute,
    SubmitOutcome,
)
from notifier.retry_after import header
from notifier.sms_codes import refusal_of
from store.models import Channel, Reason
from store.unit import in_transaction

log = structlog.get_logger()
_CONNECT_S = 5.0
REUSE_S = 2.0
"""Servers close what was idle for a minute or so: in a run calls follow at once, and nothing is that old."""
LISTED = 50
"""So many of the latest texts to one number are looked through."""
_NO_ENVIRONMENT = {"TWILIO_EDGE": "", "TWILIO_REGION": ""}
"""An edge or a region in the machine's environment would rewrite the host that the configuration names."""
_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
"""Name not found, refused, no route, TLS, no connection in time: no byte of the call has left."""
_ANSWERED = (TwilioRestException, TwilioServiceException)
"""The old form of its errors and the new one (RFC 9457)."""


class _QuietConnections(aiohttp.TCPConnector):
    """A connection that is used again has said nothing meanwhile: that would nearly always be its end, and
    the kernel knows of it before the loop has looked."""

    def __init__(self) -> None:
        super().__init__(keepalive_timeout=REUSE_S)
        self._known: WeakSet[Any] = WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol not in self._known:  # fresh: over TLS it may have something to say at once
                self._known.add(connection.protocol)
                return connection
            if connection.transport is not None and not _readable(connection.transport):
                return connection
            connection.close()


def _readable(transport: asyncio.Transport) -> bool:
    waiting = select.poll()
    waiting.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(waiting.poll(0))


class OwnHttp(AsyncHttpClient):  # type: ignore[misc]  # the library has no types
    """The library's transport on our session: no repeats, no proxy, no redirects, our time-outs."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(logging.getLogger("notifier.twilio"), is_async=True, timeout=timeout_s)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(_CONNECT_S, timeout_s))
        self._session: aiohttp.ClientSession | None = None
        self._auth: tuple[Any, str] = (None, "")
        self.retry_after = ""
        """Of the latest answer: the library's exception has no headers."""

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """As the library asks, but for its `timeout` and `allow_redirects`: those are ours."""
        sent = dict(headers or {})
        if auth is not None:
            if self._auth[0] != auth:
                self._auth = (auth, aiohttp.encode_basic_auth(*auth))
            sent["Authorization"] = self._auth[1]
        # Encoded here: aiohttp's own forms take twice as long. Lists are fields that occur again.
        body = urlencode(data, doseq=True).encode("ascii") if data else None
        session = self._opened()
        async with session.request(
            method, uri, params=params, data=body, headers=sent, allow_redirects=False
        ) as response:
            self.retry_after = response.headers.get("Retry-After", "")
            octets = await response.read()
            return Response(response.status, octets.decode("utf-8", "replace"), response.headers)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=_QuietConnections(),
                timeout=self._timeout,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def client_of(route: SmsRoute, http: OwnHttp) -> Any:
    client = Client(route.account_sid, route.auth_tokens[0], http_client=http, environment=_NO_ENVIRONMENT)
    client.api.base_url = route.api_url
    return client


class TwilioSession:
    def __init__(self, route: SmsRoute) -> None:
        self._route, self._http = route, OwnHttp(route.timeout_s)
        self._client = client_of(route, self._http)

    async def submit(self, text: OutgoingText) -> SubmitOutcome:
        if in_transaction():
            raise RuntimeError("a text was about to be submitted inside a database transaction")
        name = self._route.name
        try:
            message = await self._client.messages.create_async(**self._fields(text))
        except _NOT_CONNECTED as error:
            return Deferred(name, "", "", _plain(error), route_down=True)
        except _ANSWERED as error:
            return self._answer(error)
        except Exception as error:  # noqa: BLE001  # the call went out, and nobody knows what came of it
            log.info("text_in_doubt", route=name, error=type(error).__name__)
            return InDoubt(name, _plain(error))
        if not message.sid:
            return InDoubt(name, "the answer names no message")
        return Accepted(name, f"201 {message.status} {message.sid}", str(message.sid))

    def _fields(self, text: OutgoingText) -> dict[str, Any]:
        route = self._route
        sender = (
            {"messaging_service_sid": route.messaging_service_sid}
            if route.messaging_service_sid
            else {"from_": route.sender}
        )
        return sender | {
            "to": text.to,
            "body": text.body,
            "validity_period": text.validity_s,
            "smart_encoded": True,  # what notifier.sms_text counts
            "status_callback": text.callback_url or values.unset,
        }

    def _answer(self, error: Any) -> Refused | Deferred | InDoubt:
        """An answer that is not 2xx. Only a 4xx is certain: the text was not taken."""
        name, http_status, code = self._route.name, int(error.status), _code(error)
        text = _words(error)
        if not 400 <= http_status < 500:
            return InDoubt(name, text)
        verdict = refusal_of(code, http_status)
        reply_code = str(code or http_status)
        if verdict.permanent:
            about_sender = verdict.reason in (Reason.CONFIG, Reason.INFRASTRUCTURE)
            return Refused(name, reply_code, "", text, verdict, about_sender=about_sender)
        login = verdict.reason is Reason.CONFIG
        named = header(self._http.retry_after, datetime.now(UTC)) if self._http.retry_after else None
        return Deferred(name, reply_code, "", text, verdict, route_down=login, named=named)

    async def close(self) -> None:
        await self._http.close()


class TwilioInquiry:
    def __init__(self, route: SmsRoute) -> None:
        self._route, self._http = route, OwnHttp(route.timeout_s)
        self._client = client_of(route, self._http)

    async def fetch(self, sid: str) -> KnownText | NoAnswer:
        found = await _asked(lambda: self._client.messages(sid).fetch_async())
        return found if isinstance(found, NoAnswer) else _known(found)

    async def sent_to(self, number: str) -> Sequence[KnownText] | NoAnswer:
        """Not by DateSent: a text that was not sent yet has none. Not by the sender where a Messaging Service
        chooses it: until it has, there is none to match."""
        sender = {} if self._route.messaging_service_sid else {"from_": self._route.sender}
        listed = await _asked(
            lambda: self._client.messages.list_async(to=number, **sender, limit=LISTED, page_size=LISTED)
        )
        return listed if isinstance(listed, NoAnswer) else [_known(message) for message in listed]

    async def account(self) -> str | NoAnswer:
        found = await _asked(lambda: self._client.api.accounts(self._route.account_sid).fetch_async())
        return found if isinstance(found, NoAnswer) else str(found.status)

    async def owns(self, number: str) -> bool | NoAnswer:
        numbers = self._client.api.accounts(self._route.account_sid).incoming_phone_numbers
        found = await _asked(lambda: numbers.list_async(phone_number=number, limit=1))
        return found if isinstance(found, NoAnswer) else any(one.phone_number == number for one in found)

    async def close(self) -> None:
        await self._http.close()


async def _asked(call: Callable[[], Awaitable[Any]]) -> Any:
    """What the library gives; NoAnswer instead of its exceptions."""
    if in_transaction():
        raise RuntimeError("a provider was about to be asked inside a database transaction")
    try:
        return await call()
    except _ANSWERED as error:
        return NoAnswer(_words(error))
    except (aiohttp.ClientError, TimeoutError, OSError, TwilioException, json.JSONDecodeError) as error:
        return NoAnswer(_plain(error))


def _known(message: Any) -> KnownText:
    return KnownText(
        sid=str(message.sid),
        to=str(message.to),
        body=message.body or "",
        status=str(message.status),
        error_code=None if message.error_code is None else int(message.error_code),
        created_at=message.date_created,
    )


def _code(error: Any) -> int | None:
    """Twilio's code; None where the answer held none (the library puts the HTTP status there)."""
    given = str(error.code)
    return int(given) if given.isdecimal() and given != str(error.status) else None


def _words(error: Any) -> str:
    """The answer in Twilio's words, its code first."""
    said = getattr(error, "msg", None) or getattr(error, "detail", None) or getattr(error, "title", "")
    return " ".join(str(part) for part in (error.status, _code(error), said) if part)


def _plain(error: BaseException) -> str:
    """What went wrong, in words without the text in them."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class SmsTwilio:
    channel = Channel.SMS

    def session(self, route: SmsRoute, destinations: Destinations | None = None) -> TwilioSession:
        return TwilioSession(route)

    def inquiry(self, route: SmsRoute) -> TwilioInquiry:
        return TwilioInquiry(route)


CHANNEL = SmsTwilio()
