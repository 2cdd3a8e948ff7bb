"""Reads what UISP's CRM answers: JSON in, records of the mirror or plain sentences out. Pure.

Amounts are numbers with a point there; they come here as Decimal and become minor units of their currency,
never by way of float. A code that is in none of the tables below is an error of its entry, never a guess. No
sentence repeats a value: it may be personal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from ipaddress import ip_interface
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from notifier.addresses import parse_field
from store.addresses import normalise_phone
from store.models import (
    Channel,
    ContactRole,
    Facts,
    InvoiceStatus,
    PackageKind,
    PackageStatus,
    SubscriberKind,
    SubscriberStatus,
)
from store.money import Money, MoneyError, exponent
from store.packages import ServiceRecord
from store.points import MAX_RAW, PointRecord
from store.repository import storable
from store.subscribers import SubscriberRecord, place_key
from store.tags import LONGEST as LONGEST_TAG

C = TypeVar("C")
SOURCE: Final = "uisp"
_MAX_POINTS: Final = 200
_DUST: Final = Decimal("0.000001")
"""UISP adds up binary fractions: 49.900000000000006 is 49.90, 49.905 is an error."""

CLIENT_KINDS: Final[Mapping[int, SubscriberKind]] = {
    1: SubscriberKind.RESIDENTIAL,
    2: SubscriberKind.BUSINESS,
}
SERVICE_STATUSES: Final[Mapping[int, PackageStatus]] = {
    0: PackageStatus.PENDING,  # prepared
    1: PackageStatus.ACTIVE,
    2: PackageStatus.INACTIVE,  # ended
    3: PackageStatus.SUSPENDED,
    4: PackageStatus.PENDING,  # prepared, blocked
    5: PackageStatus.INACTIVE,  # obsolete: a change of plan has taken its place
    6: PackageStatus.PENDING,  # deferred
    7: PackageStatus.PENDING,  # quoted
    8: PackageStatus.HIBERNATED,  # inactive: paused, it is neither used nor billed
}
INVOICE_STATUSES: Final[Mapping[int, InvoiceStatus]] = {
    0: InvoiceStatus.DRAFT,
    1: InvoiceStatus.OPEN,
    2: InvoiceStatus.PARTIALLY_PAID,
    3: InvoiceStatus.PAID,
    4: InvoiceStatus.VOID,
    5: InvoiceStatus.VOID,  # a proforma invoice that a real one has taken the place of
}
UNPAID: Final = (0, 1, 2)
"""The statuses of invoices that may still change by themselves."""
_OTHER_KINDS: Final = (
    (re.compile(r"\b(voip|voice|phone|telephone|telef\w*|sip)\b", re.IGNORECASE), PackageKind.VOICE),
    (re.compile(r"\b(tv|iptv|television|video)\b", re.IGNORECASE), PackageKind.TV),
)
_PHONES: Final = re.compile(r"\s*[,;/\n]\s*")


class Unreadable(Exception):
    """One entry cannot be taken in; the sentence says why, without any of its values."""


@dataclass(frozen=True, slots=True)
class Client:
    remote_id: str
    record: SubscriberRecord
    """Its account is what UISP's people call the client: the custom ID, else the id."""


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """A UISP service: a package of ours that holds itself as its only service."""

    remote_id: str
    client_id: str
    name: str
    kind: PackageKind
    status: PackageStatus
    status_until: date | None
    price: Money
    service: ServiceRecord

    @property
    def ref(self) -> str:
        return ref_of(self.remote_id)


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    remote_id: str
    client_id: str
    number: str
    status: InvoiceStatus
    issued_on: date
    due_on: date
    total: Money
    paid: Money


@dataclass(slots=True)
class Problems:
    """What could not be taken in: (kind and id there, sentence)."""

    told: list[tuple[str, str]] = field(default_factory=list)

    def note(self, kind: str, entry: Any, sentence: str) -> None:
        self.told.append((f"{kind} {remote_id(entry) or '?'}", sentence))


def ref_of(service_id: str) -> str:
    """A package's `ref`: apart from those that came from files."""
    return f"{SOURCE}:{service_id}"


def service_of(ref: str) -> str | None:
    """Their id of the package of this `ref`; None when it is none of theirs."""
    source, _, remote = ref.partition(":")
    return remote if source == SOURCE and remote else None


