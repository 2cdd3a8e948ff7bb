"""The record of notices: counted for a preview, read, drawn, and its hash put into the audit; legal holds."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import date, timedelta

from handlers.contract import CommandRequest, Services, audit
from handlers.found import One
from handlers.intents import redact_cards
from handlers.packs import DEEDS
from handlers.proofs.case import (
    MOST_NOTICES,
    REASON_MAX,
    ConsentChange,
    Made,
    Preview,
    ProofCase,
    SuppressionChange,
)
from handlers.proofs.document import draw, file_name
from handlers.proofs.period import Period, usual
from handlers.reply import File, UserError
from handlers.workflows.lookup import payer_of
from store.filed import Asked, ChainHead, LegalHold
from store.models import TAG, TOWN, Channel, Subscriber
from store.subscribers import place_key
from store.types import derived_id
from store.unit import Tx

MADE = "proof.record"
"""The audit's row of a document; its subject is the document's own hash."""


def subject_of(digest: str) -> str:
    return f"proof:{digest}"


def usual_period(found: One, today: date) -> Period:
    """Where no time was named: of an invoice everything since it was issued, of an account the last year."""
    if found.invoice is None:
        return usual(today)
    return Period(min(found.invoice.issued_on, today) - timedelta(days=31), today)


def _asked(services: Services, tenant: int, found: One, period: Period) -> Asked:
    zone, now = services.profile(tenant).time_zone, services.now()
    since, until = period.instants(zone, now)
    return Asked(found.subscriber.id, found.invoice.id if found.invoice else None, since, until)


async def preview(services: Services, tenant: int, found: One, period: Period) -> Preview:
    asked = _asked(services, tenant, found, period)
    today = services.now().astimezone(services.profile(tenant).time_zone).date()
    everything = _asked(services, tenant, found, Period(period.first.replace(year=2000), today))
    async with services.store.read(tenant) as tx:
        return Preview(
            subscriber=found.subscriber,
            invoice_number=found.invoice.number if found.invoice else "",
            invoice_id=found.invoice.id if found.invoice else None,
            period=period,
            count=await tx.notices.count(asked),
            ever=await tx.notices.count(everything),
            holds=tuple(await tx.legal_holds.standing(found.subscriber.id)),
        )


async def make(services: Services, request: CommandRequest, found: One, period: Period, reason: str) -> Made:
    """The document, its hash audited before anybody has it. UserError: no reason, or too many notices.

    Run again after a crash it is another document, with a row of its own: each that exists is known.
    """
    reason = redact_cards(" ".join(reason.split()))[:REASON_MAX]
    if not reason:
        raise UserError("Say why you need it.", "The reason stands in the record and in the audit.")
    asked = _asked(services, request.tenant, found, period)
    async with services.store.read(request.tenant) as tx:
        number = (await tx.notices.count(asked)).total
        if number > MOST_NOTICES:
            raise UserError(
                f"{number:,} notices are more than one record holds ({MOST_NOTICES:,}).",
                "Ask for a shorter time, or for one invoice.",
            )
        case = await _load(tx, services, request, found, asked, reason)
    content = await asyncio.to_thread(draw, case)  # hundreds of pages take seconds
    digest = hashlib.sha256(content).hexdigest()
    account = found.subscriber.account
    detail = {
        "account": account,
        "invoice": found.invoice.number if found.invoice else "",
        "since": asked.since.isoformat(),
        "until": asked.until.isoformat(),
        "notices": len(case.filed),
        "head": [case.head.seq, case.head.hash] if case.head else None,
    }
    async with services.store.begin(request.tenant) as tx:
        await audit(tx, request, MADE, subject_of(digest), detail=detail, personal={"reason": reason})
        await audit(
            tx, request, "proof.export", f"account:{account}", detail={"sha256": digest, "notices": number}
        )
    text = f"Record of notices, account {account}: {len(case.filed):,} told. SHA-256 {digest}"
    return Made(File(file_name(case), text, content), digest, len(case.filed))


async def _load(
    tx: Tx, services: Services, request: CommandRequest, found: One, asked: Asked, reason: str
) -> ProofCase:
    subscriber = found.subscriber
    payer = await payer_of(tx, subscriber)
    filed = await tx.notices.filed(asked, MOST_NOTICES)
    points = (await tx.subscribers.points([subscriber.id]))[subscriber.id]
    # Of whoever pays for it only what this account's notices went to: the rest is another customer's.
    used = {(f.delivery.channel, f.delivery.address) for f in filed} | {
        (p.channel, p.address) for p in points
    }
    overrides = await tx.overrides.made_for([subscriber.id, payer.id])
    tags = (await tx.tags.of([subscriber.id])).get(subscriber.id, [])
    places = {(TOWN, place_key(subscriber.city)), *((TAG, place_key(tag)) for tag in tags)}
    holds = await tx.notes.holds_between(subscriber.account, places, asked.since, asked.until)
    left_out = await tx.runs.left_out_of(subscriber.id, asked.since, asked.until)
    ids = {f.notification.invoice_id for f in filed} | {e.invoice_id for _, e, _ in left_out}
    consents = await tx.consents.history([key for key in sorted(used) if key[0] is Channel.SMS])
    account = f"account:{subscriber.account}"
    return ProofCase(
        profile=services.profile(request.tenant),
        subscriber=subscriber,
        payer=payer,
        invoice=found.invoice,
        asked=asked,
        filed=filed,
        invoices=await tx.invoices.by_ids([invoice_id for invoice_id in ids if invoice_id]),
        templates=await tx.notices.template_names([f.notification.template_hash for f in filed]),
        contact_changes=[
            o
            for o in overrides
            if asked.since <= o.created_at < asked.until
            and (
                o.subscriber_id == subscriber.id
                or {(o.channel, o.old_address), (o.channel, o.new_address)} & used
            )
        ],
        suppressions=[
            SuppressionChange(*row)
            for row in await tx.suppressions.history(sorted(used), asked.since, asked.until)
        ],
        consents=[
            ConsentChange(c.address, c.state, c.source, c.at)
            for said in consents.values()
            for c in said
            if asked.since <= c.at < asked.until
        ],
        left_out=left_out,
        holds=holds,
        legal_holds=await tx.legal_holds.of(subscriber.id),
        deeds=await tx.audit.between(account, list(DEEDS), asked.since, asked.until),
        head=await tx.audit.head(),
        made_at=tx.now,
        made_by=request.actor.user_id,
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class Verified:
    """What the audit knows of a file. `at` None: no such document was made here."""

    digest: str
    made_at: str = ""
    made_by: str = ""
    detail: tuple[tuple[str, str], ...] = ()
    broken_at: int | None = None
    """The first entry at which the chain does not hold."""
    head: ChainHead | None = None
    head_holds: bool = True
    """The hash that stands in the document is still that entry's."""

    @property
    def known(self) -> bool:
        return bool(self.made_at)


