"""The headers of other systems' exports, as data: which of their columns fill ours. Pure.

Names are compared without case, punctuation and spaces' number, so that "Client ID" is "client_id". Several
names for one column: the first that the file has. Where they come from: UISP CRM's exports of clients,
services and invoices spell the fields of its API (unmsapp/uisp "clients", "clients/services", "invoices") as
titles; Splynx's exports have the titles of its lists or the fields of its API v2
(docs.splynx.com, "admin/customers/customer", "admin/finance/invoices"); `generic` has what lists with
filters of billing products are called. A file that calls a column otherwise takes --map beside the preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from billing.csv_kinds import ImportKind, Preset

Names = tuple[str, ...]

_SUBSCRIBER_STATUS: Final = {
    "new": "prospect",
    "lead": "prospect",
    "quoted": "prospect",
    "pending": "prospect",
    "blocked": "active",
    "suspended": "active",
    "disabled": "active",
    "past due": "active",
    "inactive": "archived",
    "deactivated": "archived",
    "cancelled": "archived",
    "canceled": "archived",
    "closed": "archived",
    "yes": "archived",  # of a column "Is archived"
    "true": "archived",
    "1": "archived",
    "no": "active",
    "false": "active",
    "0": "active",
}
_KIND: Final = {
    "person": "residential",
    "private": "residential",
    "private person": "residential",
    "individual": "residential",
    "home": "residential",
    "1": "residential",  # UISP's clientType
    "company": "business",
    "commercial": "business",
    "corporate": "business",
    "2": "business",
}
_PACKAGE_STATUS: Final = {
    "prepared": "pending",
    "prepared blocked": "pending",
    "new": "pending",
    "deferred": "pending",
    "quoted": "pending",
    "blocked": "suspended",
    "disabled": "suspended",
    "paused": "hibernated",
    "ended": "inactive",
    "obsolete": "inactive",
    "stopped": "inactive",
    "terminated": "inactive",
    "cancelled": "inactive",
    "canceled": "inactive",
}
_INVOICE_STATUS: Final = {
    "unpaid": "open",
    "not paid": "open",
    "overdue": "open",
    "past due": "open",
    "issued": "open",
    "sent": "open",
    "partial": "partially_paid",
    "partially paid": "partially_paid",
    "partly paid": "partially_paid",
    "voided": "void",
    "deleted": "void",
    "cancelled": "void",
    "canceled": "void",
    "written off": "uncollectible",
    "bad debt": "uncollectible",
}
WORDS: Final[Mapping[ImportKind, Mapping[str, Mapping[str, str]]]] = {
    ImportKind.SUBSCRIBERS: {"status": _SUBSCRIBER_STATUS, "kind": _KIND},
    ImportKind.PACKAGES: {"status": _PACKAGE_STATUS, "service_status": _PACKAGE_STATUS},
    ImportKind.INVOICES: {"status": _INVOICE_STATUS},
}
"""Our column -> their word -> ours; a word of ours stays."""


@dataclass(frozen=True, slots=True)
class Export:
    """The columns of one kind of file."""

    columns: Mapping[str, Names]
    """Ours -> theirs. `owed` of invoices is what is still to be paid, where there is no `paid`."""
    joined: Mapping[str, Names] = field(default_factory=dict)
    """Ours -> theirs that together make it: first and last name, two lines of a street."""
    credit: bool = False
    """Their balance is positive for a credit; ours is positive for what is owed."""


_ACCOUNT: Final = ("Account", "Account number", "Customer ID", "Customer number", "Subscriber ID")
PRESETS: Final[Mapping[Preset, Mapping[ImportKind, Export]]] = {
    Preset.UISP: {
        ImportKind.SUBSCRIBERS: Export(
            columns={
                "account": ("Custom ID", "User ident", "ID", "Client ID"),
                "kind": ("Client type", "Type"),
                "status": ("Is archived", "Archived", "Status"),
                "name": ("Company name", "Client", "Name"),
                "email_billing": ("Invoice e-mail", "Billing e-mail", "E-mail", "Email", "Emails"),
                "phone": ("Phone", "Phones", "Phone number"),
                "city": ("City",),
                "state": ("State",),
                "zip": ("ZIP code", "ZIP"),
                "balance": ("Account balance", "Balance"),
                "currency": ("Currency", "Currency code"),
                "tags": ("Client tags", "Tags"),
            },
            joined={"name": ("First name", "Last name"), "address": ("Street 1", "Street 2")},
            credit=True,
        ),
        ImportKind.PACKAGES: Export(
            columns={
                "account": ("Client custom ID", "Client user ident", "Client ID"),
                "package": ("Service ID", "ID"),
                "name": ("Service name", "Service plan", "Name"),
                "status": ("Status", "Service status"),
                "price": ("Price", "Total price"),
                "currency": ("Currency", "Currency code"),
                "service": ("Service plan", "Service name", "Name"),
                "service_status": ("Status", "Service status"),
                "ip": ("IP address", "IP addresses"),
                "mac": ("MAC address", "MAC"),
            }
        ),
        ImportKind.INVOICES: Export(
            columns={
                "number": ("Invoice number", "Number"),
                "account": ("Client custom ID", "Client user ident", "Client ID"),
                "status": ("Status",),
                "issued_on": ("Created date", "Invoice created date", "Created"),
                "due_on": ("Due date", "Due"),
                "total": ("Total", "Invoice total"),
                "paid": ("Amount paid", "Paid"),
                "owed": ("Amount to pay", "Amount due"),
                "currency": ("Currency", "Currency code"),
            }
        ),
    },
    Preset.SPLYNX: {
        ImportKind.SUBSCRIBERS: Export(
            columns={
                "account": ("Portal login", "Login", "ID"),
                "kind": ("Category",),
                "status": ("Status",),
                "name": ("Full name", "Name"),
                "email_billing": ("Billing email", "Email"),
                "email_service": ("Email",),
                "phone": ("Phone number", "Phone"),
                "address": ("Street", "Street 1"),
                "city": ("City",),
                "zip": ("ZIP code",),
                "balance": ("Account balance", "Balance", "Deposit"),
                "currency": ("Currency",),
                "tags": ("Labels",),
            },
            credit=True,
        ),
        ImportKind.PACKAGES: Export(
            columns={
                "account": ("Portal login", "Customer login", "Customer ID"),
                "package": ("Service ID", "ID"),
                "name": ("Plan", "Tariff", "Description"),
                "status": ("Status",),
                "price": ("Price", "Unit price"),
                "currency": ("Currency",),
                "service": ("Description", "Plan", "Tariff"),
                "service_status": ("Status",),
                "ip": ("IPv4", "IP"),
                "mac": ("MAC", "MACs"),
            }
        ),
        ImportKind.INVOICES: Export(
            columns={
                "number": ("Number", "Invoice number"),
                "account": ("Portal login", "Customer login", "Customer ID"),
                "status": ("Status",),
                "issued_on": ("Date created", "Date"),
                "due_on": ("Date till", "Pay till", "Payment due"),
                "total": ("Total",),
                "owed": ("Due", "Amount due"),
                "currency": ("Currency",),
            }
        ),
    },
    Preset.GENERIC: {
        ImportKind.SUBSCRIBERS: Export(
            columns={
                "account": (*_ACCOUNT, "ID"),
                "kind": ("Customer type", "Type", "Category"),
                "status": ("Status", "Account status"),
                "name": ("Name", "Full name", "Subscriber name", "Customer name", "Customer", "Company"),
                "language": ("Language",),
                "email_billing": ("Billing email", "Email", "E-mail", "Email address", "Primary email"),
                "email_service": ("Service email", "Technical email", "Secondary email"),
                "phone": (
                    "Mobile",
                    "Mobile phone",
                    "Cell phone",
                    "Cell",
                    "Phone",
                    "Phone number",
                    "Primary phone",
                ),
                "city": ("City", "Town"),
                "state": ("State", "Region", "Province"),
                "zip": ("ZIP", "ZIP code", "Postal code", "Postcode"),
                "bill_to": ("Bill to", "Parent account", "Billed to"),
                "balance": ("Balance", "Account balance", "Amount owed", "Balance due"),
                "currency": ("Currency",),
                "invoice_notices": ("Invoice notices", "Email invoices", "Send invoices"),
                "sms_consent": ("SMS consent", "SMS opt in", "Text consent"),
                "tags": ("Tags", "Labels", "Groups"),
            },
            joined={
                "name": ("First name", "Last name"),
                "address": (
                    "Address",
                    "Street",
                    "Address 1",
                    "Address line 1",
                    "Address 2",
                    "Address line 2",
                ),
            },
        ),
        ImportKind.PACKAGES: Export(
            columns={
                "account": _ACCOUNT,
                "package": ("Package ID", "Service ID", "Subscription ID", "ID"),
                "name": ("Package", "Plan", "Package name", "Service", "Product"),
                "status": ("Status", "Package status", "Service status"),
                "price": ("Price", "Monthly price", "Amount"),
                "currency": ("Currency",),
                "service": ("Service", "Service name", "Package", "Plan"),
                "service_status": ("Service status", "Status"),
                "ip": ("IP", "IP address", "Static IP"),
                "mac": ("MAC", "MAC address"),
            }
        ),
        ImportKind.INVOICES: Export(
            columns={
                "number": ("Invoice", "Invoice number", "Invoice ID", "Number", "Invoice #"),
                "account": _ACCOUNT,
                "status": ("Status", "Invoice status"),
                "issued_on": ("Invoice date", "Issued", "Issue date", "Date", "Created"),
                "due_on": ("Due date", "Due on", "Due"),
                "total": ("Total", "Amount", "Invoice total"),
                "paid": ("Paid", "Amount paid"),
                "owed": ("Amount due", "Balance due", "Balance", "Outstanding"),
                "currency": ("Currency",),
            }
        ),
    },
}
NEEDED: Final[Mapping[ImportKind, Names]] = {
    ImportKind.SUBSCRIBERS: ("account", "name"),
    ImportKind.PACKAGES: ("account", "package", "name"),
    ImportKind.INVOICES: ("number", "account", "issued_on", "total"),
}
"""Columns that every file must have somehow; for the others there is a default."""
DEFAULTS: Final[Mapping[ImportKind, Mapping[str, str]]] = {
    ImportKind.SUBSCRIBERS: {
        "kind": "residential",
        "status": "active",
        "language": "en",
        "balance": "0",
        "invoice_notices": "yes",
    },
    ImportKind.PACKAGES: {
        "kind": "internet",
        "status": "active",
        "price": "0",
        "service_kind": "internet",
        "service_status": "active",
    },
    ImportKind.INVOICES: {},
}

__all__ = ["DEFAULTS", "NEEDED", "PRESETS", "WORDS", "Export"]
