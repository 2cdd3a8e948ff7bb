"""Invented facts that templates are tried and shown with: every branch that a real message can take. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from notifier.contexts import Brand, Context, brand_context, invoice_context, suspension_context
from notifier.sample_kinds import Sample
from store.models import (
    Facts,
    Invoice,
    InvoiceStatus,
    NotificationKind,
    Package,
    PackageKind,
    PackageStatus,
    Subscriber,
    SubscriberKind,
    SubscriberStatus,
)
from store.money import Money

INVOICE: Final = frozenset(
    {
        NotificationKind.INVOICE_ISSUED,
        NotificationKind.REMINDER,
        NotificationKind.OVERDUE,
        NotificationKind.RESEND,
    }
)
SUSPENSION: Final = frozenset({NotificationKind.SUSPENDED, NotificationKind.UNSUSPENDED})
FAMILIES: Final = (*sorted(INVOICE), *sorted(SUSPENSION), NotificationKind.ADDRESS_QUESTION)
"""What subscribers are sent, and so what a provider may write in its own words."""

_LINK: Final = "https://desk.example.net/i/Xk3vB9qTz0aL"
_PORTAL: Final = "https://pay.example.net"
_ID: Final = UUID(int=0)
_FACTS: Final = Facts("sample", datetime(2026, 3, 1, tzinfo=UTC))


def samples_of(name: str) -> Sequence[Sample]:
    """Those that make a difference to this template."""
    return tuple(Sample) if name in INVOICE else (Sample.FULL, Sample.BARE)


def sample(name: str, language: str, brand: Brand, locale: str, which: Sample) -> Context:
    """What `name` is filled with; `brand` is the provider's own, without a telephone in `bare`."""
    bare = which is Sample.BARE
    own = _Bare(brand) if bare else brand
    portal = "" if bare else _PORTAL
    common: Mapping[str, object] = {"language": language}
    if name == NotificationKind.ADDRESS_QUESTION:
        return {**common, "brand": brand_context(own), "address": "dana@inbox.example"}
    who = _subscriber(language)
    if name in SUSPENSION:
        context = suspension_context(own, locale, portal, who, _PACKAGE, link="" if bare else _LINK)
        return {**common, **context}
    invoice = _invoice(paid=which is Sample.PAID)
    context = invoice_context(own, locale, portal, invoice, who, who)
    if not bare:
        context |= {"link": _LINK, "attached": True}
    if which is Sample.COPY:
        context["copy"] = True
    return {**common, **context}


def text_sample(context: Context) -> Context:
    """The same for a text, which always has its link."""
    return {"link": _LINK, **context} if "invoice" in context else context


class _Bare:
    def __init__(self, brand: Brand) -> None:
        self.name, self.support_email, self.support_phone = brand.name, brand.support_email, ""


def _subscriber(language: str) -> Subscriber:
    return Subscriber(
        id=_ID,
        account="1042",
        kind=SubscriberKind.RESIDENTIAL,
        status=SubscriberStatus.ACTIVE,
        name="Dana Whitfield",
        language=language,
        time_zone=None,
        address="12 Example Street",
        city="Bend",
        region="OR",
        postal_code="97701",
        payer_account=None,
        balance=Money(4990, "USD"),
        invoice_notices=True,
        facts=_FACTS,
    )


def _invoice(*, paid: bool) -> Invoice:
    total = Money(5990, "USD")
    return Invoice(
        id=_ID,
        subscriber_id=_ID,
        number="INV-1042-03",
        status=InvoiceStatus.PAID if paid else InvoiceStatus.PARTIALLY_PAID,
        issued_on=date(2026, 3, 1),
        due_on=date(2026, 3, 15),
        total=total,
        paid=total if paid else Money(1000, "USD"),
        revision=1,
        facts=_FACTS,
    )


_PACKAGE: Final = Package(
    id=_ID,
    subscriber_id=_ID,
    ref="P-1042",
    name="Fiber 500",
    kind=PackageKind.INTERNET,
    status=PackageStatus.SUSPENDED,
    status_until=None,
    price=Money(5990, "USD"),
    facts=_FACTS,
)
