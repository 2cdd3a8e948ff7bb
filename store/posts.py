"""Slack messages that change by themselves: anyone bumps the wanted revision, the poster shows it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, or_, select, update

from store.models import Post
from store.repository import Repository
from store.tables import posts
from store.types import db_now, db_now_plus, new_id


def _post(row: Row[Any]) -> Post:
    return Post(
        tenant=row.tenant_id,
        id=row.id,
        surface=row.surface,
        key=row.key,
        channel=row.channel,
        thread_ts=row.thread_ts or None,
        ts=row.ts,
        wanted=row.wanted,
        shown=row.shown,
        attempt=row.attempt,
        created_at=row.created_at,
        posted_in=row.posted_in,
        posting=row.posting,
        parent_id=row.parent_id,
    )


FOLLOWING = {"delivery": ("delivery", "act")}
"""A billing act has the id of the notification that tells of it: its card follows those deliveries too."""


_BUMP = """
UPDATE posts SET wanted = wanted + 1 WHERE tenant_id = $1 AND id IN (
    SELECT p.id FROM unnest($2::text[], $3::text[]) AS k(surface, key)
    JOIN posts p ON p.tenant_id = $1 AND p.surface = k.surface AND p.key = k.key
    ORDER BY p.id FOR UPDATE OF p)
"""
_SQLITE_BUMP = """
UPDATE posts SET wanted = wanted + 1 WHERE tenant_id = ?1 AND id IN (
    SELECT p.id FROM json_each(?2) k
    CROSS JOIN posts p ON p.tenant_id = ?1 AND p.surface = k.value ->> 0 AND p.key = k.value ->> 1)
