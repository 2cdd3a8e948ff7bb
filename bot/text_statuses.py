"""Twilio's status callbacks: verified, on disk, then acknowledged; worked on afterwards.

Twilio gives up after 15 s, and repeats a 5xx only because our URLs ask for it (RETRY_OVERRIDE in
notifier.compose): a full inbox answers 503. The URL that was signed is the configured public one, never one
from forwarded headers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import structlog
from aiohttp import web

from bot.inbox import Inbox, InboxFull
from bot.runner import Runner
from handlers.contract import Services
from notifier.channels import SmsRoute
from notifier.channels.twilio_webhooks import verified
from store.models import Interaction, InteractionKind

log = structlog.get_logger()
BACKLOG = 2000
KEPT = ("MessageSid", "MessageStatus", "ErrorCode", "RawDlrDoneDate")
"""Of a status callback; the rest is who and whom, which the delivery knows."""


def accepted() -> web.Response:
    """TwiML without anything to do."""
    return web.Response(text="<Response/>", content_type="text/xml")


def refused() -> web.Response:
    return web.Response(status=403, text="This is not for us.")


def too_much() -> web.Response:
    return web.Response(status=503, text="Too much at once. Try again.")


class TextStatuses:
    def __init__(self, *, services: Services, inbox: Inbox, runner: Runner) -> None:
        self._services, self._inbox, self._runner = services, inbox, runner

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/twilio/status/{token}", self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        """A provider's word on a text of ours. The token in the path names delivery and attempt."""
        token = request.match_info["token"]
        read = self._services.keyring.read_delivery_token(token)
        profile = self._services.tenants.get(read.tenant) if read else None
        if read is None or profile is None or profile.sms is None:
            return refused()
        if self._inbox.full or self._runner.backlog >= BACKLOG:
            return too_much()
        route = profile.sms.route
        params = await self._genuine(request, f"{route.callback_url}/{token}", route)
        if params is None:
            return refused()
        kept = {name: params[name] for name in KEPT if params.get(name)}
        if "MessageSid" not in kept or "MessageStatus" not in kept:
            log.warning("text_status_without_status", names=sorted(params)[:20])
            return accepted()
        try:
            item = self._interaction(read.tenant, token, kept)
            if await self._inbox.put(item):
                self._runner.start(item)
        except InboxFull:
            return too_much()
        return accepted()

    def _interaction(self, tenant: int, token: str, kept: Mapping[str, str]) -> Interaction:
        """The same status of the same text is the same interaction, however often it is told."""
        said = (token.lower(), kept["MessageSid"], kept["MessageStatus"], kept.get("ErrorCode", ""))
        return Interaction(
            tenant=tenant,
            id=hashlib.sha256("\x00".join(("sms_status", *said)).encode()).hexdigest(),
            kind=InteractionKind.SMS_STATUS,
            payload={"token": token, "params": dict(kept)},
            received_at=self._services.now(),
            attempt=1,
        )

    async def _genuine(self, request: web.Request, url: str, route: SmsRoute) -> dict[str, str] | None:
        """What Twilio says, for this account; None when it is not Twilio who says it."""
        query = f"?{request.query_string}" if request.query_string else ""
        params = verified(url + query, request.headers, await request.read(), route.auth_tokens)
        if params is None or params.get("AccountSid") != route.account_sid:
            log.warning("webhook_refused", path=request.path.partition("/status/")[0])
            return None
        return params
