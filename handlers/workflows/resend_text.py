"""An invoice's link by text: to one number of whoever pays, in the very words that the preview shows.

One preview sends once. A number that two accounts share gets one text, about the invoice that was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from uuid import UUID

from handlers.contract import CommandRequest, Services, audit, audit_key
from handlers.plans import LinkPlan, Number
from handlers.profile import SmsProfile, TenantProfile
from handlers.reply import UserError
from handlers.workflows.invoices import invoice_context
from handlers.workflows.lookup import payer_of
from handlers.workflows.optouts import OPTED_OUT, opted_out
from handlers.workflows.resend import Sent, earlier_of, owner_of, waits_of
from notifier import templates
from notifier.links import link_for
from notifier.local_time import is_open, zones_of
from notifier.outbox import Draft
from notifier.outbox import text as to_text
from notifier.sms_text import count_segments
from notifier.tracking import DELIVERY_SURFACE
from store.addresses import normalise_phone
from store.models import (
    Channel,
    ContactRole,
    Invoice,
    NotificationKind,
    Point,
    Priority,
    Subscriber,
)
from store.unit import Tx

_ROLES = (ContactRole.BILLING, ContactRole.SERVICE)


def texting(profile: TenantProfile) -> SmsProfile:
    if profile.sms is None:
        raise UserError(
            "This provider sends no texts.", "An admin can switch them on in app.yaml, section sms."
        )
    return profile.sms


def typed_number(text: str, profile: TenantProfile) -> str:
    """The number after "to", in E.164; UserError says what is wrong with it."""
    if "@" in text:
        raise UserError(
            "A text goes to a telephone number, and that is an e-mail address.",
            "Leave out `by text` to send a mail there.",
        )
    found = normalise_phone(text, profile.region)
    if found.problem is not None:
        raise UserError(f"That number cannot be texted: {found.problem}", "Check it and ask again.")
    return found.address


async def plan(
    tx: Tx, services: Services, profile: TenantProfile, invoice: Invoice, to: str | None, preview: str
) -> LinkPlan:
    """`to` None: the payer's own numbers. UserError when the invoice must not be sent at all."""
    sms = texting(profile)
    subscriber = await owner_of(tx, invoice)
    payer = await payer_of(tx, subscriber)
    points = await tx.subscribers.points([subscriber.id, payer.id])
    mine = numbers_of(points[payer.id])
    on_file = {*mine, *numbers_of(points[subscriber.id])}
    numbers = [
        await number_of(
            tx, number, payer, zone=profile.time_zone, on_file=number in on_file, payers=number in mine
        )
        for number in ([to] if to is not None else mine)
    ]
    going = next((n for n in numbers if not n.refusal), None)
    link, segments = "", None
    if going is not None:
        link = await link_for(
            tx, services.keyring, profile.public_url, invoice, key=_key(preview), recipient=payer.id
        )
        segments = count_segments(_body(profile, invoice, payer, subscriber, link))
    zones = zones_of(payer, going.number if going else "", profile.time_zone)
    earlier = await earlier_of(tx, invoice)
    return LinkPlan(
        invoice=invoice,
        subscriber=subscriber,
        payer=payer,
        numbers=tuple(numbers),
        segments=segments,
        link=link,
        zones=zones,
        now=tx.now,
        in_window=is_open(sms.window, zones, tx.now),
        earlier=earlier,
        events=await waits_of(tx, earlier),
    )


def numbers_of(points: Sequence[Point]) -> list[str]:
    """Each once, billing's first."""
    found = [
        p
        for role in _ROLES
        for p in sorted(points, key=lambda p: p.position)
        if p.channel is Channel.SMS and p.role is role and p.problem is None
    ]
    return list(dict.fromkeys(p.address for p in found))


async def number_of(
    tx: Tx, number: str, payer: Subscriber, *, zone: tzinfo, on_file: bool, payers: bool = True
) -> Number:
    """`zone`: of the days in what speaks against it."""
    others = [s.account for s in await tx.subscribers.by_address(Channel.SMS, number) if s.id != payer.id]
    return Number(number, on_file, await _refusal(tx, number, zone), payers, tuple(others))


async def _refusal(tx: Tx, number: str, zone: tzinfo) -> str:
    key = (Channel.SMS, number)
    suppression = (await tx.suppressions.active([key])).get(key)
    if await opted_out(tx, number) is not None or (suppression and suppression.reason == OPTED_OUT):
        return "that number opted out of texts"
    if suppression is not None:
        return (
            f"texts do not reach that number, known since {suppression.created_at.astimezone(zone):%b %d, %Y}"
        )
    return ""


def _body(
    profile: TenantProfile, invoice: Invoice, payer: Subscriber, subscriber: Subscriber, link: str
) -> str:
    source = profile.templates.load(NotificationKind.RESEND, payer.language)
    context = invoice_context(profile, invoice, payer, subscriber) | {"link": link}
    return templates.render_sms(source, context | {"language": source.language})


async def send(
    services: Services,
    request: CommandRequest,
    *,
    invoice_id: UUID,
    to: str,
    preview: str,
    seen: str,
) -> tuple[Sent, LinkPlan]:
    """Writes the notification, its audit row and the card's post in one transaction.

    `seen` is what the preview showed: words or facts that have changed since are shown again first.
    """
    profile = services.profile(request.tenant)
    sms = texting(profile)
    async with services.store.begin(request.tenant) as tx:
        invoice = await tx.invoices.by_id(invoice_id, lock=True)
        if invoice is None:
            raise UserError("This invoice is gone.", "Look the subscriber up again.")
        current = await plan(tx, services, profile, invoice, to, preview)
        subject = f"account:{current.subscriber.account}"
        if await tx.notifications.holders([_key(preview)]):
            mine = await tx.audit.stands(audit_key(request, "invoice.resend", subject))
            return (Sent.NOW if mine else Sent.BEFORE), current
        if current.number is None:
            raise UserError(
                f"This text cannot go any more: {current.numbers[0].refusal}.", "Mail it instead."
            )
        if current.seen != seen:
            return Sent.CHANGED, current
        queued = await services.outbox.enqueue(tx, _draft(profile, sms, current, request, preview))
        await audit(
            tx,
            request,
            "invoice.resend",
            subject,
            detail={
                "invoice": invoice.number,
                "notification": str(queued.notification_id),
                "channel": Channel.SMS,
            },
            personal={"to": [current.number.number]},
        )
        await tx.posts.want(DELIVERY_SURFACE, str(queued.notification_id), request.channel)
    return Sent.NOW, current


def _key(preview: str) -> str:
    return f"resend-text:{preview}"


def _draft(
    profile: TenantProfile, sms: SmsProfile, current: LinkPlan, request: CommandRequest, preview: str
) -> Draft:
    if current.number is None:
        raise LookupError("a text without a number")
    return Draft(
        key=_key(preview),
        kind=NotificationKind.RESEND,
        language=current.payer.language,
        context=invoice_context(profile, current.invoice, current.payer, current.subscriber)
        | {"link": current.link, "on_file": current.number.payers},
        recipients=[to_text(current.number.number, current.payer.id)],
        route=profile.default_route,
        sms_route=sms.route.name,
        requested_by=request.actor.user_id,
        subscriber_id=current.subscriber.id,
        invoice_id=current.invoice.id,
        # A person sends it and has seen what time it is there.
        priority=Priority.URGENT,
    )
