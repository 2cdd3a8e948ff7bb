"""The HTTP side: Slack's requests and health. Webhooks never go through Bolt; Slack's do, once verified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from aiohttp import web

from bot.slack import SlackRim
from store.unit import Store

log = structlog.get_logger()
BODY_LIMIT = 1024 * 1024


def application(
    store: Store,
    slack: SlackRim,
    routes: Sequence[web.RouteDef] = (),
    troubles: Callable[[], Sequence[str]] = tuple,
) -> web.Application:
    """`routes`: what else is reached over HTTP (invoice pages, webhooks). `troubles`: what Slack refuses now;
    they make nobody unready, since mail goes on, and a monitor sees them."""

    async def health(_: web.Request) -> web.Response:
        """The process answers."""
        return web.json_response({"ok": True})

    async def ready(_: web.Request) -> web.Response:
        """The database answers too."""
        try:
            async with asyncio.timeout(2), store.system() as tx:
                await tx.tenants.all()
        except Exception as error:  # whatever it is, the answer is "not ready"
            log.warning("not_ready", error=type(error).__name__, exc_info=error)
            return web.json_response({"ready": False, "why": "the database does not answer"}, status=503)
        return web.json_response({"ready": True, "slack": list(troubles())})

    app = web.Application(client_max_size=BODY_LIMIT)
    app.add_routes(
        [
            web.post("/slack/events", slack.handle),
            web.get("/health", health),
            web.get("/ready", ready),
            *routes,
        ]
    )
    return app
