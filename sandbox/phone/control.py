"""The control calls /sandbox/phone*: what a phone shows, a subscriber's text, and how a number behaves."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from sandbox.cast import Cast
from sandbox.phone.account import control_number
from sandbox.phone.behaviour import KEYS, Behaviours
from sandbox.phone.inbound import Inbound
from sandbox.phone.messages import Messages, view
from sandbox.phone.optout import OptOuts
from sandbox.world import World, control_body, control_query, number_in_query

LISTED: Final = 50


class PhoneControl:
    def __init__(
        self,
        world: World,
        cast: Cast,
        messages: Messages,
        behaviours: Behaviours,
        opt_outs: OptOuts,
        inbound: Inbound,
    ) -> None:
        self._world = world
        self._accounts = {one["number"]: one["accounts"] for one in cast.numbers()}
        self._names = {one.account: one.name for one in cast.subscriber_rows}
        self._messages = messages
        self._behaviours = behaviours
        self._opt_outs = opt_outs
        self._inbound = inbound

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox/phone", self._texts),
            web.get("/sandbox/phone/numbers", self._numbers),
            web.get("/sandbox/phone/behaviour", self._behaviour_list),
            web.post("/sandbox/phone/behaviour", self._behaviour),
            web.post("/sandbox/phone/send", self._send),
        ]

    async def _texts(self, request: web.Request) -> web.Response:
        query = control_query(request, optional=["number", "limit"])
        if "number" in query:
            found = self._messages.of_number(control_number(query["number"]))
        else:
            found = self._messages.all()
        if "limit" in query:
            limit = int(number_in_query(query, "limit", 0))
            found = found[max(len(found) - limit, 0) :]
        return web.json_response([view(text) for text in found])

    async def _numbers(self, request: web.Request) -> web.Response:
        """Phones whose number, account or name fits `search`: those with texts first, the newest on top."""
        query = control_query(request, optional=["search", "number", "limit"])
        opted_out = self._opt_outs.numbers()
        if "number" in query:  # that one phone, whoever it belongs to
            return web.json_response([self._phone(control_number(query["number"]), opted_out)])
        limit = int(number_in_query(query, "limit", LISTED))
        with_texts = {number: self._messages.last_of(number) for number in self._messages.numbers()}
        newest = sorted(with_texts, key=lambda number: (with_texts[number] or {})["updated_at"], reverse=True)
        rest = [number for number in self._accounts if number not in with_texts]
        wanted = query.get("search", "").strip().lower()
        found = [number for number in (*newest, *rest) if self._fits(number, wanted)]
        return web.json_response([self._phone(number, opted_out) for number in found[:limit]])

    def _fits(self, number: str, wanted: str) -> bool:
        if not wanted:
            return True
        accounts = self._accounts.get(number, [])
        digits = "".join(one for one in wanted if one.isdigit())
        # Four digits are an account or the end of a number; words are a name.
        by_digits = bool(digits) and (wanted in accounts or number.endswith(digits) or digits in number[1:])
        return by_digits or any(wanted in self._names[account].lower() for account in accounts)

    def _phone(self, number: str, opted_out: set[str]) -> dict[str, Any]:
        accounts = self._accounts.get(number, [])
        last = self._messages.last_of(number)
        return {
            "number": number,
            "accounts": accounts,
            "names": [self._names[account] for account in accounts],
            "opted_out": number in opted_out,
            "behaviour": self._behaviours.shown(number),
            "last": view(last) if last is not None else None,
        }

    async def _behaviour_list(self, request: web.Request) -> web.Response:
        control_query(request)
        return web.json_response(self._behaviours.all())

    async def _behaviour(self, request: web.Request) -> web.Response:
        self._behaviours.set(await control_body(request, {"number": str}, KEYS))
        self._world.changes.notify("phone")
        return web.json_response({"ok": True})

    async def _send(self, request: web.Request) -> web.Response:
        body = await control_body(request, {"from": str, "body": str}, {"to": str, "media": list})
        answer = await self._inbound.send(body["from"], body["body"], body.get("to"), body.get("media", []))
        return web.json_response(answer)
