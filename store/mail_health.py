"""How our mail is doing, in sums: by route, by cause and recipient's domain, by incident.

Failures are read along their partial index. What went well has no index by time: the newest deliveries are
read along the key, back to those made before the window (ids sort by birth).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, case, func, literal, select, text

from store.models import ABOUT_NOBODY, Bounces, Channel, EventKind, Outcome, Reason, RouteCounts
from store.repository import Repository
from store.tables import FAILURES, deliveries, events, incident_members, notifications

LIFETIME = timedelta(days=3)
"""A mail that is put off is tried for so long: what was accepted lately was made at most so long before."""
_NONE = UUID(int=0)
_ENDS = (EventKind.BOUNCED, EventKind.FAILED)


class MailHealth(Repository):
    async def routes(self, routes: Sequence[str], since: datetime) -> dict[str, RouteCounts]:
        """For every one of `routes`, also where nothing happened."""
        accepted = await self._accepted(since)
        troubles = await self._troubles(since)
        waiting = await self._waiting(routes)
        found: dict[str, RouteCounts] = {}
        for route in routes:
            last = await self._newest_failure(route, since - LIFETIME)
            went, success = accepted.get(route, (0, None))
            refused, put_off = troubles.get(route, (0, 0))
            found[route] = RouteCounts(
                accepted=went,
                refused=refused,
                put_off=put_off,
                waiting=waiting.get(route, 0),
                last_success=success,
                last_failure=last.recorded_at if last else None,
                last_cls=last.cls if last else "",
                last_reason=Reason(last.reason) if last else Reason.NONE,
                last_domain=last.domain if last else "",
            )
        return found

    async def _accepted(self, since: datetime) -> dict[str, tuple[int, datetime | None]]:
        d = deliveries.c
        before = (
            select(d.id)
            .where(d.tenant_id == self._tenant, d.created_at < since - LIFETIME)
            .order_by(d.id.desc())
            .limit(1)
        )
        oldest = (await self._tx.conn.execute(before)).scalar_one_or_none() or _NONE
        statement = (
            select(
                d.route,
                func.coalesce(func.sum(case((d.outcome_at >= since, 1), else_=0)), 0).label("accepted"),
                func.max(d.outcome_at).label("last"),
            )
            .where(
                d.tenant_id == self._tenant,
                d.id > oldest,
                d.channel == Channel.EMAIL,
                d.outcome.in_([Outcome.SENT, Outcome.DELIVERED]),
            )
            .group_by(d.route)
        )
        return {row.route: (int(row.accepted), row.last) for row in await self._tx.conn.execute(statement)}

    async def _troubles(self, since: datetime) -> dict[str, tuple[int, int]]:
        """Route -> deliveries that were refused for good, and that were put off."""
        e, d = events.c, deliveries.c
        ended = func.count(case((e.kind.in_(_ENDS), e.delivery_id)).distinct())
        put_off = func.count(case((e.kind == EventKind.DEFERRED, e.delivery_id)).distinct())
        statement = (
            select(d.route, ended.label("ended"), put_off.label("put_off"))
            .select_from(self._failures())
            .where(*self._since(since), d.channel == Channel.EMAIL)
            .group_by(d.route)
        )
        return {row.route: (row.ended, row.put_off) for row in await self._tx.conn.execute(statement)}

    async def _newest_failure(self, route: str, since: datetime) -> Row[Any] | None:
        e, d = events.c, deliveries.c
        statement = (
            select(e.recorded_at, e.cls, e.reason, self._domain().label("domain"))
            .select_from(self._failures())
            .where(*self._since(since), e.kind.in_(_ENDS), d.route == route, d.channel == Channel.EMAIL)
            .order_by(e.recorded_at.desc(), e.id.desc())
            .limit(1)
        )
        return (await self._tx.conn.execute(statement)).first()

    async def _waiting(self, routes: Sequence[str]) -> dict[str, int]:
        d = deliveries.c
        statement = (
            select(d.route, func.count().label("waiting"))
            .where(
                d.tenant_id == self._tenant, d.route.in_(list(routes)), text("deliveries.stage = 'queued'")
            )
            .group_by(d.route)
        )
        return {row.route: row.waiting for row in await self._tx.conn.execute(statement)}

    async def bounces(self, edges: Sequence[datetime]) -> list[Bounces]:
        """Since `edges[0]`, by day (day n begins at edges[n]), recipient's domain and class; e-mail only."""
        e = events.c
        day = case(
            *((e.recorded_at >= edge, index) for index, edge in reversed(list(enumerate(edges))) if index),
            else_=literal(0),
        )
        # Grouped outside: both databases then group by columns, not by an expression with parameters.
        inner = (
            select(
                day.label("day"),
                self._domain().label("domain"),
                e.cls.label("cls"),
                e.delivery_id.label("delivery_id"),
            )
            .select_from(self._failures())
            .where(*self._since(edges[0]), e.kind.in_(_ENDS), deliveries.c.channel == Channel.EMAIL)
            .subquery()
        )
        i = inner.c
        statement = select(i.day, i.domain, i.cls, func.count(i.delivery_id.distinct()).label("n")).group_by(
            i.day, i.domain, i.cls
        )
        return [
            Bounces(row.day, row.domain, row.cls, row.n) for row in await self._tx.conn.execute(statement)
        ]

    async def routes_of(self, incidents: Sequence[UUID]) -> dict[UUID, list[str]]:
        """By which routes the deliveries went that each incident caught."""
        m, d = incident_members.c, deliveries.c
        statement = (
            select(m.incident_id, d.route)
            .distinct()
            .select_from(incident_members)
            .join(deliveries, and_(d.tenant_id == m.tenant_id, d.id == m.delivery_id))
            .where(m.tenant_id == self._tenant, m.incident_id.in_(list(incidents)))
            .order_by(d.route)
        )
        found: dict[UUID, list[str]] = {incident: [] for incident in incidents}
        for row in await self._tx.conn.execute(statement):
            found[row.incident_id].append(row.route)
        return found

    def _failures(self) -> Any:
        """Of our own tests and letters nothing counts: they were written to nobody."""
        e, d, n = events.c, deliveries.c, notifications.c
        theirs = and_(
            n.tenant_id == d.tenant_id, n.id == d.notification_id, n.kind.not_in(list(ABOUT_NOBODY))
        )
        return events.join(deliveries, and_(d.tenant_id == e.tenant_id, d.id == e.delivery_id)).join(
            notifications, theirs
        )

    def _since(self, since: datetime) -> tuple[ColumnElement[bool], ...]:
        e = events.c
        return (e.tenant_id == self._tenant, text(f"events.{FAILURES}"), e.recorded_at >= since)  # type: ignore[return-value]  # text() is a clause

    def _domain(self) -> ColumnElement[str]:
        """What stands behind the at sign."""
        address = deliveries.c.address
        if self._tx.sqlite:
            return func.lower(func.substr(address, func.instr(address, "@") + 1))
        return func.lower(func.split_part(address, "@", 2))
