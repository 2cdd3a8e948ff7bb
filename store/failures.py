"""People without a proven notice: messages whose every delivery failed, and that nothing else made good.

A later message about the same invoice that got through, or is still on its way, makes it good: whoever is
told again by another way is off the list. A copy that failed is made good by an earlier one too. Only what
counts as proof counts here (store.proof). Whoever has nothing left to pay is not listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, select

from store.deliveries import IN_TROUBLE, delivery_of
from store.models import Aside, Delivery, InvoiceStatus, NotificationKind, Outcome, Stage
from store.proof import aside, counts, reaches
from store.repository import BATCH, Repository, batched
from store.runs import of_run
from store.tables import deliveries, invoices, notifications

MOST = 20_000
NOTICES = (
    NotificationKind.INVOICE_ISSUED,
    NotificationKind.REMINDER,
    NotificationKind.OVERDUE,
    NotificationKind.RESEND,
    NotificationKind.SUSPENDED,
    NotificationKind.UNSUSPENDED,
)
SETTLED = (InvoiceStatus.PAID, InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE)
"""Nothing is asked for: nobody has to be told."""


@dataclass(frozen=True, slots=True)
class Failed:
    """One failed delivery of a notice that reached nobody."""

    delivery: Delivery
    kind: NotificationKind
    subscriber_id: UUID | None
    """Whose notice it is; `delivery.subscriber_id` is who gets it (bill-to-another)."""
    invoice_id: UUID | None


class Failures(Repository):
    async def of_run(self, run_id: UUID) -> list[Failed]:
        """Of one run, newest first."""
        return await self._found(of_run(self._tenant, run_id))

    async def still_of_run(self, run_id: UUID) -> int:
        """How many of its notices failed, are still owed for and were made good by nothing."""
        statement = (
            select(func.count(deliveries.c.notification_id.distinct()))
            .select_from(notifications.join(deliveries, _of(notifications, deliveries)))
            .where(
                of_run(self._tenant, run_id),
                deliveries.c.stage == Stage.CLOSED,
                IN_TROUBLE,
                deliveries.c.outcome.in_([Outcome.BOUNCED, Outcome.FAILED]),
                counts(notifications, deliveries),
                ~_nothing_to_pay(),
                ~_made_good(),
            )
        )
        return int((await self._tx.conn.execute(statement)).scalar_one())

    async def since(self, instant: datetime) -> list[Failed]:
        """Known to have failed since then (business time), newest first."""
        return await self._found(
            and_(deliveries.c.tenant_id == self._tenant, deliveries.c.outcome_at >= instant),
            deliveries.c.outcome_at.desc(),
        )

    async def _found(self, scope: ColumnElement[bool], *order: ColumnElement[Any]) -> list[Failed]:
        """`order`: what counts where there are more than MOST, along an index of the scope."""
        n = notifications.c
        statement = (
            select(deliveries, n.kind, n.subscriber_id.label("whose"), n.invoice_id)
            .select_from(notifications.join(deliveries, _of(notifications, deliveries)))
            .where(
                scope,
                n.kind.in_(NOTICES),
                deliveries.c.stage == Stage.CLOSED,
                IN_TROUBLE,
                counts(notifications, deliveries),
                ~_nothing_to_pay(),
                ~_made_good(),
            )
            .order_by(*order)
            .limit(MOST)
        )
        found = [
            Failed(delivery_of(row), NotificationKind(row.kind), row.whose, row.invoice_id)
            for row in await self._tx.conn.execute(statement)
        ]
        return sorted(found, key=lambda failed: failed.delivery.id, reverse=True)

    async def told_since(self, run_id: UUID, invoice_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these invoices, left out by this run, of which a later message got or may get through."""
        found: set[UUID] = set()
        n = notifications.c
        for batch in batched(invoice_ids, BATCH):
            statement = (
                select(n.invoice_id)
                .select_from(notifications.join(deliveries, _of(notifications, deliveries)))
                .where(
                    n.tenant_id == self._tenant,
                    n.invoice_id.in_(batch),
                    n.kind.in_(NOTICES),
                    n.id > run_id,
                    _tells(notifications, deliveries),
                )
                .distinct()
            )
            found.update((await self._tx.conn.execute(statement)).scalars())
        return found

    async def standing(self, invoice_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Invoice -> the newest message about it that reached somebody or still may."""
        found: dict[UUID, UUID] = {}
        n = notifications.c
        for batch in batched(invoice_ids, BATCH):
            statement = (
                select(n.invoice_id, n.id)
                .select_from(notifications.join(deliveries, _of(notifications, deliveries)))
                .where(
                    n.tenant_id == self._tenant,
                    n.invoice_id.in_(batch),
                    n.kind.in_(NOTICES),
                    _tells(notifications, deliveries),
                )
                .distinct()
                .order_by(n.id)
            )
            found.update((row.invoice_id, row.id) for row in await self._tx.conn.execute(statement))
        return found

    async def asides(self, notification_ids: Sequence[UUID]) -> dict[UUID, Aside]:
        """Delivery -> why it counts less than others as proof; those that simply count are left out."""
        found: dict[UUID, Aside] = {}
        for batch in batched(notification_ids, BATCH):
            statement = (
                select(deliveries.c.id, aside(notifications, deliveries).label("aside"))
                .select_from(notifications.join(deliveries, _of(notifications, deliveries)))
                .where(notifications.c.tenant_id == self._tenant, notifications.c.id.in_(batch))
            )
            rows = await self._tx.conn.execute(statement)
            found.update((row.id, Aside(row.aside)) for row in rows if row.aside is not None)
        return found


def _of(message: Any, delivery: Any) -> ColumnElement[bool]:
    m, d = message.c, delivery.c
    return and_(d.tenant_id == m.tenant_id, d.notification_id == m.id)


def _tells(message: Any, delivery: Any) -> ColumnElement[bool]:
    """Whoever gets the invoices has this message, or still may."""
    return and_(reaches(delivery), counts(message, delivery))


def _nothing_to_pay() -> ColumnElement[bool]:
    i, n = invoices.c, notifications.c
    return exists(
        select(literal(1))
        .select_from(invoices)
        .where(i.tenant_id == n.tenant_id, i.id == n.invoice_id, i.status.in_(SETTLED))
        .correlate(notifications)
    )


def _made_good() -> ColumnElement[bool]:
    """This message, or a later one about the same invoice, reached its reader or still may.

    A copy says nothing new: an earlier message makes it good as well. A reminder that failed it does not.
    """
    n, other = notifications, notifications.alias("other")
    # Ids of one table sort by birth (UUIDv7).
    again = or_(other.c.id > n.c.id, n.c.kind == NotificationKind.RESEND)
    # Nested, not joined: SQLite would begin with all deliveries of the tenant (tests/contracts).
    another = exists(
        select(literal(1))
        .select_from(other)
        .where(
            other.c.tenant_id == n.c.tenant_id,
            other.c.invoice_id == n.c.invoice_id,
            again,
            other.c.kind.in_(NOTICES),
            _told(other, deliveries.alias("of_other")),
        )
        .correlate(n)
    )
    return or_(_told(n, deliveries.alias("same")), another)


def _told(message: Any, delivery: Any) -> ColumnElement[bool]:
    """Some delivery of this message tells."""
    of_it = select(literal(1)).select_from(delivery).where(_of(message, delivery), _tells(message, delivery))
    return exists(of_it.correlate(message))