async def verify(services: Services, tenant: int, content: bytes) -> Verified:
    digest = hashlib.sha256(content).hexdigest()
    async with services.store.read(tenant) as tx:
        rows = [e for e in await tx.audit.of(subject_of(digest), 5) if e.action == MADE]
        if not rows:
            return Verified(digest)
        row = rows[-1]
        head = row.detail.get("head")
        holds = head is None or await tx.audit.hash_at(int(head[0])) == head[1]
        told = tuple(
            (name, str(row.detail[name])) for name in ("account", "invoice", "since", "until", "notices")
        )
        return Verified(
            digest=digest,
            made_at=row.at.isoformat(),
            made_by=row.actor,
            detail=tuple((name, value) for name, value in told if value),
            broken_at=await tx.audit.verify(),
            head=await tx.audit.head(),
            head_holds=holds,
        )


async def set_legal_hold(
    services: Services, request: CommandRequest, subscriber: Subscriber, reason: str
) -> LegalHold:
    """Nothing of this account is removed by age until it is released. Run again it changes nothing."""
    reason = redact_cards(" ".join(reason.split()))[:REASON_MAX]
    if not reason:
        raise UserError("Say why it is to be held.", "The case, or who asked for it.")
    async with services.store.begin(request.tenant) as tx:
        hold_id = derived_id(subscriber.id, "legal_hold", request.id)
        hold = LegalHold(hold_id, subscriber.id, reason, request.actor.user_id, tx.now)
        if await tx.legal_holds.add(hold):
            subject = f"account:{subscriber.account}"
            detail = {"hold": str(hold_id)}
            await audit(tx, request, "legal_hold.set", subject, detail=detail, personal={"reason": reason})
    return hold


async def release_legal_hold(services: Services, request: CommandRequest, subscriber: Subscriber) -> int:
    """How many holds ended; none: UserError."""
    async with services.store.begin(request.tenant) as tx:
        ended = await tx.legal_holds.release(subscriber.id, request.actor.user_id)
        subject = f"account:{subscriber.account}"
        if ended:
            await audit(tx, request, "legal_hold.release", subject, detail={"holds": ended})
            return ended
        mine = [h for h in await tx.legal_holds.of(subscriber.id) if h.ended_by == request.actor.user_id]
    if not mine:
        raise UserError(f"No legal hold stands on account {subscriber.account}.")
    return 0


__all__ = [
    "MADE",
    "Made",
    "Preview",
    "Verified",
    "make",
    "preview",
    "release_legal_hold",
    "set_legal_hold",
    "subject_of",
    "usual_period",
    "verify",
]
