"""The books of the billing system: the cast as UISP's CRM would tell it, and what was changed since.

Unchanged entries are made anew from the cast at each start; documents hold what was changed or deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from sandbox.cast import TIME_ZONE, Cast
from sandbox.cast_rows import Invoice, Service, Subscriber
from sandbox.world import World

Entry = dict[str, Any]
KINDS: Final = ("client", "service", "invoice", "payment")
SERVICE_CODES: Final = {"pending": 0, "active": 1, "inactive": 2, "suspended": 3, "hibernated": 8}
INVOICE_CODES: Final = {
    "draft": 0,
    "open": 1,
    "partially_paid": 2,
    "paid": 3,
    "void": 4,
    "uncollectible": 1,
}
REASONS: Final = (
    {"id": 1, "name": "Payments overdue"},
    {"id": 2, "name": "Requested by the client"},
)


class Books:
    def __init__(self, world: World, cast: Cast) -> None:
        self._world, self._cast = world, cast
        self._base: dict[str, dict[int, Entry]] | None = None

    def _drawn(self) -> dict[str, dict[int, Entry]]:
        """Made when first asked for: most demos never do."""
        if self._base is None:
            self._base = _from_cast(self._cast)
        return self._base

    def get(self, kind: str, number: int) -> Entry | None:
        kept = self._world.documents.get(f"billing_{kind}", str(number))
        if kept is not None:
            return None if kept.get("gone") else kept
        return self._drawn()[kind].get(number)

    def all(self, kind: str) -> list[Entry]:
        """By id, as they stand."""
        kept = {int(doc["id"]): doc for doc in self._world.documents.all(f"billing_{kind}")}
        merged = {**self._drawn()[kind], **kept}
        return [merged[number] for number in sorted(merged) if not merged[number].get("gone")]

    def put(self, kind: str, entry: Entry) -> None:
        self._world.documents.put(f"billing_{kind}", str(entry["id"]), entry)

    def delete(self, kind: str, number: int) -> None:
        self._world.documents.put(f"billing_{kind}", str(number), {"id": number, "gone": True})

    def next_id(self, kind: str) -> int:
        kept = [int(doc["id"]) for doc in self._world.documents.all(f"billing_{kind}")]
        return max([*self._drawn()[kind], *kept], default=0) + 1

    def of_client(self, kind: str, client_id: int) -> list[Entry]:
        return [entry for entry in self.all(kind) if entry.get("clientId") == client_id]

    def by_ident(self, account: str) -> Entry | None:
        return next((c for c in self.all("client") if c["userIdent"] == account), None)

    def change(self, kind: str, number: int, fields: Mapping[str, Any]) -> Entry:
        entry = self.get(kind, number)
        if entry is None:
            raise KeyError(number)
        changed = {**entry, **fields}
        self.put(kind, changed)
        if kind == "service":
            self._stand(int(changed["clientId"]))
        return changed

    def _stand(self, client_id: int) -> None:
        suspended = any(one["status"] == 3 for one in self.of_client("service", client_id))
        client = self.get("client", client_id)
        if client is not None and client["hasSuspendedService"] is not suspended:
            self.put("client", {**client, "hasSuspendedService": suspended})

    def pay(self, client_id: int, amount: Decimal | None) -> Entry:
        """A payment of all that is owed, or of so much; the oldest unpaid invoices first."""
        client = self.get("client", client_id)
        if client is None:
            raise KeyError(client_id)
        owed = Decimal(str(client["accountOutstanding"]))
        paid = left = owed if amount is None else amount
        for invoice in sorted(self.of_client("invoice", client_id), key=lambda one: str(one["dueDate"])):
            to_pay = Decimal(str(invoice["amountToPay"]))
            if invoice["status"] in (1, 2) and left > 0:
                part = min(left, to_pay)
                left -= part
                done = Decimal(str(invoice["amountPaid"])) + part
                fields = {
                    "amountPaid": float(done),
                    "amountToPay": float(to_pay - part),
                    "status": 3 if part == to_pay else 2,
                }
                self.put("invoice", {**invoice, **fields})
        balance = Decimal(str(client["accountBalance"])) + paid
        self.put("client", {**client, **_standing(-balance)})
        payment = {"id": self.next_id("payment"), "clientId": client_id, "amount": float(paid)}
        self.put("payment", payment)
        return payment


def _from_cast(cast: Cast) -> dict[str, dict[int, Entry]]:
    clients = {i: _client(i, row) for i, row in enumerate(cast.subscriber_rows, 1)}
    ids = {row.account: i for i, row in enumerate(cast.subscriber_rows, 1)}
    packages: dict[str, list[Service]] = {}
    for row in cast.service_rows:
        packages.setdefault(row.package, []).append(row)
    services = {i: _service(i, ids, rows) for i, rows in enumerate(packages.values(), 1)}
    invoices = {i: _invoice(i, ids[row.account], row) for i, row in enumerate(cast.invoice_rows, 1)}
    for service in services.values():
        if service["status"] == 3:
            clients[service["clientId"]]["hasSuspendedService"] = True
    return {"client": clients, "service": services, "invoice": invoices, "payment": {}}


def _client(number: int, row: Subscriber) -> Entry:
    business = row.kind == "business"
    first, _, last = row.name.partition(" ")
    contacts = [_contact(number * 10, number, row.email_billing, row.phone, billing=True)]
    if row.email_service:
        contacts.append(_contact(number * 10 + 1, number, row.email_service, "", billing=False))
    tags = [tag for tag in row.tags.split(";") if tag.strip()]
    return {
        "id": number,
        "userIdent": row.account,
        "clientType": 2 if business else 1,
        "firstName": None if business else first,
        "lastName": None if business else last,
        "companyName": row.name if business else None,
        "isLead": row.status == "prospect",
        "isArchived": row.status == "archived",
        "street1": row.address,
        "street2": None,
        "city": row.city,
        "zipCode": row.zip,
        "contacts": contacts,
        "tags": [{"id": i, "name": tag.strip()} for i, tag in enumerate(tags, 1)],
        "currencyCode": row.currency,
        "hasOverdueInvoice": False,
        "hasSuspendedService": False,
        **_standing(Decimal(row.balance)),
    }


def _standing(owed: Decimal) -> Entry:
    """Numbers with a point, as JSON has them."""
    return {
        "accountBalance": float(-owed),
        "accountCredit": float(max(-owed, Decimal(0))),
        "accountOutstanding": float(max(owed, Decimal(0))),
    }


def _contact(number: int, client: int, email: str, phone: str, *, billing: bool) -> Entry:
    return {
        "id": number,
        "clientId": client,
        "name": None,
        "email": email or None,
        "phone": phone or None,
        "isBilling": billing,
        "isContact": not billing,
        "types": [],
    }


def _service(number: int, ids: Mapping[str, int], rows: list[Service]) -> Entry:
    row = rows[0]
    addresses: Iterable[str] = (one.ip for one in rows if one.ip)
    return {
        "id": number,
        "clientId": ids[row.account],
        "name": row.name,
        "servicePlanName": row.name,
        "servicePlanType": "Internet" if row.kind == "internet" else "General",
        "status": SERVICE_CODES[row.status],
        "price": float(Decimal(row.price)),
        "totalPrice": float(Decimal(row.price)),
        "currencyCode": row.currency,
        "activeTo": None,
        "suspensionReasonId": 1 if row.status == "suspended" else None,
        "ipRanges": list(addresses),
    }


def _invoice(number: int, client: int, row: Invoice) -> Entry:
    total, paid = Decimal(row.total), Decimal(row.paid)
    return {
        "id": number,
        "clientId": client,
        "number": None if row.status == "draft" else row.number,
        "createdDate": midnight(date.fromisoformat(row.issued_on)),
        "dueDate": midnight(date.fromisoformat(row.due_on)),
        "emailSentDate": None,
        "total": float(total),
        "amountPaid": float(paid),
        "amountToPay": float(total - paid),
        "currencyCode": row.currency,
        "uncollectible": row.status == "uncollectible",
        "status": INVOICE_CODES[row.status],
    }


def midnight(day: date) -> str:
    """2016-09-12T00:00:00+0000, in the provider's own zone."""
    at = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(TIME_ZONE))
    return at.strftime("%Y-%m-%dT%H:%M:%S%z")
