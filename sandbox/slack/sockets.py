"""Socket Mode: connections that the app opens, envelopes that it acknowledges, renewals that Slack asks for.

docs.slack.dev/apis/events-api/using-socket-mode. Each payload goes to one of the open connections; what is
not acknowledged in time counts as over HTTP: events are sent again, a person is told.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType, web

from sandbox.slack.call import Desk
from sandbox.slack.outbound import Answer
from sandbox.slack.workspace import APP_ID

MOST = 10
"""Connections an app may hold; the oldest goes when another one comes."""


class Sockets:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tickets: set[str] = set()
        self._open: list[web.WebSocketResponse] = []
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/slack/api/apps.connections.open", self._connections_open),
            web.get("/slack/socket", self._socket),
            web.post("/sandbox/slack/renew", self._renew),
        ]

    async def stop(self) -> None:
        for socket in list(self._open):
            await socket.close()

    async def send(self, kind: str, payload: Mapping[str, Any], retry: int, reason: str) -> Answer:
        started = time.monotonic()
        live = [socket for socket in self._open if not socket.closed]
        if not live:
            return Answer("dispatch_failed", 0.0, retry_reason="connection_failed")
        envelope_id = secrets.token_hex(16)
        acknowledged = self._waiting[envelope_id] = asyncio.get_running_loop().create_future()
        envelope = {
            "envelope_id": envelope_id,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
            "retry_attempt": retry,
            "retry_reason": reason,
        }
        try:
            await live[-1].send_json(envelope)
            async with asyncio.timeout(self._desk.timing.ack_s):
                answered = await acknowledged
        except TimeoutError:
            return Answer("operation_timeout", _ms(started), retry_reason="timeout")
        except ConnectionError:
            return Answer("dispatch_failed", _ms(started), retry_reason="connection_failed")
        finally:
            del self._waiting[envelope_id]
        body = json.dumps(answered) if answered is not None else ""
        return Answer(200, _ms(started), body, "application/json")

    async def _connections_open(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        behaviour = self._desk.behaviours.take("apps.connections.open")
        refused = behaviour.error
        problem: str | None = None
        if token != self._desk.workspace.app_token:
            refused = problem = "not_allowed_token_type" if token.startswith("xoxb-") else "invalid_auth"
        self._record("apps.connections.open", 200, problem)
        if refused:
            return web.json_response({"ok": False, "error": refused})
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        base = str(self._desk.world.endpoints["http"]).replace("http://", "ws://", 1)
        return web.json_response({"ok": True, "url": f"{base}/slack/socket?ticket={ticket}"})

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            self._record("socket", 403, "a ticket that was not given out, or a second time")
            return web.Response(status=403)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if len(self._open) >= MOST:
            await self._disconnect(self._open.pop(0), "too_many_websockets")
        self._open.append(socket)
        info = {"app_id": APP_ID}
        await socket.send_json({"type": "hello", "connection_info": info, "num_connections": len(self._open)})
        self._record("socket", 101, None)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._acknowledged(message.data)
        finally:
            if socket in self._open:
                self._open.remove(socket)
        return socket

    def _acknowledged(self, data: str) -> None:
        try:
            told = json.loads(data)
            waiting = self._waiting.get(told["envelope_id"])
        except (ValueError, KeyError, TypeError):
            self._record("socket", 400, "an acknowledgement without an envelope_id")
            return
        if waiting is not None and not waiting.done():
            waiting.set_result(told.get("payload"))

    async def _renew(self, _: web.Request) -> web.Response:
        """What Slack does every few hours: it asks for new connections, then closes the old ones."""
        renewed = list(self._open)
        for socket in renewed:
            await self._disconnect(socket, "refresh_requested")
        return web.json_response({"renewed": len(renewed)})

    @staticmethod
    async def _disconnect(socket: web.WebSocketResponse, reason: str) -> None:
        if not socket.closed:
            await socket.send_json({"type": "disconnect", "reason": reason})

    def _record(self, method: str, status: int, problem: str | None) -> None:
        self._desk.world.wire.record("slack", "in", method, status, 0.0, problem)


def _ms(started: float) -> float:
    return (time.monotonic() - started) * 1000
