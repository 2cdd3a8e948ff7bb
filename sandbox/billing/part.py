"""The billing part: secrets of this state directory, the API, and the control calls."""

from __future__ import annotations

import secrets
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from aiohttp import web

from sandbox.billing.api import ROOT, Api
from sandbox.billing.behaviour import KEYS, Behaviours
from sandbox.billing.books import Books, Entry
from sandbox.billing.events import Events, event_of
from sandbox.cast import Cast
from sandbox.phone.timing import Timing
from sandbox.product import ProductPart
from sandbox.world import ControlError, World, control_body, control_query

KIND: Final = "billing_account"
QUICK: Final = Timing(rate=200.0, burst=400)


class BillingPart:
    def __init__(self, world: World, cast: Cast, product: ProductPart, timing: Timing = QUICK) -> None:
        self._world, self._product = world, product
        kept = world.documents.get(KIND, "one")
        if kept is None:
            kept = {"app_key": secrets.token_hex(24), "webhook_secret": secrets.token_hex(16)}
            world.documents.put(KIND, "one", kept)
        self._account = kept
        self._books, self._behaviours = Books(world, cast), Behaviours()
        self._events = Events(world, "")
        self._api = Api(world, self._books, self._events, self._behaviours, kept["app_key"], timing)

    async def start(self) -> None:
        self._world.endpoints["billing"] = {
            "api": f"{self._world.endpoints['http']}{ROOT}",
            **self._account,
        }
        self._events.url = self._url(self._account["webhook_secret"])
        await self._events.start()

    async def stop(self) -> None:
        await self._events.stop()

    def _url(self, secret: str) -> str:
        return f"http://127.0.0.1:{self._product.http_port}/billing/{secret}"

    def routes(self) -> list[web.RouteDef]:
        return [
            *self._api.routes(),
            web.get("/sandbox/billing", self._show),
            web.get("/sandbox/billing/client", self._client),
            web.post("/sandbox/billing/change", self._change),
            web.post("/sandbox/billing/behaviour", self._behave),
            web.post("/sandbox/billing/event", self._forge),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        control_query(request)
        documents = self._world.documents
        counts = {f"{kind}s": len(self._books.all(kind)) for kind in ("client", "service", "invoice")}
        told = {f"{kind}s": documents.all(f"billing_{kind}") for kind in ("event", "log", "ticket")}
        return web.json_response({**counts, **told})

    async def _client(self, request: web.Request) -> web.Response:
        account = control_query(request, ["account"])["account"]
        client = self._named(account)
        theirs = {f"{kind}s": self._books.of_client(kind, client["id"]) for kind in ("service", "invoice")}
        return web.json_response({"client": client, **theirs})

    def _named(self, account: str) -> Entry:
        client = self._books.by_ident(account)
        if client is None:
            raise ControlError(f"Billing has no client {account}.", 404)
        return client

    async def _change(self, request: web.Request) -> web.Response:
        wanted = {"client": dict, "gone": bool, "paid": str, "service": dict, "invoice": dict, "silent": bool}
        body = await control_body(request, {"account": str}, wanted)
        client = self._named(body["account"])
        happened: list[tuple[str, str, int]] = []
        if body.get("client"):
            self._books.change("client", client["id"], _fields(client, body["client"]))
            happened.append(("edit", "client", client["id"]))
        if "paid" in body:
            payment = self._books.pay(client["id"], _amount(body["paid"]))
            happened.append(("insert", "payment", payment["id"]))
        for kind, key in (("service", "id"), ("invoice", "number")):
            if kind in body:
                happened.append(self._changed(client, kind, key, dict(body[kind])))
        if body.get("gone"):
            happened += self._gone(client)
        if not body.get("silent"):
            for one in happened:
                self._events.happened(*one)
        return web.json_response({"changed": [f"{entity}.{change}" for change, entity, _ in happened]})

    def _changed(self, client: Entry, kind: str, key: str, fields: Entry) -> tuple[str, str, int]:
        theirs = self._books.of_client(kind, client["id"])
        value = fields.pop(key, None)
        entry = next((one for one in theirs if value is None or one[key] == value), None)
        if entry is None:
            raise ControlError(f"This client has no such {kind}.", 404)
        if fields.pop("gone", False):
            self._books.delete(kind, entry["id"])
            return "delete", kind, entry["id"]
        self._books.change(kind, entry["id"], _fields(entry, fields))
        return "edit", kind, entry["id"]

    def _gone(self, client: Entry) -> list[tuple[str, str, int]]:
        for kind in ("service", "invoice"):
            for one in self._books.of_client(kind, client["id"]):
                self._books.delete(kind, one["id"])
        self._books.delete("client", client["id"])
        return [("delete", "client", client["id"])]

    async def _behave(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await control_body(request, {}, KEYS)
        return web.json_response(self._behaviours.tell(body))

    async def _forge(self, request: web.Request) -> web.Response:
        """Sent as the real ones are; reading it back finds nothing."""
        wanted = {"uuid": str, "secret": str, "times": int}
        body = await control_body(request, {"entity": str, "entity_id": int}, wanted)
        event = event_of(body.get("uuid", secrets.token_hex(16)), "edit", body["entity"], body["entity_id"])
        url = self._url(body.get("secret", self._account["webhook_secret"]))
        for _ in range(body.get("times", 1)):
            await self._events.send(event, url)
        return web.json_response({"uuid": event["uuid"]})


def _fields(entry: Entry, fields: Entry) -> Entry:
    if unknown := sorted(set(fields) - set(entry)):
        raise ControlError(f"Unknown field: {', '.join(unknown)}. Known fields: {', '.join(sorted(entry))}.")
    return fields


def _amount(text: str) -> Decimal | None:
    if text == "all":
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise ControlError('paid must be an amount such as 49.90, or "all".')
    return amount
