"""What every billing system must do, whatever it speaks: a suite to inherit, with a `desk` fixture.

A desk is one subscriber with two packages at the emulated other side, which people there can change.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import pytest

from billing.package_states import WANTED
from billing.port import FRESH, AccountFacts, Applied, BillingSystem, Rejected, Unavailable
from store.models import ActKind, Package, PackageStatus
from store.types import new_id
from store.unit import Store


class BillingDesk(Protocol):
    """A subscriber who owes 49.90, with an active package of two services and another one beside it."""

    system: BillingSystem
    store: Store
    subscriber_id: UUID
    package_id: UUID
    other_id: UUID

    async def pay(self) -> None:
        """All that is owed, in billing."""
        ...

    async def set_status(self, status: PackageStatus) -> None:
        """Of the package, by somebody in billing."""
        ...

    async def drop_package(self) -> None: ...


class BillingContract:
    """Inherit it as `class TestX(BillingContract)` and give the fixture `desk`."""

    async def test_facts_are_fresh_and_whole(self, desk: BillingDesk) -> None:
        facts = await _facts(desk)
        assert desk.store.clock() - facts.as_of <= FRESH
        assert facts.subscriber.balance.minor == 4990
        assert {p.id for p in facts.packages} == {desk.package_id, desk.other_id}

    async def test_a_payment_is_seen_the_next_time_it_is_asked(self, desk: BillingDesk) -> None:
        await _facts(desk)
        await desk.pay()
        assert (await _facts(desk)).subscriber.balance.minor == 0

    async def test_somebody_who_is_not_there_is_no_facts(self, desk: BillingDesk) -> None:
        assert isinstance(await desk.system.refresh(new_id()), Unavailable)

    async def test_suspending_changes_the_package_and_all_its_services_and_no_other(
        self, desk: BillingDesk
    ) -> None:
        assert isinstance(await _do(desk, ActKind.SUSPEND), Applied)
        assert _statuses(await _package(desk)) == {PackageStatus.SUSPENDED}
        assert _statuses(await _package(desk, desk.other_id)) == {PackageStatus.ACTIVE}

    async def test_unsuspending_brings_all_of_it_back(self, desk: BillingDesk) -> None:
        await _do(desk, ActKind.SUSPEND)
        assert isinstance(await _do(desk, ActKind.UNSUSPEND), Applied)
        assert _statuses(await _package(desk)) == {PackageStatus.ACTIVE}

    async def test_asking_twice_is_asking_once(self, desk: BillingDesk) -> None:
        for kind, status in (
            (ActKind.SUSPEND, PackageStatus.SUSPENDED),
            (ActKind.UNSUSPEND, PackageStatus.ACTIVE),
        ):
            assert isinstance(await _do(desk, kind), Applied)
            assert isinstance(await _do(desk, kind), Applied)
            assert _statuses(await _package(desk)) == {status}

    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            (kind, status)
            for status in (PackageStatus.PENDING, PackageStatus.HIBERNATED, PackageStatus.INACTIVE)
            for kind in ActKind
            if WANTED[kind] is not status
        ],
    )
    async def test_what_the_package_does_not_allow_is_rejected_and_not_done(
        self, desk: BillingDesk, kind: ActKind, status: PackageStatus
    ) -> None:
        await desk.set_status(status)
        answer = await _do(desk, kind)
        assert isinstance(answer, Rejected)
        assert answer.sentence.endswith(".")
        assert (await _package(desk)).status is status

    async def test_a_package_that_is_gone_is_rejected(self, desk: BillingDesk) -> None:
        await desk.drop_package()
        assert isinstance(await _do(desk, ActKind.SUSPEND), Rejected)

    async def test_billing_is_never_asked_inside_a_transaction(self, desk: BillingDesk) -> None:
        for transaction in (desk.store.begin, desk.store.read):
            async with transaction(1):
                with pytest.raises(RuntimeError, match="inside a database transaction"):
                    await desk.system.refresh(desk.subscriber_id)
                with pytest.raises(RuntimeError, match="inside a database transaction"):
                    await _do(desk, ActKind.SUSPEND)
        assert _statuses(await _package(desk)) == {PackageStatus.ACTIVE}


async def _facts(desk: BillingDesk) -> AccountFacts:
    facts = await desk.system.refresh(desk.subscriber_id)
    assert isinstance(facts, AccountFacts)
    return facts


async def _package(desk: BillingDesk, package_id: UUID | None = None) -> Package:
    package = (await _facts(desk)).package(package_id or desk.package_id)
    assert package is not None
    return package


async def _do(desk: BillingDesk, kind: ActKind) -> object:
    return await desk.system.carry_out(kind, desk.subscriber_id, desk.package_id, "past due")


def _statuses(package: Package) -> set[PackageStatus]:
    assert package.services
    return {package.status, *(s.status for s in package.services)}
