"""GET /media/CODE: a picture that a subscriber sent, fetched from the provider while a colleague looks.

Nothing of it is kept. What is no plain picture, sound or film is offered as a download: what a stranger
sent must not run as a page of ours.
"""

from __future__ import annotations

import asyncio

import aiohttp
import structlog
from aiohttp import web

from handlers.contract import Services
from handlers.workflows.media import PATH, StoredFile, file_of, may_follow

log = structlog.get_logger()
MOST_BYTES = 5 * 1024 * 1024
"""Twilio's own limit of a message with media."""
TIME_S = 15.0
MOST_HOPS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHOWN = frozenset(
    f"{kind}/{one}"
    for kind, ones in {
        "image": "jpeg png gif webp heic",
        "audio": "mpeg mp4 amr ogg",
        "video": "mp4 3gpp quicktime",
    }.items()
    for one in ones.split()
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


class TooBig(Exception):
    """More than a message can carry."""


class MediaPages:
    def __init__(self, services: Services, session: aiohttp.ClientSession) -> None:
        """`session` follows no environment's proxy and keeps no cookies of the provider's."""
        self._services, self._session = services, session

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH + "{code}", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        file = await file_of(self._services, request.match_info["code"])
        if file is None:
            return _said(404, "There is no file here any more.")
        try:
            async with asyncio.timeout(TIME_S):
                content_type, content = await self._fetch(file)
        except TooBig:
            return _said(413, "This file is too big to be shown.")
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("media_not_fetched", error=type(error).__name__)
            return _said(502, "The provider does not hand the file out now. Try again later.")
        headers = dict(_HEADERS)
        if content_type not in _SHOWN:
            content_type = "application/octet-stream"
            headers["Content-Disposition"] = 'attachment; filename="from-subscriber"'
        return web.Response(body=content, content_type=content_type, headers=headers)

    async def _fetch(self, file: StoredFile) -> tuple[str, bytes]:
        """Content type and bytes; aiohttp.ClientError when it cannot be had."""
        url = file.url
        signed = {
            "Authorization": aiohttp.encode_basic_auth(file.route.account_sid, file.route.auth_tokens[0])
        }
        for hop in range(MOST_HOPS):
            headers = signed if hop == 0 else {}
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status in _REDIRECTS:
                    url = answer.headers.get("Location", "")
                    if not may_follow(url):
                        raise aiohttp.ClientError("sent on to somewhere else")
                    continue
                if answer.status != 200:
                    raise aiohttp.ClientError(f"answered {answer.status}")
                content = bytearray()
                async for chunk in answer.content.iter_chunked(64 * 1024):
                    content += chunk
                    if len(content) > MOST_BYTES:
                        raise TooBig
                return answer.content_type, bytes(content)
        raise aiohttp.ClientError("sent on too often")


def _said(status: int, sentence: str) -> web.Response:
    return web.Response(status=status, text=sentence, headers=_HEADERS)
