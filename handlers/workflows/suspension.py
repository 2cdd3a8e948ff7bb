"""Suspending and unsuspending: what is known before, and the intention. billing.acts carries it out.

Facts are asked for anew for the preview, at the submission and right before the call: a payment counts
whenever it comes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import date
from uuid import UUID

from billing import holds
from billing.acts import ACT_SURFACE
from billing.judgement import refusal
from billing.port import AccountFacts, Unavailable
from handlers import words
from handlers.cards import Notice, is_overdue
from handlers.contract import CommandRequest, Services, audit
from handlers.intents import redact_cards
from handlers.profile import Role, TenantProfile
from handlers.reply import UserError
from handlers.standing import DueInvoice, Proof, Standing, elsewhere
from handlers.workflows.lookup import payer_of
from handlers.workflows.profile_card import page_of_notices
from store.models import (
    ActKind,
    ActState,
    Aside,
    BillingAct,
    Confidence,
    Delivery,
    Invoice,
    InvoiceStatus,
    Outcome,
    Stage,
)
from store.types import new_id
from store.unit import Tx

LOOKED_AT = 12
"""Invoices, newest first, whose notices are looked at."""
MESSAGES = 40
"""About one invoice, newest first: more copies than anybody sends do not hide the proof."""
_DUE = (InvoiceStatus.OPEN, InvoiceStatus.PARTIALLY_PAID)


WITHIN_S = 1.2
"""A dialog opens within three seconds of the press, or not at all: billing gets so much of them. What it
would have said is asked again at the submission and before the act."""
TOO_SLOW = Unavailable("Billing takes its time to answer.")


async def load(
    services: Services, tenant: int, subscriber_id: UUID, kind: ActKind, *, within_s: float | None = None
) -> Standing:
    """Asks billing first, outside any transaction; UserError when the subscriber is gone. `within_s`: what
    billing does not say by then is not waited for, and what is on file counts."""
    profile, system = services.profile(tenant), services.billing[tenant]
    facts: AccountFacts | Unavailable = TOO_SLOW
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            facts = await system.refresh(subscriber_id)
    async with services.store.read(tenant) as tx:
        standing = await _read(tx, profile, subscriber_id)
    there = elsewhere(profile.billing, profile.billing_link, standing.subscriber)
    standing = replace(standing, acts_by_itself=system.acts_by_itself, elsewhere=there)
    if isinstance(facts, AccountFacts):
        standing = replace(
            standing,
            subscriber=facts.subscriber,
            packages=facts.packages,
            as_of=facts.as_of,
            imported_at=facts.imported_at,
        )
    else:
        standing = replace(standing, unavailable=facts.sentence)
    return replace(standing, refusal=refusal(kind, standing.case))


async def _read(tx: Tx, profile: TenantProfile, subscriber_id: UUID) -> Standing:
    subscriber = await tx.subscribers.by_id(subscriber_id)
    if subscriber is None:
        raise UserError("This subscriber is not on file any more.", "Look them up again.")
    latest = await tx.invoices.latest(subscriber.id, LOOKED_AT)
    today = tx.now.astimezone(profile.time_zone).date()
    due = [await _due(tx, profile, invoice, today) for invoice in reversed(latest) if invoice.status in _DUE]
    return Standing(
        subscriber=subscriber,
        payer=await payer_of(tx, subscriber),
        packages=tuple(await tx.packages.of_subscriber(subscriber.id)),
        due=tuple(due),
        last_paid=next((i for i in latest if i.status is InvoiceStatus.PAID), None),
        holds=await holds.touching(tx, subscriber),
        notes=tuple(await tx.notes.of_subscriber(subscriber.id)),
        acts=tuple(await tx.acts.of_subscriber(subscriber.id)),
        now=tx.now,
        today=today,
        as_of=None,
    )


async def _due(tx: Tx, profile: TenantProfile, invoice: Invoice, today: date) -> DueInvoice:
    notices, _ = await page_of_notices(tx, invoice_id=invoice.id, limit=MESSAGES)
    proof, told = best_proof(notices, profile)
    overdue = (today - invoice.due_on).days if is_overdue(invoice, today) else 0
    return DueInvoice(invoice, overdue, proof, told)


def best_proof(notices: list[Notice], profile: TenantProfile) -> tuple[Proof, str]:
    """Of all that went out about one invoice, the strongest evidence that it arrived, in words.

    What does not count as proof (store.proof) is only mentioned.
    """
    everything = [(d, notice) for notice in notices for d in notice.deliveries]
    asides = {notice.aside[d.id] for d, notice in everything if not notice.counts(d)}
    mentioned = "; ".join(_MENTIONED[aside] for aside in Aside if aside in asides)
    counting = [(d, notice) for d, notice in everything if notice.counts(d)]
    if not counting:
        return Proof.NEVER, mentioned
    order = list(Proof)
    delivery, notice = min(counting, key=lambda pair: order.index(proof_of(pair[0])))
    told = words.status(delivery, notice.events[delivery.id], profile.time_zone)
    proof = proof_of(delivery)
    return proof, f"{told}; {mentioned}" if mentioned and proof is not Proof.PROVEN else told


_MENTIONED = {
    Aside.TEST: "a test of a mail server went out",
    Aside.ELSEWHERE: "a copy went elsewhere, not to what is on file",
    Aside.MENDED: "it went to an address that was mended since",
}


def proof_of(delivery: Delivery) -> Proof:
    if delivery.outcome is Outcome.DELIVERED and delivery.confidence is not Confidence.PRESUMED:
        return Proof.PROVEN
    if delivery.outcome in (Outcome.DELIVERED, Outcome.SENT):
        return Proof.LIKELY
    if delivery.outcome is Outcome.NONE and delivery.stage is not Stage.CLOSED:
        return Proof.UNDER_WAY
    return Proof.FAILED


async def intend(
    services: Services,
    request: CommandRequest,
    kind: ActKind,
    *,
    subscriber_id: UUID,
    package_id: UUID,
    reason: str,
    tell: bool,
    owed_before: int | None,
    checked_payments: bool = False,
    takes_back: UUID | None = None,
    until: date | None = None,
) -> BillingAct:
    """Writes the intention, its audit row and the card's post in one transaction; again adds nothing.

    `takes_back`: the act that this one undoes; it must still be the last one done with the package.
    `until`: the day on which a pause ends.
    """
    reason = redact_cards(reason)
    step = request.step(f"act:{kind}")
    async with services.store.read(request.tenant) as tx:
        if (standing_act := await tx.acts.by_step(step)) is not None:
            return standing_act
    standing = await load(services, request.tenant, subscriber_id, kind)
    here(standing)
    package = next((p for p in standing.packages if p.id == package_id), None)
    if package is None:
        raise UserError("This package is not on file any more.", "Look again.")
    against = refusal(kind, standing.case, package, owed_before)
    if against is not None:
        raise UserError(against.sentence, against.next_step)
    may(kind, standing, request.actor.role)
    profile = services.profile(request.tenant)
    async with services.store.begin(request.tenant) as tx:
        await tx.packages.lock(package_id)  # two who press at once see each other
        if await tx.acts.unfinished(package_id) is not None:
            raise UserError(
                f"Something is being done with {package.name} already.", "Its card tells how it ends."
            )
        if takes_back is not None and await tx.acts.last_done(package_id) != takes_back:
            raise UserError(
                "This suspension has been taken back or followed by another one.", "Look the subscriber up."
            )
        act = BillingAct(
            id=new_id(),
            kind=kind,
            subscriber_id=subscriber_id,
            package_id=package_id,
            state=ActState.INTENDED,
            reason=reason,
            actor=request.actor.user_id,
            created_at=tx.now,
            tenant=request.tenant,
            tell=tell,
            owed_minor=owed_before if kind is ActKind.SUSPEND else None,
            until=until,
        )
        await tx.acts.intend(step, act)
        await audit(
            tx,
            request,
            f"billing.{kind}",
            f"account:{standing.subscriber.account}",
            detail={
                "act": str(act.id),
                "package": package.ref,
                "balance_minor": standing.subscriber.balance.minor,
                "tell": tell,
                "checked_payments": checked_payments,
                "until": until.isoformat() if until else "",
            },
            personal={"reason": reason},
        )
        await tx.posts.want(ACT_SURFACE, str(act.id), request.channel or profile.support_channel)
    return act


def here(standing: Standing) -> None:
    """UserError where it has to be done in another system."""
    there = standing.elsewhere
    if there is not None:
        raise UserError(
            f"Packages are suspended and brought back {there.told}, not here: what is on file is a copy.",
            f"Open the account there: {there.link}" if there.link else "Do it there.",
        )


def may(kind: ActKind, standing: Standing, role: Role) -> None:
    """Agents unsuspend whoever has paid; with money owed it is a lead's decision (docs/suspension.md)."""
    if kind is ActKind.UNSUSPEND and role < Role.LEAD and standing.subscriber.balance.minor > 0:
        raise UserError(
            f"Account {standing.subscriber.account} still owes money: unsuspending it is a lead's decision.",
            "Ask a lead, or try again once it is paid.",
        )


async def undo(services: Services, request: CommandRequest, act_id: UUID) -> BillingAct:
    """The reverse of a finished suspension, without asking again; UserError when there is nothing to undo."""
    async with services.store.read(request.tenant) as tx:
        act = await tx.acts.get(act_id)
    if act is None or act.kind is not ActKind.SUSPEND:
        raise UserError("There is nothing to undo here.", "Look the subscriber up again.")
    if act.state is not ActState.DONE:
        raise UserError("It was not done, so there is nothing to undo.")
    return await intend(
        services,
        request,
        ActKind.UNSUSPEND,
        subscriber_id=act.subscriber_id,
        package_id=act.package_id,
        reason="the suspension is taken back",
        tell=act.tell,
        owed_before=None,
        takes_back=act.id,
    )
