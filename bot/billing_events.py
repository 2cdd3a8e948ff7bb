"""Webhooks of remote billing systems: taken in by the secret in their URL, on disk, then acknowledged.

They are unsigned, so nothing of them is believed but which event it is: what happened is asked back
afterwards (billing.port.Followed.heard). The same event again is the same interaction.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping

import structlog
from aiohttp import web

from billing.port import BillingSystem, Followed
from bot.inbox import Inbox, InboxFull
from bot.runner import Runner
from bot.text_statuses import refused, too_much
from handlers.contract import Services
from store.models import Interaction, InteractionKind

log = structlog.get_logger()
BACKLOG = 500
"""Less than what texts and bounces may fill: what is refused here comes with the next round."""
LONGEST = 256 * 1024
"""An event carries the whole entity, before and after."""
_EVENT_ID = re.compile(r"[0-9a-zA-Z-]{8,64}")


class BillingEvents:
    def __init__(self, *, services: Services, inbox: Inbox, runner: Runner) -> None:
        self._services, self._inbox, self._runner = services, inbox, runner
        self._secrets = secrets_of(services.billing)

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/billing/{secret}", self.handle)] if self._secrets else []

    async def handle(self, request: web.Request) -> web.Response:
        tenant = self._whose(request.match_info["secret"])
        if tenant is None:
            log.warning("webhook_refused", path="/billing")
            return refused()
        if (request.content_length or 0) > LONGEST:
            return web.Response(status=413, text="This is too much for one event.")
        event_id = _event_id(await request.content.read(LONGEST + 1))
        if event_id is None:
            return web.Response(status=400, text="This is no event.")
        if self._inbox.full or self._runner.backlog >= BACKLOG:
            return too_much()
        item = Interaction(
            tenant=tenant,
            id=hashlib.sha256(f"billing\x00{event_id}".encode()).hexdigest(),
            kind=InteractionKind.BILLING,
            payload={"event": event_id},
            received_at=self._services.now(),
            attempt=1,
        )
        try:
            if await self._inbox.put(item):
                self._runner.start(item)
        except InboxFull:
            return too_much()
        return web.Response(text="OK")

    def _whose(self, given: str) -> int | None:
        """Every secret is compared, each in constant time."""
        found = None
        for tenant, secret in self._secrets.items():
            if hmac.compare_digest(given.encode(), secret.encode()):
                found = tenant
        return found


def secrets_of(systems: Mapping[int, BillingSystem]) -> dict[int, str]:
    """Of those that are listened to."""
    followed = {tenant: one for tenant, one in systems.items() if isinstance(one, Followed)}
    return {tenant: one.webhook_secret for tenant, one in followed.items() if one.webhook_secret}


def _event_id(content: bytes) -> str | None:
    try:
        event = json.loads(content)
    except (ValueError, RecursionError):
        return None
    found = event.get("uuid") if isinstance(event, dict) else None
    return found if isinstance(found, str) and _EVENT_ID.fullmatch(found) else None
