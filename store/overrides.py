"""Addresses mended here that billing does not have yet.

An override stands until billing agrees (its next import holds the new address), says something else again
(billing's newer word counts) or somebody takes it back. Mending a mended address adds a second override:
A > B and B > C make C of billing's A.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update

from store.models import Channel, ContactOverride, ContactRole
from store.points import PointRecord
from store.repository import BATCH, Repository, batched
from store.tables import contact_overrides


@dataclass(frozen=True, slots=True)
class Reapplied:
    """A source's points with the overrides that stand, and the overrides that end by what the source says."""

    points: tuple[PointRecord, ...]
    ended: tuple[UUID, ...] = ()


def reapply(points: Sequence[PointRecord], overrides: Sequence[ContactOverride]) -> Reapplied:
    """`overrides` the active ones of one subscriber, in any order: each is followed once.

    An empty old address adds one. One that finds nothing to change ends.
    """
    kept = list(points)
    waiting = list(overrides)
    while True:
        ready = next((override for override in waiting if _applied(kept, override)), None)
        if ready is None:
            return Reapplied(tuple(kept), tuple(override.id for override in waiting))
        waiting.remove(ready)


def _applied(kept: list[PointRecord], override: ContactOverride) -> bool:
    """Changes `kept` by it; False when there is nothing that it changes."""
    role, channel, new = override.role, override.channel, override.new_address
    mine = {p.address: i for i, p in enumerate(kept) if (p.role, p.channel) == (role, channel)}
    if not override.old_address and new not in mine:
        kept.append(PointRecord(role, channel, new, new))
        return True
    old = mine.get(override.old_address)
    if old is None:
        return False
    if new in mine:
        del kept[old]
    else:
        kept[old] = replace(kept[old], address=new, problem=None)
    return True


def _override(row: Row[Any]) -> ContactOverride:
    return ContactOverride(
        id=row.id,
        subscriber_id=row.subscriber_id,
        role=ContactRole(row.role),
        channel=Channel(row.channel),
        old_address=row.old_address,
        new_address=row.new_address,
        actor=row.actor,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


class Overrides(Repository):
    async def add(self, override: ContactOverride) -> bool:
        """False when it stands already (its id is derived from whatever asked for it)."""
        insert = self._insert(contact_overrides).values(
            tenant_id=self._tenant,
            id=override.id,
            subscriber_id=override.subscriber_id,
            role=override.role,
            channel=override.channel,
            old_address=override.old_address,
            new_address=override.new_address,
            actor=override.actor,
            created_at=override.created_at,
            ended_at=None,
        )
        done = await self._tx.conn.execute(insert.on_conflict_do_nothing().returning(contact_overrides.c.id))
        return done.first() is not None

    async def get(self, override_id: UUID) -> ContactOverride | None:
        statement = select(contact_overrides).where(
            contact_overrides.c.tenant_id == self._tenant, contact_overrides.c.id == override_id
        )
        row = (await self._tx.conn.execute(statement)).first()
        return _override(row) if row else None

    async def active(self, subscriber_ids: Sequence[UUID]) -> Mapping[UUID, list[ContactOverride]]:
        """Those that stand, oldest first; a subscriber without any is left out."""
        found: dict[UUID, list[ContactOverride]] = {}
        c = contact_overrides.c
        for batch in batched(subscriber_ids, BATCH):
            statement = (
                select(contact_overrides)
                .where(c.tenant_id == self._tenant, self._among(c.subscriber_id, batch), c.ended_at.is_(None))
                .order_by(c.created_at, c.id)
            )
            for row in await self._tx.conn.execute(statement):
                found.setdefault(row.subscriber_id, []).append(_override(row))
        return found

    async def made_for(self, subscriber_ids: Sequence[UUID]) -> list[ContactOverride]:
        """All that were ever made for these subscribers, ended ones too, oldest first."""
        c = contact_overrides.c
        statement = (
            select(contact_overrides)
            .where(c.tenant_id == self._tenant, c.subscriber_id.in_(list(subscriber_ids)))
            .order_by(c.created_at, c.id)
        )
        return [_override(row) for row in await self._tx.conn.execute(statement)]

    async def end(self, ids: Sequence[UUID]) -> int:
        """Takes them back, or ends them because billing has spoken; gives how many stood."""
        ended = 0
        c = contact_overrides.c
        for batch in batched(ids, BATCH):
            result = await self._tx.conn.execute(
                update(contact_overrides)
                .where(c.tenant_id == self._tenant, c.id.in_(batch), c.ended_at.is_(None))
                .values(ended_at=self._tx.now)
            )
            ended += int(result.rowcount)
        return ended


__all__ = ["Overrides", "Reapplied", "reapply"]
