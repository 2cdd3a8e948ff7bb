"""Twilio's status callbacks: signature, inbox, fold, commit, in one process; the load from another.

`limit`: bare aiohttp that checks the same signature with one HMAC and answers, without a database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvloop
from aiohttp import web
from twilio.request_validator import RequestValidator

from benchmarks.inbound import SMS_ROUTE, Timing, Waiting, desk, measured, taken_in, timed
from benchmarks.load import run_load
from bot.text_statuses import TextStatuses
from store.models import Channel
from store.unit import Store

TEXTS, CONNECTIONS = 2_000, 128
STATUSES = ("sent", "delivered")


def _requests(waiting: list[Waiting]) -> list[bytes]:
    """Each text's statuses, all "sent" first, as Twilio would send them."""
    validator = RequestValidator(SMS_ROUTE.auth_tokens[0])
    found = []
    for status in STATUSES:
        for one in waiting:
            form = {
                "AccountSid": SMS_ROUTE.account_sid,
                "ApiVersion": "2010-04-01",
                "From": SMS_ROUTE.sender,
                "MessageSid": one.sid,
                "MessageStatus": status,
                "SmsSid": one.sid,
                "SmsStatus": status,
                "To": one.address,
            }
            signature = validator.compute_signature(f"{SMS_ROUTE.callback_url}/{one.token}", form)
            body = urlencode(form).encode()
            head = (
                f"POST /twilio/status/{one.token} HTTP/1.1\r\nHost: desk.cascade.example\r\n"
                f"X-Twilio-Signature: {signature}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
                f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            found.append(head.encode() + body)
    return found


async def _bare(request: web.Request) -> web.Response:
    pairs = sorted(parse_qsl((await request.read()).decode(), keep_blank_values=True))
    told = f"{SMS_ROUTE.callback_url}/{request.match_info['token']}" + "".join(k + v for k, v in pairs)
    mac = hmac.new(SMS_ROUTE.auth_tokens[0].encode(), told.encode(), hashlib.sha1).digest()
    if not hmac.compare_digest(base64.b64encode(mac).decode(), request.headers["X-Twilio-Signature"]):
        return web.Response(status=403)
    return web.Response(text="<Response/>", content_type="text/xml")


async def _serving(stack: AsyncExitStack, routes: list[web.RouteDef]) -> int:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return int(runner.addresses[0][1])


async def _limit(file: Path, number: int) -> Timing:
    async with AsyncExitStack() as stack:
        port = await _serving(stack, [web.post("/twilio/status/{token}", _bare)])
        return await timed(lambda: run_load("127.0.0.1", port, CONNECTIONS, file, "http"), number)


async def _ours(store: Store, file: Path, number: int) -> Timing:
    async with AsyncExitStack() as stack:
        services, inbox, runner = await stack.enter_async_context(desk(store))
        statuses = TextStatuses(services=services, inbox=inbox, runner=runner)
        port = await _serving(stack, statuses.routes())
        return await taken_in(
            store, runner, lambda: run_load("127.0.0.1", port, CONNECTIONS, file, "http"), number
        )


async def _measure(kind: str) -> dict[str, Any]:
    return await measured("callbacks", kind, Channel.SMS, TEXTS, _requests, _limit, _ours)


def run() -> list[dict[str, Any]]:
    return [uvloop.run(_measure(kind)) for kind in ("postgresql", "sqlite")]
