"""The control calls /sandbox/slack/*: what people do, what they see, and how the Web API misbehaves."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.slack.call import Desk
from sandbox.slack.interactions import Interactions
from sandbox.slack.modals import Modals
from sandbox.slack.state import EXTERNAL, find
from sandbox.slack.web_api import METHODS
from sandbox.slack.workspace import CHANNELS, USERS, Channel, User
from sandbox.world import ControlError, control_body, control_query

SHOWN = (
    "ts",
    "channel",
    "user",
    "ephemeral",
    "ephemeral_to",
    "text",
    "blocks",
    "thread_ts",
    "edits",
    "files",
)


class SlackControl:
    def __init__(self, desk: Desk, interactions: Interactions, modals: Modals) -> None:
        self._desk = desk
        self._interactions = interactions
        self._modals = modals

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sandbox/slack/command", self._command),
            web.post("/sandbox/slack/message", self._message),
            web.post("/sandbox/slack/action", self._action),
            web.post("/sandbox/slack/submit", self._submit),
            web.get("/sandbox/slack/messages", self._messages),
            web.get("/sandbox/slack/views", self._views),
            web.post("/sandbox/slack/close", self._close),
            web.post("/sandbox/slack/home", self._home),
            web.post("/sandbox/slack/shortcut", self._shortcut),
            web.post("/sandbox/slack/options", self._options),
            web.post("/sandbox/slack/membership", self._membership),
            web.post("/sandbox/slack/behaviour", self._behaviour),
        ]

    def _who_where(self, body: dict[str, Any]) -> tuple[User, Channel]:
        user = self._desk.workspace.person(body["user"])
        return user, self._desk.workspace.channel_for(body["channel"], user)

    async def _command(self, request: web.Request) -> web.Response:
        body = await control_body(request, {"user": str, "channel": str, "text": str})
        return web.json_response(await self._interactions.command(*self._who_where(body), body["text"]))

    async def _message(self, request: web.Request) -> web.Response:
        body = await control_body(request, {"user": str, "channel": str, "text": str}, {"thread_ts": str})
        user, channel = self._who_where(body)
        answer = await self._interactions.message(user, channel, body["text"], body.get("thread_ts"))
        return web.json_response(answer)

    async def _action(self, request: web.Request) -> web.Response:
        body = await control_body(
            request,
            {"user": str, "action_id": str},
            {"channel": str, "ts": str, "view_id": str, "block_id": str, "value": object},
        )
        user = self._desk.workspace.person(body["user"])
        which = (body["action_id"], body.get("block_id"), body.get("value"))
        if "view_id" in body:
            return web.json_response(await self._interactions.view_action(user, body["view_id"], *which))
        if "channel" not in body or "ts" not in body:
            raise ControlError("Say which: channel and ts of a message, or view_id.")
        _, channel = self._who_where(body)
        return web.json_response(await self._interactions.message_action(user, channel, body["ts"], *which))

    async def _submit(self, request: web.Request) -> web.Response:
        body = await control_body(request, {"user": str, "view_id": str}, {"values": dict})
        user = self._desk.workspace.person(body["user"])
        answer = await self._modals.submit(user, body["view_id"], body.get("values", {}))
        return web.json_response(answer)

    async def _messages(self, request: web.Request) -> web.Response:
        query = control_query(request, ["channel", "user"], ["thread_ts"])
        user, channel = self._who_where(query)
        found = self._desk.messages.visible(channel.id, user.id, query.get("thread_ts"))
        return web.json_response([{key: message[key] for key in SHOWN} for message in found])

    async def _views(self, request: web.Request) -> web.Response:
        user = self._desk.workspace.person(control_query(request, ["user"])["user"])
        views = self._desk.views
        return web.json_response({"modals": views.stack(user.id), "home": views.home(user.id)})

    async def _close(self, request: web.Request) -> web.Response:
        body = await control_body(request, {"user": str, "view_id": str}, {"all": bool})
        user = self._desk.workspace.person(body["user"])
        closed = await self._modals.close(user, body["view_id"], whole_stack=body.get("all", False))
        return web.json_response(closed)

    async def _home(self, request: web.Request) -> web.Response:
        body = await control_body(request, {"user": str}, {"tab": str})
        tab = body.get("tab", "home")
        if tab not in ("home", "messages"):
            raise ControlError("tab must be home or messages.")
        return web.json_response(
            await self._interactions.open_home(self._desk.workspace.person(body["user"]), tab)
        )

    async def _shortcut(self, request: web.Request) -> web.Response:
        body = await control_body(request, {"user": str, "callback_id": str}, {"channel": str, "ts": str})
        if ("channel" in body) != ("ts" in body):
            raise ControlError("A message shortcut needs channel and ts, a global one neither.")
        user = self._desk.workspace.person(body["user"])
        channel = self._who_where(body)[1] if "channel" in body else None
        answer = await self._interactions.shortcut(user, body["callback_id"], channel, body.get("ts"))
        return web.json_response(answer)

    async def _options(self, request: web.Request) -> web.Response:
        body = await control_body(
            request,
            {"user": str, "action_id": str, "query": str},
            {"channel": str, "ts": str, "view_id": str, "block_id": str},
        )
        user = self._desk.workspace.person(body["user"])
        channel = self._who_where(body)[1] if "channel" in body else None
        blocks, place = self._interactions.place_of(user, channel, body.get("ts"), body.get("view_id"))
        block, element = find(blocks, body["action_id"], body.get("block_id"))
        if element["type"] not in EXTERNAL:
            raise ControlError(f"A {element['type']} has its options in itself.")
        options = await self._interactions.options(user, place, block, element, body["query"])
        return web.json_response({"options": options})

    async def _membership(self, request: web.Request) -> web.Response:
        body = await control_body(request, {"channel": str, "user": str, "member": bool})
        channel = CHANNELS.get(body["channel"])
        if channel is None or body["user"] not in USERS:
            raise ControlError("There is no such channel or user.", 404)
        self._desk.workspace.set_member(channel, body["user"], body["member"])
        self._desk.world.changes.notify("slack")
        return web.json_response({"members": self._desk.workspace.members(channel)})

    async def _behaviour(self, request: web.Request) -> web.Response:
        body = await control_body(
            request,
            optional={
                "method": str,
                "error": str,
                "status": int,
                "retry_after": int,
                "delay_s": float,
                "lose_response": bool,
                "times": int,
                "paid_plan": bool,
                "newer_blocks": bool,
            },
        )
        if not body:
            raise ControlError("Name a method, paid_plan or newer_blocks.")
        self._desk.paid_plan = body.pop("paid_plan", self._desk.paid_plan)
        self._desk.newer_blocks = body.pop("newer_blocks", self._desk.newer_blocks)
        if not body:
            return web.json_response({"ok": True})
        method = body.pop("method", None)
        if method not in METHODS and method != "response_url":
            raise ControlError(f"There is no method {method}; methods: {', '.join(METHODS)}, response_url.")
        self._desk.behaviours.set(method, body)
        return web.json_response({"ok": True})
