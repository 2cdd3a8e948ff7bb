"""Socket Mode: Slack's payloads over a connection that we open, for whoever has no public address.

The same handlers as over HTTP, and the same order: persisted, then acknowledged. What is not acknowledged
Slack sends again (events) or tells the person (commands, presses). Slack renews connections every few hours
and says so before ("disconnect"); the library opens the next one.
Source: docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import asyncio
import logging
import time

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import SlackRim

log = structlog.get_logger()
AGAIN_S = 5.0
REFUSED_AGAIN_S = 60.0
"""A refused token is not mended within seconds, and apps.connections.open is rate limited."""
ENDING_S = 3.0


class SocketMode:
    def __init__(self, rim: SlackRim, app_token: str, api_url: str, session: aiohttp.ClientSession) -> None:
        self._rim, self._token = rim, app_token
        self._web = AsyncWebClient(base_url=api_url, session=session, retry_handlers=[], timeout=10)
        self._under_way: set[asyncio.Task[None]] = set()
        # It logs whole payloads when something is wrong with one: names and numbers.
        self._quiet = logging.getLogger("ispbot.socket_mode")
        self._quiet.setLevel(logging.CRITICAL)

    async def run(self) -> None:
        """Until cancelled; what was taken in by then is acknowledged first."""
        address = await self._address()
        client = SocketModeClient(self._token, logger=self._quiet, web_client=self._web)
        client.proxy = None  # as for all that we call: a proxy of the machine is not ours
        client.wss_uri = address
        client.socket_mode_request_listeners.append(self._on_request)
        try:
            await client.connect()  # type: ignore[no-untyped-call]  # slack_sdk's
            log.info("slack_socket_open")
            await self._watch(client)
        finally:
            client.socket_mode_request_listeners.clear()
            await asyncio.shield(self._end(client))

    async def _address(self) -> str:
        """Of the connection that Slack offers; asked for until there is one."""
        while True:
            try:
                answer = await self._web.apps_connections_open(app_token=self._token)
                return str(answer["url"])
            except SlackApiError as error:
                code = str(error.response.get("error"))
                log.warning("slack_socket_refused", error=code, mend="check what slack.app_token_env names")
                await asyncio.sleep(REFUSED_AGAIN_S)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.warning("slack_socket_unreachable", error=type(error).__name__)
                await asyncio.sleep(AGAIN_S)

    async def _watch(self, client: SocketModeClient) -> None:
        """The library tries a broken connection's old address for ever: a new one is asked for here."""
        while True:
            await asyncio.sleep(AGAIN_S)
            if not await client.is_connected():
                log.warning("slack_socket_lost")
                return  # begun again by whoever runs this

    async def _on_request(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        task = asyncio.create_task(self._take(client, request))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        response = await self._rim.take(request)
        if response is None:
            return
        try:
            await send_async_response(client, request, response, time.time())
        except (aiohttp.ClientError, ConnectionError, AttributeError) as error:
            # The connection ended meanwhile: it is on disk, and what Slack sends again is known by then.
            log.warning("slack_ack_lost", type=request.type, error=type(error).__name__)

    async def _end(self, client: SocketModeClient) -> None:
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=ENDING_S)
        await client.close()  # type: ignore[no-untyped-call]  # slack_sdk's
