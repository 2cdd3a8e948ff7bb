"""People without a proven notice: messages whose every delivery failed, and that nothing later made good.

A later message about the same invoice that got through, or is still on its way, makes it good: whoever is
told again by another way is off the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, literal, or_, select

from store.deliveries import IN_TROUBLE, delivery_of
from store.models import Delivery, NotificationKind, Outcome, Stage
from store.repository import BATCH, Repository, batched
from store.runs import of_run
from store.tables import deliveries, notifications

MOST = 20_000
NOTICES = (
    NotificationKind.INVOICE_ISSUED,
    NotificationKind.REMINDER,
    NotificationKind.OVERDUE,
    NotificationKind.RESEND,
    NotificationKind.SUSPENDED,
    NotificationKind.UNSUSPENDED,
)


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
                    n.id > run_id,
                    _may_reach(deliveries),
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
                    _may_reach(deliveries),
                )
                .distinct()
                .order_by(n.id)
            )
            found.update((row.invoice_id, row.id) for row in await self._tx.conn.execute(statement))
        return found


def _of(message: object, delivery: object) -> ColumnElement[bool]:
    m, d = message.c, delivery.c  # type: ignore[attr-defined]  # tables and their aliases
    return and_(d.tenant_id == m.tenant_id, d.notification_id == m.id)


def _may_reach(delivery: object) -> ColumnElement[bool]:
    d = delivery.c  # type: ignore[attr-defined]  # tables and their aliases
    return or_(d.outcome.in_([Outcome.SENT, Outcome.DELIVERED]), d.stage != Stage.CLOSED)


def _made_good() -> ColumnElement[bool]:
    """This message, or a later one about the same invoice, reached somebody or still may."""
    later, delivery = notifications.alias("later"), deliveries.alias("of_later")
    n = notifications.c
    # Ids of one table sort by birth (UUIDv7).
    same = or_(later.c.id == n.id, and_(later.c.invoice_id == n.invoice_id, later.c.id > n.id))
    return exists(
        select(literal(1))
        .select_from(later.join(delivery, _of(later, delivery)))
        .where(later.c.tenant_id == n.tenant_id, later.c.kind.in_(NOTICES), same, _may_reach(delivery))
    )
