"""Twilio's REST API as far as texts go: authentication, rates, faults, then the resource itself."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from aiohttp import web

from sandbox.phone.account import Account
from sandbox.phone.behaviour import Behaviour, Behaviours
from sandbox.phone.carrier import Carrier
from sandbox.phone.creating import Form, only, recipient, wish_of
from sandbox.phone.errors import NO_MISTAKE, TwilioError
from sandbox.phone.listing import page_of
from sandbox.phone.messages import API_VERSION, Messages, Text, new_sid
from sandbox.phone.optout import OptOuts
from sandbox.phone.segments import count_segments
from sandbox.phone.timing import Bucket, Timing
from sandbox.world import World

ROOT: Final = f"/{API_VERSION}"
MESSAGES: Final = f"{ROOT}/Accounts/{{account}}/Messages"
NOT_FINAL: Final = frozenset({"accepted", "scheduled", "queued", "sending"})
BAD_GATEWAY: Final = "<html><head><title>upstream trouble</title></head><body>Try again.</body></html>"


@dataclass
class Call:
    """One request and what the wire list will say of it."""

    request: web.Request
    method: str
    detail: dict[str, object] = field(default_factory=dict)
    behaviour: Behaviour = field(default_factory=Behaviour)

    async def form(self) -> Form:
        return parse_qs(await self.request.text(), keep_blank_values=True)


Handler = Callable[[Call], Awaitable[web.Response]]


class RestApi:
    def __init__(
        self,
        world: World,
        account: Account,
        messages: Messages,
        behaviours: Behaviours,
        opt_outs: OptOuts,
        carrier: Carrier,
        timing: Timing,
    ) -> None:
        self._world = world
        self._account = account
        self._messages = messages
        self._behaviours = behaviours
        self._opt_outs = opt_outs
        self._carrier = carrier
        self._bucket = Bucket(timing)

    def routes(self) -> list[web.RouteDef]:
        one = f"{MESSAGES}/{{sid}}"
        return [
            web.get(f"{ROOT}/Accounts/{{account}}.json", self._served("account", self._own_account)),
            web.get(
                f"{ROOT}/Accounts/{{account}}/IncomingPhoneNumbers.json",
                self._served("numbers", self._numbers),
            ),
            web.post(f"{MESSAGES}.json", self._served("create", self._create)),
            web.get(f"{MESSAGES}.json", self._served("list", self._list)),
            web.get(f"{one}/Media.json", self._served("list media", self._media_list)),
            web.get(f"{one}/Media/{{media}}", self._served("fetch media", self._media)),
            web.get(f"{one}.json", self._served("fetch", self._fetch)),
            web.post(f"{one}.json", self._served("update", self._update)),
            web.delete(f"{one}.json", self._served("delete", self._delete)),
            web.route("*", f"{ROOT}/{{rest:.*}}", self._served("unknown call", self._unknown)),
        ]

    def _served(self, name: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            started = time.monotonic()
            call = Call(request, f"messages {name}")
            problem = None
            try:
                self._authorise(request)
                response = await handler(call)
            except TwilioError as refusal:
                response = _refusal(refusal)
                call.detail["code"] = refusal.code
                if not refusal.told and refusal.code not in NO_MISTAKE:
                    problem = f"{refusal.code}: {refusal.sentence}"
            ms = (time.monotonic() - started) * 1000
            self._world.wire.record("phone", "in", call.method, response.status, ms, problem, **call.detail)
            response.headers["Twilio-Request-Id"] = new_sid("RQ")
            if call.behaviour.lose_response and request.transport is not None:
                request.transport.abort()
            return response

        return serve

    def _authorise(self, request: web.Request) -> None:
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            given = b""
        right = f"{self._account.sid}:{self._account.auth_token}".encode()
        if scheme.lower() != "basic" or not hmac.compare_digest(given, right):
            raise TwilioError(20003)
        if request.match_info.get("account", self._account.sid) != self._account.sid:
            raise TwilioError(20404)

    async def _own_account(self, call: Call) -> web.Response:
        """As far as anybody needs it: whether the login is good."""
        uri = f"{ROOT}/Accounts/{self._account.sid}.json"
        return web.json_response({"sid": self._account.sid, "status": "active", "type": "Full", "uri": uri})

    async def _numbers(self, call: Call) -> web.Response:
        """The account's senders, of which `PhoneNumber` names one in full or in part."""
        query = call.request.query
        if unknown := sorted(set(query) - {"PhoneNumber", "PageSize", "Page"}):
            raise TwilioError(20001, f"Unknown parameter: {', '.join(unknown)}")
        asked = query.get("PhoneNumber", "").removeprefix("+")
        uri = f"{ROOT}/Accounts/{self._account.sid}/IncomingPhoneNumbers.json"
        numbers = [
            {
                "sid": f"PN{hashlib.md5(number.encode(), usedforsecurity=False).hexdigest()}",
                "account_sid": self._account.sid,
                "phone_number": number,
                "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
                "status": "in-use",
            }
            for number in self._account.senders
            if asked in number
        ]
        return web.json_response(
            {
                "incoming_phone_numbers": numbers,
                "page": 0,
                "page_size": 50,
                "start": 0,
                "end": max(len(numbers) - 1, 0),
                "uri": uri,
                "first_page_uri": uri,
                "previous_page_uri": None,
                "next_page_uri": None,
            }
        )

    async def _create(self, call: Call) -> web.Response:
        if not self._bucket.take():
            raise TwilioError(20429)
        form = await call.form()
        to = recipient(form)
        call.detail["to"] = to
        wish = wish_of(form, self._account, self._world.clock.now())
        if self._opt_outs.blocked(to, wish.sender):
            raise TwilioError(21610)
        behaviour = call.behaviour = self._behaviours.take(to)
        if behaviour != Behaviour():
            self._world.changes.notify("phone")
            call.detail["injected"] = "as told by behaviour"
        if behaviour.http_status is not None:
            await asyncio.sleep(behaviour.slow_s)
            return web.Response(text=BAD_GATEWAY, status=behaviour.http_status, content_type="text/html")
        if behaviour.refusal is not None:
            await asyncio.sleep(behaviour.slow_s)
            raise TwilioError(behaviour.refusal, told=True)
        text = self._messages.enter(
            "outbound-api",
            wish.sender,
            to,
            wish.body,
            "scheduled" if wish.send_at else "accepted" if wish.service else "queued",
            segments=count_segments(wish.body, smart=wish.smart),
            service=wish.service,
            media=[{"url": url} for url in wish.media],
            callback=wish.callback,
        )
        call.detail["sid"] = text["sid"]
        created = self._messages.resource(text)
        self._carrier.take(text, behaviour, wish.send_at)
        await asyncio.sleep(behaviour.slow_s)
        return web.json_response(created, status=201)

    async def _list(self, call: Call) -> web.Response:
        return web.json_response(page_of(self._messages, self._account.sid, dict(call.request.query)))

    def _wanted(self, call: Call) -> Text:
        sid = call.request.match_info["sid"]
        call.detail["sid"] = sid
        text = self._messages.get(sid)
        if text is None:
            raise TwilioError(20404, f"The requested resource {call.request.path} was not found")
        return text

    async def _fetch(self, call: Call) -> web.Response:
        return web.json_response(self._messages.resource(self._wanted(call)))

    async def _update(self, call: Call) -> web.Response:
        """Cancels a scheduled text, or empties the body of a sent one."""
        text, form = self._wanted(call), await call.form()
        only(form, frozenset({"Body", "Status"}))
        if "Status" in form:
            if form["Status"][-1] != "canceled":
                raise TwilioError(20001, "Status can only become canceled")
            if text["status"] != "scheduled":
                raise TwilioError(30409)
            self._carrier.cancel(text)
        if "Body" in form:
            if form["Body"][-1]:
                raise TwilioError(20001, "Body can only become empty")
            if text["status"] in NOT_FINAL:
                raise TwilioError(20009)
            text["body"] = ""
            self._messages.keep(text)
        return web.json_response(self._messages.resource(text))

    async def _delete(self, call: Call) -> web.Response:
        text = self._wanted(call)
        if text["status"] in NOT_FINAL:
            raise TwilioError(20009)
        self._messages.delete(text)
        return web.Response(status=204)

    async def _media_list(self, call: Call) -> web.Response:
        text = self._wanted(call)
        base = self._messages.uri(text)
        views = [self._media_view(text, one, base) for one in text["media"] if "sid" in one]
        uri = f"{base}/Media.json?PageSize=50&Page=0"
        page: dict[str, Any] = {"media_list": views, "page": 0, "page_size": 50, "start": 0, "uri": uri}
        page |= {"end": max(len(views) - 1, 0), "first_page_uri": uri}
        return web.json_response(page | {"next_page_uri": None, "previous_page_uri": None})

    def _media_view(self, text: Text, one: dict[str, Any], base: str) -> dict[str, Any]:
        dated = self._messages.resource(text)
        return {
            "account_sid": self._account.sid,
            "content_type": one["content_type"],
            "date_created": dated["date_created"],
            "date_updated": dated["date_created"],
            "parent_sid": text["sid"],
            "sid": one["sid"],
            "uri": f"{base}/Media/{one['sid']}.json",
        }

    async def _media(self, call: Call) -> web.Response:
        text = self._wanted(call)
        name = call.request.match_info["media"]
        sid = name.removesuffix(".json")
        one = next((one for one in text["media"] if one.get("sid") == sid), None)
        kept = self._messages.media(sid)
        if one is None or kept is None:
            raise TwilioError(20404)
        if name != sid:
            return web.json_response(self._media_view(text, one, self._messages.uri(text)))
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        octets = base64.b64decode(kept["base64"])
        return web.Response(body=octets, content_type=kept["content_type"], headers=headers)

    async def _unknown(self, call: Call) -> web.Response:
        request = call.request
        raise TwilioError(20404, f"The requested resource {request.path} was not found for {request.method}")


def _refusal(refusal: TwilioError) -> web.Response:
    headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if refusal.status == 401 else {}
    return web.json_response(refusal.body(), status=refusal.status, headers=headers)
