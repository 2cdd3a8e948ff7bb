"""Slack's Web API at POST /slack/api/<method>: authorisation, scopes, rates, faults; then the method itself.

Every call is recorded in the wire list; its problem says what the product did wrong, if anything.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from sandbox.slack import calls_chat, calls_conversations, calls_files, calls_people, calls_views
from sandbox.slack.call import Call, Desk
from sandbox.slack.errors import SlackError
from sandbox.slack.faults import Behaviour
from sandbox.slack.limits import NEEDED_SCOPES, SCOPES

Method = Callable[[Call], dict[str, Any]]

METHODS: dict[str, Method] = {
    **calls_chat.METHODS,
    **calls_conversations.METHODS,
    **calls_files.METHODS,
    **calls_people.METHODS,
    **calls_views.METHODS,
}
# Answers that say something about the workspace, not about a mistake of the app.
NO_MISTAKE = frozenset({"paid_teams_only"})
RETIRED = {"files.upload": "method_deprecated", "dialog.open": "method_deprecated"}
SHOWN_ARGUMENTS = ("channel", "user", "ts", "thread_ts", "view_id", "trigger_id", "external_id", "filename")


class WebApi:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/slack/api/{method}", self._serve),
            web.get("/slack/api/{method}", self._serve),
        ]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        method = request.match_info["method"]
        behaviour = self._desk.behaviours.take(method)
        call = Call(self._desk, method, {})
        try:
            call.args = await _arguments(request)
            if behaviour.delay_s:
                await asyncio.sleep(behaviour.delay_s)
            response = _injected(behaviour) or web.json_response(self._carry_out(request, call))
        except SlackError as refusal:
            response = _refusal(refusal)
            if refusal.code not in NO_MISTAKE:
                call.problems.append(refusal.sentence())
        if behaviour.lose_response and request.transport is not None:
            request.transport.abort()
        response.headers["x-oauth-scopes"] = ",".join(sorted(SCOPES))
        self._record(call, behaviour, response, started)
        return response

    def _carry_out(self, request: web.Request, call: Call) -> dict[str, Any]:
        self._authorise(request, call.args)
        if call.method in RETIRED:
            raise SlackError(RETIRED[call.method])
        needed = NEEDED_SCOPES.get(call.method)
        if needed is not None and needed not in SCOPES:
            raise SlackError("missing_scope", needed=needed, provided=",".join(sorted(SCOPES)))
        carry_out = METHODS.get(call.method)
        if carry_out is None:
            raise SlackError("unknown_method", req_method=call.method)
        retry_after = self._desk.buckets.take(call.method, str(call.args.get("channel", "")))
        if retry_after is not None:
            raise SlackError("ratelimited", retry_after=retry_after)
        return {"ok": True, **carry_out(call)}

    def _authorise(self, request: web.Request, args: Mapping[str, Any]) -> None:
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ").strip() if header else args.get("token")
        if not token:
            raise SlackError("not_authed")
        if token != self._desk.workspace.bot_token:
            raise SlackError("invalid_auth")

    def _record(self, call: Call, behaviour: Behaviour, response: web.StreamResponse, started: float) -> None:
        detail = {name: call.args[name] for name in SHOWN_ARGUMENTS if call.args.get(name)}
        if behaviour != Behaviour():
            detail["injected"] = "lost answer" if behaviour.lose_response else "as told by behaviour"
        self._desk.world.wire.record(
            "slack",
            "in",
            call.method,
            response.status,
            (time.monotonic() - started) * 1000,
            "; ".join(call.problems) or None,
            **detail,
        )


def _injected(behaviour: Behaviour) -> web.Response | None:
    if not behaviour.refuses:
        return None
    limited = behaviour.retry_after is not None
    status = behaviour.status or (429 if limited else 200)
    body = {"ok": False, "error": behaviour.error or ("ratelimited" if status == 429 else "internal_error")}
    headers = {"Retry-After": str(behaviour.retry_after or 1)} if status == 429 else {}
    return web.json_response(body, status=status, headers=headers)


def _refusal(refusal: SlackError) -> web.Response:
    retry_after = refusal.fields.pop("retry_after", None)
    if retry_after is None:
        return web.json_response(refusal.body())
    return web.json_response(refusal.body(), status=429, headers={"Retry-After": str(retry_after)})


async def _arguments(request: web.Request) -> dict[str, Any]:
    """Query, form and JSON bodies alike, as the Web API takes them."""
    args: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        return args | body
    return args | dict(await request.post())
