"""Judging one row of our CSV files: cells in, a record or plain sentences out. Pure.

Values are checked as far as the mirror needs them to be true: enums, ISO dates, money in a known currency,
0 <= paid <= total, lengths that the schema holds. No sentence repeats a value: it may be personal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from ipaddress import ip_address
from typing import Final, TypeVar

from billing.csv_kinds import ImportKind
from billing.csv_reader import Row, RowError
from notifier.addresses import FieldItem, parse_field
from store.addresses import normalise_phone
from store.models import (
    Channel,
    ConsentState,
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
from store.points import MAX_RAW
from store.subscribers import PointRecord, SubscriberRecord, place_key
from store.tags import LONGEST as LONGEST_TAG

COLUMNS: Final[Mapping[ImportKind, tuple[str, ...]]] = {
    ImportKind.SUBSCRIBERS: (
        *("account", "kind", "status", "name", "language", "email_billing", "email_service", "phone"),
        *("address", "city", "state", "zip", "bill_to", "balance", "currency"),
        *("invoice_notices", "sms_consent"),
    ),
    ImportKind.PACKAGES: (
        *("account", "package", "name", "kind", "status", "status_until", "price", "currency"),
        *("service", "service_kind", "service_status", "ip", "mac"),
    ),
    ImportKind.INVOICES: (
        *("number", "account", "status", "issued_on", "due_on", "total", "paid", "currency"),
    ),
}

OPTIONAL: Final[Mapping[ImportKind, tuple[str, ...]]] = {
    ImportKind.SUBSCRIBERS: ("tags",),
    ImportKind.PACKAGES: (),
    ImportKind.INVOICES: (),
}
"""Columns that a file may have besides. A file without tags leaves those on file as they are."""
MAX_TAGS: Final = 20

DEFAULT_LANGUAGE: Final = "en"
MAX_POINTS: Final = 50
"""Addresses in one field; more is a damaged file."""

E = TypeVar("E", bound=StrEnum)

_AMOUNT: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")  # Decimal also takes 1e9, 1_000 and Infinity
_TAG_ENDS: Final = re.compile(r"[;,]")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8})?", re.IGNORECASE)
_MAC_SEPARATORS: Final = str.maketrans("", "", ":-. ")


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    line: int
    record: SubscriberRecord
    sms_number: str | None
    """The number that `consent` is about, when it is one that can be texted."""
    consent: ConsentState | None


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What every row of one package must say alike."""

    account: str
    name: str
    kind: PackageKind
    status: PackageStatus
    status_until: date | None
    price: Money


@dataclass(frozen=True, slots=True)
class PackageRow:
    line: int
    ref: str
    package: PackageFacts
    service: ServiceRecord | None


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    line: int
    number: str
    account: str
    status: InvoiceStatus
    issued_on: date
    due_on: date
    total: Money
    paid: Money


def _iso_day(text: str) -> date | None:
    """fromisoformat alone also takes 20260131 and 2026-W05-6."""
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@dataclass(slots=True)
class Cells:
    """Takes typed values out of a row. After an error the value is a stand-in: `errors` decides."""

    row: Row
    errors: list[RowError] = field(default_factory=list)
    warnings: list[RowError] = field(default_factory=list)
    addresses: list[FieldItem] = field(default_factory=list)
    """The e-mail addresses of the row, broken ones too."""

    def wrong(self, column: str, reason: str) -> None:
        self.errors.append(RowError(self.row.line, column, reason))

    def text(self, column: str, limit: int, *, required: bool = False) -> str:
        """One line of text: breaks and runs of space become single spaces."""
        value = " ".join(self.row.cells[column].split())
        if required and not value:
            self.wrong(column, "This value is missing.")
        if len(value) > limit:
            self.wrong(column, f"This value is longer than {limit} characters.")
        return value

    def choice(self, column: str, choices: type[E]) -> E:
        try:
            return choices(self.row.cells[column].strip().lower())
        except ValueError:
            self.wrong(column, f"This must be one of {', '.join(choices)}.")
            return next(iter(choices))

    def yes_or_no(self, column: str, *, optional: bool = False) -> bool | None:
        value = self.row.cells[column].strip().lower()
        if value in ("yes", "no"):
            return value == "yes"
        if value or not optional:
            self.wrong(column, "This must be yes or no" + (", or empty." if optional else "."))
        return None

    def currency(self) -> str | None:
        """The row's currency; None after an error."""
        code = self.row.cells["currency"].strip().upper()
        try:
            exponent(code)
        except MoneyError:
            self.wrong("currency", "This is not a currency code: use an ISO 4217 code such as USD.")
            return None
        return code

    def money(self, column: str, currency: str | None) -> Money:
        text = self.row.cells[column].strip()
        if not _AMOUNT.fullmatch(text):
            self.wrong(column, "This is not an amount: write it as 49.90.")
        elif currency is not None:
            try:
                return Money.parse(text, currency)
            except MoneyError:  # its sentence quotes the amount
                places = exponent(currency)
                self.wrong(
                    column, f"An amount in {currency} has at most {places} decimals, 15 digits in all."
                )
        return Money(0, currency or "")

    def day(self, column: str) -> date:
        return self.day_or_none(column, required=True) or date.min

    def day_or_none(self, column: str, *, required: bool = False) -> date | None:
        text = self.row.cells[column].strip()
        if not text and not required:
            return None
        day = _iso_day(text)
        if day is None:
            self.wrong(column, "This is not a date: write it as 2026-01-31.")
        return day

    def emails(self, column: str, role: ContactRole) -> list[PointRecord]:
        """A point for each address of the field, in order; broken ones stay, with their problem."""
        points: dict[str, PointRecord] = {}
        for item in parse_field(self.row.cells[column]):
            if not self._fits(column, item.raw):
                return []
            if item.problem:
                self.warnings.append(RowError(self.row.line, column, item.problem))
            point = PointRecord(role, Channel.EMAIL, item.address, item.raw, item.problem)
            if points.setdefault(item.address, point) is point:
                self.addresses.append(item)
        if len(points) > MAX_POINTS:
            self.wrong(column, f"There are more than {MAX_POINTS} addresses in this field.")
        return list(points.values())

    def phone(self, column: str, region: str) -> PointRecord | None:
        raw = self.row.cells[column].strip()
        if not raw or not self._fits(column, raw):
            return None
        number = normalise_phone(raw, region)
        if number.problem:
            self.warnings.append(RowError(self.row.line, column, number.problem))
        return PointRecord(ContactRole.BILLING, Channel.SMS, number.address, raw, number.problem)

    def _fits(self, column: str, raw: str) -> bool:
        if len(raw) > MAX_RAW:
            self.wrong(column, f"An address here is longer than {MAX_RAW} characters.")
        return len(raw) <= MAX_RAW

    def tags(self, column: str) -> tuple[str, ...] | None:
        """`fire-2026; vip` in any case, by semicolon or comma; None when the file has no such column."""
        cell = self.row.cells.get(column)
        if cell is None:
            return None
        found = tuple(dict.fromkeys(key for part in _TAG_ENDS.split(cell) if (key := place_key(part))))
        if len(found) > MAX_TAGS:
            self.wrong(column, f"There are more than {MAX_TAGS} tags here.")
        if any(len(tag) > LONGEST_TAG for tag in found):
            self.wrong(column, f"A tag here is longer than {LONGEST_TAG} characters.")
        return found


