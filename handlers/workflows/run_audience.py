"""Whom an invoice run reaches: a notice for each invoice of its audience, or the reason for leaving it out.

Decided from facts that are read a batch at once; the rehearsal and the run itself ask here, so that one is
what the other said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from billing import holds
from billing.hold_words import thing
from billing.truth import nothing_to_ask
from handlers.format import day
from handlers.profile import TenantProfile
from handlers.reply import UserError
from handlers.runs import Criteria, LeftOut, Notice, What
from handlers.workflows.resend import billing_addresses
from notifier.outbox import email as to_email
from notifier.outbox import text as to_text
from store.consents import Consent
from store.models import (
    Channel,
    ConsentState,
    ContactRole,
    Fallback,
    Hold,
    Invoice,
    InvoiceStatus,
    Notification,
    NotificationKind,
    Outcome,
    Point,
    Subscriber,
    SubscriberStatus,
    Suppression,
)
from store.unit import Tx

BATCH = 500
Decided = Notice | LeftOut


async def audience(tx: Tx, criteria: Criteria, after: str, size: int = BATCH) -> list[Invoice]:
    """The next `size` invoices behind the number `after`. UserError: the one named is not on file."""
    if criteria.what is What.INVOICE:
        if after:
            return []
        invoice = await tx.invoices.by_number(criteria.number)
        if invoice is None:
            raise UserError(f"There is no invoice {criteria.number}.", "Look at the number again.")
        return [invoice]
    if criteria.what is What.ISSUED:
        first = criteria.since or criteria.today
        return await tx.invoices.issued_page(first, criteria.today, after=after, limit=size)
    return await tx.invoices.due_page(*criteria.due, after=after, limit=size)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one batch's people, read at once."""

    owners: dict[UUID, Subscriber]
    payers: dict[str, Subscriber]
    points: dict[UUID, list[Point]]
    suppressed: dict[tuple[Channel, str], Suppression]
    consents: dict[tuple[Channel, str], Consent]
    holds: dict[str, list[Hold]]
    told: dict[str, Notification]
    reached: Mapping[UUID, UUID]
    """Of those told: invoice -> the newest message about it that arrived or still may (store.proof)."""

    def payer_of(self, owner: Subscriber) -> Subscriber:
        return self.payers.get(owner.payer_account or "", owner)


async def facts_of(tx: Tx, criteria: Criteria, invoices: Sequence[Invoice]) -> Facts:
    owners = await tx.subscribers.by_ids(list({i.subscriber_id for i in invoices}))
    accounts = sorted({o.payer_account for o in owners.values() if o.payer_account})
    payers = await tx.subscribers.by_accounts(accounts)
    points = await tx.subscribers.points(list({s.id for s in (*owners.values(), *payers.values())}))
    addresses = sorted({(p.channel, p.address) for found in points.values() for p in found})
    held = criteria.what in (What.OVERDUE, What.REMINDERS)
    holders = await tx.notifications.holders([criteria.key(i) for i in invoices])
    notifications = await tx.notifications.get_many(list(holders.values()))
    told = {key: notifications[nid] for key, nid in holders.items() if nid in notifications}
    reached = await tx.failures.standing([i.id for i in invoices if criteria.key(i) in told])
    archived, arrived = await _archived(tx, {k: nid for k, nid in holders.items() if k not in told})
    reached |= {i.id: arrived[key] for i in invoices if (key := criteria.key(i)) in arrived}
    return Facts(
        owners,
        payers,
        points,
        await tx.suppressions.active(addresses),
        await tx.consents.current([a for a in addresses if a[0] is Channel.SMS]),
        await _holds(tx, criteria, list(owners.values()), reminders=held),
        told | archived,
        reached,
    )


async def _archived(tx: Tx, holders: Mapping[str, UUID]) -> tuple[dict[str, Notification], dict[str, UUID]]:
    """By key: notices that went to the archive by age, whose keys outlive them, and those that arrived."""
    filed = await tx.notices.of_notifications(sorted(holders.values())) if holders else {}
    told = {key: filed[nid][0].notification for key, nid in holders.items() if nid in filed}
    arrived = {
        key: nid
        for key, nid in holders.items()
        if any(f.delivery.outcome in (Outcome.SENT, Outcome.DELIVERED) for f in filed.get(nid, ()))
    }
    return told, arrived


async def _holds(
    tx: Tx, criteria: Criteria, owners: Sequence[Subscriber], *, reminders: bool
) -> dict[str, list[Hold]]:
    """Account -> holds that stand on the day of the run: of towns and tags, and of reminders by account."""
    touching = await holds.standing(tx, owners, accounts=reminders)
    accounts = {o.id: o.account for o in owners}
    standing = {
        accounts[sid]: [h for h in found if h.until >= criteria.today] for sid, found in touching.items()
    }
    return {account: found for account, found in standing.items() if found}


