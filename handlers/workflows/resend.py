"""Resending an invoice: who really gets it, what speaks against it, and the act itself.

The plan is made twice, for the preview and again at the press: facts may have changed between. One preview
sends once, however often its button is pressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from enum import StrEnum
from uuid import UUID

from handlers.contract import CommandRequest, Services, audit, audit_key
from handlers.found import One
from handlers.masks import mask_address
from handlers.plans import ResendPlan, Target
from handlers.profile import TenantProfile
from handlers.reply import UserError
from handlers.words import bounce_words
from handlers.workflows.address_books import look_at
from handlers.workflows.diagnose import spf_of
from handlers.workflows.invoices import invoice_context
from handlers.workflows.lookup import payer_of
from notifier.addresses import AddressReport
from notifier.links import link_for
from notifier.outbox import Draft, Enqueued
from notifier.outbox import email as to_email
from notifier.tracking import DELIVERY_SURFACE
from store.addresses import normalise_email
from store.models import (
    Channel,
    ContactRole,
    Delivery,
    Event,
    Invoice,
    InvoiceStatus,
    NoteLevel,
    NotificationKind,
    Outcome,
    Point,
    Priority,
    Subscriber,
    Suppression,
)
from store.unit import Tx


@dataclass(frozen=True, slots=True)
class RouteTest:
    """Another mail server, and where its tests may go besides the subscriber's own addresses."""

    route: str
    mailboxes: tuple[str, ...]


MAX_TO = 10
MAX_TO_CHARACTERS = 1000
"""The addresses travel in the button, and a button's value holds 2,000 characters, signed."""


async def invoice_of(tx: Tx, found: One, command: str) -> Invoice:
    """The invoice that was named, else the latest one still to be paid, else the latest."""
    if found.invoice is not None:
        return found.invoice
    latest = await tx.invoices.latest(found.subscriber.id, 12)
    if not latest:
        payer = found.subscriber.payer_account
        raise UserError(
            f"Account {found.subscriber.account} has no invoice yet.",
            f"Its invoices go to account {payer}: `{command} find {payer}`." if payer else "",
        )
    due = (i for i in latest if i.status in (InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID))
    return next(due, latest[0])


async def plan(
    tx: Tx, invoice: Invoice, to: Sequence[str] | None, test: RouteTest | None = None, *, zone: tzinfo
) -> ResendPlan:
    """`to` None: all billing addresses of whoever pays. UserError when it cannot be sent at all.

    `test`: by another mail server, to see whether it gets through there. Only to whoever it is for, or to a
    mailbox of our own. `zone`: of the days in it.
    """
    subscriber = await owner_of(tx, invoice)
    payer = await payer_of(tx, subscriber)
    points = await tx.subscribers.points([subscriber.id, payer.id])
    on_file = {p.address for ps in points.values() for p in ps if p.channel is Channel.EMAIL}
    payers = {p.address for p in points[payer.id] if p.channel is Channel.EMAIL}
    wanted = [(a, None) for a in to] if to is not None else billing_addresses(points[payer.id])
    if test is not None and any(a not in on_file and a not in test.mailboxes for a, _ in wanted):
        raise UserError(
            "A test of a mail server goes to this subscriber's own addresses or to a test mailbox.",
            f"The test mailboxes are {', '.join(test.mailboxes)}." if test.mailboxes else "",
        )
    suppressed = await tx.suppressions.active([(Channel.EMAIL, a) for a, _ in wanted])
    newest = await tx.deliveries.newest_to(Channel.EMAIL, [a for a, _ in wanted])
    targets = tuple(
        Target(
            address,
            on_file=address in on_file,
            refusal=problem or _suppressed(suppressed.get((Channel.EMAIL, address)), zone),
            payers=address in payers,
            last_failure=d if (d := newest.get(address)) and d.outcome in _FAILED else None,
        )
        for address, problem in wanted
    )
    earlier = await earlier_of(tx, invoice)
    return ResendPlan(
        invoice,
        subscriber,
        payer,
        _within_limits(targets),
        earlier,
        await waits_of(tx, earlier),
        test.route if test else None,
        tuple(n for n in await tx.notes.of_subscriber(subscriber.id) if n.level is not NoteLevel.INFO),
    )


