"""Whom a hold by town or tag touches, and how many of their notices wait."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Select, func, or_, select, text

from store.models import MOST_COUNTED, TOWN, NotificationKind
from store.repository import BATCH, Repository
from store.subscribers import place_key
from store.tables import deliveries, notifications, subscriber_tags, subscribers

_WAITING = text("deliveries.stage IN ('queued', 'held')")  # literal, as the partial index has it
_HELD = text("deliveries.stage = 'held'")


@dataclass(frozen=True, slots=True)
class Area:
    """A town or a tag as it is on file."""

    scope: str
    key: str
    """As most of its subscribers have it written."""
    accounts: int
    """Those in it, and those whom somebody in it pays for."""
    waiting: int
    """Notices of theirs that are queued or held; at most MOST_COUNTED + 1."""


class Areas(Repository):
    async def find(self, scope: str, name: str, kinds: Collection[NotificationKind]) -> Area | None:
        """None: nobody lives there, or bears it. `kinds`: which of their notices count as waiting."""
        wanted = place_key(name)
        spelled = {key: n for key, n in (await self.names(scope)).items() if place_key(key) == wanted}
        if not wanted or not spelled:
            return None
        touched = self._touched(scope, sorted(spelled))
        count = select(func.count()).select_from(touched.subquery())
        waiting = await self._waiting(touched, kinds)
        accounts = int((await self._tx.conn.execute(count)).scalar_one())
        return Area(scope, max(spelled, key=lambda key: (spelled[key], key)), accounts, waiting)

    async def moved_away(self, by: str, scope: str, name: str, limit: int = BATCH) -> list[UUID]:
        """Held by `by` for this town or tag, of subscribers whom it does not touch (any more); locked."""
        n, d, wanted = notifications.c, deliveries.c, place_key(name)
        spelled = sorted(key for key in await self.names(scope) if place_key(key) == wanted)
        statement = (
            select(d.id)
            .join(notifications, (n.tenant_id == d.tenant_id) & (n.id == d.notification_id))
            .where(
                d.tenant_id == self._tenant,
                _HELD,
                d.stage_by == by,
                n.subscriber_id.not_in(self._touched(scope, spelled)),
            )
            .order_by(d.id)
            .limit(limit)
            .with_for_update(of=deliveries, skip_locked=True)
        )
        return list((await self._tx.conn.execute(statement)).scalars())

    async def names(self, scope: str) -> dict[str, int]:
        """Every town or tag on file, and how many subscribers live there or bear it."""
        if scope != TOWN:
            return await self._tx.tags.all()
        c = subscribers.c
        statement = select(c.city, func.count()).where(c.tenant_id == self._tenant).group_by(c.city)
        return {city: int(count) for city, count in await self._tx.conn.execute(statement)}

    def _touched(self, scope: str, spelled: list[str]) -> Select[tuple[UUID]]:
        """Ids of the subscribers in it, and of those whom somebody in it pays for."""
        s, payer = subscribers.c, subscribers.alias("payer")
        paying = select(payer.c.account).where(
            payer.c.tenant_id == self._tenant, self._in(scope, spelled, payer)
        )
        return select(s.id).where(
            s.tenant_id == self._tenant,
            or_(self._in(scope, spelled, subscribers), s.payer_account.in_(paying)),
        )

    def _in(self, scope: str, spelled: list[str], table: FromClause) -> ColumnElement[bool]:
        c = table.c
        if scope == TOWN:
            return c.city.in_(spelled)
        t = subscriber_tags.c
        return c.id.in_(select(t.subscriber_id).where(t.tenant_id == self._tenant, t.tag.in_(spelled)))

    async def _waiting(self, touched: Select[tuple[UUID]], kinds: Collection[NotificationKind]) -> int:
        n, d = notifications.c, deliveries.c
        some = (
            select(d.id)
            .join(notifications, (n.tenant_id == d.tenant_id) & (n.id == d.notification_id))
            .where(
                d.tenant_id == self._tenant,
                _WAITING,
                n.kind.in_(sorted(kinds)),
                n.subscriber_id.in_(touched),
            )
            .limit(MOST_COUNTED + 1)
            .subquery()
        )
        return int((await self._tx.conn.execute(select(func.count()).select_from(some))).scalar_one())


__all__ = ["Area", "Areas"]
