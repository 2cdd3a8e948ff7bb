"""Incidents: one row for each unresolved cause of failures, with the deliveries it caught.

At most one row a tenant and cause is not resolved: a partial unique index says so, whatever runs at once.
A delivery counts once an incident, however often it fails and however often that is read. What failed
before the last resolution of its cause belongs to that incident and opens no new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, case, func, literal, or_, select, text, update

from store.models import Incident, IncidentState, Outcome, Priority, Stage
from store.repository import BATCH, Repository, batched, storable
from store.tables import deliveries, incident_members, incidents
from store.types import new_id

_UNRESOLVED = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)
_TRIES = 5
_HELD = text("deliveries.stage = 'held'")  # literal, as its partial index has it
_BY_BREAKER = and_(
    deliveries.c.stage == Stage.HELD, func.substr(deliveries.c.stage_by, 1, 8) == literal("breaker:")
)


@dataclass(frozen=True, slots=True)
class Caught:
    """A delivery that failed for a cause. `at`: when that was recorded."""

    delivery_id: UUID
    subscriber_id: UUID | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Raised:
    """An incident that something was added to; `added`: the deliveries that it did not have before."""

    incident: Incident
    opened: bool
    added: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Deliveries that are still to be sent; `urgent`: those that were to go at once."""

    count: int = 0
    urgent: int = 0


def _incident(row: Row[Any]) -> Incident:
    return Incident(
        id=row.id,
        cause=row.cause,
        title=row.title,
        state=IncidentState(row.state),
        urgent=row.urgent,
        count=row._mapping["count"],  # a row is a tuple, which has a `count` of its own
        first_at=row.first_at,
        last_at=row.last_at,
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=row.acknowledged_at,
        resolved_by=row.resolved_by,
        resolved_at=row.resolved_at,
        texted_at=row.texted_at,
        texts=row.texts,
        acknowledged_count=row.acknowledged_count,
        note=row.note,
        earlier_id=row.earlier_id,
    )