async def weigh(services: Services, profile: TenantProfile, found: ResendPlan) -> ResendPlan:
    """With what DNS says now: of each address, and of our own record where the last mail failed for it.

    Outside of any transaction. A typed address where nothing can arrive is left out; one on file is told.
    """
    services.forget_dns()  # whoever asks may have mended a record a moment ago
    going = [t.address for t in found.targets if not t.refusal]
    looked = await asyncio.gather(*(look_at(services.resolver, address) for address in going))
    reports = dict(zip(going, looked, strict=True))
    spf = None
    if any(t.last_failure and t.last_failure.cls == "blocked_auth" for t in found.targets):
        spf = (await spf_of(services.resolver, profile, profile.route(found.test_of))).state
    targets = tuple(_weighed(t, reports.get(t.address)) for t in found.targets)
    return replace(found, targets=targets, spf=spf)


def _weighed(target: Target, report: AddressReport | None) -> Target:
    blocked = report.blocked if report is not None and not target.on_file else None
    return replace(target, report=report, refusal=target.refusal or (blocked.sentence if blocked else ""))


async def waits_of(tx: Tx, earlier: Sequence[Delivery]) -> dict[UUID, tuple[Event, ...]]:
    """Events of the newest of them."""
    events = await tx.events.of([(d.tenant, d.id) for d in earlier[:1]])
    return {ref[1]: tuple(found) for ref, found in events.items()}


async def owner_of(tx: Tx, invoice: Invoice) -> Subscriber:
    """Whose invoice it is; UserError when it must not be sent again."""
    subscriber = await tx.subscribers.by_id(invoice.subscriber_id)
    if subscriber is None:
        raise LookupError("an invoice without its subscriber")
    if invoice.status is InvoiceStatus.VOID:
        raise UserError(
            f"Invoice {invoice.number} was voided, so it is not sent again.", "Send the one that replaced it."
        )
    if invoice.status is InvoiceStatus.UNCOLLECTIBLE:
        raise UserError(
            f"Invoice {invoice.number} was written off, so nobody is asked to pay it.",
            "Talk to billing if it should be paid after all.",
        )
    if invoice.status is InvoiceStatus.DRAFT:
        raise UserError(f"Invoice {invoice.number} is a draft.", "It can be sent once billing has issued it.")
    return subscriber


_FAILED = (Outcome.BOUNCED, Outcome.FAILED)


def _suppressed(suppression: Suppression | None, zone: tzinfo) -> str:
    if suppression is None:
        return ""
    since = f"{suppression.created_at.astimezone(zone):%b %d, %Y}"
    return f"on our do-not-send list since {since}: {bounce_words(suppression.reason)}"


def _within_limits(targets: Sequence[Target]) -> tuple[Target, ...]:
    """What is left out of a preview is shown as left out."""
    kept: list[Target] = []
    count = characters = 0
    for target in targets:
        if not target.refusal:
            count, characters = count + 1, characters + len(target.address)
            if count > MAX_TO or characters > MAX_TO_CHARACTERS:
                target = replace(target, refusal=f"only {MAX_TO} addresses go at once")
        kept.append(target)
    return tuple(kept)


def billing_addresses(points: Sequence[Point]) -> list[tuple[str, str | None]]:
    """(address, what is wrong with it): billing addresses, else service addresses, in their order."""
    for role in (ContactRole.BILLING, ContactRole.SERVICE):
        found = [p for p in points if p.channel is Channel.EMAIL and p.role is role]
        if found:
            return [(p.address, p.problem) for p in sorted(found, key=lambda p: p.position)]
    return []


async def earlier_of(tx: Tx, invoice: Invoice) -> tuple[Delivery, ...]:
    """Deliveries of this invoice that arrived or may still arrive, newest first."""
    notifications, _ = await tx.notifications.page(invoice_id=invoice.id, limit=20)
    by_notification = await tx.deliveries.of_notifications([n.id for n in notifications])
    alive = (Outcome.NONE, Outcome.SENT, Outcome.DELIVERED)
    return tuple(d for n in notifications for d in by_notification[n.id] if d.outcome in alive)


