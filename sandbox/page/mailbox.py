"""The page's view of the inbox, asked from the mail part's own control call as mails arrive."""

from __future__ import annotations

from typing import Any

import aiohttp

from sandbox.world import World

MAILS_SHOWN = 50


class ApiClient:
    """GET calls of the control API of this very process: the page knows no more than a test does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession()

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, missing: Any, **query: str) -> Any:
        """The JSON answer; `missing` where the call does not exist or refuses."""
        if self._session is None:
            return missing
        url = f"{self._world.endpoints['http']}{path}"
        async with self._session.get(url, params=query) as response:
            return await response.json() if response.status == 200 else missing


class Inbox:
    """The newest mails of all mailboxes, or of those whose address holds what was typed."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def mails(self, to: str, limit: int) -> list[dict[str, Any]]:
        """Newest first, without their content."""
        query = {"containing": to, "limit": str(limit), "brief": "1"}
        found: list[dict[str, Any]] = await self._api.get("/sandbox/mail", [], **query)
        return found[::-1]

    async def mail(self, mail_id: str) -> dict[str, Any] | None:
        if not mail_id:
            return None
        found = await self._api.get("/sandbox/mail", [], id=mail_id)
        return found[0] if found else None