async def decide(
    tx: Tx, profile: TenantProfile, criteria: Criteria, invoices: Sequence[Invoice], run_id: UUID | None
) -> list[Decided]:
    """A notice or a reason for each invoice, in their order; those that this run has told already are left
    out of the list."""
    facts = await facts_of(tx, criteria, invoices)
    known = await tx.runs.excluded(run_id, [i.id for i in invoices]) if run_id else set()
    decided: list[Decided] = []
    for invoice in invoices:
        told = facts.told.get(criteria.key(invoice))
        if invoice.id in known or (told is not None and run_id is not None and told.run_id == run_id):
            continue
        owner = facts.owners[invoice.subscriber_id]
        reason = billing_reason(invoice, owner, criteria.kind) or _desk_reason(
            profile, facts, invoice, owner, told
        )
        if reason is not None:
            decided.append(LeftOut(invoice, owner, *reason))
        else:
            decided.append(_addressed(profile, facts, invoice, owner))
    return decided


_BY_STATUS = {
    InvoiceStatus.DRAFT: "draft",
    InvoiceStatus.VOID: "void",
    InvoiceStatus.UNCOLLECTIBLE: "written_off",
    InvoiceStatus.PAID: "paid",
}


def billing_reason(invoice: Invoice, owner: Subscriber, kind: NotificationKind) -> tuple[str, str] | None:
    """Why billing's facts leave no notice of this kind: what the last look before the send would stop."""
    if invoice.status in _BY_STATUS:
        return _BY_STATUS[invoice.status], ""
    if invoice.due.minor <= 0:
        return "paid", ""
    if owner.status is SubscriberStatus.ARCHIVED:
        return "archived", ""
    if not owner.invoice_notices:
        return "notices_off", ""
    covered = nothing_to_ask(kind, owner)
    return (covered, "") if covered else None


def _desk_reason(
    profile: TenantProfile, facts: Facts, invoice: Invoice, owner: Subscriber, told: Notification | None
) -> tuple[str, str] | None:
    if found := facts.holds.get(owner.account):
        last = found[-1]  # the one that lasts longest
        whose = "" if last.scope_key == owner.account else f"{thing(last.scope, last.scope_key)}, "
        return "held", f"{whose}until {day(last.until, profile.locale)}"
    if told is not None:
        local = told.created_at.astimezone(profile.time_zone).date()
        return "already" if invoice.id in facts.reached else "failed", f"sent on {day(local, profile.locale)}"
    return None


def _addressed(profile: TenantProfile, facts: Facts, invoice: Invoice, owner: Subscriber) -> Decided:
    """E-mail first, to every billing address of the payer; by text where there is no mail, or behind it."""
    payer = facts.payer_of(owner)
    points = facts.points.get(payer.id, [])
    mails = billing_addresses(points)
    sound = [address for address, problem in mails if problem is None]
    usable = [a for a in sound if (Channel.EMAIL, a) not in facts.suppressed]
    number = number_of(facts, points) if texts_possible(profile) else None
    texts_behind = profile.sms is not None and profile.sms.fallback
    if usable:
        way = number if texts_behind else None
        return Notice(
            invoice,
            owner,
            payer,
            tuple(to_email(a, payer.id) for a in usable),
            (Fallback(Channel.SMS, way, sms_route(profile)),) if way else (),
        )
    if number is not None and (not mails or texts_behind):
        return Notice(invoice, owner, payer, (to_text(number, payer.id),))
    return LeftOut(invoice, owner, *_no_way(profile, facts, points, mails, sound))


def _no_way(
    profile: TenantProfile,
    facts: Facts,
    points: Sequence[Point],
    mails: Sequence[tuple[str, str | None]],
    sound: Sequence[str],
) -> tuple[str, str]:
    """The reason that somebody can do most about."""
    if sound:
        return "suppressed", ""
    if mails:
        return "unusable", next(problem for _, problem in mails if problem)
    texts = [p for p in points if p.channel is Channel.SMS]
    if not texts:
        return "no_address", ""
    if not texts_possible(profile):
        return "no_address", "only a telephone number, and this desk sends no texts"
    if any(withdrawn(facts, p) for p in texts):
        return "opted_out", ""
    if any((Channel.SMS, p.address) in facts.suppressed for p in texts):
        return "suppressed", ""
    return "unusable", next((p.problem for p in texts if p.problem), "")


def number_of(facts: Facts, points: Sequence[Point]) -> str | None:
    """The first number that may be texted: billing, else service. One text is enough."""
    for role in (ContactRole.BILLING, ContactRole.SERVICE):
        of_role = (p for p in sorted(points, key=lambda p: p.position) if p.role is role)
        found = next((p.address for p in of_role if p.channel is Channel.SMS and _textable(facts, p)), None)
        if found is not None:
            return found
    return None


def _textable(facts: Facts, point: Point) -> bool:
    suppressed = (Channel.SMS, point.address) in facts.suppressed
    return not point.problem and not suppressed and not withdrawn(facts, point)


def withdrawn(facts: Facts, point: Point) -> bool:
    consent = facts.consents.get((Channel.SMS, point.address))
    return consent is not None and consent.state is ConsentState.WITHDRAWN


def texts_possible(profile: TenantProfile) -> bool:
    """A text about an invoice carries a link; without anywhere to lead there is nothing to text."""
    return profile.sms is not None and bool(profile.public_url or profile.portal_url)


def sms_route(profile: TenantProfile) -> str:
    return profile.sms.route.name if profile.sms else ""
