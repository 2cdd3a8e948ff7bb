"""Subscribers with their contacts and points (addresses), mirrored from the billing system."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, not_, or_, select, update

from store.models import (
    Channel,
    ContactRole,
    Facts,
    Point,
    Subscriber,
    SubscriberKind,
    SubscriberStatus,
)
from store.money import Money
from store.overrides import reapply
from store.points import PointRecord
from store.repository import BATCH, Repository, batched
from store.search_words import mail_term, name_terms, phone_term, search_key
from store.tables import contacts, points, subscribers
from store.types import derived_id, new_id


@dataclass(frozen=True, slots=True)
class SubscriberRecord:
    """A subscriber as a source gives it; the store finds or makes its id."""

    account: str
    kind: SubscriberKind
    status: SubscriberStatus
    name: str
    language: str
    address: str
    city: str
    region: str
    postal_code: str
    payer_account: str | None
    balance: Money
    invoice_notices: bool
    facts: Facts
    time_zone: str | None = None
    points: tuple[PointRecord, ...] = field(default=())
    tags: tuple[str, ...] | None = None
    """None: the source knows nothing of tags, and those on file stay."""


def place_key(name: str) -> str:
    """What towns and tags are compared by: case and spaces do not count."""
    return " ".join(name.casefold().split())


def _subscriber(row: Row[Any]) -> Subscriber:
    return Subscriber(
        id=row.id,
        account=row.account,
        kind=SubscriberKind(row.kind),
        status=SubscriberStatus(row.status),
        name=row.name,
        language=row.language,
        time_zone=row.time_zone,
        address=row.address,
        city=row.city,
        region=row.region,
        postal_code=row.postal_code,
        payer_account=row.payer_account,
        balance=Money(row.balance_minor, row.currency),
        invoice_notices=row.invoice_notices,
        facts=Facts(row.source, row.as_of),
    )


def _point(row: Row[Any]) -> Point:
    return Point(
        id=row.id,
        subscriber_id=row.subscriber_id,
        role=ContactRole(row.role),
        channel=Channel(row.channel),
        address=row.address,
        raw=row.raw,
        position=row.position,
        problem=row.problem,
        facts=Facts(row.source, row.as_of),
    )


def _term(channel: Channel, address: str) -> str | None:
    return mail_term(address) if channel is Channel.EMAIL else phone_term(address)


def _terms(record: SubscriberRecord) -> set[str]:
    reached = {_term(point.channel, point.address) for point in record.points}
    return name_terms(record.name, record.address, record.city) | {term for term in reached if term}


class Subscribers(Repository):
    def _mine(self) -> Select[Any]:
        return select(subscribers).where(subscribers.c.tenant_id == self._tenant)

    async def _one(self, statement: Select[Any]) -> Subscriber | None:
        row = (await self._tx.conn.execute(statement)).first()
        return _subscriber(row) if row else None

    async def by_account(self, account: str) -> Subscriber | None:
        return await self._one(self._mine().where(subscribers.c.account == account))

    async def by_id(self, subscriber_id: UUID) -> Subscriber | None:
        return await self._one(self._mine().where(subscribers.c.id == subscriber_id))

    async def by_ids(self, ids: Sequence[UUID]) -> dict[UUID, Subscriber]:
        found: dict[UUID, Subscriber] = {}
        for batch in batched(ids, BATCH):
            rows = await self._tx.conn.execute(self._mine().where(self._among(subscribers.c.id, batch)))
            found.update((row.id, _subscriber(row)) for row in rows)
        return found

    async def not_to_notify(self, ids: Sequence[UUID]) -> dict[UUID, Subscriber]:
        """Those of these to whom a notice may have to stop: archived, switched off, or nothing owed. Few."""
        c = subscribers.c
        found: dict[UUID, Subscriber] = {}
        for batch in batched(ids, BATCH):
            against = or_(
                c.status == SubscriberStatus.ARCHIVED, c.invoice_notices.is_(False), c.balance_minor <= 0
            )
            rows = await self._tx.conn.execute(self._mine().where(c.id.in_(batch), against))
            found.update((row.id, _subscriber(row)) for row in rows)
        return found

    async def by_accounts(self, accounts: Sequence[str]) -> dict[str, Subscriber]:
        found: dict[str, Subscriber] = {}
        for batch in batched(accounts, BATCH):
            rows = await self._tx.conn.execute(self._mine().where(self._among(subscribers.c.account, batch)))
            found.update((row.account, _subscriber(row)) for row in rows)
        return found

    async def ids(self, accounts: Sequence[str]) -> dict[str, UUID]:
        """The ids of those accounts that exist."""
        c = subscribers.c
        found: dict[str, UUID] = {}
        for batch in batched(accounts, BATCH):
            statement = select(c.account, c.id).where(
                c.tenant_id == self._tenant, self._among(c.account, batch)
            )
            found.update((account, one) for account, one in await self._tx.conn.execute(statement))
        return found

    async def billed_to(self, account: str) -> list[Subscriber]:
        """Those whose invoices go to `account` (bill-to-another)."""
        statement = self._mine().where(subscribers.c.payer_account == account).order_by(subscribers.c.account)
        return [_subscriber(row) for row in await self._tx.conn.execute(statement)]

    async def by_address(self, channel: Channel, address: str, limit: int = 50) -> list[Subscriber]:
        """Those with this normalised address on file."""
        ids = select(points.c.subscriber_id).where(
            points.c.tenant_id == self._tenant, points.c.channel == channel, points.c.address == address
        )
        statement = self._mine().where(subscribers.c.id.in_(ids)).order_by(subscribers.c.account).limit(limit)
        return [_subscriber(row) for row in await self._tx.conn.execute(statement)]

    async def sharing(
        self, channel: Channel, addresses: Sequence[str], *, other_than: UUID | None = None
    ) -> Mapping[str, int]:
        """address -> how many subscribers have it on file; one that nobody has is left out.

        Not counted: archived ones, `other_than`, and those who are billed to that one.
        """
        found: dict[str, int] = {}
        others: list[ColumnElement[bool]] = []
        if other_than is not None:
            payer = select(subscribers.c.account).where(
                subscribers.c.tenant_id == self._tenant, subscribers.c.id == other_than
            )
            billed = func.coalesce(subscribers.c.payer_account, "") == payer.scalar_subquery()
            others = [points.c.subscriber_id != other_than, not_(billed)]
        for batch in batched(addresses, BATCH):
            statement = (
                select(points.c.address, func.count(func.distinct(points.c.subscriber_id)))
                .join(
                    subscribers,
                    (subscribers.c.tenant_id == points.c.tenant_id)
                    & (subscribers.c.id == points.c.subscriber_id),
                )
                .where(
                    points.c.tenant_id == self._tenant,
                    points.c.channel == channel,
                    points.c.address.in_(batch),
                    subscribers.c.status != SubscriberStatus.ARCHIVED,
                    *others,
                )
                .group_by(points.c.address)
            )
            rows = await self._tx.conn.execute(statement)
            found.update((address, int(count)) for address, count in rows)
        return found

    async def count(self) -> int:
        return await self._number_of(subscribers)

    async def all(self) -> AsyncIterator[list[Subscriber]]:
        """By account, some hundred at a time."""
        async for rows in self._whole(subscribers, subscribers.c.account):
            yield [_subscriber(row) for row in rows]

    async def points(self, subscriber_ids: Sequence[UUID]) -> dict[UUID, list[Point]]:
        """Every point of each subscriber, billing first, in the order of the source."""
        found: dict[UUID, list[Point]] = {sid: [] for sid in subscriber_ids}
        for batch in batched(subscriber_ids, BATCH):
            statement = (
                select(points, contacts.c.role)
                .join(
                    contacts,
                    (contacts.c.tenant_id == points.c.tenant_id) & (contacts.c.id == points.c.contact_id),
                )
                .where(points.c.tenant_id == self._tenant, self._among(points.c.subscriber_id, batch))
                .order_by(contacts.c.role, points.c.channel, points.c.position)
            )
            for row in await self._tx.conn.execute(statement):
                found[row.subscriber_id].append(_point(row))
        return found

    async def upsert(self, records: Sequence[SubscriberRecord]) -> dict[str, UUID]:
        """Writes subscribers with all their points; gives the id of each account.

        A point that the source no longer has is removed: the mirror follows its source. An address that was
        mended here stays mended for as long as its override stands (store.overrides).
        """
        records = list({record.account: record for record in records}.values())
        await self._upsert(subscribers, ["account"], [self._row(record, new_id()) for record in records])
        # Read after writing: a row that stands already, or that another importer just wrote, keeps its id.
        ids = await self.ids([record.account for record in records])
        records = await self._with_overrides(records, ids)
        contact_rows: dict[UUID, dict[str, Any]] = {}
        point_rows: list[dict[str, Any]] = []
        for record in records:
            for position, point in enumerate(record.points):
                subscriber_id = ids[record.account]
                contact_id = derived_id(subscriber_id, "contact", point.role)
                contact_rows[contact_id] = {
                    "tenant_id": self._tenant,
                    "id": contact_id,
                    "subscriber_id": subscriber_id,
                    "role": point.role,
                    "name": "",
                }
                point_rows.append(self._point_row(record, point, subscriber_id, contact_id, position))
        unique = {row["id"]: row for row in reversed(point_rows)}
        await self._remove_others(list(ids.values()), unique)
        await self._upsert(contacts, ["id"], list(contact_rows.values()))
        await self._upsert(points, ["id"], list(unique.values()))
        await self._tx.search.keep({ids[r.account]: _terms(r) for r in records})
        await self._tx.tags.replace({ids[r.account]: r.tags for r in records if r.tags is not None})
        return ids

    async def _remove_others(self, ids: Sequence[UUID], kept: Container[UUID]) -> None:
        """The points of these subscribers that are not among `kept`; those stay, to be updated in place."""
        c = points.c
        for batch in batched(ids, BATCH):
            mine = select(c.id).where(c.tenant_id == self._tenant, self._among(c.subscriber_id, batch))
            gone = [one for one in (await self._tx.conn.execute(mine)).scalars() if one not in kept]
            for some in batched(gone, BATCH):
                await self._tx.conn.execute(
                    points.delete().where(c.tenant_id == self._tenant, self._among(c.id, some))
                )

    async def _with_overrides(
        self, records: Sequence[SubscriberRecord], ids: Mapping[str, UUID]
    ) -> list[SubscriberRecord]:
        active = await self._tx.overrides.active(list(ids.values()))
        kept: list[SubscriberRecord] = []
        ended: list[UUID] = []
        for record in records:
            if overrides := active.get(ids[record.account]):
                again = reapply(record.points, overrides)
                record = replace(record, points=again.points)
                ended += again.ended
            kept.append(record)
        await self._tx.overrides.end(ended)
        return kept

    async def rename(self, subscriber_id: UUID, account: str) -> bool:
        """Billing numbers an account anew: whom it pays for and its holds follow. False: it is taken."""
        before = await self.by_id(subscriber_id)
        if before is None or await self.by_account(account) is not None:
            return False
        mine = subscribers.c.tenant_id == self._tenant
        renamed = update(subscribers).where(mine, subscribers.c.id == subscriber_id)
        await self._tx.conn.execute(renamed.values(account=account))
        paid_for = update(subscribers).where(mine, subscribers.c.payer_account == before.account)
        await self._tx.conn.execute(paid_for.values(payer_account=account))
        await self._tx.notes.follow(before.account, account)
        return True

    async def archive(self, subscriber_id: UUID, facts: Facts) -> bool:
        """Billing does not have it any more; False when it is archived already."""
        c = subscribers.c
        done = await self._tx.conn.execute(
            update(subscribers)
            .where(
                c.tenant_id == self._tenant,
                c.id == subscriber_id,
                c.status != SubscriberStatus.ARCHIVED,
            )
            .values(
                status=SubscriberStatus.ARCHIVED,
                source=facts.source,
                as_of=facts.as_of,
                updated_at=self._tx.now,
            )
        )
        return bool(done.rowcount)

    async def add_point(self, subscriber_id: UUID, role: ContactRole, channel: Channel, address: str) -> None:
        """One more address, behind the others; nothing when it is there already."""
        contact_id = derived_id(subscriber_id, "contact", role)
        last = select(func.max(points.c.position)).where(
            points.c.tenant_id == self._tenant, points.c.subscriber_id == subscriber_id
        )
        position = (await self._tx.conn.execute(last)).scalar_one()
        contact = {
            "tenant_id": self._tenant,
            "id": contact_id,
            "subscriber_id": subscriber_id,
            "role": role,
            "name": "",
        }
        await self._tx.conn.execute(self._insert(contacts).values(contact).on_conflict_do_nothing())
        row = {
            "tenant_id": self._tenant,
            "id": derived_id(contact_id, channel, address),
            "contact_id": contact_id,
            "subscriber_id": subscriber_id,
            "channel": channel,
            "address": address,
            "raw": address,
            "position": 0 if position is None else position + 1,
            "problem": None,
            "source": "here",
            "as_of": self._tx.now,
        }
        await self._tx.conn.execute(self._insert(points).values(row).on_conflict_do_nothing())
        await self._tx.search.add(subscriber_id, _term(channel, address))

    async def change_point(
        self,
        subscriber_id: UUID,
        role: ContactRole,
        channel: Channel,
        old: str,
        new: str,
        *,
        problem: str | None = None,
    ) -> bool:
        """The address `old` becomes `new`, in its place; False when `old` is not on file (any more).

        `raw` keeps what the source said. Where `new` is on file already, `old` only goes.
        """
        contact_id = derived_id(subscriber_id, "contact", role)
        gone = await self._tx.conn.execute(
            points.delete()
            .where(points.c.tenant_id == self._tenant, points.c.id == derived_id(contact_id, channel, old))
            .returning(points)
        )
        row = gone.first()
        if row is None:
            return False
        changed = dict(row._mapping) | {
            "id": derived_id(contact_id, channel, new),
            "address": new,
            "problem": problem,
        }
        await self._tx.conn.execute(self._insert(points).values(changed).on_conflict_do_nothing())
        await self._tx.search.add(subscriber_id, _term(channel, new))
        await self._forget(subscriber_id, channel, old)
        return True

    async def remove_point(
        self, subscriber_id: UUID, role: ContactRole, channel: Channel, address: str
    ) -> bool:
        """Takes an address that was added here away again; False when it is not on file."""
        point_id = derived_id(derived_id(subscriber_id, "contact", role), channel, address)
        gone = await self._tx.conn.execute(
            points.delete().where(points.c.tenant_id == self._tenant, points.c.id == point_id)
        )
        await self._forget(subscriber_id, channel, address)
        return bool(gone.rowcount)

    async def _forget(self, subscriber_id: UUID, channel: Channel, address: str) -> None:
        """The subscriber is not found by this address any more, unless another contact of theirs has it."""
        term = _term(channel, address)
        left = select(points.c.address).where(
            points.c.tenant_id == self._tenant,
            points.c.subscriber_id == subscriber_id,
            points.c.channel == channel,
        )
        others = (await self._tx.conn.execute(left)).scalars()
        if term not in {_term(channel, other) for other in others}:
            await self._tx.search.drop(subscriber_id, term)

    def _row(self, record: SubscriberRecord, subscriber_id: UUID) -> dict[str, Any]:
        return {
            "tenant_id": self._tenant,
            "id": subscriber_id,
            "account": record.account,
            "kind": record.kind,
            "status": record.status,
            "name": record.name,
            "search_name": search_key(record.name),
            "language": record.language,
            "time_zone": record.time_zone,
            "address": record.address,
            "city": record.city,
            "region": record.region,
            "postal_code": record.postal_code,
            "payer_account": record.payer_account,
            "balance_minor": record.balance.minor,
            "currency": record.balance.currency,
            "invoice_notices": record.invoice_notices,
            "source": record.facts.source,
            "as_of": record.facts.as_of,
            "created_at": self._tx.now,
            "updated_at": self._tx.now,
        }

    def _point_row(
        self,
        record: SubscriberRecord,
        point: PointRecord,
        subscriber_id: UUID,
        contact_id: UUID,
        position: int,
    ) -> dict[str, Any]:
        return {
            "tenant_id": self._tenant,
            "id": derived_id(contact_id, point.channel, point.address),
            "contact_id": contact_id,
            "subscriber_id": subscriber_id,
            "channel": point.channel,
            "address": point.address,
            "raw": point.raw,
            "position": position,
            "problem": point.problem,
            "source": record.facts.source,
            "as_of": record.facts.as_of,
        }


__all__ = ["PointRecord", "SubscriberRecord", "Subscribers", "place_key", "search_key"]