class Incidents(Repository):
    async def raise_or_count(
        self, cause: str, title: str, caught: Sequence[Caught], *, urgent: bool = False
    ) -> list[Raised]:
        """Opens an incident of this cause, or adds to the one that there is; what it has stays one."""
        await self._unresolved_locked(cause)  # whoever resolves it at this moment is waited for first
        last = await self._last_resolved(cause)
        until = last.resolved_at if last is not None else None
        late = [c for c in caught if until is not None and c.at <= until]
        fresh = [c for c in caught if until is None or c.at > until]
        raised: list[Raised] = []
        if last is not None and late:
            incident, added = await self._add(last.id, late)
            raised.append(Raised(incident, opened=False, added=added))
        if fresh:
            times = [c.at for c in fresh]
            incident_id, opened = await self._unresolved_row(
                cause, title, min(times), max(times), urgent=urgent, earlier=last.id if last else None
            )
            incident, added = await self._add(incident_id, fresh)
            if urgent and not incident.urgent:
                await self.mark_urgent(incident_id)
                incident = await self._by_id(incident_id)
            raised.append(Raised(incident, opened=opened, added=added))
        return raised

    async def alarm(self, cause: str, title: str, *, urgent: bool = False) -> Raised:
        """A trouble that no delivery tells of (the database was away): each call counts."""
        now = self._tx.now
        last = await self._last_resolved(cause)
        incident_id, opened = await self._unresolved_row(
            cause, title, now, now, urgent=urgent, earlier=last.id if last else None
        )
        await self._count(incident_id, 1, now, now)
        return Raised(await self._by_id(incident_id), opened, frozenset())

    async def _unresolved_row(
        self,
        cause: str,
        title: str,
        first_at: datetime,
        last_at: datetime,
        *,
        urgent: bool,
        earlier: UUID | None,
    ) -> tuple[UUID, bool]:
        """The cause's unresolved incident, locked, and whether it is new.

        Another may be opening or resolving it at this moment: whoever loses looks again.
        """
        c = incidents.c
        for _ in range(_TRIES):
            insert = self._insert(incidents).values(
                tenant_id=self._tenant,
                id=new_id(),
                cause=cause,
                title=storable(title),
                state=IncidentState.OPEN,
                urgent=urgent,
                count=0,
                first_at=first_at,
                last_at=last_at,
                texts=0,
                note="",
                earlier_id=earlier,
            )
            made = (await self._tx.conn.execute(insert.on_conflict_do_nothing().returning(c.id))).first()
            if made is not None:
                return made.id, True
            if (there := await self._unresolved_locked(cause)) is not None:
                return there, False
        raise RuntimeError(f"the incident {cause} is opened and resolved faster than it can be read")

    async def _unresolved_locked(self, cause: str) -> UUID | None:
        c = incidents.c
        there = await self._tx.conn.execute(
            select(c.id)
            .where(c.tenant_id == self._tenant, c.cause == cause, c.state.in_(_UNRESOLVED))
            .with_for_update()
        )
        return there.scalar_one_or_none()

    async def _add(self, incident_id: UUID, caught: Sequence[Caught]) -> tuple[Incident, frozenset[UUID]]:
        unique = {c.delivery_id: c for c in caught}
        added: set[UUID] = set()
        for batch in batched(sorted(unique.values(), key=lambda c: c.delivery_id), BATCH):
            insert = self._insert(incident_members).values(
                [
                    {
                        "tenant_id": self._tenant,
                        "incident_id": incident_id,
                        "delivery_id": c.delivery_id,
                        "subscriber_id": c.subscriber_id,
                        "at": c.at,
                    }
                    for c in batch
                ]
            )
            rows = await self._tx.conn.execute(
                insert.on_conflict_do_nothing().returning(incident_members.c.delivery_id)
            )
            added.update(row.delivery_id for row in rows)
        times = [c.at for c in caught]
        await self._count(incident_id, len(added), min(times), max(times))
        return await self._by_id(incident_id), frozenset(added)

    async def _count(self, incident_id: UUID, more: int, first_at: datetime, last_at: datetime) -> None:
        """Also a delivery that is known already may fail again: the last failure is then."""
        c = incidents.c
        mine = and_(c.tenant_id == self._tenant, c.id == incident_id)
        # Locked: what is read stays so until the commit.
        held = (
            await self._tx.conn.execute(select(c.first_at, c.last_at).where(mine).with_for_update())
        ).one()
        await self._tx.conn.execute(
            update(incidents)
            .where(mine)
            .values(
                count=c.count + more,
                first_at=min(held.first_at, first_at),
                last_at=max(held.last_at, last_at),
            )
        )

    async def _last_resolved(self, cause: str) -> Incident | None:
        c = incidents.c
        statement = (
            self._mine()
            .where(c.cause == cause, c.state == IncidentState.RESOLVED)
            .order_by(c.resolved_at.desc())
            .limit(1)
        )
        row = (await self._tx.conn.execute(statement)).first()
        return _incident(row) if row else None

    async def last_resolved(self, causes: Iterable[str]) -> dict[str, datetime]:
        """When each cause was resolved last; those that never were are left out."""
        c = incidents.c
        found: dict[str, datetime] = {}
        for batch in batched(sorted(set(causes)), BATCH):
            statement = (
                select(c.cause, func.max(c.resolved_at).label("until"))
                .where(c.tenant_id == self._tenant, c.cause.in_(batch), c.state == IncidentState.RESOLVED)
                .group_by(c.cause)
            )
            found.update((row.cause, row.until) for row in await self._tx.conn.execute(statement))
        return found

    async def _changed(self, incident_id: UUID, states: Sequence[IncidentState], **values: Any) -> bool:
        c = incidents.c
        result = await self._tx.conn.execute(
            update(incidents)
            .where(c.tenant_id == self._tenant, c.id == incident_id, c.state.in_(states))
            .values(**values)
        )
        return bool(result.rowcount)

    async def acknowledge(self, incident_id: UUID, by: str) -> bool:
        """Open -> acknowledged; False when it is not open (any more)."""
        return await self._changed(
            incident_id,
            (IncidentState.OPEN,),
            state=IncidentState.ACKNOWLEDGED,
            acknowledged_by=by,
            acknowledged_at=self._tx.now,
            acknowledged_count=incidents.c.count,
        )

    async def resolve(self, incident_id: UUID, by: str, note: str) -> bool:
        """Open or acknowledged -> resolved; False when it is resolved already."""
        return await self._changed(
            incident_id,
            _UNRESOLVED,
            state=IncidentState.RESOLVED,
            resolved_by=by,
            resolved_at=self._tx.now,
            note=storable(note, 1000),
        )

    async def mark_urgent(self, incident_id: UUID) -> bool:
        """False when it was so already, or is resolved."""
        c = incidents.c
        result = await self._tx.conn.execute(
            update(incidents)
            .where(
                c.tenant_id == self._tenant,
                c.id == incident_id,
                c.state.in_(_UNRESOLVED),
                c.urgent.is_(False),
            )
            .values(urgent=True)
        )
        return bool(result.rowcount)

    async def texted(self, incident_id: UUID, number: int) -> bool:
        """The on-call is texted for the `number`th time; only while open, and each number once."""
        c = incidents.c
        result = await self._tx.conn.execute(
            update(incidents)
            .where(
                c.tenant_id == self._tenant,
                c.id == incident_id,
                c.state == IncidentState.OPEN,
                c.texts == number - 1,
            )
            .values(texts=number, texted_at=self._tx.now)
        )
        return bool(result.rowcount)

    def _mine(self) -> Select[Any]:
        return select(incidents).where(incidents.c.tenant_id == self._tenant)

    async def get(self, incident_id: UUID) -> Incident | None:
        row = (await self._tx.conn.execute(self._mine().where(incidents.c.id == incident_id))).first()
        return _incident(row) if row else None

    async def _by_id(self, incident_id: UUID) -> Incident:
        return _incident(
            (await self._tx.conn.execute(self._mine().where(incidents.c.id == incident_id))).one()
        )

    async def unresolved(self) -> list[Incident]:
        """Urgent ones first, then by how lately something failed."""
        c = incidents.c
        statement = self._mine().where(c.state.in_(_UNRESOLVED)).order_by(c.urgent.desc(), c.last_at.desc())
        return [_incident(row) for row in await self._tx.conn.execute(statement)]

    async def recently_resolved(self, since: datetime, limit: int = 10) -> list[Incident]:
        c = incidents.c
        statement = (
            self._mine()
            .where(c.state == IncidentState.RESOLVED, c.resolved_at >= since)
            .order_by(c.resolved_at.desc())
            .limit(limit)
        )
        return [_incident(row) for row in await self._tx.conn.execute(statement)]

    async def of_subscribers(self, ids: Sequence[UUID]) -> dict[UUID, list[Incident]]:
        """Unresolved incidents that caught messages of theirs, newest first; for every id, maybe none."""
        found: dict[UUID, list[Incident]] = {sid: [] for sid in ids}
        m, c = incident_members.c, incidents.c
        for batch in batched(sorted(set(ids)), BATCH):
            statement = (
                select(incidents, m.subscriber_id.label("caught"))
                .distinct()
                .join(incident_members, and_(m.tenant_id == c.tenant_id, m.incident_id == c.id))
                .where(c.tenant_id == self._tenant, m.subscriber_id.in_(batch), c.state.in_(_UNRESOLVED))
                .order_by(c.id.desc())
            )
            for row in await self._tx.conn.execute(statement):
                found[row.caught].append(_incident(row))
        return found

    async def of_deliveries(self, ids: Sequence[UUID]) -> dict[UUID, Incident]:
        """The newest unresolved incident that caught each; those in none are left out."""
        found: dict[UUID, Incident] = {}
        m, c = incident_members.c, incidents.c
        for batch in batched(sorted(set(ids)), BATCH):
            statement = (
                select(incidents, m.delivery_id.label("caught"))
                .join(incident_members, and_(m.tenant_id == c.tenant_id, m.incident_id == c.id))
                .where(c.tenant_id == self._tenant, m.delivery_id.in_(batch), c.state.in_(_UNRESOLVED))
                .order_by(c.id)
            )
            for row in await self._tx.conn.execute(statement):
                found[row.caught] = _incident(row)
        return found

    async def people(self, ids: Sequence[UUID]) -> dict[UUID, int]:
        """How many subscribers each incident has caught messages of."""
        m = incident_members.c
        statement = (
            select(m.incident_id, func.count(m.subscriber_id.distinct()))
            .where(m.tenant_id == self._tenant, m.incident_id.in_(list(ids)))
            .group_by(m.incident_id)
        )
        counted = {row[0]: int(row[1]) for row in await self._tx.conn.execute(statement)}
        return {incident_id: counted.get(incident_id, 0) for incident_id in ids}

    async def members(self, incident_id: UUID, *, offset: int = 0, limit: int = 20) -> list[Caught]:
        """Latest first."""
        m = incident_members.c
        statement = (
            select(incident_members)
            .where(m.tenant_id == self._tenant, m.incident_id == incident_id)
            .order_by(m.at.desc(), m.delivery_id)
            .offset(offset)
            .limit(limit)
        )
        return [
            Caught(row.delivery_id, row.subscriber_id, row.at)
            for row in await self._tx.conn.execute(statement)
        ]

    async def notifications_of(self, incident_id: UUID) -> list[UUID]:
        """What its members are deliveries of: their cards name it."""
        statement = self._members_of(select(deliveries.c.notification_id), incident_id).distinct()
        return [row.notification_id for row in await self._tx.conn.execute(statement)]

    async def stuck(self, incident_id: UUID) -> Waiting:
        """Its deliveries that are still to be tried again."""
        statement = self._members_of(select(*_waiting()), incident_id).where(
            or_(deliveries.c.stage.in_([Stage.QUEUED, Stage.CLAIMED]), _BY_BREAKER)
        )
        row = (await self._tx.conn.execute(statement)).one()
        return Waiting(row.waiting, row.urgent)

    async def waiting_for(self, route: str) -> Waiting:
        """What a route should have taken by now: due, tried before, or held until it lives again.

        `urgent`: only what was tried.
        """
        d = deliveries.c
        statement = select(*_waiting()).where(
            d.tenant_id == self._tenant,
            d.route == route,
            d.stage == Stage.QUEUED,
            or_(d.attempt > 0, d.due_at <= self._tx.now),
        )
        queued = (await self._tx.conn.execute(statement)).one()
        held = (
            await self._tx.conn.execute(
                select(*_waiting()).where(
                    d.tenant_id == self._tenant, _HELD, d.stage_by == f"breaker:{route}:*"
                )
            )
        ).one()
        return Waiting(queued.waiting + held.waiting, queued.urgent + held.urgent)

    async def got_through(self, incident_id: UUID, since: datetime, outcomes: Sequence[Outcome]) -> bool:
        """Whether one of its deliveries has reached one of `outcomes` after `since`."""
        statement = (
            self._members_of(select(deliveries.c.id), incident_id)
            .where(deliveries.c.outcome.in_(list(outcomes)), deliveries.c.outcome_at > since)
            .limit(1)
        )
        return (await self._tx.conn.execute(statement)).first() is not None

    def _members_of(self, statement: Select[Any], incident_id: UUID) -> Select[Any]:
        m, d = incident_members.c, deliveries.c
        return (
            statement.select_from(incident_members)
            .join(deliveries, and_(m.tenant_id == d.tenant_id, m.delivery_id == d.id))
            .where(m.tenant_id == self._tenant, m.incident_id == incident_id)
        )


def _waiting() -> tuple[Any, Any]:
    d = deliveries.c
    tried = and_(d.priority == int(Priority.URGENT), d.attempt > 0)
    return (
        func.count().label("waiting"),
        func.coalesce(func.sum(case((tried, 1), else_=0)), 0).label("urgent"),
    )
