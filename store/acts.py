"""Billing acts (suspend, unsuspend): intended here, carried out outside transactions, verified after.

A claim is a lease in the database's real time with a fencing number (the attempt): only its holder may
say how it ended. What may follow what is billing.act_states.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, exists, or_, select, update

from store.models import ActKind, ActState, BillingAct
from store.repository import Repository
from store.tables import billing_acts
from store.types import db_now, db_now_plus

SIGNAL = "acts"
_OPEN = (ActState.INTENDED, ActState.CALLING, ActState.IN_DOUBT)


def _act(row: Row[Any]) -> BillingAct:
    return BillingAct(
        id=row.id,
        kind=ActKind(row.kind),
        subscriber_id=row.subscriber_id,
        package_id=row.package_id,
        state=ActState(row.state),
        reason=row.reason,
        actor=row.actor,
        created_at=row.created_at,
        tenant=row.tenant_id,
        tell=row.tell,
        owed_minor=row.owed_minor,
        attempt=row.attempt,
        called_at=row.called_at,
        until=row.until,
        result=row.result or "",
        finished_at=row.finished_at,
        verified_at=row.verified_at,
    )


class BillingActs(Repository):
    def _mine(self) -> Select[Any]:
        return select(billing_acts).where(billing_acts.c.tenant_id == self._tenant)

    async def intend(self, step_key: str, act: BillingAct) -> UUID:
        """Idempotent by `step_key` (interaction id + step): gives the id of the act that stands for it."""
        insert = self._insert(billing_acts).values(
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
            tell=act.tell,
            owed_minor=act.owed_minor,
            until=act.until,
        )
        await self._tx.conn.execute(insert.on_conflict_do_nothing())
        self._tx.signal(SIGNAL)
        standing = await self.by_step(step_key)
        if standing is None:
            raise LookupError("an act that was just written")
        return standing.id

    async def by_step(self, step_key: str) -> BillingAct | None:
        """What this step of this interaction has intended before."""
        row = (await self._tx.conn.execute(self._mine().where(billing_acts.c.step_key == step_key))).first()
        return _act(row) if row else None

    async def get(self, act_id: UUID) -> BillingAct | None:
        row = (await self._tx.conn.execute(self._mine().where(billing_acts.c.id == act_id))).first()
        return _act(row) if row else None

    async def of_subscriber(self, subscriber_id: UUID) -> list[BillingAct]:
        """Newest first."""
        statement = (
            self._mine()
            .where(billing_acts.c.subscriber_id == subscriber_id)
            .order_by(billing_acts.c.id.desc())
        )
        return [_act(row) for row in await self._tx.conn.execute(statement)]

    async def claim(self, *, worker: str, lease_s: float, limit: int = 10) -> list[BillingAct]:
        """Across tenants (`system()`): what nobody works on. The caller commits before any network.

        Put off or in doubt: once the wait is over; in doubt without one waits for a person. Taken by
        somebody whose lease ran out: at once. Of one package's acts only the oldest is taken.
        """
        c = billing_acts.c
        over = c.lease_until < db_now()
        takeable = or_(
            and_(c.state == ActState.INTENDED, or_(c.lease_until.is_(None), over)),
            and_(c.state.in_([ActState.CALLING, ActState.IN_DOUBT]), over),
        )
        older = billing_acts.alias("older")
        first_in_line = ~exists().where(
            older.c.tenant_id == c.tenant_id,
            older.c.package_id == c.package_id,
            older.c.state.in_(_OPEN),
            older.c.id < c.id,
        )
        free = (
            select(c.tenant_id, c.id)
            .where(takeable, first_in_line)
            .order_by(c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("free")
        )
        statement = (
            update(billing_acts)
            .where(c.tenant_id == free.c.tenant_id, c.id == free.c.id)
            .values(
                state=ActState.CALLING,
                attempt=c.attempt + 1,
                worker=worker,
                lease_until=db_now_plus(lease_s),
            )
            .returning(billing_acts)
        )
        taken = [_act(row) for row in await self._tx.conn.execute(statement)]
        return sorted(taken, key=lambda act: act.id)

    async def _fenced(self, act: BillingAct, **values: Any) -> bool:
        """False when the claim is not ours any more."""
        c = billing_acts.c
        result = await self._tx.conn.execute(
            update(billing_acts)
            .where(
                c.tenant_id == act.tenant,
                c.id == act.id,
                c.state == ActState.CALLING,
                c.attempt == act.attempt,
            )
            .values(**values)
        )
        return bool(result.rowcount)

    async def about_to_call(self, act: BillingAct) -> bool:
        """Recorded before billing is asked, whose answer may be lost; False when the claim is gone."""
        return await self._fenced(act, called_at=self._tx.now)

    async def finish(
        self,
        act: BillingAct,
        state: ActState,
        *,
        result: str = "",
        external_ref: str | None = None,
        verified_at: datetime | None = None,
    ) -> bool:
        """calling -> done or failed."""
        return await self._fenced(
            act,
            state=state,
            result=result,
            external_ref=external_ref,
            finished_at=self._tx.now,
            verified_at=verified_at,
            lease_until=None,
            worker=None,
        )

    async def put_off(self, act: BillingAct, state: ActState, *, result: str, wait_s: float | None) -> bool:
        """calling -> intended or in_doubt, taken up again after `wait_s`; None: when a person asks."""
        until = None if wait_s is None else db_now_plus(wait_s)
        return await self._fenced(act, state=state, result=result, lease_until=until, worker=None)

    async def look_again(self, act_id: UUID) -> bool:
        """A person asks: whatever is in doubt is looked at now."""
        c = billing_acts.c
        result = await self._tx.conn.execute(
            update(billing_acts)
            .where(c.tenant_id == self._tenant, c.id == act_id, c.state == ActState.IN_DOUBT)
            .values(lease_until=db_now_plus(-1))
        )
        self._tx.signal(SIGNAL)
        return bool(result.rowcount)

    async def release(self, workers: Sequence[str]) -> None:
        """Dead processes' claims run out now."""
        c = billing_acts.c
        await self._tx.conn.execute(
            update(billing_acts)
            .where(c.worker.in_(workers), c.state == ActState.CALLING)
            .values(lease_until=db_now_plus(-1))
        )

    async def last_done(self, package_id: UUID) -> UUID | None:
        """The last act that was done with this package."""
        c = billing_acts.c
        statement = (
            select(c.id)
            .where(c.tenant_id == self._tenant, c.package_id == package_id, c.state == ActState.DONE)
            .order_by(c.id.desc())
            .limit(1)
        )
        return (await self._tx.conn.execute(statement)).scalar_one_or_none()

    async def unfinished(self, package_id: UUID) -> BillingAct | None:
        """What is under way with this package."""
        c = billing_acts.c
        statement = self._mine().where(c.package_id == package_id, c.state.in_(_OPEN)).order_by(c.id).limit(1)
        row = (await self._tx.conn.execute(statement)).first()
        return _act(row) if row else None
