"""Packages and the services they hold, mirrored from the billing system."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update

from store.models import Facts, Package, PackageKind, PackageStatus, Service
from store.money import Money
from store.repository import BATCH, Repository, batched
from store.tables import packages, services
from store.types import derived_id, new_id


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    name: str
    kind: str
    status: PackageStatus
    ip: str | None = None
    mac: str | None = None


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """A package as a source gives it; `ref` is the source's own name for it."""

    subscriber_id: UUID
    ref: str
    name: str
    kind: PackageKind
    status: PackageStatus
    status_until: date | None
    price: Money
    facts: Facts
    services: tuple[ServiceRecord, ...] = field(default=())


def _package(row: Row[Any], held: Sequence[Service]) -> Package:
    return Package(
        id=row.id,
        subscriber_id=row.subscriber_id,
        ref=row.ref,
        name=row.name,
        kind=PackageKind(row.kind),
        status=PackageStatus(row.status),
        status_until=row.status_until,
        price=Money(row.price_minor, row.currency),
        facts=Facts(row.source, row.as_of),
        services=tuple(held),
    )


class Packages(Repository):
    async def of_subscriber(self, subscriber_id: UUID) -> list[Package]:
        return (await self.of_subscribers([subscriber_id]))[subscriber_id]

    async def of_subscribers(self, ids: Sequence[UUID]) -> dict[UUID, list[Package]]:
        """Those of each, by `ref`; an empty list where there are none."""
        found: dict[UUID, list[Package]] = {one: [] for one in ids}
        for batch in batched(ids, BATCH):
            mine = (packages.c.tenant_id == self._tenant) & self._among(packages.c.subscriber_id, batch)
            rows = (await self._tx.conn.execute(select(packages).where(mine).order_by(packages.c.ref))).all()
            held = await self._services([row.id for row in rows])
            for row in rows:
                found[row.subscriber_id].append(_package(row, held[row.id]))
        return found

    async def _services(self, package_ids: Sequence[UUID]) -> dict[UUID, list[Service]]:
        held: dict[UUID, list[Service]] = {one: [] for one in package_ids}
        for batch in batched(package_ids, BATCH):
            statement = (
                select(services)
                .where(services.c.tenant_id == self._tenant, self._among(services.c.package_id, batch))
                .order_by(services.c.name)
            )
            for row in await self._tx.conn.execute(statement):
                held[row.package_id].append(
                    Service(row.id, row.name, row.kind, PackageStatus(row.status), row.ip, row.mac)
                )
        return held

    async def count(self) -> int:
        return await self._number_of(packages)

    async def all(self) -> AsyncIterator[list[Package]]:
        """By `ref`, some hundred at a time."""
        async for rows in self._whole(packages, packages.c.ref):
            held = await self._services([row.id for row in rows])
            yield [_package(row, held[row.id]) for row in rows]

    async def facts_of(self, refs: Sequence[str]) -> dict[str, Facts]:
        """Where those that are on file come from."""
        found: dict[str, Facts] = {}
        for batch in batched(refs, BATCH):
            statement = select(packages.c.ref, packages.c.source, packages.c.as_of).where(
                packages.c.tenant_id == self._tenant, self._among(packages.c.ref, batch)
            )
            rows = await self._tx.conn.execute(statement)
            found.update((row.ref, Facts(row.source, row.as_of)) for row in rows)
        return found

    async def owner_of(self, ref: str) -> UUID | None:
        """Whose package the source calls so; None when it is not on file."""
        statement = select(packages.c.subscriber_id).where(
            packages.c.tenant_id == self._tenant, packages.c.ref == ref
        )
        found: UUID | None = (await self._tx.conn.execute(statement)).scalar_one_or_none()
        return found

    async def lock(self, package_id: UUID) -> None:
        """Whoever else is about to act on it waits until this transaction is over."""
        statement = select(packages.c.id).where(
            packages.c.tenant_id == self._tenant, packages.c.id == package_id
        )
        await self._tx.conn.execute(statement.with_for_update())

    async def change_status(
        self, package_id: UUID, before: PackageStatus, after: PackageStatus, facts: Facts
    ) -> bool:
        """The package and those of its services that stand at `before`; False when it stands elsewhere.

        A service that was deactivated by itself stays as it is.
        """
        changed = await self._tx.conn.execute(
            update(packages)
            .where(
                packages.c.tenant_id == self._tenant,
                packages.c.id == package_id,
                packages.c.status == before,
            )
            .values(status=after, status_until=None, source=facts.source, as_of=facts.as_of)
        )
        if not changed.rowcount:
            return False
        await self._tx.conn.execute(
            update(services)
            .where(
                services.c.tenant_id == self._tenant,
                services.c.package_id == package_id,
                services.c.status == before,
            )
            .values(status=after)
        )
        return True

    async def upsert(self, records: Sequence[PackageRecord]) -> None:
        """Writes packages with all their services; a service that the source no longer has is removed."""
        records = list({record.ref: record for record in records}.values())
        await self._upsert(packages, ["ref"], [self._row(record, new_id()) for record in records])
        ids = await self._ids([record.ref for record in records])
        service_rows = [
            {
                "tenant_id": self._tenant,
                "id": derived_id(ids[record.ref], service.name),
                "package_id": ids[record.ref],
                "name": service.name,
                "kind": service.kind,
                "status": service.status,
                "ip": service.ip,
                "mac": service.mac,
            }
            for record in records
            for service in record.services
        ]
        for batch in batched(list(ids.values()), BATCH):
            await self._tx.conn.execute(
                services.delete().where(
                    services.c.tenant_id == self._tenant, self._among(services.c.package_id, batch)
                )
            )
        await self._upsert(services, ["id"], service_rows)

    async def _ids(self, refs: Sequence[str]) -> dict[str, UUID]:
        found: dict[str, UUID] = {}
        for batch in batched(refs, BATCH):
            statement = select(packages.c.ref, packages.c.id).where(
                packages.c.tenant_id == self._tenant, self._among(packages.c.ref, batch)
            )
            found.update((row.ref, row.id) for row in await self._tx.conn.execute(statement))
        return found

    def _row(self, record: PackageRecord, package_id: UUID) -> dict[str, Any]:
        return {
            "tenant_id": self._tenant,
            "id": package_id,
            "subscriber_id": record.subscriber_id,
            "ref": record.ref,
            "name": record.name,
            "kind": record.kind,
            "status": record.status,
            "status_until": record.status_until,
            "price_minor": record.price.minor,
            "currency": record.price.currency,
            "source": record.facts.source,
            "as_of": record.facts.as_of,
        }
