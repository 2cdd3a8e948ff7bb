"""The demo's past: invoice notices of the last two months for the cast, sent by the product itself.

The worker sends them on its first start, so every bounce in the log is a real one.
"""

from __future__ import annotations

from datetime import timedelta

from handlers.contract import Services
from handlers.profile import TenantProfile
from handlers.runs import notice_key
from handlers.workflows.invoices import invoice_context
from handlers.workflows.lookup import payer_of
from handlers.workflows.resend import billing_addresses
from notifier.links import link_for
from notifier.outbox import Draft
from notifier.outbox import email as to_email
from notifier.outbox import text as to_text
from store.models import Channel, InvoiceStatus, NotificationKind, Priority
from store.unit import Tx

CAST = (
    *("1001", "1042", "1077", "1100", "1103", "1150", "1188", "1204", "1205"),
    *("1260", "1277", "1290", "1301", "1311"),
    # Others whose mailboxes lie at the operator that refuses our server.
    *("1019", "1066", "1128", "1174", "1219", "1342", "1398", "1457"),
)
STOPPED = "1188"
LANDLINE = "1290"
STOPPED_AGO = timedelta(days=21)
INVOICES_EACH = 2
_DUE = (InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID)
"""A notice of a paid invoice would be cancelled, as it should be."""


async def enqueue_history(services: Services, tenant: int) -> int:
    """Idempotent by invoice; gives how many notices were queued."""
    profile = services.profile(tenant)
    async with services.store.begin(tenant) as tx:
        drafts: list[Draft] = []
        for subscriber in (await tx.subscribers.by_accounts(CAST)).values():
            payer = await payer_of(tx, subscriber)
            points = await tx.subscribers.points([payer.id])
            usable = [address for address, problem in billing_addresses(points[payer.id]) if problem is None]
            for invoice in reversed(await tx.invoices.latest(subscriber.id, INVOICES_EACH)):
                if usable and invoice.status in _DUE:
                    drafts.append(
                        Draft(
                            key=notice_key(invoice),
                            kind=NotificationKind.INVOICE_ISSUED,
                            language=payer.language,
                            context=invoice_context(profile, invoice, payer, subscriber)
                            | {"attached": profile.attach_pdf},
                            recipients=[to_email(address, payer.id) for address in usable],
                            route=profile.default_route,
                            requested_by="invoice run",
                            subscriber_id=subscriber.id,
                            invoice_id=invoice.id,
                            priority=Priority.BULK,
                            attach_pdf=profile.attach_pdf,
                        )
                    )
        drafts += await _tried_by_text(tx, services, profile)
        await services.outbox.enqueue_many(tx, drafts)
        await _stopped(tx)
    return len(drafts)


async def _tried_by_text(tx: Tx, services: Services, profile: TenantProfile) -> list[Draft]:
    """A colleague has texted an invoice to somebody whose only number is a landline."""
    subscriber = await tx.subscribers.by_account(LANDLINE)
    if subscriber is None or profile.sms is None:
        return []
    numbers = [
        p.address
        for p in (await tx.subscribers.points([subscriber.id]))[subscriber.id]
        if p.channel is Channel.SMS and p.problem is None
    ]
    due = [i for i in await tx.invoices.latest(subscriber.id, INVOICES_EACH) if i.status in _DUE]
    if not numbers or not due:
        return []
    key = f"{notice_key(due[0])}:text"
    link = await link_for(tx, services.keyring, profile.public_url, due[0], key=key)
    return [
        Draft(
            key=key,
            kind=NotificationKind.RESEND,
            language=subscriber.language,
            context=invoice_context(profile, due[0], subscriber, subscriber) | {"link": link},
            recipients=[to_text(number, subscriber.id) for number in numbers],
            route=profile.default_route,
            sms_route=profile.sms.route.name,
            requested_by="U_AGENT",
            subscriber_id=subscriber.id,
            invoice_id=due[0].id,
            priority=Priority.URGENT,
        )
    ]


async def _stopped(tx: Tx) -> None:
    """One of the cast has answered STOP some weeks ago."""
    subscriber = await tx.subscribers.by_account(STOPPED)
    if subscriber is None:
        return
    for point in (await tx.subscribers.points([subscriber.id]))[subscriber.id]:
        if point.channel is Channel.SMS:
            await tx.consents.withdraw(
                Channel.SMS, point.address, source="sms", evidence="STOP", at=tx.now - STOPPED_AGO
            )
            await tx.suppressions.suppress(Channel.SMS, point.address, reason="opted_out", actor="subscriber")
