"""How fast an invoice is drawn and a mail with it is written: milliseconds of CPU, and bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID

from billing.invoice_pdf import Bill, Letterhead, draw
from handlers.profile import Brand
from notifier import mime
from store.models import (
    Facts,
    Invoice,
    InvoiceStatus,
    Package,
    PackageKind,
    PackageStatus,
    Subscriber,
    SubscriberKind,
    SubscriberStatus,
)
from store.money import Money

LIMIT_MS = 2.0
"""A page, warm."""
_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_FACTS = Facts("local", _AT)
_ID = UUID(int=1)
_BRAND = Brand("Cascade Broadband", "help@cascade.example", "541-555-0100")
_LETTERHEAD = Letterhead(_BRAND, "US", "en_US", "https://my.cascade.example/pay")


def _bill() -> Bill:
    money, nothing = Money(8980, "USD"), Money(0, "USD")
    owner = Subscriber(
        id=_ID,
        account="1042",
        kind=SubscriberKind.RESIDENTIAL,
        status=SubscriberStatus.ACTIVE,
        name="José Núñez",
        language="en",
        time_zone=None,
        address="12 Alder Street",
        city="Bend",
        region="OR",
        postal_code="97701",
        payer_account=None,
        balance=money,
        invoice_notices=True,
        facts=_FACTS,
    )
    issued, due = date(2026, 2, 1), date(2026, 2, 15)
    invoice = Invoice(_ID, _ID, "20042", InvoiceStatus.OPEN, issued, due, money, nothing, 1, _FACTS)
    active = PackageStatus.ACTIVE
    packages = [
        Package(_ID, _ID, name, name, PackageKind.INTERNET, active, None, Money(minor, "USD"), _FACTS)
        for name, minor in (("Fiber 500", 4990), ("Home phone", 3990))
    ]
    return Bill(invoice, owner, owner, packages)


def _ms(work: Callable[[], object]) -> float:
    """CPU milliseconds of one, the best of five rounds of a hundred."""
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for _ in range(100):
            work()
        best = min(best, (time.process_time() - started) * 10)
    return best


def page() -> bytes:
    """An invoice of two packages."""
    return draw(_LETTERHEAD, _bill())


def run() -> list[dict[str, object]]:
    bill, content = _bill(), page()
    attachment = mime.Attachment("Invoice-20042.pdf", "application/pdf", content)

    def mail(*attachments: mime.Attachment) -> bytes:
        return mime.build(
            headers=[("From", "billing@cascade.example")],
            date=_AT,
            subject="Your invoice",
            text="Amount due\n" * 20,
            html="<p>Amount due</p>\n" * 60,
            boundary="=_b",
            attachments=attachments,
        )

    page_ms = _ms(lambda: draw(_LETTERHEAD, bill))
    plain, with_pdf = _ms(mail), _ms(lambda: mail(attachment))
    return [
        {
            "name": "a page",
            "ms": page_ms,
            "limit_ms": LIMIT_MS,
            "ok": page_ms < LIMIT_MS,
            "bytes": len(content),
        },
        {"name": "a mail without it", "ms": plain, "bytes": len(mail())},
        {"name": "a mail with it", "ms": with_pdf, "bytes": len(mail(attachment))},
    ]
