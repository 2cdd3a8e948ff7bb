"""Our own database as the system of record (ADR 0007): what it says is true when it is read.

Fed by `ispbot import`, it knows nothing of what happened elsewhere since the last import: that age goes
with the facts, so that people are told. The next import says again what its file says.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from billing.package_states import ACTS, WANTED, Stays
from billing.port import (
    AccountFacts,
    Applied,
    BillingProvider,
    Rejected,
    Remote,
    Unavailable,
    Unclear,
    outside_transactions,
)
from store.models import ActKind, Facts
from store.unit import Store

SOURCE = "local"


class LocalSystem:
    acts_by_itself = False
    pauses = False
    """Nothing here would bring a package back on its day."""

    def __init__(self, store: Store, tenant: int) -> None:
        self._store, self._tenant = store, tenant

    async def refresh(self, subscriber_id: UUID) -> AccountFacts | Unavailable:
        outside_transactions()
        async with self._store.read(self._tenant) as tx:
            subscriber = await tx.subscribers.by_id(subscriber_id)
            if subscriber is None:
                return Unavailable("This subscriber is not on file any more.")
            packages = tuple(await tx.packages.of_subscriber(subscriber_id))
            imported = subscriber.facts.as_of if subscriber.facts.source != SOURCE else None
            return AccountFacts(subscriber, packages, tx.now, imported)

    async def carry_out(
        self,
        kind: ActKind,
        subscriber_id: UUID,
        package_id: UUID,
        reason: str,
        until: date | None = None,
    ) -> Applied | Rejected | Unclear:
        outside_transactions()
        if kind is ActKind.PAUSE:
            return Rejected("Our own record pauses nothing: it would bring nothing back.")
        async with self._store.begin(self._tenant) as tx:
            packages = await tx.packages.of_subscriber(subscriber_id)
            package = next((p for p in packages if p.id == package_id), None)
            if package is None:
                return Rejected("This package is not on file any more.")
            if package.status is WANTED[kind]:
                return Applied()
            step = ACTS[package.status][kind]
            if isinstance(step, Stays):
                return Rejected(f"This package {step.because}.")
            # Only from what was read: another writer's change in between is not run over.
            if not await tx.packages.change_status(
                package_id, package.status, step.status, Facts(SOURCE, tx.now)
            ):
                return Rejected("This package was changed by somebody else in the meantime.")
        return Applied()

    async def close(self) -> None:
        """There is nothing to let go: the store is its owner's."""


class LocalProvider:
    name = "local"

    def open(self, store: Store, tenant: int, remote: Remote | None = None) -> LocalSystem:
        return LocalSystem(store, tenant)


BILLING: BillingProvider = LocalProvider()