"""


class Posts(Repository):
    async def want(
        self,
        surface: str,
        key: str,
        channel: str,
        thread_ts: str | None = None,
        *,
        parent: UUID | None = None,
    ) -> None:
        """A post for this thing in this channel; asking again changes nothing.

        `thread_ts` or `parent` (another post, which may not be shown yet) put it into a thread.
        """
        insert = self._insert(posts).values(
            tenant_id=self._tenant,
            id=new_id(),
            surface=surface,
            key=key,
            channel=channel,
            thread_ts=thread_ts or "",
            wanted=1,
            shown=0,
            posting=False,
            attempt=0,
            not_before=self._tx.now,
            created_at=self._tx.now,
            parent_id=parent,
        )
        await self._tx.conn.execute(insert.on_conflict_do_nothing())
        self._tx.signal("posts")

    async def bump(self, surface: str, refs: Sequence[tuple[int, str]]) -> None:
        """(tenant, key): what they show has changed."""
        await self.bump_all([(tenant, surface, key) for tenant, key in refs])

    async def bump_all(self, refs: Collection[tuple[int, str, str]]) -> None:
        """(tenant, surface, key): what they show has changed. One statement a tenant, however many there are;
        rows are locked in one order, since two takers of the same would else wait for each other."""
        by_tenant: dict[int, set[tuple[str, str]]] = {}
        for tenant, surface, key in refs:
            shown = by_tenant.setdefault(tenant, set())
            shown.update((following, key) for following in FOLLOWING.get(surface, (surface,)))
        touched = 0
        for tenant in sorted(by_tenant):
            touched += await self._bump(tenant, sorted(by_tenant[tenant]))
        if touched:
            self._tx.signal("posts")

    async def _bump(self, tenant: int, shown: Sequence[tuple[str, str]]) -> int:
        say = self._tx.conn.exec_driver_sql
        if self._tx.sqlite:
            return int((await say(_SQLITE_BUMP, (tenant, json.dumps(shown)))).rowcount)
        surfaces, keys = (list(column) for column in zip(*shown, strict=True))
        return int((await say(_BUMP, (tenant, surfaces, keys))).rowcount)

    async def claim_behind(
        self, *, worker: str, lease_s: float, limit: int = 20, dead_worker: str | None = None
    ) -> list[Post]:
        """Takes posts whose shown revision is behind and that nobody is showing."""
        c = posts.c
        free = or_(c.lease_until.is_(None), c.lease_until < db_now())
        if dead_worker is not None:
            free = or_(free, c.worker == dead_worker)
        behind = (
            select(c.tenant_id, c.id)
            .where(and_(c.wanted > c.shown, c.not_before <= self._tx.now, free))
            .order_by(c.not_before, c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("behind")
        )
        statement = (
            update(posts)
            .where(c.tenant_id == behind.c.tenant_id, c.id == behind.c.id)
            .values(worker=worker, lease_until=db_now_plus(lease_s), attempt=c.attempt + 1)
            .returning(posts)
        )
        rows = await self._tx.conn.execute(statement)
        # Oldest first: what stands in one thread is to be read in the order in which it was said.
        return sorted((_post(row) for row in rows), key=lambda post: post.id)

    async def _fenced(self, post: Post, **values: Any) -> bool:
        result = await self._tx.conn.execute(
            update(posts)
            .where(posts.c.tenant_id == post.tenant, posts.c.id == post.id, posts.c.attempt == post.attempt)
            .values(**values)
        )
        return bool(result.rowcount)

    async def about_to_post(self, post: Post) -> bool:
        """Recorded before chat.postMessage, whose answer may be lost; False when the lease is gone."""
        return await self._fenced(post, posting=True)

    async def shown(self, post: Post, *, ts: str, revision: int, channel: str, next_edit: datetime) -> bool:
        """`revision` is on the screen; the next edit waits until `next_edit` (coalescing)."""
        self._tx.signal("posts")
        return await self._fenced(
            post,
            ts=ts,
            shown=revision,
            posted_in=channel,
            posting=False,
            lease_until=None,
            worker=None,
            not_before=next_edit,
            error=None,
        )

    async def put_off(self, post: Post, *, until: datetime, error: str, refused: bool = False) -> bool:
        """`refused`: Slack said no, so nothing was posted that would have to be looked for."""
        values: dict[str, Any] = {"posting": False} if refused else {}
        return await self._fenced(
            post, lease_until=None, worker=None, not_before=until, error=error, **values
        )

    async def give_up(self, post: Post, *, error: str) -> bool:
        """Cannot be shown (message deleted, channel gone); the row says why."""
        return await self._fenced(
            post, lease_until=None, worker=None, shown=posts.c.wanted, posting=False, error=error
        )

    async def redirect(self, post: Post, channel: str) -> bool:
        """To be shown in `channel` instead; `post.channel` stays what was asked for."""
        return await self._fenced(post, posted_in=channel, lease_until=None, worker=None, posting=False)

    async def release(self, workers: Sequence[str]) -> None:
        """Frees what these dead processes were showing."""
        await self._tx.conn.execute(
            update(posts).where(posts.c.worker.in_(workers)).values(lease_until=None, worker=None)
        )

    async def of(self, surface: str, key: str) -> list[Post]:
        statement = select(posts).where(
            posts.c.tenant_id == self._tenant, posts.c.surface == surface, posts.c.key == key
        )
        return [_post(row) for row in await self._tx.conn.execute(statement)]

    async def get(self, post_id: UUID) -> Post | None:
        statement = select(posts).where(posts.c.tenant_id == self._tenant, posts.c.id == post_id)
        row = (await self._tx.conn.execute(statement)).first()
        return _post(row) if row else None

    async def may_stand(self, surface: str, channel: str) -> bool:
        """Whether one of them was sent there and nobody knows yet where it stands (or that it does not)."""
        c = posts.c
        statement = select(c.id).where(
            c.tenant_id == self._tenant,
            c.surface == surface,
            c.wanted > c.shown,
            c.posting,
            c.ts.is_(None),
            or_(c.channel == channel, c.posted_in == channel),
        )
        return (await self._tx.conn.execute(statement.limit(1))).first() is not None

    async def under(self, parent_id: UUID) -> list[Post]:
        """What stands in its thread, oldest first."""
        c = posts.c
        statement = select(posts).where(c.tenant_id == self._tenant, c.parent_id == parent_id).order_by(c.id)
        return [_post(row) for row in await self._tx.conn.execute(statement)]

    async def at(self, channel: str, ts: str) -> Post | None:
        """The post that stands at this place in Slack."""
        c = posts.c
        statement = select(posts).where(
            c.tenant_id == self._tenant, c.ts == ts, or_(c.channel == channel, c.posted_in == channel)
        )
        row = (await self._tx.conn.execute(statement)).first()
        return _post(row) if row else None
