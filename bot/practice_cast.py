"""The invented people of the practice desk, in the columns that `ispbot import` takes.

Numbers of 555-0100 to 555-0199 are kept for fiction; of the domains only gmial.com may be somebody's, and
nothing of the practice desk asks DNS or sends.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from billing.csv_kinds import ImportKind

_PEOPLE: Final = (
    ("1001", "residential", "Maria Walker", "maria.walker@inbox.example", "+15415550101", "yes"),
    ("1042", "residential", "Nadia Santos", "nadia.santos@gmial.com", "+15415550142", "yes"),
    ("1100", "business", "Juniper Ridge Dental", "office@juniper.example", "+15415550110", "yes"),
    ("1188", "residential", "Caleb Hughes", "caleb.hughes@inbox.example", "+15415550188", "no"),
    ("1260", "residential", "Omar Foster", "omar.foster@inbox.example", "+15415550160", "yes"),
)
_LATE: Final = "1260"
MAILBOXES: Final = ("inbox.example", "juniper.example")
"""Domains that take mail, as far as the practice desk is told."""


def files(today: date) -> dict[ImportKind, str]:
    """CSV files, whose days are counted from `today`."""
    people = [
        "account,kind,status,name,language,email_billing,email_service,phone,address,city,state,zip,bill_to,"
        "balance,currency,invoice_notices,sms_consent"
    ]
    packages = [
        "account,package,name,kind,status,status_until,price,currency,service,service_kind,service_status,ip,mac"
    ]
    invoices = ["number,account,status,issued_on,due_on,total,paid,currency"]
    for account, kind, name, mail, phone, consent in _PEOPLE:
        late = account == _LATE
        people.append(
            f"{account},{kind},active,{name},en,{mail},,{phone},1 Example Street,Bend,OR,97701,,59.95,USD,"
            f"yes,{consent}"
        )
        state = "suspended" if late else "active"
        packages.append(
            f"{account},P{account},Fiber 200,internet,{state},,59.95,USD,Line {account},internet,{state},,"
        )
        due = today + timedelta(days=-20 if late else 10)
        issued = due - timedelta(days=14)
        invoices.append(f"9{account},{account},open,{issued},{due},59.95,0.00,USD")
    rows = {ImportKind.SUBSCRIBERS: people, ImportKind.PACKAGES: packages, ImportKind.INVOICES: invoices}
    return {kind: "\n".join(lines) + "\n" for kind, lines in rows.items()}
