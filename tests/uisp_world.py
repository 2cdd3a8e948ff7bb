"""UISP's CRM at the wire: the sandbox's billing part with the cast, served to an adapter under test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp

from billing.port import Remote
from sandbox.app import CorePart, Site
from sandbox.billing import BillingPart
from sandbox.cast import Cast
from sandbox.phone.timing import Timing
from sandbox.product import ProductPart
from sandbox.slack import SlackPart
from sandbox.world import World

CAST = Cast.generate(date(2026, 3, 1), date(2026, 3, 2))
OWES = "1033"
"""A late payer of the cast with two active packages."""


class UispWorld:
    def __init__(self, site: Site, http: aiohttp.ClientSession) -> None:
        self.site, self.http = site, http

    @property
    def endpoint(self) -> dict[str, Any]:
        section: dict[str, Any] = self.site.world.endpoints["billing"]
        return section

    def remote(self, **changed: Any) -> Remote:
        said: dict[str, Any] = {
            "url": self.endpoint["api"],
            "app_key": self.endpoint["app_key"],
            "webhook_secret": self.endpoint["webhook_secret"],
            "time_zone": ZoneInfo("America/Los_Angeles"),
            "timeout_s": 5.0,
        }
        return Remote(**said | changed)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with self.http.request(method, f"{self.site.url}/sandbox/{path}", json=body) as answer:
            content = await answer.json()
            assert answer.status < 400, content
            return content

    async def change(self, account: str, **what: Any) -> None:
        """Somebody works in UISP; nobody is told of it."""
        await self.call("POST", "billing/change", {"account": account, "silent": True, **what})

    async def behave(self, **how: Any) -> None:
        await self.call("POST", "billing/behaviour", how)

    async def client(self, account: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.call("GET", f"billing/client?account={account}")
        return found

    async def books(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.call("GET", "billing")
        return found

    async def asked(self, since: int = 0) -> list[str]:
        """What crossed, as `GET clients`."""
        wire = await self.call("GET", f"wire?since={since}")
        return [row["method"] for row in wire if row["service"] == "billing" and row["direction"] == "in"]

    async def problems(self) -> list[str]:
        return [row["problem"] for row in await self.call("GET", "wire") if row["problem"]]


def small_cast(*accounts: str) -> Cast:
    """Some of the cast only: quick to read."""
    return Cast(
        tuple(row for row in CAST.subscriber_rows if row.account in accounts),
        tuple(row for row in CAST.service_rows if row.account in accounts),
        tuple(row for row in CAST.invoice_rows if row.account in accounts),
    )


@asynccontextmanager
async def uisp_world(
    directory: Path, cast: Cast = CAST, *, timing: Timing | None = None
) -> AsyncIterator[UispWorld]:
    world = World(directory)
    product = ProductPart(world, [])
    more = {} if timing is None else {"timing": timing}
    billing, slack = BillingPart(world, cast, product, **more), SlackPart(world)
    site = Site(world, [product, billing, slack, CorePart(world, product, slack, cast)])
    await site.start()
    async with aiohttp.ClientSession() as http:
        try:
            yield UispWorld(site, http)
        finally:
            await site.stop()