def remote_id(entry: Any) -> str:
    """Empty when it has none that can be used in a path."""
    found = entry.get("id") if isinstance(entry, dict) else None
    return str(found) if isinstance(found, int) and not isinstance(found, bool) and found > 0 else ""


def client(entry: Mapping[str, Any], facts: Facts, *, language: str, region: str) -> Client:
    """Unreadable where it cannot be taken in."""
    found = _known_id(entry)
    currency = _currency(entry)
    kind = _coded(CLIENT_KINDS, entry.get("clientType"), "clientType")
    person = _words(f"{entry.get('firstName') or ''} {entry.get('lastName') or ''}")
    company = _words(entry.get("companyName"))
    name = (company or person) if kind is SubscriberKind.BUSINESS else (person or company)
    record = SubscriberRecord(
        account=_account(entry, found),
        kind=kind,
        status=_standing(entry),
        name=storable(name or f"Client {found}", 300),
        language=language,
        address=_words(f"{entry.get('street1') or ''} {entry.get('street2') or ''}", 500),
        city=_words(entry.get("city"), 200),
        region="",
        postal_code=_words(entry.get("zipCode"), 20),
        payer_account=None,
        # accountBalance is theirs: positive is a credit; ours is what is owed.
        balance=money(-_number(entry, "accountBalance"), currency),
        invoice_notices=True,
        facts=facts,
        points=tuple(points(_list(entry.get("contacts")), region)),
        tags=_tags(entry.get("tags")),
    )
    return Client(found, record)


def _account(entry: Mapping[str, Any], found: str) -> str:
    ident = _words(entry.get("userIdent"))
    if len(ident) > 40:
        raise Unreadable("Its custom ID is longer than 40 characters.")
    return ident or found


def _standing(entry: Mapping[str, Any]) -> SubscriberStatus:
    if entry.get("isArchived"):
        return SubscriberStatus.ARCHIVED
    return SubscriberStatus.PROSPECT if entry.get("isLead") else SubscriberStatus.ACTIVE


def points(contacts: Sequence[Any], region: str) -> list[PointRecord]:
    """Every address of every contact, in their order. One field may hold several addresses, each counts."""
    found: dict[tuple[ContactRole, Channel, str], PointRecord] = {}
    for contact in contacts:
        if not isinstance(contact, dict):
            continue
        for role in roles(contact):
            for item in parse_field(_text(contact.get("email"))):
                one = PointRecord(role, Channel.EMAIL, item.address, item.raw, item.problem)
                found.setdefault((role, Channel.EMAIL, one.address), one)
            for raw in filter(None, _PHONES.split(_text(contact.get("phone")).strip())):
                number = normalise_phone(raw, region)
                one = PointRecord(role, Channel.SMS, number.address, raw, number.problem)
                found.setdefault((role, Channel.SMS, one.address), one)
    if len(found) > _MAX_POINTS:
        raise Unreadable("It has more addresses than anybody can have.")
    if any(len(one.raw) > MAX_RAW for one in found.values()):
        raise Unreadable(f"One of its addresses is longer than {MAX_RAW} characters.")
    return list(found.values())


def roles(contact: Mapping[str, Any]) -> list[ContactRole]:
    """Billing and general by UISP's own flags; technical and emergency by the names of its contact types."""
    wanted = [ContactRole.BILLING] if contact.get("isBilling") else []
    wanted += [ContactRole.SERVICE] if contact.get("isContact") else []
    for one in _list(contact.get("types")):
        name = _words(one.get("name") if isinstance(one, dict) else "").casefold()
        wanted += [role for role in (ContactRole.TECHNICAL, ContactRole.EMERGENCY) if role in name]
    return list(dict.fromkeys(wanted)) or [ContactRole.SERVICE]


def service(entry: Mapping[str, Any], today: date, zone: ZoneInfo) -> ServiceFacts:
    """Unreadable where it cannot be taken in."""
    found = _known_id(entry)
    status = _coded(SERVICE_STATUSES, entry.get("status"), "status")
    name = _words(entry.get("name") or entry.get("servicePlanName"), 200) or f"Service {found}"
    price = entry.get("totalPrice") if entry.get("totalPrice") is not None else entry.get("price")
    until = day(entry["activeTo"], zone) if entry.get("activeTo") else None
    held = ServiceRecord(name, "service", status, _ip(entry), None)
    return ServiceFacts(
        remote_id=found,
        client_id=_client_id(entry),
        name=name,
        kind=_package_kind(entry),
        status=status,
        status_until=until if until is not None and until >= today else None,
        price=money(_decimal(price if price is not None else 0, "price"), _currency(entry)),
        service=held,
    )


