"""A Reply to the asker: by response_url while it is young and uses are left, else ephemeral, else direct.

Slack: 30 minutes and 5 uses for a response_url; ephemeral messages cannot be edited later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.signing import ValueSigner
from handlers.blocks import spoken
from handlers.reply import File, Home, Reply, To
from notifier.keys import Keyring
from store.models import Interaction
from store.unit import Store

log = structlog.get_logger()
URL_LIFE = timedelta(minutes=29)
URL_USES = 5
URL_PURPOSE = "response_url"
QUIET_LINKS: dict[str, Any] = {"unfurl_links": False, "unfurl_media": False}
"""Slack would fetch what a message links to: subscribers' pictures and invoice pages are not for it to keep,
and what strangers link to is not for everybody to see.
"""
_NOT_THERE = frozenset({"channel_not_found", "not_in_channel", "user_not_in_channel", "is_archived"})


class Responder:
    def __init__(
        self,
        *,
        store: Store,
        session: aiohttp.ClientSession,
        clients: Mapping[int, AsyncWebClient],
        keyring: Keyring,
        signer: ValueSigner,
    ) -> None:
        self._store, self._session, self._clients = store, session, clients
        self._keyring, self._signer = keyring, signer

    async def deliver(self, item: Interaction, reply: Reply | Home | File) -> None:
        """Tells the asker, whatever way is left; raises when none is.

        What was asked in a thread (`thread_ts` of its value) is answered there.
        """
        if isinstance(reply, File):
            await self._file(item.tenant, item.payload["user"], reply)
            return
        blocks = self._signer.blocks(item.tenant, reply.blocks)
        client = self._clients[item.tenant]
        user, channel = item.payload["user"], item.payload["channel"]
        if isinstance(reply, Home):
            await client.views_publish(user_id=user, view={"type": "home", "blocks": blocks})
            return
        if await self._by_url(item, reply, blocks):
            return
        if channel and channel != user:
            try:
                await client.chat_postEphemeral(
                    channel=channel,
                    user=user,
                    text=spoken(reply.text),
                    blocks=blocks,
                    thread_ts=reply.thread_ts or _thread(item),
                )
            except SlackApiError as error:
                if error.response.get("error") not in _NOT_THERE:
                    raise
            else:
                return
        await self.directly(item.tenant, user, Reply(reply.text, blocks))

    async def directly(self, tenant: int, user: str, reply: Reply) -> None:
        """In the direct message with `user`; blocks are signed already."""
        client = self._clients[tenant]
        opened = await client.conversations_open(users=[user])
        await client.chat_postMessage(
            channel=opened["channel"]["id"],
            text=spoken(reply.text),
            blocks=list(reply.blocks),
            **QUIET_LINKS,
        )

    async def _file(self, tenant: int, user: str, file: File) -> None:
        """Three steps, as files.upload is gone: an address, the bytes, the message (docs.slack.dev)."""
        client = self._clients[tenant]
        opened = await client.conversations_open(users=[user])
        place = await client.files_getUploadURLExternal(filename=file.name, length=len(file.content))
        async with self._session.post(str(place["upload_url"]), data=file.content) as answer:
            if answer.status != 200:
                raise ValueError(f"the upload was refused with {answer.status}")
        await client.files_completeUploadExternal(
            files=[{"id": place["file_id"], "title": file.name}],
            channel_id=opened["channel"]["id"],
            initial_comment=spoken(file.text),
        )

    async def tell(self, url: str, reply: Reply) -> None:
        """At once, by a fresh response_url; blocks are signed already. A failure is logged only."""
        if url:
            await self._post(url, reply, list(reply.blocks))

    async def _by_url(self, item: Interaction, reply: Reply, blocks: list[dict[str, Any]]) -> bool:
        if not item.response_url or self._store.clock() - item.received_at > URL_LIFE:
            return False
        url = self._keyring.decrypt(URL_PURPOSE, item.response_url)
        if url is None:
            return False
        async with self._store.begin(item.tenant) as tx:
            if await tx.interactions.use_response(item) > URL_USES:
                return False
            place = item.payload["channel"], item.payload.get("message_ts") or ""
            if reply.to is To.REPLACE and place[1] and await tx.posts.at(*place) is not None:
                # A card that everybody sees shows what is so, not what one of them was answered; and the
                # poster, drawing it again, would wipe the answer away.
                reply = replace(reply, to=To.ASKER)
        return await self._post(url.decode(), reply, blocks, reply.thread_ts or _thread(item))

    async def _post(
        self, url: str, reply: Reply, blocks: list[dict[str, Any]], thread_ts: str | None = None
    ) -> bool:
        body: dict[str, Any] = {
            "text": spoken(reply.text),
            "blocks": blocks,
            "response_type": "ephemeral",
            "replace_original": reply.to is To.REPLACE,
        }
        if thread_ts and reply.to is not To.REPLACE:
            body["thread_ts"] = thread_ts
        try:
            async with self._session.post(url, json=body) as answer:
                if answer.status == 200:
                    return True
                log.warning("response_url_refused", status=answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("response_url_failed", error=type(error).__name__)
        return False


def _thread(item: Interaction) -> str | None:
    return (item.payload.get("value") or {}).get("thread_ts") or None
