"""GET and POST /i/CODE: the invoice page and its PDF (handlers.workflows.invoice_page decides).

A code that none of our keys signed costs no database look-up. Guessing is slowed down per client address
(only mistakes cost: many subscribers may share an address) and per code. Answers are never cached, framed,
indexed or told to other sites. Codes are secrets: nothing here logs one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import parse_qs
from uuid import UUID

from aiohttp import web

from bot.buckets import Buckets
from bot.invoice_view import POLICY, invoice_html, notice_html
from bot.invoice_words import language_of
from handlers.contract import Services
from handlers.invoice_page import InvoicePage, Tried
from handlers.workflows.invoice_page import look, try_zip
from notifier.links import read_code
from notifier.mime import Attachment, safe_filename

PATH = "/i/{code}"
MOST_BODY = 1024
BODY_S = 10.0
MISTAKES, MISTAKES_PER_S = 20, 0.1
"""Wrong codes and ZIP codes from one address: twenty at once, then six a minute."""
REQUESTS, REQUESTS_PER_S = 30, 1.0
"""Of one code, right or wrong."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
_PAGE_HEADERS = _HEADERS | {"Content-Security-Policy": POLICY, "X-Frame-Options": "DENY"}
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.%\w]+)\](?::[0-9]{1,5})?|([0-9.]{7,15}):[0-9]{1,5}")
_STATUS = {None: 200, Tried.WRONG: 403, Tried.REFUSED: 403, Tried.UNREADABLE: 422}


class Pdfs(Protocol):
    async def invoice(self, tenant: int, invoice_id: UUID) -> Attachment | None: ...


class InvoicePages:
    def __init__(self, services: Services, pdfs: Pdfs, now: Callable[[], float] = time.monotonic) -> None:
        self._services, self._pdfs = services, pdfs
        self._mistakes = Buckets(size=MISTAKES, per_s=MISTAKES_PER_S, now=now)
        self._requests = Buckets(size=REQUESTS, per_s=REQUESTS_PER_S, now=now)

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.show), web.post(PATH, self.open)]

    async def show(self, request: web.Request) -> web.Response:
        """GET, and HEAD, which leaves no trace at all."""
        code = request.match_info["code"]
        tenant = self._tenant(code)
        if tenant is None:
            return self._unknown(request)
        if not self._requests.take(code):
            return _slow(request, self._requests.wait_s(code))
        page = await look(self._services, tenant, code, opened=request.method == "GET")
        if page is None:
            return self._unknown(request)
        return _html(invoice_html(page), 410 if page.expired else 200)

    async def open(self, request: web.Request) -> web.Response:
        """The ZIP code was sent."""
        code, client = request.match_info["code"], client_of(request)
        tenant = self._tenant(code)
        if tenant is None:
            return self._unknown(request)
        if not self._requests.take(code):
            return _slow(request, self._requests.wait_s(code))
        if not self._mistakes.take(client):  # before anything is compared: tries at once all pay
            return _slow(request, self._mistakes.wait_s(client))
        found = await try_zip(self._services, tenant, code, await typed_zip(request))
        if found is None:
            return _html(notice_html("unknown", _accepted(request)), 404)
        page, tried = found
        if tried is not Tried.WRONG:
            self._mistakes.give_back(client)
        if page.expired:
            return _html(invoice_html(page), 410)
        if tried is Tried.RIGHT:
            return await self._pdf(tenant, page)
        return _html(invoice_html(page, tried), _STATUS[tried])

    async def _pdf(self, tenant: int, page: InvoicePage) -> web.Response:
        found = await self._pdfs.invoice(tenant, page.invoice.id)
        if found is None:
            return _html(invoice_html(page, failed=True), 503)
        disposition = f'inline; filename="{safe_filename(found.filename)}"'
        headers = _HEADERS | {"Content-Disposition": disposition}
        return web.Response(body=found.content, content_type=found.content_type, headers=headers)

    def _tenant(self, code: str) -> int | None:
        """Of a signed code of a provider that we (still) work for."""
        tenant = read_code(self._services.keyring, code)
        return tenant if tenant in self._services.tenants else None

    def _unknown(self, request: web.Request) -> web.Response:
        client = client_of(request)
        if not self._mistakes.take(client):
            return _slow(request, self._mistakes.wait_s(client))
        return _html(notice_html("unknown", _accepted(request)), 404)


def _html(text: str, status: int) -> web.Response:
    return web.Response(
        text=text, status=status, content_type="text/html", charset="utf-8", headers=_PAGE_HEADERS
    )


def _slow(request: web.Request, wait_s: int) -> web.Response:
    answer = _html(notice_html("slow", _accepted(request)), 429)
    answer.headers["Retry-After"] = str(wait_s)
    return answer


def _accepted(request: web.Request) -> str:
    return language_of(request.headers.get("Accept-Language", ""))


async def typed_zip(request: web.Request) -> str:
    """The form's one field; empty for anything that is no such form (too long, too slow, not text)."""
    if request.content_type != "application/x-www-form-urlencoded":
        return ""
    try:
        async with asyncio.timeout(BODY_S):
            await request.content.readexactly(MOST_BODY + 1)
    except asyncio.IncompleteReadError as whole:
        try:
            fields = parse_qs(whole.partial.decode("utf-8", "replace"), max_num_fields=8)
        except ValueError:
            return ""
        return fields.get("zip", [""])[0].strip()
    except TimeoutError:
        return ""
    return ""


def client_of(request: web.Request) -> str:
    """Whose request it is: the peer, or whom a proxy beside us (loopback, private network) names last.

    IPv6 by its /64, of which one household has all addresses.
    """
    peer = _address(request.remote or "")
    if peer is None:
        return "unknown"
    if peer.is_loopback or peer.is_private:
        named = _address(request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip())
        peer = named or peer
    if isinstance(peer, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((peer, 64), strict=False))
    return str(peer)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Some proxies name a port too; without this all their clients would be one."""
    if (found := _WITH_PORT.fullmatch(text)) is not None:
        text = found[1] or found[2]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # An IPv4 peer of a socket for both: as IPv6 it would be "private", whoever it is.
    return getattr(address, "ipv4_mapped", None) or address
