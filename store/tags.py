"""Tags of subscribers, as billing has them: what a hold can be set on, besides an account or a town."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select

from store.repository import BATCH, Repository, batched
from store.subscribers import place_key
from store.tables import subscriber_tags

LONGEST = 60
"""Characters of a tag: who holds a delivery is named in eighty."""


class Tags(Repository):
    async def replace(self, tags: Mapping[UUID, Sequence[str]]) -> None:
        """These subscribers have these tags and no others: the mirror follows its source."""
        c = subscriber_tags.c
        for batch in batched(tags, BATCH):
            wanted = {sid: {place_key(tag) for tag in tags[sid]} for sid in batch}
            known = await self.of(batch)
            gone = [(sid, tag) for sid in batch for tag in known.get(sid, ()) if tag not in wanted[sid]]
            for sid, tag in gone:
                await self._tx.conn.execute(
                    subscriber_tags.delete().where(
                        c.tenant_id == self._tenant, c.subscriber_id == sid, c.tag == tag
                    )
                )
            rows = [
                {"tenant_id": self._tenant, "subscriber_id": sid, "tag": tag}
                for sid in batch
                for tag in sorted(wanted[sid] - set(known.get(sid, ())))
            ]
            if rows:
                await self._tx.conn.execute(
                    self._insert(subscriber_tags).values(rows).on_conflict_do_nothing()
                )

    async def of(self, ids: Sequence[UUID], *, among: Sequence[str] | None = None) -> dict[UUID, list[str]]:
        """The tags of each, in order; those without are left out. `among`: only these tags."""
        c = subscriber_tags.c
        found: dict[UUID, list[str]] = {}
        for batch in batched(ids, BATCH):
            statement = select(c.subscriber_id, c.tag).where(
                c.tenant_id == self._tenant, self._among(c.subscriber_id, batch)
            )
            if among is not None:
                statement = statement.where(c.tag.in_(list(among)))
            for row in await self._tx.conn.execute(statement.order_by(c.subscriber_id, c.tag)):
                found.setdefault(row.subscriber_id, []).append(row.tag)
        return found

    async def all(self) -> dict[str, int]:
        """Every tag, and how many subscribers bear it."""
        c = subscriber_tags.c
        statement = select(c.tag, func.count()).where(c.tenant_id == self._tenant).group_by(c.tag)
        return {tag: int(count) for tag, count in await self._tx.conn.execute(statement)}


__all__ = ["LONGEST", "Tags"]
