"""Twilio's webhook for texts of subscribers: verified, redacted, kept, answered with empty TwiML at once.

What a text does is decided later, from its row (handlers.sms_replies): Twilio waits 15 s and sends a
webhook that was answered 5xx again only when its URL asks for that (docs/conversations.md).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import structlog
from aiohttp import web

from bot.inbox import Inbox, InboxFull
from bot.runner import Runner
from handlers.intents import redact_cards
from handlers.profile import TenantProfile
from handlers.sms_replies import HAS_CARD
from notifier.channels.twilio_webhooks import verified
from store.models import Interaction, InteractionKind
from store.unit import Store

log = structlog.get_logger()
PATH = "/twilio/inbound"
BACKLOG = 2000
LONGEST_BODY = 4000
_NUMBER = re.compile(r"\+?[0-9]{3,15}")
_SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")
_KEPT = re.compile(r"MessageSid|AccountSid|From|To|NumMedia|OptOutType|Media(?:Url|ContentType)[0-9]")
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


class InboundTexts:
    """`tenants`: the desk of each provider that texts."""

    def __init__(
        self, *, store: Store, inbox: Inbox, runner: Runner, tenants: Mapping[int, TenantProfile]
    ) -> None:
        self._store, self._inbox, self._runner, self._tenants = store, inbox, runner, tenants

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        """POST /twilio/inbound."""
        body = await request.read()
        profile = self._addressed(body)
        params = None
        if profile is not None and profile.sms is not None:
            # The URL as it is configured at Twilio, never one put together from forwarded headers.
            query = f"?{request.query_string}" if request.query_string else ""
            url = f"{profile.public_url}{PATH}{query}"
            params = verified(url, request.headers, body, profile.sms.route.auth_tokens)
        if profile is None or params is None:
            log.warning("twilio_signature_refused", size=len(body))
            return web.Response(status=403, text="The signature is not valid.")
        if not _NUMBER.fullmatch(params.get("From", "")) or not _SID.fullmatch(params.get("MessageSid", "")):
            log.warning("text_unreadable", tenant=profile.id)  # from no number that could be answered
            return _answered()
        if self._inbox.full or self._runner.backlog >= BACKLOG:
            return _full()
        item = self._interaction(profile.id, params)
        try:
            if await self._inbox.put(item):
                self._runner.start(item)
        except InboxFull:
            return _full()
        return _answered()

    def _addressed(self, body: bytes) -> TenantProfile | None:
        """Whose text it claims to be; nothing of it is believed before it is verified."""
        try:
            claimed = dict(parse_qsl(body.decode("ascii"), max_num_fields=500))
        except ValueError:
            return None
        account, to = claimed.get("AccountSid"), claimed.get("To")
        service = claimed.get("MessagingServiceSid")
        for profile in self._tenants.values():
            route = profile.sms.route if profile.sms is not None else None
            if route is None or route.account_sid != account:
                continue
            if route.sender == to or (service and route.messaging_service_sid == service):
                return profile
        return None

    def _interaction(self, tenant: int, params: Mapping[str, str]) -> Interaction:
        said = params.get("Body", "")[:LONGEST_BODY]
        redacted = redact_cards(said)
        kept = {name: value[:2000] for name, value in params.items() if _KEPT.fullmatch(name)}
        kept["Body"] = redacted.replace("\x00", "")
        if redacted != said:
            kept[HAS_CARD] = "1"
        return Interaction(
            tenant=tenant,
            id=hashlib.sha256(f"sms:{params['MessageSid']}".encode()).hexdigest(),
            kind=InteractionKind.SMS,
            payload=kept,
            received_at=self._store.clock(),
            attempt=1,
        )


def _answered() -> web.Response:
    return web.Response(text=EMPTY_TWIML, content_type="text/xml")


def _full() -> web.Response:
    return web.Response(status=503, text="Too much at once. Try again.", headers={"Retry-After": "1"})
