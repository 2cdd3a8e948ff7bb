"""UISP CRM as the system of record: see billing.uisp."""

from __future__ import annotations

from billing.port import BillingProvider, Remote
from billing.uisp.system import UispSystem
from store.unit import Store


class UispProvider:
    name = "uisp"

    def open(self, store: Store, tenant: int, remote: Remote | None = None) -> UispSystem:
        if remote is None:
            raise ValueError("UISP cannot be opened without an address")
        return UispSystem(store, tenant, remote)


BILLING: BillingProvider = UispProvider()
