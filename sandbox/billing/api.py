"""UISP's CRM API v1.0 as far as the product uses it: key, lists by limit and offset, acts, log, tickets."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, Final

from aiohttp import web

from sandbox.billing.behaviour import Behaviour, Behaviours
from sandbox.billing.books import REASONS, Books, Entry
from sandbox.billing.events import Events
from sandbox.billing.paper import invoice_pdf
from sandbox.phone.timing import Bucket, Timing
from sandbox.world import World

ROOT: Final = "/crm/api/v1.0"
MOST: Final = 10_000
Handler = Callable[[web.Request, Behaviour], Awaitable[web.Response]]
EXTRA: Final = "This form should not contain extra fields."
BLANK: Final = "This value should not be blank."


class ApiError(Exception):
    def __init__(self, code: int, message: str, errors: dict[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.errors = code, message, errors


def invalid(**errors: str) -> ApiError:
    return ApiError(422, "Validation failed.", {name: [sentence] for name, sentence in errors.items()})


class Api:
    def __init__(
        self, world: World, books: Books, events: Events, behaviours: Behaviours, key: str, timing: Timing
    ) -> None:
        self._world, self._books, self._events = world, books, events
        self._behaviours, self._key, self._bucket = behaviours, key, Bucket(timing)

    def routes(self) -> list[web.RouteDef]:
        calls: list[tuple[str, str, Handler]] = [
            ("GET", "version", self._version),
            ("GET", "clients", self._clients),
            ("GET", "clients/services", self._services),
            ("GET", "clients/services/{id}", self._one("service")),
            ("PATCH", "clients/services/{id}/suspend", self._suspend),
            ("PATCH", "clients/services/{id}/cancel-suspend", self._cancel_suspend),
            ("PATCH", "clients/services/{id}/pause", self._pause),
            ("GET", "clients/{id}", self._one("client")),
            ("GET", "service-suspension-reasons", self._reasons),
            ("GET", "invoices", self._invoices),
            ("GET", "invoices/{id}", self._one("invoice")),
            ("GET", "invoices/{id}/pdf", self._pdf),
            ("PATCH", "invoices/{id}/void", self._void),
            ("GET", "payments/{id}", self._one("payment")),
            ("GET", "webhook-events/{id}", self._event),
            ("GET", "client-logs", self._logs),
            ("POST", "client-logs", self._log),
            ("GET", "ticketing/tickets", self._tickets),
            ("POST", "ticketing/tickets", self._ticket),
        ]
        routes = [web.route(m, f"{ROOT}/{path}", self._served(handler)) for m, path, handler in calls]
        return [*routes, web.route("*", f"{ROOT}/{{rest:.*}}", self._served(_unknown))]

    def _served(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            started, problem = time.monotonic(), None
            path = request.path.removeprefix(f"{ROOT}/")
            behaviour = self._behaviours.take(request.method, path)
            try:
                self._let_in(request, behaviour)
                response = await handler(request, behaviour)
            except ApiError as refusal:
                response = _refused(refusal, behaviour)
                injected = behaviour.status or behaviour.access
                if refusal.code in (400, 401, 405, 422) and not injected:
                    problem = f"{refusal.code}: {refusal.message} {json.dumps(refusal.errors or {})}"
            await asyncio.sleep(behaviour.slow_s)
            ms = (time.monotonic() - started) * 1000
            told = f"{request.method} {path}"
            self._world.wire.record("billing", "in", told, response.status, ms, problem)
            if behaviour.lose_response and request.transport is not None:
                request.transport.abort()
            return response

        return serve

    def _let_in(self, request: web.Request, behaviour: Behaviour) -> None:
        given = request.headers.get("X-Auth-App-Key", "")
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            raise ApiError(401, "Unauthorized")
        if behaviour.access == "read" and request.method != "GET":
            raise ApiError(403, "Access denied. App key does not have required permission.")
        if behaviour.status:
            raise ApiError(behaviour.status, "As told by behaviour.")
        if not self._bucket.take():
            raise ApiError(429, "Too Many Requests")

    async def _version(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        return web.json_response({"version": "4.4.30"})

    async def _clients(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        query, found = request.query, self._books.all("client")
        if "userIdent" in query:
            found = [c for c in found if c["userIdent"] == query["userIdent"]]
        for name in ("email", "phone"):
            if name in query:
                found = [c for c in found if any(one[name] == query[name] for one in c["contacts"])]
        if "query" in query:
            wanted = query["query"].casefold()
            found = [c for c in found if wanted in json.dumps(c, ensure_ascii=False).casefold()]
        return _page(request, found, behaviour)

    async def _services(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        return _page(request, _filtered(request, self._books.all("service")), behaviour)

    async def _invoices(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        found = _filtered(request, self._books.all("invoice"))
        if "number" in request.query:
            found = [one for one in found if one["number"] == request.query["number"]]
        if request.query.get("overdue") == "1":
            today = self._world.clock.now().date().isoformat()
            found = [one for one in found if one["status"] in (1, 2) and str(one["dueDate"])[:10] < today]
        return _page(request, found, behaviour)

    def _one(self, kind: str) -> Handler:
        async def one(request: web.Request, behaviour: Behaviour) -> web.Response:
            return web.json_response(self._wanted(kind, request))

        return one

    def _wanted(self, kind: str, request: web.Request) -> Entry:
        number = request.match_info["id"]
        found = self._books.get(kind, int(number)) if number.isdecimal() else None
        if found is None:
            raise ApiError(404, f"{kind.capitalize()} object not found.")
        return found

    async def _suspend(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        service = self._wanted("service", request)
        body = await _body(request, {"suspensionReasonId"})
        reason = body.get("suspensionReasonId")
        if reason is None:
            raise invalid(suspensionReasonId=BLANK)
        if reason not in [one["id"] for one in REASONS]:
            raise invalid(suspensionReasonId="This value is not valid.")
        if service["status"] != 1:
            raise ApiError(422, "Only an active service can be suspended.")
        return self._acted(service, "suspend", status=3, suspensionReasonId=reason)

    async def _cancel_suspend(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        service = self._wanted("service", request)
        await _body(request, set())
        if service["status"] != 3:
            raise ApiError(422, "The service is not suspended.")
        return self._acted(service, "suspend_cancel", status=1, suspensionReasonId=None)

    async def _pause(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        service = self._wanted("service", request)
        body = await _body(request, {"pauseDate", "reactivateDate"})
        for name in ("pauseDate", "reactivateDate"):
            try:
                date.fromisoformat(str(body.get(name) or "")[:10])
            except ValueError:
                raise invalid(**{name: BLANK}) from None
        if service["status"] != 1:
            raise ApiError(422, "Only an active service can be paused.")
        return self._acted(service, "pause", status=8, activeTo=None)

    def _acted(self, service: Entry, change: str, **fields: Any) -> web.Response:
        changed = self._books.change("service", int(service["id"]), fields)
        self._events.happened(change, "service", int(service["id"]))
        return web.json_response(changed)

    async def _reasons(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        return web.json_response(list(REASONS))

    async def _pdf(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        invoice = self._wanted("invoice", request)
        content = invoice_pdf(str(invoice["number"] or "draft"), f"{invoice['total']:.2f}")
        return web.Response(body=content, content_type="application/pdf")

    async def _void(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        invoice = self._wanted("invoice", request)
        if invoice["status"] not in (0, 1, 2):
            raise ApiError(422, "The invoice cannot be voided.")
        changed = self._books.change("invoice", int(invoice["id"]), {"status": 4})
        self._events.happened("edit", "invoice", int(invoice["id"]))
        return web.json_response(changed)

    async def _event(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        event = self._events.get(request.match_info["id"])
        if event is None:
            raise ApiError(404, "WebhookEvent object not found.")
        return web.json_response(event)

    async def _logs(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        return _page(request, _filtered(request, self._world.documents.all("billing_log")), behaviour)

    async def _log(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        body = await _body(request, {"clientId", "message", "createdDate", "userId"})
        return self._written("log", body, {"message": body.get("message")})

    async def _tickets(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        return _page(request, _filtered(request, self._world.documents.all("billing_ticket")), behaviour)

    async def _ticket(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        known = {"clientId", "subject", "status", "public", "activity", "assignedGroupId", "createdAt"}
        body = await _body(request, known)
        return self._written("ticket", body, {"subject": body.get("subject")})

    def _written(self, kind: str, body: Entry, needed: Entry) -> web.Response:
        client = body.get("clientId")
        if not isinstance(client, int) or self._books.get("client", client) is None:
            raise invalid(clientId="This value is not valid.")
        for name, value in needed.items():
            if not isinstance(value, str) or not value.strip():
                raise invalid(**{name: BLANK})
        number = len(self._world.documents.all(f"billing_{kind}")) + 1
        entry = {"id": number, **body, "createdDate": self._world.clock.now().isoformat()}
        self._world.documents.put(f"billing_{kind}", str(number), entry)
        return web.json_response(entry, status=201)


async def _unknown(request: web.Request, behaviour: Behaviour) -> web.Response:
    raise ApiError(404, "No route found.")


def _filtered(request: web.Request, entries: list[Entry]) -> list[Entry]:
    client, statuses = request.query.get("clientId"), request.query.getall("statuses[]", [])
    found = [one for one in entries if client is None or str(one.get("clientId")) == client]
    return [one for one in found if not statuses or str(one.get("status")) in statuses]


def _page(request: web.Request, entries: list[Entry], behaviour: Behaviour) -> web.Response:
    bounds = {}
    for name, default in (("limit", MOST), ("offset", 0)):
        text = request.query.get(name, str(default))
        if not text.isdecimal() or (name == "limit" and not 0 < int(text) <= MOST):
            raise ApiError(400, f"Parameter {name} is not valid.")
        bounds[name] = int(text)
    limit = min(bounds["limit"], behaviour.page) if behaviour.page else bounds["limit"]
    return web.json_response(entries[bounds["offset"] : bounds["offset"] + limit])


async def _body(request: web.Request, known: set[str]) -> Entry:
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError:
        raise ApiError(400, "Invalid JSON.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "Invalid JSON.")
    if unknown := sorted(set(body) - known):
        raise invalid(**dict.fromkeys(unknown, EXTRA))
    return body


def _refused(refusal: ApiError, behaviour: Behaviour) -> web.Response:
    body: Entry = {"code": refusal.code, "message": refusal.message}
    if refusal.errors:
        body["errors"] = refusal.errors
    response = web.json_response(body, status=refusal.code)
    if refusal.code == 429:
        response.headers["Retry-After"] = str(behaviour.retry_after_s)
    return response
