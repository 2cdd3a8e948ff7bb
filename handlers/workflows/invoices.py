"""Invoices as messages: what their templates are filled with, for this provider's desk."""

from __future__ import annotations

from handlers.profile import TenantProfile
from notifier import contexts
from store.models import Invoice, Package, Subscriber


def invoice_context(
    profile: TenantProfile, invoice: Invoice, payer: Subscriber, owner: Subscriber
) -> dict[str, object]:
    """For invoice_issued, reminder, overdue and resend; see notifier.contexts.

    `owner` is whose invoice it is, `payer` who gets it (bill-to-another).
    """
    return contexts.invoice_context(profile.brand, profile.locale, profile.portal_url, invoice, payer, owner)


def suspension_context(
    profile: TenantProfile, subscriber: Subscriber, package: Package, *, link: str = ""
) -> dict[str, object]:
    """For suspended and unsuspended; see notifier.contexts."""
    return contexts.suspension_context(
        profile.brand, profile.locale, profile.portal_url, subscriber, package, link=link
    )
