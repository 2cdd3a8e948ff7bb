"""What a subscriber is told of a suspension and of its end: by mail and by text.

Both, because whoever is suspended cannot read mail at home. The account's own addresses and those of
whoever pays for it; what is suppressed or opted out is left out by the truth check, and shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handlers.profile import TenantProfile
from handlers.workflows.invoices import suspension_context
from handlers.workflows.lookup import payer_of
from handlers.workflows.resend import billing_addresses
from notifier.outbox import Draft
from notifier.outbox import email as to_email
from notifier.outbox import text as to_text
from store.models import (
    ActKind,
    BillingAct,
    Channel,
    NotificationKind,
    Package,
    Point,
    Priority,
    Recipient,
    Subscriber,
)
from store.unit import Tx

_KIND = {ActKind.SUSPEND: NotificationKind.SUSPENDED, ActKind.UNSUSPEND: NotificationKind.UNSUSPENDED}


class ActNotices:
    """Fills the port billing.acts.Announce."""

    def __init__(self, tenants: Mapping[int, TenantProfile]) -> None:
        self._tenants = tenants

    async def __call__(
        self, tx: Tx, act: BillingAct, subscriber: Subscriber, package: Package
    ) -> Draft | None:
        if act.kind not in _KIND:  # a pause is what they asked for
            return None
        profile = self._tenants[act.tenant]
        recipients = await recipients_of(tx, profile, subscriber)
        if not recipients:
            return None
        return Draft(
            key=f"act:{act.id}",
            kind=_KIND[act.kind],
            language=subscriber.language,
            context=suspension_context(profile, subscriber, package),
            recipients=recipients,
            route=profile.default_route,
            sms_route=profile.sms.route.name if profile.sms else "",
            requested_by=act.actor,
            subscriber_id=subscriber.id,
            priority=Priority.URGENT,
            receipt=True,
            id=act.id,
        )


async def recipients_of(tx: Tx, profile: TenantProfile, subscriber: Subscriber) -> list[Recipient]:
    """Each usable address once: mail first, then texts where this provider sends any."""
    payer = await payer_of(tx, subscriber)
    points = await tx.subscribers.points([subscriber.id, payer.id])
    mails = [
        to_email(address, owner.id)
        for owner in (subscriber, payer)
        for address, problem in billing_addresses(points[owner.id])
        if problem is None
    ]
    texts = _texts(points[subscriber.id], subscriber) if profile.sms else []
    unique = {(r.channel, r.address): r for r in reversed([*mails, *texts])}
    return list(reversed(unique.values()))


def _texts(points: Sequence[Point], subscriber: Subscriber) -> list[Recipient]:
    return [to_text(p.address, subscriber.id) for p in points if p.channel is Channel.SMS and not p.problem]
