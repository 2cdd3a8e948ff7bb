"""Trials: the same mail by several routes to a test mailbox, kept so that their card can be drawn."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from store.models import RouteTrial
from store.repository import Repository
from store.tables import route_trials


class RouteTrials(Repository):
    async def add(self, trial: RouteTrial) -> bool:
        """False when it stands already (its id is derived from whatever asked for it)."""
        insert = self._insert(route_trials).values(
            tenant_id=self._tenant,
            id=trial.id,
            code=trial.code,
            mailbox=trial.mailbox,
            notifications=[[route, str(notification_id)] for route, notification_id in trial.notifications],
            actor=trial.actor,
            created_at=trial.created_at,
        )
        done = await self._tx.conn.execute(insert.on_conflict_do_nothing().returning(route_trials.c.id))
        return done.first() is not None

    async def get(self, trial_id: UUID) -> RouteTrial | None:
        statement = select(route_trials).where(
            route_trials.c.tenant_id == self._tenant, route_trials.c.id == trial_id
        )
        row = (await self._tx.conn.execute(statement)).first()
        if row is None:
            return None
        return RouteTrial(
            id=row.id,
            code=row.code,
            mailbox=row.mailbox,
            notifications=tuple((route, UUID(item)) for route, item in row.notifications),
            actor=row.actor,
            created_at=row.created_at,
        )


__all__ = ["RouteTrials"]
