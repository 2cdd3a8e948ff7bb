"""The one gate out to Slack for messages that change by themselves.

Takes `posts` rows whose shown revision is behind the wanted one, draws current state through
handlers.surfaces, posts or edits under the row's lease. Changes that come close together become one edit.
Calls are spread so that Slack has no reason to refuse them; a rate limit that comes all the same is waited
out. What waits holds back what was wanted later in its thread or channel: a thread reads in order. A post
whose ts was never recorded is looked for by its metadata first.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.buckets import Buckets
from bot.respond import QUIET_LINKS
from bot.signing import ValueSigner
from handlers.blocks import spoken
from handlers.contract import Services, Surface
from store.models import Post
from store.unit import Store

log = structlog.get_logger()
EVENT_TYPE = "ispbot_post"
COALESCE = timedelta(seconds=1)
_RETRY = timedelta(seconds=5)
_CLOSED_WAIT = timedelta(minutes=1)
NOT_YET = "-"
_PERSON = re.compile(r"[UW][A-Z0-9_]{2,}")
_PARENT_WAIT = timedelta(milliseconds=300)
# Slack: about one post a second in a channel (short bursts pass); chat.update is tier 3, over 50 a minute.
POST_BURST, POSTS_A_S = 4, 0.95
EDIT_BURST, EDITS_A_S = 20, 0.8
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_NO_CHANNEL = frozenset({"channel_not_found", "not_in_channel", "is_archived"})


class _Wait(Exception):
    """Not now; whatever stands in this lane (a channel, a thread) waits with it."""

    def __init__(self, lane: str, wait: timedelta, why: str) -> None:
        super().__init__(why)
        self.lane, self.wait, self.why = lane, wait, why


def _lane(post: Post) -> str:
    return f"{post.tenant}:{post.place}"


class Poster:
    def __init__(
        self,
        *,
        store: Store,
        services: Services,
        surfaces: Mapping[str, Surface],
        clients: Mapping[int, AsyncWebClient],
        signer: ValueSigner,
        worker: str,
        lease_s: float,
        poll_s: float = 0.5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._services, self._surfaces = store, services, surfaces
        self._clients, self._signer = clients, signer
        self._worker, self._lease_s, self._poll_s = worker, lease_s, poll_s
        self._posts = Buckets(size=POST_BURST, per_s=POSTS_A_S, now=monotonic)
        self._edits = Buckets(size=EDIT_BURST, per_s=EDITS_A_S, now=monotonic)
        self._until: dict[str, datetime] = {}
        """Lane -> when it goes on, in business time as `not_before`."""

    async def run(self) -> None:
        """Until cancelled."""
        await self._store.signals.keep_working("posts", self.show_behind, self._poll_s)

    async def release(self, dead: Sequence[str]) -> None:
        """Takes over what dead processes (store.presence) were showing."""
        if dead:
            async with self._store.system() as tx:
                await tx.posts.release(dead)

    async def show_behind(self) -> int:
        """One round: shows what is behind and due; gives how many posts were taken."""
        async with self._store.system() as tx:
            behind = await tx.posts.claim_behind(worker=self._worker, lease_s=self._lease_s)
        by_channel: dict[tuple[int, str], list[Post]] = {}
        for post in behind:
            by_channel.setdefault((post.tenant, post.place), []).append(post)
        await asyncio.gather(*(self._channel(posts) for posts in by_channel.values()))
        return len(behind)

    async def _channel(self, posts: Sequence[Post]) -> None:
        for post in posts:
            try:
                wait = self._held_back(post)
                if wait is not None:
                    await self._later(post, wait, "after what was wanted before")
                else:
                    await self._show_one(post)
            except Exception as error:
                # The row keeps its lease, and is taken up again when that ends.
                log.exception("post_failed", post=str(post.id), error=type(error).__name__)

    def _held_back(self, post: Post) -> timedelta | None:
        """How long what was wanted before it still waits, in its channel or its thread."""
        now = self._store.clock()
        self._until = {lane: until for lane, until in self._until.items() if until > now}
        until = max(
            (self._until[lane] for lane in (_lane(post), str(post.parent_id)) if lane in self._until),
            default=None,
        )
        return until - now if until is not None else None

    async def _show_one(self, post: Post) -> None:
        try:
            await self._show(post)
        except _Wait as wait:
            await self._wait(post, wait)
        except SlackApiError as error:
            await self._refused(post, error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            await self._later(post, _RETRY, type(error).__name__)
        except ValueError as error:
            log.exception("post_impossible", surface=post.surface, post=str(post.id))
            await self._later(post, timedelta(minutes=1), type(error).__name__)

    async def _wait(self, post: Post, wait: _Wait, *, refused: bool = False) -> None:
        self._until[wait.lane] = self._store.clock() + wait.wait
        await self._later(post, wait.wait, wait.why, refused=refused)

    def _paced(self, buckets: Buckets, key: str, post: Post) -> None:
        """Takes this call's turn, or says when it comes."""
        if not buckets.take(key):
            raise _Wait(_lane(post), timedelta(seconds=buckets.wait_s(key)), "Slack's pace")

    async def _show(self, post: Post) -> None:
        surface = self._surfaces.get(post.surface)
        reply = await surface.draw(self._services, post.tenant, post.key) if surface else None
        if reply is None:
            async with self._store.begin(post.tenant) as tx:
                await tx.posts.give_up(post, error="nothing to show")
            return
        thread_ts = await self._thread_of(post)
        if thread_ts == NOT_YET:
            raise _Wait(str(post.parent_id), _PARENT_WAIT, "its thread is not shown yet")
        client = self._clients[post.tenant]
        blocks = self._signer.blocks(post.tenant, reply.blocks)
        ts, channel = post.ts, post.place
        if ts is None and post.posting:
            channel = await self._conversation(client, channel)
            ts = await self._find(client, post, channel, thread_ts)
        if ts is not None:
            self._paced(self._edits, str(post.tenant), post)
            await client.chat_update(channel=channel, ts=ts, text=spoken(reply.text), blocks=blocks)
        else:
            self._paced(self._posts, _lane(post), post)
            async with self._store.begin(post.tenant) as tx:
                if not await tx.posts.about_to_post(post):
                    return
            answer = await client.chat_postMessage(
                channel=post.place,
                thread_ts=thread_ts,
                metadata={"event_type": EVENT_TYPE, "event_payload": {"id": str(post.id)}},
                text=spoken(reply.text),
                blocks=blocks,
                **QUIET_LINKS,
            )
            ts, channel = answer["ts"], answer["channel"]
        async with self._store.begin(post.tenant) as tx:
            await tx.posts.shown(
                post,
                ts=str(ts),
                revision=post.wanted,
                channel=str(channel),
                next_edit=tx.now + max(COALESCE, reply.rest),
            )

    async def _thread_of(self, post: Post) -> str | None:
        """The thread that it stands in; NOT_YET while the post that begins it has no place."""
        if post.parent_id is None:
            return post.thread_ts
        async with self._store.read(post.tenant) as tx:
            parent = await tx.posts.get(post.parent_id)
        if parent is None or (parent.ts is None and parent.shown >= parent.wanted):
            return None  # the parent was given up: its replies stand in the channel itself
        return parent.ts or NOT_YET

    async def _conversation(self, client: AsyncWebClient, place: str) -> str:
        """One posts to a person's id; what was posted stands in the direct message with them."""
        if not _PERSON.fullmatch(place):
            return place
        opened = await client.conversations_open(users=[place])
        return str(opened["channel"]["id"])

    async def _find(
        self, client: AsyncWebClient, post: Post, channel: str, thread_ts: str | None
    ) -> str | None:
        """The ts of a message that was posted but whose answer was never recorded."""
        cursor: str | None = None
        where: dict[str, Any] = {
            "channel": channel,
            "oldest": str((post.created_at - timedelta(minutes=5)).timestamp()),
            "limit": 200,
            "include_all_metadata": True,
        }
        while True:
            page: Any = (
                await client.conversations_replies(ts=thread_ts, cursor=cursor, **where)
                if thread_ts
                else await client.conversations_history(cursor=cursor, **where)
            )
            for message in page["messages"]:
                payload = message.get("metadata", {}).get("event_payload", {})
                if payload.get("id") == str(post.id):
                    return str(message["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None

    async def _refused(self, post: Post, error: SlackApiError) -> None:
        code = str(error.response.get("error"))
        if error.response.status_code == 429 or code == "ratelimited":
            seconds = timedelta(seconds=float(error.response.headers.get("Retry-After", "1")))
            await self._wait(post, _Wait(_lane(post), seconds, "ratelimited"), refused=True)
            return
        if code in _NO_CHANNEL:
            log.warning("post_channel_closed", channel=post.channel, error=code, surface=post.surface)
            await self._elsewhere(post, code)
        elif code in _GONE:
            async with self._store.begin(post.tenant) as tx:
                await tx.posts.give_up(post, error=code)
        else:
            log.error("post_refused", error=code, surface=post.surface, post=str(post.id))
            await self._later(post, timedelta(minutes=1), code, refused=True)

    async def _elsewhere(self, post: Post, code: str) -> None:
        """Into the support channel when the bot is not in the one where it was asked."""
        support = self._services.profile(post.tenant).support_channel
        async with self._store.begin(post.tenant) as tx:
            if post.ts is not None:
                await tx.posts.give_up(post, error=code)
            elif post.place == support:  # somebody is told (bot.slack_trouble); until it is mended, it waits
                await tx.posts.put_off(post, until=tx.now + _CLOSED_WAIT, error=code, refused=True)
            else:
                await tx.posts.redirect(post, support)
                tx.signal("posts")

    async def _later(self, post: Post, wait: timedelta, error: str, *, refused: bool = False) -> None:
        async with self._store.begin(post.tenant) as tx:
            await tx.posts.put_off(post, until=tx.now + wait, error=error, refused=refused)