def typed_address(text: str) -> str:
    """The one address after "to"; UserError says what is wrong with it."""
    found = normalise_email(text)
    if found.problem is not None:
        raise UserError(f"That address cannot be used: {found.problem}", "Check it and ask again.")
    return found.address


class Sent(StrEnum):
    """What a press on Send came to."""

    NOW = "now"
    BEFORE = "before"
    CHANGED = "changed"
    """Somebody else has sent it since the preview, or an address was changed: look again first."""


async def send(
    services: Services,
    request: CommandRequest,
    *,
    invoice_id: UUID,
    to: Sequence[str],
    preview: str,
    seen: str,
    test: RouteTest | None = None,
) -> tuple[Sent, ResendPlan]:
    """Writes the notification, its audit row and the card's post in one transaction.

    `seen` is what the preview showed (ResendPlan.seen).
    """
    profile = services.profile(request.tenant)
    async with services.store.begin(request.tenant) as tx:
        invoice = await tx.invoices.by_id(invoice_id, lock=True)
        if invoice is None:
            raise UserError("This invoice is gone.", "Look the subscriber up again.")
        # Made again, not taken from the button: a suppression or a void since then counts.
        current = await plan(tx, invoice, to, test, zone=profile.time_zone)
        if await tx.notifications.holders([_key(preview)]):
            # Pressed twice, or run again after a crash: the first time counts.
            mine = await tx.audit.stands(audit_key(request, "invoice.resend", _subject(current)))
            return (Sent.NOW if mine else Sent.BEFORE), current
        if not current.still(seen):
            return Sent.CHANGED, current
        if not current.going:
            raise UserError("None of these addresses can be used any more.", "Ask for another address.")
        queued = await queue(
            services, tx, profile, current, key=_key(preview), requested_by=request.actor.user_id
        )
        await audit(
            tx,
            request,
            "invoice.resend",
            _subject(current),
            detail={"invoice": invoice.number, "notification": str(queued.notification_id)}
            | ({"test_of": test.route} if test else {}),
            personal={"to": list(current.going)},
        )
        await tx.posts.want(DELIVERY_SURFACE, str(queued.notification_id), request.channel)
    return Sent.NOW, current


async def queue(
    services: Services,
    tx: Tx,
    profile: TenantProfile,
    current: ResendPlan,
    *,
    key: str,
    requested_by: str,
    context: Mapping[str, object] | None = None,
) -> Enqueued:
    """Queues what was planned; `context` goes into the message's own."""
    link = await link_for(
        tx, services.keyring, profile.public_url, current.invoice, key=key, recipient=current.payer.id
    )
    return await services.outbox.enqueue(tx, _draft(profile, current, requested_by, key, link, context or {}))


def _key(preview: str) -> str:
    return f"resend:{preview}"


def _subject(current: ResendPlan) -> str:
    return f"account:{current.subscriber.account}"


def _draft(
    profile: TenantProfile,
    current: ResendPlan,
    requested_by: str,
    key: str,
    link: str,
    context: Mapping[str, object],
) -> Draft:
    left_out = [f"{mask_address(t.address)}: not sent, {t.refusal}" for t in current.targets if t.refusal]
    return Draft(
        key=key,
        kind=NotificationKind.RESEND,
        language=current.payer.language,
        context=invoice_context(profile, current.invoice, current.payer, current.subscriber)
        | {"left_out": left_out, "link": link, "attached": profile.attach_pdf, "on_file": current.to_file}
        | ({"test_of": current.test_of} if current.test_of else {})
        | ({} if any(t.on_file for t in current.targets if not t.refusal) else {"copy": True})
        | dict(context),
        recipients=[to_email(a, current.payer.id) for a in current.going],
        route=current.test_of or profile.default_route,
        requested_by=requested_by,
        subscriber_id=current.subscriber.id,
        invoice_id=current.invoice.id,
        priority=Priority.URGENT,
        receipt=True,
        attach_pdf=profile.attach_pdf,
    )
