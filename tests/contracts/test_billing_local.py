"""Our own database as the system of record fulfils the contract, and says how old its last import is."""

from __future__ import annotations

from uuid import UUID

import pytest

from billing.port import AccountFacts
from billing.systems.local import BILLING
from store.models import Facts, PackageStatus
from store.types import new_id
from store.unit import Store
from tests.builders import FACTS, NOW, package_record, service_record, subscriber_record, usd
from tests.conftest import FakeClock
from tests.contracts.billing import BillingContract

SERVICES = (service_record("Line"), service_record("Router", kind="device"))


class LocalDesk:
    def __init__(self, store: Store, subscriber_id: UUID, package_id: UUID, other_id: UUID) -> None:
        self.system, self.store = BILLING.open(store, 1), store
        self.subscriber_id, self.package_id, self.other_id = subscriber_id, package_id, other_id

    async def pay(self) -> None:
        async with self.store.begin(1) as tx:
            await tx.subscribers.upsert([subscriber_record(balance=usd("0.00"))])

    async def set_status(self, status: PackageStatus) -> None:
        async with self.store.begin(1) as tx:
            assert await tx.packages.change_status(self.package_id, PackageStatus.ACTIVE, status, FACTS)

    async def drop_package(self) -> None:
        self.package_id = new_id()  # the mirror never forgets a package: one that was never there


@pytest.fixture
async def desk(store: Store) -> LocalDesk:
    async with store.begin(1) as tx:
        sid = (await tx.subscribers.upsert([subscriber_record()]))["1001"]
        await tx.packages.upsert([package_record(sid, ref, services=SERVICES) for ref in ("P-1", "P-2")])
        first, second = await tx.packages.of_subscriber(sid)
    return LocalDesk(store, sid, first.id, second.id)


class TestLocalBilling(BillingContract):
    """On both databases."""


async def test_what_was_imported_says_since_when_nothing_is_known(desk: LocalDesk, clock: FakeClock) -> None:
    async with desk.store.begin(1) as tx:
        await tx.subscribers.upsert([subscriber_record(facts=Facts("csv", NOW))])
    clock.advance(hours=30)
    facts = await desk.system.refresh(desk.subscriber_id)
    assert isinstance(facts, AccountFacts)
    assert (facts.as_of, facts.imported_at) == (clock(), NOW)


async def test_what_we_wrote_ourselves_is_no_import(desk: LocalDesk) -> None:
    facts = await desk.system.refresh(desk.subscriber_id)
    assert isinstance(facts, AccountFacts)
    assert facts.imported_at is None
