"""The ledger: invoices issued against notices and reasons, to the row.

Of one run: every invoice of its audience is a notice or left out. Of a span of days: every invoice issued
then was told of (counted once, by the best of all notices of it), left out by a run, in no run's audience, or
missing: a run that was complete should have decided about it and did not. Missing is a defect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, or_, select

from store.deliveries import IN_TROUBLE
from store.models import (
    Confidence,
    Entry,
    Ledger,
    NotificationKind,
    Outcome,
    Run,
    RunState,
    Stage,
    Standing,
)
from store.repository import BATCH, Repository, batched
from store.retention import Kept, before
from store.run_states import of_run, run_of
from store.tables import deliveries, invoices, notices, notifications, run_exclusions, runs

STANDINGS: tuple[Standing, ...] = tuple(Standing)
_TELLS = (NotificationKind.INVOICE_ISSUED, NotificationKind.RESEND)
"""What tells of a new invoice: its notice, a second try, a copy."""


def rank() -> ColumnElement[int]:
    """Of one delivery: its place in Standing. The least of a notification's is how the notice stands."""
    return _rank(deliveries.c, deliveries.c.stage != Stage.CLOSED)


def _rank(c: Any, under_way: ColumnElement[bool]) -> ColumnElement[int]:
    handed = and_(c.outcome == Outcome.DELIVERED, c.confidence == Confidence.PRESUMED)
    return case(
        (handed, STANDINGS.index(Standing.PRESUMED)),
        (c.outcome == Outcome.DELIVERED, STANDINGS.index(Standing.ACCEPTED)),
        (c.outcome == Outcome.SENT, STANDINGS.index(Standing.HANDED)),
        (under_way, STANDINGS.index(Standing.UNDER_WAY)),
        (c.outcome == Outcome.SUPPRESSED, STANDINGS.index(Standing.SUPPRESSED)),
        (c.outcome == Outcome.CANCELLED, STANDINGS.index(Standing.CANCELLED)),
        (c.outcome == Outcome.EXPIRED, STANDINGS.index(Standing.EXPIRED)),
        else_=STANDINGS.index(Standing.FAILED),
    )


class RunLedgers(Repository):
    async def of_run(self, run: Run) -> Ledger:
        """What it decided against what is on file. A run of an older version counted nothing: no gap. Of one
        whose messages have gone to the notices by age nobody knows any more which were its own."""
        standings, left_out = await self._tx.runs.standings(run.id), await self._tx.runs.left_out(run.id)
        made = Ledger(run.audience, standings, left_out)
        if run.created_at < before(self._tx.now, Kept.MESSAGES):
            return replace(made, archived=max(made.gap, 0))
        return made if run.audience else Ledger(made.told + made.excluded, standings, left_out)

    async def of_days(self, first: date, last: date) -> Ledger:
        """Of all invoices issued on these days."""
        i = invoices.c
        span = and_(i.tenant_id == self._tenant, i.issued_on.between(first, last))
        issued = (await self._tx.conn.execute(select(func.count()).where(span))).scalar_one()
        told = _told(self._tenant, span).subquery()
        by_rank = select(told.c.rank, func.count()).group_by(told.c.rank)
        standings = {STANDINGS[r]: int(n) for r, n in await self._tx.conn.execute(by_rank)}
        left = _left(self._tenant, span).subquery()
        first_only = select(left.c.reason, func.count()).where(left.c.place == 1).group_by(left.c.reason)
        left_out = {reason: int(n) for reason, n in await self._tx.conn.execute(first_only)}
        nowhere = int(issued) - sum(standings.values()) - sum(left_out.values())
        missing = await self.missing(first, last) if nowhere else 0
        return Ledger(int(issued), standings, left_out, nowhere - missing)

    async def missing(self, first: date, last: date) -> int:
        """How many of these a complete run should have decided about, and did not."""
        statement = select(func.count()).where(await self._missing(first, last))
        return int((await self._tx.conn.execute(statement)).scalar_one())

    async def examples(self, first: date, last: date, limit: int = 10) -> list[str]:
        """Numbers of missing invoices."""
        where = await self._missing(first, last)
        statement = select(invoices.c.number).where(where).order_by(invoices.c.number).limit(limit)
        return list((await self._tx.conn.execute(statement)).scalars())

    async def _missing(self, first: date, last: date) -> ColumnElement[bool]:
        i, r = invoices.c, runs.c
        complete = [RunState.RUNNING, RunState.PAUSED, RunState.SETTLED]
        statement = select(runs).where(
            r.tenant_id == self._tenant,
            r.kind == NotificationKind.INVOICE_ISSUED,
            r.ready_at.is_not(None),
            r.audience > 0,
            r.state.in_(complete),
        )
        found = [run_of(row) for row in await self._tx.conn.execute(statement)]
        # Imported before the run began (UUIDv7 sort by birth): it stood in its audience.
        covered = [
            and_(i.issued_on.between(date.fromisoformat(run.criteria["since"]), _until(run)), i.id < run.id)
            for run in found
            if "since" in run.criteria
        ]
        return and_(
            i.tenant_id == self._tenant,
            i.issued_on.between(first, last),
            or_(*covered) if covered else literal(value=False),
            ~_has_notice(self._tenant),
            ~exists(_exclusion(self._tenant).correlate(invoices)),
        )

    async def entries(self, invoice_ids: Sequence[UUID]) -> dict[UUID, Entry]:
        """Of these invoices; one that no run has met is left out."""
        found: dict[UUID, Entry] = {}
        for batch in batched(invoice_ids, BATCH):
            mine = and_(invoices.c.tenant_id == self._tenant, invoices.c.id.in_(batch))
            left = _left(self._tenant, mine).subquery()
            reasons = select(left.c.invoice_id, left.c.reason).where(left.c.place == 1)
            found.update((i, Entry(None, reason)) for i, reason in await self._tx.conn.execute(reasons))
            told = await self._tx.conn.execute(_told(self._tenant, mine))
            found.update((row.invoice_id, Entry(STANDINGS[row.rank])) for row in told)
        return found

    async def failing(self, run_id: UUID, since: datetime) -> int:
        """Its deliveries that bounced or failed since then; along what is in trouble, not along the run."""
        d, n = deliveries.c, notifications.c
        mine = exists(
            select(literal(1))
            .select_from(notifications)
            .where(n.tenant_id == d.tenant_id, n.id == d.notification_id, n.run_id == run_id)
            .correlate(deliveries)
        )
        statement = select(func.count()).where(
            d.tenant_id == self._tenant,
            IN_TROUBLE,
            d.outcome.in_([Outcome.BOUNCED, Outcome.FAILED]),
            d.outcome_at >= since,
            mine,
        )
        return int((await self._tx.conn.execute(statement)).scalar_one())

    async def ended(self, run_id: UUID, since: datetime, most: int) -> int:
        """Its deliveries with an end since then, handed over or failed; counts no further than `most`."""
        d = deliveries.c
        some = (
            select(literal(1).label("one"))
            .where(
                of_run(self._tenant, run_id),
                d.outcome.in_([Outcome.SENT, Outcome.DELIVERED, Outcome.BOUNCED, Outcome.FAILED]),
                d.outcome_at >= since,
            )
            .limit(most)
            .subquery()
        )
        return int((await self._tx.conn.execute(select(func.count()).select_from(some))).scalar_one())


