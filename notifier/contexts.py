"""What subscriber templates are filled with: facts already written as the subscriber reads them.

One function a family of templates, so that every command, run and executor fills them alike. Frozen into
the notification. Pure.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Protocol

from babel.dates import format_date
from babel.numbers import format_currency

from store.models import Invoice, InvoiceStatus, Package, Subscriber
from store.money import Money

Context = dict[str, object]


class Brand(Protocol):
    """Who writes, and how to reach them."""

    @property
    def name(self) -> str: ...
    @property
    def support_email(self) -> str: ...
    @property
    def support_phone(self) -> str: ...


# Kept, a bounded number of them: a run writes few different days and prices, and Babel takes longer over one
# than the database over the whole notice.
@lru_cache(maxsize=8192)
def money(value: Money, locale: str = "en_US") -> str:
    return format_currency(value.amount, value.currency, locale=locale)


@lru_cache(maxsize=1024)
def day(value: date, locale: str = "en_US") -> str:
    return format_date(value, format="medium", locale=locale)


def locale_of(subscriber: Subscriber, default: str) -> str:
    """How amounts and dates are written for this subscriber."""
    return "es_US" if subscriber.language.startswith("es") else default


def brand_context(brand: Brand) -> dict[str, str]:
    return {
        "name": brand.name,
        "support_email": brand.support_email,
        "support_phone": brand.support_phone,
    }


def invoice_context(
    brand: Brand, locale: str, portal_url: str, invoice: Invoice, payer: Subscriber, owner: Subscriber
) -> Context:
    """For invoice_issued, reminder, overdue and resend.

    `owner` is whose invoice it is, `payer` who gets it (bill-to-another). Texts need `link` besides; a mail
    with the PDF says so when `attached` is true.
    """
    locale = locale_of(payer, locale)
    account = owner.account if owner.id == payer.id else f"{owner.account} ({owner.name})"
    return {
        "brand": brand_context(brand),
        "subscriber": {"name": payer.name, "account": account},
        "invoice": {
            "number": invoice.number,
            "paid": invoice.status is InvoiceStatus.PAID,
            "due": money(invoice.due, locale),
            "total": money(invoice.total, locale),
            "due_on": day(invoice.due_on, locale),
            "issued_on": day(invoice.issued_on, locale),
        },
        "portal_url": portal_url,
    }


def suspension_context(
    brand: Brand, locale: str, portal_url: str, subscriber: Subscriber, package: Package, *, link: str = ""
) -> Context:
    """For suspended and unsuspended: the balance as it stood when the act was decided."""
    return {
        "brand": brand_context(brand),
        "subscriber": {"name": subscriber.name, "account": subscriber.account},
        "package": {"name": package.name},
        "balance": money(subscriber.balance, locale_of(subscriber, locale)),
        "portal_url": portal_url,
        "link": link,
    }
