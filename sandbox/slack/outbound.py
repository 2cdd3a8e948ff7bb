"""What Slack sends to the app: signed requests, three seconds to answer, events repeated three times.

Signatures follow Slack's "Verifying requests" page (v0, HMAC-SHA256 over version:timestamp:body, real time).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

import aiohttp

from sandbox.slack.call import Desk
from sandbox.slack.workspace import APP_ID, BOT_USER_ID, TEAM_ID

UNUSED_TOKEN = "the-old-verification-token"  # noqa: S105 - dead in real Slack too: a signature counts


@dataclass(frozen=True)
class Answer:
    """`status` is the HTTP status, or what Slack tells the user: operation_timeout, dispatch_failed."""

    status: int | str
    ms: float
    body: str = ""
    content_type: str = ""
    no_retry: bool = False
    retry_reason: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def failure(self) -> str | None:
        """The code that the user sees."""
        if self.ok:
            return None
        return self.status if isinstance(self.status, str) else "dispatch_failed"

    def ack(self) -> Any:
        """Parsed JSON, text, or None for an empty body."""
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body) if "json" in self.content_type else self.body
        except ValueError:
            return self.body

    def control(self) -> dict[str, Any]:
        """The answer of a control call that led to this request."""
        view: dict[str, Any] = {"ack_ms": round(self.ms, 1), "ack": self.ack(), "status": self.status}
        if self.failure == "operation_timeout":
            view["error"] = "The product did not acknowledge within three seconds: operation_timeout."
        elif isinstance(self.status, str):
            view["error"] = "The product does not answer: dispatch_failed."
        elif self.failure:
            view["error"] = f"The product answered {self.status} instead of 200: dispatch_failed."
        return view


class OwnConnections(Protocol):
    """Another way to the product than a signed request: connections that it has opened (Socket Mode)."""

    async def send(self, kind: str, payload: Mapping[str, Any], retry: int, reason: str) -> Answer: ...


class Dispatcher:
    def __init__(self, desk: Desk, sockets: OwnConnections | None = None) -> None:
        """With `sockets` nothing goes by HTTP, as with a real app that is set to Socket Mode."""
        self._desk, self._sockets = desk, sockets
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        # A connection for each request: one kept open could be half dead after the product was killed.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._desk.timing.ack_s),
            connector=aiohttp.TCPConnector(force_close=True),
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def form(self, method: str, fields: Mapping[str, str], **detail: object) -> Answer:
        return await self._send(
            method, urlencode(fields).encode(), "application/x-www-form-urlencoded", detail
        )

    async def interaction(self, payload: Mapping[str, Any], **detail: object) -> Answer:
        return await self.form(str(payload["type"]), {"payload": json.dumps(payload)}, **detail)

    async def event(self, event: dict[str, Any], *, ext_shared: bool = False) -> Answer:
        """The first attempt's answer; two more attempts follow in the background when it was not 200."""
        envelope = {
            "token": UNUSED_TOKEN,
            "team_id": TEAM_ID,
            "context_team_id": TEAM_ID,
            "context_enterprise_id": None,
            "api_app_id": APP_ID,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(6).upper()}",
            "event_time": int(float(event["event_ts"])),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": TEAM_ID,
                    "user_id": BOT_USER_ID,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": ext_shared,
            "event_context": f"EC{secrets.token_hex(6).upper()}",
        }
        body = json.dumps(envelope).encode()
        first = await self._send(event["type"], body, "application/json", {"event_id": envelope["event_id"]})
        if not first.ok and not first.no_retry:
            self._desk.world.spawn(self._retry(event["type"], body, str(envelope["event_id"]), first))
        return first

    async def _retry(self, method: str, body: bytes, event_id: str, last: Answer) -> None:
        for number, pause_s in enumerate(self._desk.timing.retry_after_s, start=1):
            await asyncio.sleep(pause_s)
            headers = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": last.retry_reason}
            detail = {"event_id": event_id, "retry": number}
            last = await self._send(method, body, "application/json", detail, headers)
            if last.ok or last.no_retry:
                return

    async def _send(
        self,
        method: str,
        body: bytes,
        content_type: str,
        detail: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        started = time.monotonic()
        if self._sockets is not None:
            answer, problem = await self._over_socket(self._sockets, body, content_type, headers or {})
        else:
            answer, problem = await self._exchange(body, content_type, headers or {}, started)
        self._desk.world.wire.record("slack", "out", method, answer.status, answer.ms, problem, **detail)
        return answer

    @staticmethod
    async def _over_socket(
        sockets: OwnConnections, body: bytes, content_type: str, headers: Mapping[str, str]
    ) -> tuple[Answer, str | None]:
        """The same payload in an envelope, by its kind."""
        retry, reason = int(headers.get("X-Slack-Retry-Num", 0)), headers.get("X-Slack-Retry-Reason", "")
        if "json" in content_type:
            answer = await sockets.send("events_api", json.loads(body), retry, reason)
        else:
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
            if "payload" in fields:
                answer = await sockets.send("interactive", json.loads(fields["payload"]), 0, "")
            else:
                answer = await sockets.send("slash_commands", fields, 0, "")
        return answer, None if answer.ok else f"not acknowledged over Socket Mode: {answer.status}"

    async def _exchange(
        self, body: bytes, content_type: str, headers: Mapping[str, str], started: float
    ) -> tuple[Answer, str | None]:
        if self._session is None:
            raise RuntimeError("the dispatcher is not started")
        port = self._desk.world.endpoints["product"]["http_port"]
        signed = {**self._signature(body), "Content-Type": content_type, **headers}
        try:
            async with self._session.post(
                f"http://127.0.0.1:{port}/slack/events", data=body, headers=signed, allow_redirects=False
            ) as response:
                text = await response.text(errors="replace")
        except TimeoutError:
            answer = Answer("operation_timeout", _since(started), retry_reason="http_timeout")
            return answer, f"not acknowledged within {self._desk.timing.ack_s:g} s: operation_timeout"
        except aiohttp.ClientError as error:
            answer = Answer("dispatch_failed", _since(started), retry_reason="connection_failed")
            return answer, f"the product does not answer ({type(error).__name__}): dispatch_failed"
        answer = Answer(
            response.status,
            _since(started),
            text,
            response.content_type,
            no_retry=response.headers.get("X-Slack-No-Retry") == "1",
            retry_reason="http_error",
        )
        return answer, None if answer.ok else f"answered {response.status} instead of 200"

    def _signature(self, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        secret = self._desk.workspace.signing_secret.encode()
        digest = hmac.new(secret, b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        return {
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": f"v0={digest}",
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        }


def _since(started: float) -> float:
    return (time.monotonic() - started) * 1000
