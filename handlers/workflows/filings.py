"""What is written down in the billing system's own books as well, where it takes that: in the caller's
transaction, filed later (billing.filing_clerk)."""

from __future__ import annotations

from uuid import UUID

from billing.port import TakesFilings
from handlers.contract import Services
from store.filings import FilingKind
from store.models import ContactOverride
from store.types import derived_id
from store.unit import Tx


def books_of(services: Services, tenant: int) -> str:
    """What people call the billing system in which something can be filed; empty: there is none."""
    system: object = services.billing.get(tenant)
    return system.label if isinstance(system, TakesFilings) else ""


async def mended(tx: Tx, services: Services, override: ContactOverride, *, by: str) -> None:
    """An address that is mended here and not yet there: whoever reads the client's log there can follow."""
    if not books_of(services, tx.tenant):
        return
    old, new = override.old_address, override.new_address
    what = f"changed from {old} to {new}" if old else f"{new} added"
    body = (
        f"Support desk: {override.role} e-mail address {what}, by {by}. "
        "It counts at the desk only, until it is changed in the client's contacts here too."
    )
    await _log(tx, derived_id(override.id, "filing"), override.subscriber_id, body)


async def mended_back(tx: Tx, services: Services, override: ContactOverride, *, by: str) -> None:
    if not books_of(services, tx.tenant):
        return
    body = f"Support desk: the change to {override.new_address} was taken back, by {by}."
    await _log(tx, derived_id(override.id, "filing", "back"), override.subscriber_id, body)


async def _log(tx: Tx, filing_id: UUID, subscriber_id: UUID, body: str) -> None:
    await tx.filings.add(filing_id, FilingKind.LOG, subscriber_id, body)


async def ticket(
    tx: Tx, services: Services, subscriber_id: UUID, *, once: str, subject: str, body: str
) -> None:
    """A private ticket about the client; `once` names what asks for it."""
    if books_of(services, tx.tenant):
        filing_id = derived_id(subscriber_id, "ticket", once)
        await tx.filings.add(filing_id, FilingKind.TICKET, subscriber_id, body, subject=subject)


__all__ = ["books_of", "mended", "mended_back", "ticket"]
