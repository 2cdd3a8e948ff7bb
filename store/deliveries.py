"""Deliveries: one channel, one address, one message each; claims, leases and their fencing.

A claim commits the lease and attempt + 1 before any network. `lock` takes rows for a change: what is
decided about a locked row is decided once (SQLite: the single writer; PostgreSQL: FOR UPDATE).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, func, or_, select, text, tuple_, update

from store.bulk import Row as NewRow
from store.bulk import add_deliveries
from store.models import Channel, Confidence, Delivery, Outcome, Priority, Reason, Stage
from store.repository import BATCH, Repository, batched, prefix_pattern
from store.tables import deliveries
from store.types import db_now, db_now_plus

_GRACE = timedelta(days=1)
SETTLING = "settling"
"""Who holds texts in doubt (notifier.schedule.SETTLING); the index ix_deliveries_settling is theirs."""
Ref = tuple[int, UUID]
"""(tenant, delivery id)."""


@dataclass(frozen=True, slots=True)
class DeliveryChange:
    """The new values of one locked delivery."""

    tenant: int
    id: UUID
    stage: Stage
    due_at: datetime
    stage_reason: str | None
    stage_by: str | None
    outcome: Outcome
    reason: Reason
    confidence: Confidence
    outcome_at: datetime | None
    cls: str
    diagnostic: str
    remote: str
    queue_id: str | None
    """None: as it was."""
    checks: int | None = None
    """None: as it was."""
    content_hash: str | None = None
    """None: as it was."""
    pdf_hash: str | None = None
    """None: as it was."""


def delivery_of(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        tenant=row.tenant_id,
        notification_id=row.notification_id,
        subscriber_id=row.subscriber_id,
        channel=Channel(row.channel),
        address=row.address,
        route=row.route,
        priority=Priority(row.priority),
        stage=Stage(row.stage),
        stage_reason=row.stage_reason,
        stage_by=row.stage_by,
        due_at=row.due_at,
        attempt=row.attempt,
        outcome=Outcome(row.outcome),
        reason=Reason(row.reason),
        confidence=Confidence(row.confidence),
        outcome_at=row.outcome_at,
        cls=row.cls,
        diagnostic=row.diagnostic,
        remote=row.remote,
        message_id=row.message_id,
        expires_at=row.expires_at,
        created_at=row.created_at,
        queue_id=row.queue_id,
        checks=row.checks,
    )


def claim_of(delivery: Delivery) -> ColumnElement[bool]:
    """The row, as long as this very attempt is claimed (the attempt is the fencing number)."""
    c = deliveries.c
    return and_(
        c.tenant_id == delivery.tenant,
        c.id == delivery.id,
        c.stage == Stage.CLAIMED,
        c.attempt == delivery.attempt,
    )


class Deliveries(Repository):
    async def add(self, items: Sequence[Delivery]) -> None:
        """New rows; ids are derived, so the primary key refuses a second one for the same address."""
        await self.add_rows(
            [
                (
                    *(item.tenant, item.id, item.notification_id, item.subscriber_id),
                    *(item.channel.value, item.address, item.route, int(item.priority)),
                    *(item.due_at, item.message_id, item.expires_at, item.created_at),
                    *(item.stage.value, item.stage_reason, item.stage_by, item.attempt),
                    *(item.outcome.value, item.reason.value, item.confidence.value, item.outcome_at),
                    *(item.cls, item.diagnostic, item.remote),
                )
                for item in items
            ]
        )

    async def add_rows(self, rows: Sequence[NewRow]) -> None:
        """Rows of store.bulk.DELIVERY."""
        await add_deliveries(self._tx.conn, rows)
        self._tx.signal("deliveries")

    def _mine(self) -> Select[Any]:
        return select(deliveries).where(deliveries.c.tenant_id == self._tenant)

    async def get(self, delivery_id: UUID) -> Delivery | None:
        row = (await self._tx.conn.execute(self._mine().where(deliveries.c.id == delivery_id))).first()
        return delivery_of(row) if row else None

    async def of_notifications(self, ids: Sequence[UUID]) -> dict[UUID, list[Delivery]]:
        found: dict[UUID, list[Delivery]] = {nid: [] for nid in ids}
        for batch in batched(ids, BATCH):
            statement = self._mine().where(deliveries.c.notification_id.in_(batch)).order_by(deliveries.c.id)
            for row in await self._tx.conn.execute(statement):
                found[row.notification_id].append(delivery_of(row))
        return found

    async def of_refs(self, refs: Sequence[tuple[int, UUID]]) -> list[Delivery]:
        """All deliveries of these notifications (tenant, id); across tenants."""
        found: list[Delivery] = []
        c = deliveries.c
        for batch in batched(refs, BATCH):
            statement = (
                select(deliveries)
                .where(tuple_(c.tenant_id, c.notification_id).in_(batch))
                .order_by(c.tenant_id, c.id)
            )
            found += [delivery_of(row) for row in await self._tx.conn.execute(statement)]
        return found

    async def newest_to(self, channel: Channel, addresses: Sequence[str]) -> dict[str, Delivery]:
        """The newest delivery to each address; those never mailed are left out."""
        found: dict[str, Delivery] = {}
        for address in addresses:
            statement = (
                self._mine()
                .where(deliveries.c.channel == channel, deliveries.c.address == address)
                .order_by(deliveries.c.id.desc())
                .limit(1)
            )
            row = (await self._tx.conn.execute(statement)).first()
            if row is not None:
                found[address] = delivery_of(row)
        return found

    async def recent_mails(self, address: str, *, since: datetime, limit: int) -> list[Delivery]:
        """E-mail to this address made since then, the newest first."""
        c = deliveries.c
        statement = (
            self._mine()
            .where(c.channel == Channel.EMAIL, c.address == address, c.created_at >= since)
            .order_by(c.id.desc())
            .limit(limit)
        )
        return [delivery_of(row) for row in await self._tx.conn.execute(statement)]

    async def waiting_to(self, channel: Channel, address: str) -> list[Delivery]:
        """Queued or held for this address: what has not been taken up yet."""
        statement = self._mine().where(
            deliveries.c.channel == channel,
            deliveries.c.address == address,
            deliveries.c.stage.in_([Stage.QUEUED, Stage.HELD]),
        )
        return [delivery_of(row) for row in await self._tx.conn.execute(statement)]

    async def get_many(self, ids: Sequence[UUID]) -> dict[UUID, Delivery]:
        found: dict[UUID, Delivery] = {}
        for batch in batched(ids, BATCH):
            rows = await self._tx.conn.execute(self._mine().where(deliveries.c.id.in_(batch)))
            found.update((row.id, delivery_of(row)) for row in rows)
        return found

    async def in_the_same_case(
        self, cls: str, domain: str, *, since: datetime, other_than: UUID | None
    ) -> tuple[int, datetime | None]:
        """(how many other subscribers, the first time): mail to `domain` that failed for the class `cls`."""
        c = deliveries.c
        statement = select(func.count(func.distinct(c.subscriber_id)), func.min(c.outcome_at)).where(
            c.tenant_id == self._tenant,
            IN_TROUBLE,
            c.outcome_at >= since,
            c.channel == Channel.EMAIL,
            c.cls == cls,
            c.address.like("%@" + prefix_pattern(domain)[:-1], escape="\\"),
            c.subscriber_id != other_than if other_than is not None else c.subscriber_id.is_not(None),
        )
        count, first = (await self._tx.conn.execute(statement)).one()
        return int(count), first

    async def by_queue_id(self, queue_id: str) -> list[Delivery]:
        """Across tenants (`system()`): who was told "queued as" this id."""
        rows = await self._tx.conn.execute(
            select(deliveries).where(deliveries.c.queue_id == queue_id).limit(2)
        )
        return [delivery_of(row) for row in rows]

    async def hold(self, delivery: Delivery, *, reason: str, by: str) -> bool:
        """Claimed -> held: not now, and nobody's attempt; the claim's number is given back."""
        result = await self._tx.conn.execute(
            update(deliveries)
            .where(claim_of(delivery))
            .values(stage=Stage.HELD, stage_reason=reason, stage_by=by, attempt=delivery.attempt - 1)
        )
        return bool(result.rowcount)

    async def postpone(
        self, delivery: Delivery, *, until: datetime, reason: str, by: str | None = None
    ) -> bool:
        """Claimed -> queued for `until`: not now, and nobody's attempt; the claim's number is given back.

        `by`: the limit in whose line it waits.
        """
        result = await self._tx.conn.execute(
            update(deliveries)
            .where(claim_of(delivery))
            .values(
                stage=Stage.QUEUED,
                stage_reason=reason,
                stage_by=by,
                due_at=until,
                attempt=delivery.attempt - 1,
            )
        )
        return bool(result.rowcount)

    async def give_back(self, items: Sequence[Delivery], due_at: datetime) -> None:
        """Claimed -> queued for deliveries that nothing was done with; the attempt's number is given back."""
        c = deliveries.c
        for batch in batched(sorted(items, key=lambda d: (d.tenant, d.id)), BATCH):
            await self._locked([(d.tenant, d.id) for d in batch])
            mine = tuple_(c.tenant_id, c.id, c.attempt).in_([(d.tenant, d.id, d.attempt) for d in batch])
            await self._tx.conn.execute(
                update(deliveries)
                .where(mine, c.stage == Stage.CLAIMED)
                .values(stage=Stage.QUEUED, attempt=c.attempt - 1, due_at=due_at)
            )

    async def unsent(self, limit: int = 500) -> list[Delivery]:
        """Of this tenant: what nobody has begun to send, queued or held."""
        waiting = deliveries.c.stage.in_((Stage.QUEUED, Stage.HELD))
        rows = await self._tx.conn.execute(self._mine().where(waiting).order_by(deliveries.c.id).limit(limit))
        return [delivery_of(row) for row in rows]

    async def overdue(self, limit: int = 500) -> list[Delivery]:
        """Queued or held past their expiry, which no claim would ever look at; locked."""
        statement = (
            select(deliveries)
            .where(
                _UNSETTLED[0],
                deliveries.c.expires_at <= self._tx.now,
                # What a paused run holds does not go out of date unseen (notifier.runs).
                func.coalesce(deliveries.c.stage_by, "").not_like("run:%"),
                # A text in doubt is looked for first: "it did not go out" is better than "it may have". But
                # not for ever: its provider may not answer any more, or be gone from the configuration.
                or_(
                    func.coalesce(deliveries.c.stage_by, "") != SETTLING,
                    deliveries.c.expires_at <= self._tx.now - _GRACE,
                ),
            )
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [delivery_of(row) for row in await self._tx.conn.execute(statement)]

    async def reroute(self, tenant: int, channel: Channel, known: Sequence[str], default: str) -> int:
        """What waits for a route of this channel that does not exist any more goes by `default`."""
        result = await self._tx.conn.execute(
            update(deliveries)
            .where(
                deliveries.c.tenant_id == tenant,
                deliveries.c.channel == channel,
                deliveries.c.stage.in_([Stage.QUEUED, Stage.HELD]),
                deliveries.c.route.not_in(list(known)),
            )
            .values(route=default)
        )
        return int(result.rowcount)

    async def release_held(self, tenant: int, by: str) -> int:
        """Held by `by` -> queued, due now."""
        c = deliveries.c
        held = and_(c.tenant_id == tenant, _HELD, c.stage_by == by)
        if not self._tx.sqlite:  # in one order, as `lock` takes them
            rows = select(c.id).where(held).order_by(c.id).with_for_update()
            held = and_(c.tenant_id == tenant, c.id.in_(rows))
        result = await self._tx.conn.execute(
            update(deliveries)
            .where(held)
            .values(stage=Stage.QUEUED, stage_reason=None, stage_by=None, due_at=self._tx.now)
        )
        self._tx.signal("deliveries")
        return int(result.rowcount)

    async def release_one(self, delivery_id: UUID, by: str) -> bool:
        """Held by `by` -> queued, due now; False when it is not (any more)."""
        c = deliveries.c
        result = await self._tx.conn.execute(
            update(deliveries)
            .where(c.tenant_id == self._tenant, c.id == delivery_id, c.stage == Stage.HELD, c.stage_by == by)
            .values(stage=Stage.QUEUED, stage_reason=None, stage_by=None, due_at=self._tx.now)
        )
        self._tx.signal("deliveries")
        return bool(result.rowcount)

    async def holders(self, tenant: int) -> set[str]:
        """By whom deliveries of this tenant are held."""
        c = deliveries.c
        statement = select(c.stage_by).where(c.tenant_id == tenant, _HELD, c.stage_by.is_not(None)).distinct()
        return set((await self._tx.conn.execute(statement)).scalars())

    async def next_due(self) -> datetime | None:
        """When the earliest queued delivery wants to go (business time)."""
        statement = select(func.min(deliveries.c.due_at)).where(deliveries.c.stage == Stage.QUEUED)
        value: datetime | None = (await self._tx.conn.execute(statement)).scalar_one()
        return value

    async def renew(self, worker: str, refs: Sequence[Ref], lease_s: float) -> None:
        """The heartbeat of a slow but healthy worker."""
        c = deliveries.c
        for batch in batched(sorted(refs), BATCH):
            await self._locked(batch)
            await self._tx.conn.execute(
                update(deliveries)
                .where(tuple_(c.tenant_id, c.id).in_(batch), c.stage == Stage.CLAIMED, c.worker == worker)
                .values(lease_until=db_now_plus(lease_s))
            )

    async def _locked(self, refs: Sequence[Ref]) -> None:
        """PostgreSQL: takes these rows in the one order (`lock`) before one statement changes many, which
        would go along them as they lie and meet whoever goes the other way."""
        if not self._tx.sqlite:
            c = deliveries.c
            rows = select(c.id).where(tuple_(c.tenant_id, c.id).in_(refs))
            ordered = rows.order_by(c.tenant_id, c.id).with_for_update().subquery()
            await self._tx.conn.execute(select(func.count()).select_from(ordered))

    async def lost(self, *, dead_worker: str | None = None, limit: int = 500) -> list[Delivery]:
        """Claimed deliveries whose lease ran out, or whose worker is known to be dead; locked."""
        gone = (
            deliveries.c.worker == dead_worker
            if dead_worker is not None
            else deliveries.c.lease_until < db_now()
        )
        statement = (
            select(deliveries)
            .where(deliveries.c.stage == Stage.CLAIMED, gone)
            .order_by(deliveries.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [delivery_of(row) for row in await self._tx.conn.execute(statement)]

    async def settle_due(self, limit: int = 500) -> list[Delivery]:
        """Awaiting mails whose time for evidence is over; locked."""
        statement = (
            select(deliveries)
            .where(
                deliveries.c.stage == Stage.AWAITING,
                deliveries.c.channel == Channel.EMAIL,
                deliveries.c.due_at <= self._tx.now,
            )
            .order_by(deliveries.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [delivery_of(row) for row in await self._tx.conn.execute(statement)]

    async def take_doubtful(self, again_at: datetime, limit: int = 100) -> list[Delivery]:
        """Texts in doubt whose settling period is over; nobody else takes them before `again_at`."""
        c = deliveries.c
        return await self._take(and_(_IN_DOUBT, c.due_at <= self._tx.now), again_at, limit)

    async def take_unreceipted(self, again_at: datetime, limit: int = 100) -> list[Delivery]:
        """Texts handed over that are due to be asked for; nobody else takes them before `again_at`."""
        c = deliveries.c
        return await self._take(
            and_(_UNSETTLED[-1], c.channel == Channel.SMS, c.due_at <= self._tx.now),
            again_at,
            limit,
        )

    async def _take(self, due: ColumnElement[bool], again_at: datetime, limit: int) -> list[Delivery]:
        chosen = (
            select(deliveries.c.tenant_id, deliveries.c.id)
            .where(due)
            .order_by(deliveries.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("chosen")
        )
        statement = (
            update(deliveries)
            .where(deliveries.c.tenant_id == chosen.c.tenant_id, deliveries.c.id == chosen.c.id)
            .values(due_at=again_at)
            .returning(deliveries)
        )
        return [delivery_of(row) for row in await self._tx.conn.execute(statement)]

    async def checked(self, item: Delivery, due_at: datetime) -> bool:
        """Asked for once more, without an end: the next time is `due_at`. False: it has moved meanwhile."""
        return await self._still(item, checks=item.checks + 1, due_at=due_at)

    async def give_to_a_person(self, item: Delivery, *, reason: str, by: str) -> bool:
        """A text in doubt that no list settles. False: it has moved meanwhile."""
        return await self._still(item, stage_reason=reason, stage_by=by)

    async def _still(self, item: Delivery, **values: Any) -> bool:
        """Compare-and-set on a delivery that stands where it stood."""
        c = deliveries.c
        result = await self._tx.conn.execute(
            update(deliveries)
            .where(
                c.tenant_id == item.tenant,
                c.id == item.id,
                c.stage == item.stage,
                c.attempt == item.attempt,
                c.checks == item.checks,
            )
            .values(**values)
        )
        return bool(result.rowcount)

    async def known_queue_ids(self, queue_ids: Sequence[str]) -> set[str]:
        """Those of them that some delivery of this tenant bears."""
        found: set[str] = set()
        for batch in batched(queue_ids, BATCH):
            statement = select(deliveries.c.queue_id).where(
                deliveries.c.tenant_id + 0 == self._tenant,  # not along it: a name is rarer than a tenant
                deliveries.c.queue_id.in_(batch),
                deliveries.c.queue_id.is_not(None),
            )
            found.update((await self._tx.conn.execute(statement)).scalars())
        return found

    async def lock(self, refs: Sequence[Ref]) -> dict[Ref, Delivery]:
        """Takes rows for a change, in one order, so that two takers never wait for each other."""
        found: dict[Ref, Delivery] = {}
        for batch in batched(sorted(set(refs)), BATCH):
            statement = (
                select(deliveries)
                .where(tuple_(deliveries.c.tenant_id, deliveries.c.id).in_(batch))
                .order_by(deliveries.c.tenant_id, deliveries.c.id)
                .with_for_update()
            )
            for row in await self._tx.conn.execute(statement):
                found[(row.tenant_id, row.id)] = delivery_of(row)
        return found

    async def change(self, changes: Sequence[DeliveryChange]) -> None:
        """Writes new values of rows taken by `lock`."""
        if not changes:
            return
        c = deliveries.c
        statement = (
            update(deliveries)
            .where(c.tenant_id == bindparam("b_tenant"), c.id == bindparam("b_id"))
            .values(
                {name: bindparam(f"b_{name}") for name in _CHANGED}
                | {name: func.coalesce(bindparam(f"b_{name}"), c[name]) for name in _KEPT}
            )
        )
        rows = [
            {"b_tenant": change.tenant, "b_id": change.id}
            | {f"b_{name}": getattr(change, name) for name in (*_CHANGED, *_KEPT)}
            for change in changes
        ]
        await self._tx.conn.execute(statement, rows)

    async def under_way(self) -> dict[Stage, int]:
        """How many are not settled, by stage; stages without any are left out."""
        found: dict[Stage, int] = {}
        for stages in _UNSETTLED:
            statement = (
                select(deliveries.c.stage, func.count())
                .where(deliveries.c.tenant_id == self._tenant, stages)
                .group_by(deliveries.c.stage)
            )
            found |= {Stage(stage): count for stage, count in await self._tx.conn.execute(statement)}
        return found

    async def untried(self) -> int:
        """How many of this tenant's deliveries had no attempt yet, or have their present one under way."""
        statement = select(func.count()).where(
            deliveries.c.tenant_id == self._tenant,
            ((deliveries.c.stage == Stage.QUEUED) & (deliveries.c.attempt == 0))
            | (deliveries.c.stage == Stage.CLAIMED),
        )
        return int((await self._tx.conn.execute(statement)).scalar_one())

    async def counts(self) -> Mapping[tuple[Stage, Outcome], int]:
        """How many of this tenant's deliveries stand where."""
        statement = (
            select(deliveries.c.stage, deliveries.c.outcome, func.count())
            .where(deliveries.c.tenant_id == self._tenant)
            .group_by(deliveries.c.stage, deliveries.c.outcome)
        )
        return {
            (Stage(stage), Outcome(outcome)): count
            for stage, outcome, count in await self._tx.conn.execute(statement)
        }


# Cancelled is somebody's decision, not trouble.
# Literal, as the partial indexes have them: SQLite compares the words of a condition, not its meaning.
IN_TROUBLE = text("deliveries.outcome IN ('bounced', 'failed', 'suppressed', 'expired')")
_HELD = text("stage = 'held'")
_IN_DOUBT = text("stage = 'held' AND stage_by = 'settling'")
_UNSETTLED = (text("stage IN ('queued', 'held')"), text("stage = 'claimed'"), text("stage = 'awaiting'"))

_CHANGED = (
    "stage",
    "due_at",
    "stage_reason",
    "stage_by",
    "outcome",
    "reason",
    "confidence",
    "outcome_at",
    "cls",
    "diagnostic",
    "remote",
)
_KEPT = ("queue_id", "checks", "content_hash", "pdf_hash")
"""Changed only where a value is given."""
