"""The rows of the three CSV files, in the columns that the product's importer takes; every value is text."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Subscriber:
    """One row of subscribers.csv; `balance` is a decimal in major units, positive when the account owes."""

    account: str
    kind: str
    status: str
    name: str
    language: str
    email_billing: str
    email_service: str
    phone: str
    address: str
    city: str
    state: str
    zip: str
    bill_to: str
    balance: str
    currency: str
    invoice_notices: str
    sms_consent: str
    tags: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """One row of packages.csv: a service, with the package that holds it repeated on each row."""

    account: str
    package: str
    name: str
    kind: str
    status: str
    status_until: str
    price: str
    currency: str
    service: str
    service_kind: str
    service_status: str
    ip: str
    mac: str


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """One row of invoices.csv; dates are ISO 8601 days in the tenant's time zone."""

    number: str
    account: str
    status: str
    issued_on: str
    due_on: str
    total: str
    paid: str
    currency: str
