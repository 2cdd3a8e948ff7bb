"""Records for tests, each with everything filled in: a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from notifier.keys import Keyring
from notifier.outbox import Draft, Outbox, email
from store.invoices import InvoiceRecord
from store.models import (
    Channel,
    Confidence,
    ContactRole,
    Delivery,
    Event,
    EventKind,
    EventSource,
    Facts,
    Hold,
    Interaction,
    InteractionKind,
    InvoiceStatus,
    Note,
    NoteLevel,
    Notification,
    NotificationKind,
    Outcome,
    PackageKind,
    PackageStatus,
    Priority,
    Reason,
    Stage,
    SubscriberKind,
    SubscriberStatus,
)
from store.money import Money
from store.packages import PackageRecord, ServiceRecord
from store.subscribers import PointRecord, SubscriberRecord
from store.types import derived_id, new_id
from store.unit import Tx

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FACTS = Facts("local", NOW)
DOMAIN = {1: "mail.cascade.example", 2: "mail.rio.example"}
KEYRING = Keyring.parse("2:the newer of two secrets,1:the older of two secrets")


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def billing_email(address: str, **more: Any) -> PointRecord:
    fields: dict[str, Any] = {
        "role": ContactRole.BILLING,
        "channel": Channel.EMAIL,
        "address": address,
        "raw": address,
    }
    return PointRecord(**(fields | more))


def mobile(address: str, **more: Any) -> PointRecord:
    return billing_email(address, role=ContactRole.SERVICE, channel=Channel.SMS, **more)


def subscriber_record(account: str = "1001", **more: Any) -> SubscriberRecord:
    fields: dict[str, Any] = {
        "account": account,
        "kind": SubscriberKind.RESIDENTIAL,
        "status": SubscriberStatus.ACTIVE,
        "name": "Dana Whitfield",
        "language": "en",
        "address": "12 Alder Street",
        "city": "Bend",
        "region": "OR",
        "postal_code": "97701",
        "payer_account": None,
        "balance": usd("49.90"),
        "invoice_notices": True,
        "facts": FACTS,
    }
    return SubscriberRecord(**(fields | more))


def package_record(subscriber_id: UUID, ref: str = "P-1", **more: Any) -> PackageRecord:
    fields: dict[str, Any] = {
        "subscriber_id": subscriber_id,
        "ref": ref,
        "name": "Fiber 500",
        "kind": PackageKind.INTERNET,
        "status": PackageStatus.ACTIVE,
        "status_until": None,
        "price": usd("49.90"),
        "facts": FACTS,
    }
    return PackageRecord(**(fields | more))


def service_record(name: str = "Fiber line", **more: Any) -> ServiceRecord:
    fields: dict[str, Any] = {"name": name, "kind": "fiber", "status": PackageStatus.ACTIVE}
    return ServiceRecord(**(fields | more))


def invoice_record(subscriber_id: UUID, number: str = "INV-1", **more: Any) -> InvoiceRecord:
    fields: dict[str, Any] = {
        "subscriber_id": subscriber_id,
        "number": number,
        "status": InvoiceStatus.OPEN,
        "issued_on": date(2026, 2, 1),
        "due_on": date(2026, 2, 15),
        "total": usd("49.90"),
        "paid": usd("0.00"),
        "facts": FACTS,
    }
    return InvoiceRecord(**(fields | more))


def notification(**more: Any) -> Notification:
    fields: dict[str, Any] = {
        "id": new_id(),
        "kind": NotificationKind.TEST,
        "subscriber_id": None,
        "invoice_id": None,
        "template_hash": "0" * 64,
        "language": "en",
        "context": {"route": "relay"},
        "requested_by": "U_AGENT",
        "priority": Priority.NORMAL,
        "receipt": False,
        "expires_at": NOW + timedelta(days=3),
        "created_at": NOW,
    }
    return Notification(**(fields | more))


def delivery(address: str = "dana@example.com", **more: Any) -> Delivery:
    notification_id = more.pop("notification_id", None) or new_id()
    fields: dict[str, Any] = {
        "id": derived_id(notification_id, "delivery", "email", address),
        "tenant": 1,
        "notification_id": notification_id,
        "subscriber_id": None,
        "channel": Channel.EMAIL,
        "address": address,
        "route": "relay",
        "priority": Priority.NORMAL,
        "stage": Stage.QUEUED,
        "stage_reason": None,
        "stage_by": None,
        "due_at": NOW,
        "attempt": 0,
        "outcome": Outcome.NONE,
        "reason": Reason.NONE,
        "confidence": Confidence.UNKNOWN,
        "outcome_at": None,
        "cls": "",
        "diagnostic": "",
        "remote": "",
        "message_id": "<ref@mail.cascade.example>",
        "expires_at": NOW + timedelta(days=3),
        "created_at": NOW,
    }
    return Delivery(**(fields | more))


def event(delivery_id: UUID, kind: EventKind = EventKind.ACCEPTED, **more: Any) -> Event:
    attempt = more.get("attempt", 1)
    fields: dict[str, Any] = {
        "delivery_id": delivery_id,
        "attempt": attempt,
        "kind": kind,
        "key": f"test:{attempt}:{kind}",
        "at": NOW,
        "source": EventSource.SMTP,
    }
    return Event(**(fields | more))


def note_of(subscriber_id: UUID, **more: Any) -> Note:
    fields: dict[str, Any] = {
        "id": new_id(),
        "subscriber_id": subscriber_id,
        "text": "Prefers calls after six.",
        "level": NoteLevel.INFO,
        "author": "U_AGENT",
        "created_at": NOW,
    }
    return Note(**(fields | more))


def hold_of(account: str, **more: Any) -> Hold:
    fields: dict[str, Any] = {
        "id": new_id(),
        "scope": "account",
        "scope_key": account,
        "until": date(2026, 3, 20),
        "reason": "promise to pay",
        "owner": "U_AGENT",
        "created_at": NOW,
    }
    return Hold(**(fields | more))


def interaction(id: str = "i-1", **more: Any) -> Interaction:
    fields: dict[str, Any] = {
        "tenant": 1,
        "id": id,
        "kind": InteractionKind.COMMAND,
        "payload": {"text": "find 1042"},
        "received_at": NOW,
    }
    return Interaction(**(fields | more))


def draft(key: str = "k-1", *addresses: str, **more: Any) -> Draft:
    fields: dict[str, Any] = {
        "key": key,
        "kind": NotificationKind.TEST,
        "language": "en",
        "context": {
            "route": "relay",
            "brand": {"name": "Cascade", "support_email": "help@cascade.example", "support_phone": ""},
        },
        "recipients": [email(address) for address in addresses or ("dana@example.com",)],
        "route": "relay",
        "requested_by": "U_AGENT",
    }
    return Draft(**(fields | more))


def outbox() -> Outbox:
    return Outbox(KEYRING, DOMAIN)


async def take(
    tx: Tx,
    *,
    tenant: int = 1,
    route: str = "relay",
    highest: Priority = Priority.URGENT,
    lowest: Priority = Priority.BULK,
    limit: int = 1,
    worker: str = "w1",
    lease_s: float = 30.0,
    retry_at: datetime | None = None,
) -> list[Delivery]:
    """What a worker would claim now, without its notifications."""
    taken = await tx.claims.take(
        tenant=tenant,
        route=route,
        highest=highest,
        lowest=lowest,
        limit=limit,
        worker=worker,
        lease_s=lease_s,
        retry_at=retry_at or tx.now + timedelta(seconds=lease_s),
    )
    return [delivery for delivery, _ in taken]
