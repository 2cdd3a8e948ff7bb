"""The control calls of the mail world: inbox, behaviour, injection, ledger (see `sandbox.mail`)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from sandbox.mail.behaviour import Behaviours
from sandbox.mail.post import Post
from sandbox.mail.reading import attachments
from sandbox.mail.sink import Sink
from sandbox.world import ControlError, World, control_body, control_query, number_in_query

READ_AT_ONCE: Final = 100
LISTED: Final = 100
SHOWN_TYPES: Final = frozenset({"application/pdf", "image/png"})
ChangeListener = Callable[[str, dict[str, Any]], Awaitable[None]]


class MailControls:
    def __init__(
        self, world: World, behaviours: Behaviours, sink: Sink, post: Post, change_listener: ChangeListener
    ) -> None:
        self._world = world
        self._behaviours = behaviours
        self._sink = sink
        self._post = post
        self._change_listener = change_listener

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox/mail", self._inbox),
            web.get("/sandbox/mail/attachment", self._attachment),
            web.get("/sandbox/mail/ledger", self._ledger),
            web.get("/sandbox/mail/queue", self._queue),
            web.get("/sandbox/mail/behaviour", self._behaviour_list),
            web.post("/sandbox/mail/behaviour", self._behaviour),
            web.post("/sandbox/mail/inject", self._inject),
        ]

    async def _inbox(self, request: web.Request) -> web.Response:
        query = control_query(request, optional=["to", "since", "limit", "id", "containing", "brief"])
        ids = self._wanted(query)
        read = self._sink.brief if query.get("brief") == "1" else self._sink.view
        mails: list[dict[str, Any]] = []
        for start in range(0, len(ids), READ_AT_ONCE):
            mails += [read(mail_id) for mail_id in ids[start : start + READ_AT_ONCE]]
            await asyncio.sleep(0)  # a long list must not hold up the mail that is arriving
        return web.json_response(mails)

    def _wanted(self, query: Mapping[str, str]) -> list[str]:
        if len({"id", "containing", "to"} & set(query)) > 1:
            raise ControlError("Ask by id, by to or by containing, one of them.")
        limit = int(number_in_query(query, "limit", 0)) if "limit" in query else None
        if "id" in query:
            return [query["id"]]
        if "containing" in query:
            if "since" in query:
                raise ControlError("containing lists the newest: it takes limit, not since.")
            return self._sink.containing(query["containing"], LISTED if limit is None else limit)
        return self._sink.ids(query.get("to"), query.get("since"), limit)

    async def _attachment(self, request: web.Request) -> web.Response:
        query = control_query(request, ["id", "number"])
        found = attachments(self._sink.content(query["id"]))
        number = int(number_in_query(query, "number", 0))
        if number >= len(found):
            raise ControlError(f"Mail {query['id']} has {len(found)} attachments, numbered from 0.", 404)
        name, content_type, octets = found[number]
        # The sender chose the type: nothing of it may run in the page's origin.
        shown = content_type if content_type in SHOWN_TYPES else "application/octet-stream"
        kept_as = quote(name or "attachment", safe="", errors="replace")
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Content-Disposition": f"inline; filename*=UTF-8''{kept_as}",
        }
        # Chromium shows no PDF in a sandbox; and a PDF reaches nothing of the page.
        if shown != "application/pdf":
            headers["Content-Security-Policy"] = "sandbox"
        return web.Response(body=octets, content_type=shown, headers=headers)

    async def _ledger(self, request: web.Request) -> web.Response:
        control_query(request)
        return web.json_response(self._sink.ledger())

    async def _queue(self, request: web.Request) -> web.Response:
        control_query(request)
        shown = ("id", "work", "due_at", "tries", "label", "recipient")
        pieces = [{key: piece.get(key) for key in shown} for piece in self._post.queue.waiting()]
        return web.json_response(pieces)

    async def _behaviour_list(self, request: web.Request) -> web.Response:
        control_query(request)
        return web.json_response(self._behaviours.all())

    async def _behaviour(self, request: web.Request) -> web.Response:
        # Not control_body: it forgets the nulls, which reset a single key of a relay.
        try:
            body = json.loads(await request.read())
        except ValueError:
            raise ControlError("The body is not valid JSON.") from None
        if not isinstance(body, dict):
            raise ControlError("The body must be a JSON object.")
        if "relay" in body:
            name = body.pop("relay")
            if name not in ("visp", "remote", "mx"):
                raise ControlError(f"Unknown relay: {name}. Relays: visp, remote, mx.", 404)
            await self._change_listener(name, body)
        else:
            self._behaviours.set(body)
        return web.json_response({"ok": True})

    async def _inject(self, request: web.Request) -> web.Response:
        body = await control_body(
            request,
            {"envelope_from": str, "envelope_to": str},
            {"raw": str, "raw_base64": str},
        )
        if ("raw" in body) == ("raw_base64" in body):
            raise ControlError("Give the message as raw or as raw_base64.")
        for key in ("envelope_from", "envelope_to"):
            if any(character in body[key] for character in "\r\n<>"):
                raise ControlError(f"{key} is an address, without brackets or line ends.")
        try:
            content = (
                body["raw"].encode("utf-8", "surrogatepass")
                if "raw" in body
                else base64.b64decode(body["raw_base64"], validate=True)
            )
        except binascii.Error:
            raise ControlError("raw_base64 is not base64.") from None
        try:
            sent = await self._post.to_product(body["envelope_from"], body["envelope_to"], content)
        except (OSError, EOFError, TimeoutError) as error:
            trouble = str(error) or type(error).__name__
            raise ControlError(f"The product's bounce listener does not answer: {trouble}.", 409) from None
        label = f"injected mail for {body['envelope_to']}"
        self._world.wire.record("mail", "out", label, sent.reply, 0.0)
        return web.json_response({"reply": sent.reply})