def _package_kind(entry: Mapping[str, Any]) -> PackageKind:
    """UISP knows Internet and General; what a general plan is, its name tells or nothing does."""
    if str(entry.get("servicePlanType") or "Internet").casefold() == "internet":
        return PackageKind.INTERNET
    named = f"{entry.get('name') or ''} {entry.get('servicePlanName') or ''}"
    return next((kind for pattern, kind in _OTHER_KINDS if pattern.search(named)), PackageKind.INTERNET)


def _ip(entry: Mapping[str, Any]) -> str | None:
    for text in _list(entry.get("ipRanges")):
        try:
            return str(ip_interface(str(text)).ip)
        except ValueError:
            continue
    return None


def invoice(entry: Mapping[str, Any], zone: ZoneInfo) -> InvoiceFacts:
    """Unreadable where it cannot be taken in."""
    found = _known_id(entry)
    status, currency = _coded(INVOICE_STATUSES, entry.get("status"), "status"), _currency(entry)
    if entry.get("uncollectible") and status in (InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID):
        status = InvoiceStatus.UNCOLLECTIBLE
    number = _words(entry.get("number"))
    if len(number) > 40:
        raise Unreadable("Its number is longer than 40 characters.")
    total = money(_number(entry, "total"), currency)
    paid = money(_number(entry, "amountPaid"), currency)
    if not 0 <= paid.minor <= total.minor:
        raise Unreadable("What is paid does not lie between zero and the total.")
    issued = day(entry.get("createdDate"), zone)
    return InvoiceFacts(
        remote_id=found,
        client_id=_client_id(entry),
        number=number or f"draft-{found}",
        status=status,
        issued_on=issued,
        due_on=day(entry["dueDate"], zone) if entry.get("dueDate") else issued,
        total=total,
        paid=paid,
    )


def _coded(table: Mapping[int, C], code: Any, name: str) -> C:
    if isinstance(code, int) and not isinstance(code, bool) and code in table:
        return table[code]
    raise Unreadable(f"Its {name} is not known to this version.")


def money(amount: Decimal, currency: str) -> Money:
    if abs(amount) > 10**12:
        raise Unreadable("An amount is larger than any can be.")
    scaled = amount.scaleb(exponent(currency))
    whole = scaled.to_integral_value()
    if abs(scaled - whole) > _DUST:
        raise Unreadable(f"An amount is finer than {currency} is.")
    return Money(int(whole), currency)


def _number(entry: Mapping[str, Any], name: str) -> Decimal:
    if entry.get(name) is None:
        raise Unreadable(f"It has no {name}.")
    return _decimal(entry[name], name)


def _decimal(value: Any, name: str) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    raise Unreadable(f"Its {name} is not a number.")


def day(value: Any, zone: ZoneInfo) -> date:
    """2016-09-12T00:00:00+0000 as the provider's calendar has it."""
    try:
        at = datetime.strptime(str(value), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise Unreadable("It has a date that cannot be read.") from None
    return at.astimezone(zone).date()


def _currency(entry: Mapping[str, Any]) -> str:
    code = str(entry.get("currencyCode") or "")
    try:
        exponent(code)
    except MoneyError:
        raise Unreadable("Its currency is no ISO 4217 code.") from None
    return code


def _known_id(entry: Any) -> str:
    found = remote_id(entry)
    if not found:
        raise Unreadable("It has no id.")
    return found


def _client_id(entry: Mapping[str, Any]) -> str:
    found = remote_id({"id": entry.get("clientId")})
    if not found:
        raise Unreadable("It belongs to no client.")
    return found


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _tags(found: Any) -> tuple[str, ...] | None:
    if not isinstance(found, list):
        return None
    names = (place_key(str(tag.get("name") or "")) for tag in found if isinstance(tag, dict))
    return tuple(dict.fromkeys(name for name in names if 0 < len(name) <= LONGEST_TAG))


def _text(value: Any) -> str:
    return storable(value) if isinstance(value, str) else ""


def _words(value: Any, limit: int | None = None) -> str:
    """One line: breaks and runs of space become single spaces."""
    return " ".join(_text(value).split())[:limit]
