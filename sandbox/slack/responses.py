"""POST /slack/response/<id>: what the app says through a response_url, at most 5 times in 30 minutes.

From a press the URL also reaches the message that was pressed, even an ephemeral one: replace or delete it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.slack.call import Desk
from sandbox.slack.content import read_reply, suspicious
from sandbox.slack.errors import SlackError
from sandbox.slack.workspace import BOT_USER_ID

METHOD = "response_url"


class Responses:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/slack/response/{id}", self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        behaviour = self._desk.behaviours.take(METHOD)
        if behaviour.delay_s:
            await asyncio.sleep(behaviour.delay_s)
        problems: list[str] = []
        if behaviour.refuses:
            response = web.Response(status=behaviour.status or 500, text=behaviour.error or "internal_error")
        else:
            response = await self._answer(request, problems)
        if behaviour.lose_response and request.transport is not None:
            request.transport.abort()
        spent_ms = (time.monotonic() - started) * 1000
        problem = "; ".join(problems) or None
        self._desk.world.wire.record("slack", "in", METHOD, response.status, spent_ms, problem)
        return response

    async def _answer(self, request: web.Request, problems: list[str]) -> web.Response:
        ticket, refusal = self._desk.response_urls.use(request.match_info["id"])
        if ticket is None or refusal is not None:
            problems.append(str(refusal))
            return web.Response(status=404, text=str(refusal))
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            problems.append("invalid_payload")
            return web.Response(status=400, text="invalid_payload")
        try:
            self._obey(ticket, body, problems)
        except SlackError as error:
            problems.append(error.sentence())
            return web.json_response(error.body(), status=404 if error.code == "message_not_found" else 400)
        self._desk.response_urls.count(ticket)
        return web.Response(text="ok")

    def _obey(self, ticket: Mapping[str, Any], body: Mapping[str, Any], problems: list[str]) -> None:
        messages = self._desk.messages
        if _true(body.get("delete_original")):
            messages.delete(self._original(ticket))
            return
        text, blocks = read_reply(body, newer=self._desk.newer_blocks)
        if trouble := suspicious(text, blocks):
            problems.append(trouble)
        if _true(body.get("replace_original")):
            if ticket["original_ts"] is not None:
                messages.edit(self._original(ticket), text, blocks)
                return
            # A command has no original: Slack posts a new message each time.
            problems.append("replace_original on the response_url of a command: there is nothing to replace")
        visible = body.get("response_type") == "in_channel"
        messages.add(
            ticket["channel"],
            BOT_USER_ID,
            text,
            blocks=blocks,
            thread_ts=str(body["thread_ts"]) if body.get("thread_ts") else None,
            ephemeral_to=None if visible else ticket["user"],
        )

    def _original(self, ticket: Mapping[str, Any]) -> dict[str, Any]:
        ts = ticket["original_ts"]
        message = self._desk.messages.get(ticket["channel"], ts) if ts is not None else None
        if message is None or message["user"] != BOT_USER_ID:
            raise SlackError("message_not_found")
        return message


def _true(value: object) -> bool:
    """Slack's documentation writes both true and "true"."""
    return value in (True, "true")
