"""The page's view of the inbox, asked from the mail part's own control call as mails arrive."""

from __future__ import annotations

from typing import Any

import aiohttp

from sandbox.world import World

KEPT = 200


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
    """The newest mails of all mailboxes, newest first."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._mails: list[dict[str, Any]] = []

    async def refresh(self) -> None:
        newest = {"since": self._mails[0]["id"]} if self._mails else {}
        arrived = await self._api.get("/sandbox/mail", [], limit=str(KEPT), **newest)
        known = {mail["id"] for mail in self._mails}
        for mail in arrived:
            if mail["id"] not in known:
                mail.pop("raw", None)
                self._mails.insert(0, mail)
        del self._mails[KEPT:]

    def mails(self, to: str) -> list[dict[str, Any]]:
        wanted = to.strip().lower()
        return [mail for mail in self._mails if wanted in mail["envelope_to"].lower()]

    def mail(self, mail_id: str) -> dict[str, Any] | None:
        return next((mail for mail in self._mails if mail["id"] == mail_id), None)