def subscriber_row(cells: Cells, facts: Facts, region: str) -> SubscriberRow:
    account = cells.text("account", 40, required=True)
    currency = cells.currency()
    language = cells.text("language", 12) or DEFAULT_LANGUAGE
    if not _LANGUAGE.fullmatch(language):
        cells.wrong("language", "This is not a language code: use one such as en or es.")
    phone = cells.phone("phone", region)
    consent = cells.yes_or_no("sms_consent", optional=True)
    bill_to = cells.text("bill_to", 40)
    record = SubscriberRecord(
        account=account,
        kind=cells.choice("kind", SubscriberKind),
        status=cells.choice("status", SubscriberStatus),
        name=cells.text("name", 300, required=True),
        language=language,
        address=cells.text("address", 500),
        city=cells.text("city", 200),
        region=cells.text("state", 100),
        postal_code=cells.text("zip", 20),
        payer_account=bill_to if bill_to not in ("", account) else None,
        balance=cells.money("balance", currency),
        invoice_notices=bool(cells.yes_or_no("invoice_notices")),
        facts=facts,
        points=(
            *cells.emails("email_billing", ContactRole.BILLING),
            *cells.emails("email_service", ContactRole.SERVICE),
            *([phone] if phone else []),
        ),
        tags=cells.tags("tags"),
    )
    return SubscriberRow(
        line=cells.row.line,
        record=record,
        sms_number=phone.address if phone and phone.problem is None else None,
        consent={True: ConsentState.GRANTED, False: ConsentState.WITHDRAWN, None: None}[consent],
    )


def package_row(cells: Cells) -> PackageRow:
    currency = cells.currency()
    package = PackageFacts(
        account=cells.text("account", 40, required=True),
        name=cells.text("name", 200, required=True),
        kind=cells.choice("kind", PackageKind),
        status=cells.choice("status", PackageStatus),
        status_until=cells.day_or_none("status_until"),
        price=cells.money("price", currency),
    )
    ref = cells.text("package", 60, required=True)
    return PackageRow(cells.row.line, ref, package, _service(cells))


_SERVICE_COLUMNS: Final = ("service", "service_kind", "service_status", "ip", "mac")


def _service(cells: Cells) -> ServiceRecord | None:
    """The row's service; None when all its columns are empty: a package may hold none."""
    if not any(cells.row.cells[column].strip() for column in _SERVICE_COLUMNS):
        return None
    ip = cells.text("ip", 45)
    if ip:
        try:
            ip = str(ip_address(ip))
        except ValueError:
            cells.wrong("ip", "This is not an IP address.")
    digits = cells.row.cells["mac"].strip().translate(_MAC_SEPARATORS).lower()
    if digits and not re.fullmatch(r"[0-9a-f]{12}", digits):
        cells.wrong("mac", "This is not a MAC address: write it as 00:00:5e:00:53:01.")
    return ServiceRecord(
        name=cells.text("service", 200, required=True),
        kind=cells.text("service_kind", 40, required=True),
        status=cells.choice("service_status", PackageStatus),
        ip=ip or None,
        mac=":".join(digits[i : i + 2] for i in range(0, len(digits), 2)) or None,
    )


def invoice_row(cells: Cells) -> InvoiceRow:
    currency = cells.currency()
    row = InvoiceRow(
        line=cells.row.line,
        number=cells.text("number", 40, required=True),
        account=cells.text("account", 40, required=True),
        status=cells.choice("status", InvoiceStatus),
        issued_on=cells.day("issued_on"),
        due_on=cells.day("due_on"),
        total=cells.money("total", currency),
        paid=cells.money("paid", currency),
    )
    if not cells.errors and not 0 <= row.paid.minor <= row.total.minor:
        cells.wrong("paid", "What is paid must lie between zero and the total.")
    return row