def _until(run: Run) -> date:
    return date.fromisoformat(run.criteria["today"])


def _has_notice(tenant: int) -> ColumnElement[bool]:
    """Something tells of the invoice, on file or archived by age."""
    n, k = notifications.c, notices.c
    live = exists().where(n.tenant_id == tenant, n.invoice_id == invoices.c.id, n.kind.in_(_TELLS))
    kept = exists().where(k.tenant_id == tenant, k.invoice_id == invoices.c.id, k.kind.in_(_TELLS))
    return or_(live.correlate(invoices), kept.correlate(invoices))


def _exclusion(tenant: int) -> Any:
    x = run_exclusions.c
    return (
        select(literal(1))
        .select_from(run_exclusions)
        .where(x.tenant_id == tenant, x.invoice_id == invoices.c.id)
    )


def _told(tenant: int, span: ColumnElement[bool]) -> Any:
    """(invoice_id, rank): invoices of which something tells, by the best of it.

    Nested, not joined: SQLite would begin with all deliveries of the tenant (tests/contracts).
    """
    n, d = notifications.c, deliveries.c
    best = (
        select(func.min(rank()))
        .where(d.tenant_id == n.tenant_id, d.notification_id == n.id)
        .correlate(notifications)
        .scalar_subquery()
    )
    asked = select(invoices.c.id).where(span)
    live = select(n.invoice_id, best.label("rank")).where(
        n.tenant_id == tenant, n.invoice_id.in_(asked), n.kind.in_(_TELLS)
    )
    k = notices.c
    kept = select(k.invoice_id, _rank(k, literal(value=False)).label("rank")).where(
        k.tenant_id == tenant, k.invoice_id.in_(asked), k.kind.in_(_TELLS)
    )
    each = live.union_all(kept).subquery()
    return (
        select(each.c.invoice_id, func.min(each.c.rank).label("rank"))
        .where(each.c.rank.is_not(None))
        .group_by(each.c.invoice_id)
    )


def _left(tenant: int, span: ColumnElement[bool]) -> Any:
    """(invoice_id, reason, place): why runs for new invoices left it out and nothing tells of it; the newest
    reason has place 1."""
    x, r = run_exclusions.c, runs.c
    newest = func.row_number().over(partition_by=x.invoice_id, order_by=x.run_id.desc())
    return (
        select(x.invoice_id, x.reason, newest.label("place"))
        .select_from(
            invoices.join(run_exclusions, and_(x.tenant_id == tenant, x.invoice_id == invoices.c.id)).join(
                runs, and_(r.tenant_id == tenant, r.id == x.run_id)
            )
        )
        .where(
            span,
            r.kind == NotificationKind.INVOICE_ISSUED,
            ~_has_notice(tenant),
        )
    )


__all__ = ["STANDINGS", "RunLedgers", "rank"]
