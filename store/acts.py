"""Billing acts (suspend, unsuspend): intended here, carried out outside transactions, verified after."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from store.models import ActKind, ActState, BillingAct
from store.repository import Repository
from store.tables import billing_acts


class BillingActs(Repository):
    async def intend(self, step_key: str, act: BillingAct) -> bool:
        """Idempotent by `step_key` (interaction id + step); False when it stands already."""
        insert = (
            self._insert(billing_acts)
            .values(
                tenant_id=self._tenant,
                id=act.id,
                step_key=step_key,
                kind=act.kind,
                subscriber_id=act.subscriber_id,
                package_id=act.package_id,
                state=ActState.INTENDED,
                reason=act.reason,
                actor=act.actor,
                attempt=0,
                created_at=act.created_at,
            )
            .on_conflict_do_nothing()
            .returning(billing_acts.c.id)
        )
        return (await self._tx.conn.execute(insert)).first() is not None

    async def of_subscriber(self, subscriber_id: UUID) -> list[BillingAct]:
        statement = (
            select(billing_acts)
            .where(billing_acts.c.tenant_id == self._tenant, billing_acts.c.subscriber_id == subscriber_id)
            .order_by(billing_acts.c.id.desc())
        )
        return [
            BillingAct(
                row.id,
                ActKind(row.kind),
                row.subscriber_id,
                row.package_id,
                ActState(row.state),
                row.reason,
                row.actor,
                row.created_at,
            )
            for row in await self._tx.conn.execute(statement)
        ]
