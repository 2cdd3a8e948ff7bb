"""A handful of accounts like those of the demo, written straight into the mirror."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from notifier.tracking import Report, record
from store.models import (
    Channel,
    Delivery,
    Event,
    InvoiceStatus,
    Notification,
    PackageStatus,
    SubscriberStatus,
)
from store.unit import Store
from tests.builders import (
    billing_email,
    draft,
    hold_of,
    invoice_record,
    mobile,
    note_of,
    outbox,
    package_record,
    subscriber_record,
    usd,
)


async def add(store: Store, account: str, *points: Any, invoices: Sequence[str] = (), **more: Any) -> UUID:
    """A subscriber of tenant 1 with these points, and open invoices of these numbers."""
    async with store.begin(1) as tx:
        ids = await tx.subscribers.upsert([subscriber_record(account, points=points, **more)])
        await tx.invoices.upsert([invoice_record(ids[account], number) for number in invoices])
    return ids[account]


async def set_invoice(store: Store, number: str, **more: Any) -> None:
    """Changes an invoice that is there."""
    async with store.begin(1) as tx:
        known = await tx.invoices.by_number(number)
        assert known is not None
        await tx.invoices.upsert([invoice_record(known.subscriber_id, number, **more)])


async def dana(store: Store) -> UUID:
    """1001: healthy, one mailbox, one mobile number, two invoices."""
    points = (billing_email("dana@inbox.example"), mobile("+15415550142"))
    sid = await add(store, "1001", *points, invoices=("20001",), name="Dana Whitfield")
    async with store.begin(1) as tx:
        paid = {"status": InvoiceStatus.PAID, "paid": usd("49.90"), "issued_on": date(2026, 1, 1)}
        await tx.invoices.upsert([invoice_record(sid, "20000", **paid)])
        await tx.packages.upsert([package_record(sid)])
    return sid


async def family(store: Store) -> None:
    """1100 pays for its branch 1103 and has three billing addresses, one of them unusable."""
    points = (
        billing_email("books@cedar.example"),
        billing_email("front desk@cedar.example", problem="There is a space inside the address."),
        billing_email("owner@cedar.example"),
    )
    await add(store, "1100", *points, name="Cedar Mill Bakery LLC", invoices=("20100",))
    await add(store, "1103", name="Cedar Mill Branch", payer_account="1100", invoices=("20103",))


async def archived(store: Store) -> None:
    await add(
        store,
        "1315",
        billing_email("gone@inbox.example"),
        name="Paul Former",
        status=SubscriberStatus.ARCHIVED,
        invoices=("20315",),
    )


async def troubled(store: Store) -> UUID:
    """1260: overdue, suspended, held, with a note."""
    sid = await add(store, "1260", billing_email("sam@inbox.example"), name="Sam Ortiz", invoices=("20260",))
    async with store.begin(1) as tx:
        await tx.packages.upsert([package_record(sid, "P-260", status=PackageStatus.SUSPENDED)])
        await tx.notes.add(note_of(sid))
        await tx.notes.add_hold(hold_of("1260"))
    return sid


async def sent(
    store: Store, key: str, subscriber: UUID, *addresses: str, invoice: str | None = None, **more: Any
) -> tuple[Notification, list[Delivery]]:
    """A notification queued by the product's own outbox."""
    async with store.begin(1) as tx:
        found = await tx.invoices.by_number(invoice) if invoice else None
        wanted = draft(
            key, *addresses, subscriber_id=subscriber, invoice_id=found.id if found else None, **more
        )
        queued = await outbox().enqueue(tx, wanted)
        notification = await tx.notifications.get(queued.notification_id)
        assert notification is not None
        deliveries = await tx.deliveries.of_notifications([notification.id])
    return notification, deliveries[notification.id]


async def learn(store: Store, *events: Event) -> None:
    """What became of deliveries, through the product's own tracking."""
    async with store.begin(1) as tx:
        await record(tx, [Report(1, event) for event in events])


async def suppress(store: Store, address: str) -> None:
    async with store.begin(1) as tx:
        await tx.suppressions.suppress(Channel.EMAIL, address, reason="no_such_user", actor="bounce")
