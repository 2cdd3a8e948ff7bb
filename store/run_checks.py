"""What is odd in the audience of a run: questions that only the database can answer with flat memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, literal, select

from store.models import Channel, ContactRole, InvoiceStatus, NotificationKind, Outcome, Run, RunState
from store.repository import BATCH, Repository, batched
from store.run_states import run_of
from store.tables import contacts, deliveries, invoice_pdfs, invoices, points, runs, subscribers

Mixed = tuple[str, str, str, str]
"""(invoice, its account, another invoice, its account)."""
MOST = 5
_OWED = (InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID)
_NOT_ASKED = (InvoiceStatus.DRAFT, InvoiceStatus.VOID)


@dataclass(frozen=True, slots=True)
class Scope:
    """An audience as a condition: issued on these days, or owed and due on these days."""

    first: date | None
    last: date
    owed: bool = False

    def of(self, tenant: int, table: Any) -> ColumnElement[bool]:
        c = table.c
        day = c.due_on if self.owed else c.issued_on
        where = [c.tenant_id == tenant, day <= self.last]
        if self.first is not None:
            where.append(day >= self.first)
        where.append(c.status.in_(_OWED) if self.owed else c.status.not_in(_NOT_ASKED))
        return and_(*where)


class RunChecks(Repository):
    async def last_of(self, kind: NotificationKind) -> Run | None:
        """The newest run of this kind to many that was not cancelled."""
        c = runs.c
        statement = (
            select(runs)
            .where(
                c.tenant_id == self._tenant,
                c.kind == kind,
                c.state.in_([RunState.RUNNING, RunState.PAUSED, RunState.SETTLED]),
                c.rehearsal.is_not(None),
            )
            .order_by(c.id.desc())
            .limit(MOST)
        )
        found = [run_of(row) for row in await self._tx.conn.execute(statement)]
        return next((r for r in found if r.rehearsal and "number" not in r.criteria), None)

    async def shared(self, scope: Scope, least: int) -> list[tuple[int, tuple[str, ...]]]:
        """(how many accounts, the first of them) of billing addresses that `least` accounts have or more."""
        p, c = points.c, contacts.c
        asked = select(invoices.c.subscriber_id).where(scope.of(self._tenant, invoices))
        alike = (
            select(p.address, func.count(p.subscriber_id.distinct()).label("n"))
            .select_from(points.join(contacts, and_(c.tenant_id == p.tenant_id, c.id == p.contact_id)))
            .where(
                p.tenant_id == self._tenant,
                p.channel == Channel.EMAIL,
                c.role == ContactRole.BILLING,
                p.subscriber_id.in_(asked),
            )
            .group_by(p.address)
            .having(func.count(p.subscriber_id.distinct()) >= least)
            .order_by(func.count(p.subscriber_id.distinct()).desc(), p.address)
            .limit(MOST)
        )
        rows = (await self._tx.conn.execute(alike)).all()
        return [(row.n, await self._accounts(row.address)) for row in rows]

    async def _accounts(self, address: str) -> tuple[str, ...]:
        p, s = points.c, subscribers.c
        statement = (
            select(s.account)
            .select_from(points.join(subscribers, and_(s.tenant_id == p.tenant_id, s.id == p.subscriber_id)))
            .where(p.tenant_id == self._tenant, p.channel == Channel.EMAIL, p.address == address)
            .distinct()
            .order_by(s.account)
            .limit(MOST)
        )
        return tuple((await self._tx.conn.execute(statement)).scalars())

    async def same_pdf(self, scope: Scope) -> list[Mixed]:
        """Invoices of two accounts whose present drawings are the same bytes."""
        a, b = invoices.alias("a"), invoices.alias("b")
        pa, pb = invoice_pdfs.alias("pa"), invoice_pdfs.alias("pb")
        drawn = and_(
            pa.c.tenant_id == a.c.tenant_id, pa.c.invoice_id == a.c.id, pa.c.revision == a.c.revision
        )
        other = and_(
            pb.c.tenant_id == b.c.tenant_id, pb.c.invoice_id == b.c.id, pb.c.revision == b.c.revision
        )
        same = and_(
            pb.c.tenant_id == pa.c.tenant_id, pb.c.hash == pa.c.hash, pb.c.invoice_id > pa.c.invoice_id
        )
        joined = a.join(pa, drawn).join(pb, same).join(b, other)
        return await self._mixed(joined, a, b, scope, literal(value=True))

    async def alike(self, scope: Scope) -> list[Mixed]:
        """Numbers of two accounts that differ only in leading zeros, dashes, spaces or letters' size."""
        plain = _plain(invoices.c.number)
        several = (
            select(plain.label("plain"))
            .where(scope.of(self._tenant, invoices))
            .group_by(plain)
            .having(func.count(invoices.c.subscriber_id.distinct()) > 1)
            .limit(MOST)
        )
        names = list((await self._tx.conn.execute(several)).scalars())
        if not names:
            return []
        a, b = invoices.alias("a"), invoices.alias("b")
        joined = a.join(b, and_(b.c.tenant_id == a.c.tenant_id, b.c.number > a.c.number))
        where = and_(
            _plain(a.c.number).in_(names), _plain(b.c.number) == _plain(a.c.number), scope.of(self._tenant, b)
        )
        return await self._mixed(joined, a, b, scope, where)

    async def _mixed(
        self, joined: Any, a: Any, b: Any, scope: Scope, where: ColumnElement[bool]
    ) -> list[Mixed]:
        sa, sb = subscribers.alias("sa"), subscribers.alias("sb")
        of_a = and_(sa.c.tenant_id == a.c.tenant_id, sa.c.id == a.c.subscriber_id)
        of_b = and_(sb.c.tenant_id == b.c.tenant_id, sb.c.id == b.c.subscriber_id)
        statement = (
            select(a.c.number, sa.c.account, b.c.number, sb.c.account)
            .select_from(joined.join(sa, of_a).join(sb, of_b))
            .where(scope.of(self._tenant, a), where, a.c.subscriber_id != b.c.subscriber_id)
            .order_by(a.c.number, b.c.number)
            .limit(MOST)
        )
        return [(w, x, y, z) for w, x, y, z in await self._tx.conn.execute(statement)]

    async def proven(self, addresses: Sequence[str]) -> set[str]:
        """Those of these mail addresses at which something has arrived, as far as is known."""
        found: set[str] = set()
        p = points.c
        for batch in batched(addresses, BATCH):
            arrived = exists(
                select(literal(1))
                .select_from(deliveries)
                .where(
                    deliveries.c.tenant_id == p.tenant_id,
                    deliveries.c.channel == p.channel,
                    deliveries.c.address == p.address,
                    deliveries.c.outcome.in_([Outcome.SENT, Outcome.DELIVERED]),
                )
                .correlate(points)
            )
            statement = (
                select(p.address)
                .where(p.tenant_id == self._tenant, p.channel == Channel.EMAIL, p.address.in_(batch), arrived)
                .distinct()
            )
            found.update((await self._tx.conn.execute(statement)).scalars())
        return found


def _plain(number: Any) -> ColumnElement[str]:
    """As somebody reads it who is in a hurry."""
    bare = func.replace(func.replace(func.replace(func.upper(number), "-", ""), " ", ""), "/", "")
    return func.ltrim(bare, "0")


__all__ = ["Mixed", "RunChecks", "Scope"]
