"""Escalating: an evidence pack to Client Success, and a letter to a mail provider's postmaster.

Where the first goes is configured, and no function here takes an address for it: a colleague's words in it
can reach nobody else. The second carries no words of a colleague.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from handlers.contract import CommandRequest, Services, audit, audit_key
from handlers.diagnosis import Diagnosis, diagnose
from handlers.found import One
from handlers.masks import mask_in_text
from handlers.packs import Pack, PostmasterPack, evidence_pack, postmaster_pack
from handlers.profile import EscalationProfile, TenantProfile
from handlers.reply import UserError
from handlers.workflows import filings
from handlers.workflows.diagnose import examine
from handlers.workflows.resend import Sent
from notifier.contexts import brand_context
from notifier.outbox import Draft, KeyConflict, email
from notifier.tracking import DELIVERY_SURFACE
from store.addresses import normalise_email
from store.models import Channel, NotificationKind, Priority
from store.unit import Tx

NO_LETTER = "No server has refused anything that its postmaster could change, so there is nothing to write."


async def packs(
    services: Services, tenant: int, found: One, asker: str
) -> tuple[Diagnosis, Pack, PostmasterPack | None]:
    """From current facts; the letter is None where a postmaster could change nothing. `asker`: a user."""
    diagnosis = await examine(services, tenant, found.subscriber, found.invoice)
    profile = services.profile(tenant)
    async with services.store.read(tenant) as tx:
        deeds = await tx.audit.of(f"account:{found.subscriber.account}")
        records, now = await tx.domain_records.all(), tx.now
    # Whoever reads the pack sits anywhere: the same findings, told in UTC.
    abroad = diagnose(diagnosis.evidence, replace(profile, time_zone=ZoneInfo("UTC")))
    return (
        diagnosis,
        evidence_pack(abroad, deeds, records, now, profile=profile, asker=asker),
        postmaster_pack(diagnosis, profile),
    )


def escalation_of(profile: TenantProfile) -> EscalationProfile:
    if profile.escalation is None:
        raise UserError(
            "Nobody is set up to escalate to.",
            "An admin can name an address in app.yaml, section escalation.",
        )
    return profile.escalation


async def mail_pack(
    services: Services, request: CommandRequest, found: One, *, question: str, once: str
) -> Sent:
    """To the configured address, and nowhere else; once a dialog."""
    profile = services.profile(request.tenant)
    to = escalation_of(profile)
    key = f"pack:{once}"
    if await _known(services, request, key):
        return await _again(services, request, "pack.mail", found)
    _, pack, _ = await packs(services, request.tenant, found, request.actor.user_id)
    more = {"question": mask_in_text(question.strip()), "ticket_url": to.ticket_url}
    return await _queue(services, request, found, "pack.mail", key, to.address, pack, more)


async def mail_postmaster(
    services: Services, request: CommandRequest, found: One, *, seen: str, once: str
) -> tuple[Sent, PostmasterPack | None]:
    """To postmaster@ the provider's domain, in the words that were shown; once a preview."""
    key = f"postmaster:{once}"
    if await _known(services, request, key):
        return await _again(services, request, "pack.postmaster", found), None
    _, _, letter = await packs(services, request.tenant, found, request.actor.user_id)
    if letter is None:
        raise UserError(NO_LETTER)
    if letter.seen != seen:
        return Sent.CHANGED, letter
    more = {"letter": True}
    return await _queue(services, request, found, "pack.postmaster", key, letter.to, letter, more), letter


async def _known(services: Services, request: CommandRequest, key: str) -> bool:
    async with services.store.read(request.tenant) as tx:
        return bool(await tx.notifications.holders([key]))


async def _again(services: Services, request: CommandRequest, action: str, found: One) -> Sent:
    async with services.store.read(request.tenant) as tx:
        mine = await tx.audit.stands(audit_key(request, action, _subject(found)))
    return Sent.NOW if mine else Sent.BEFORE


def _subject(found: One) -> str:
    return f"account:{found.subscriber.account}"


async def _queue(
    services: Services,
    request: CommandRequest,
    found: One,
    action: str,
    key: str,
    to: str,
    pack: Pack,
    more: dict[str, Any],
) -> Sent:
    try:
        async with services.store.begin(request.tenant) as tx:
            if action == "pack.mail":
                await _refuse_a_subscriber(tx, to)
            created = await _enqueue(services, tx, request, found, action, key, to, pack, more)
    except KeyConflict:  # the same press, taken in twice at the same moment
        return Sent.BEFORE
    return Sent.NOW if created else await _again(services, request, action, found)


async def _enqueue(
    services: Services,
    tx: Tx,
    request: CommandRequest,
    found: One,
    action: str,
    key: str,
    to: str,
    pack: Pack,
    more: dict[str, Any],
) -> bool:
    """False where another press has queued it meanwhile: then nothing was done here, and nothing is noted."""
    profile = services.profile(request.tenant)
    queued = await services.outbox.enqueue(
        tx,
        Draft(
            key=key,
            kind=NotificationKind.PACK,
            language="en",
            context={
                "brand": brand_context(profile.brand),
                "title": pack.title,
                "pack": pack.text,
                "about": f"account {found.subscriber.account}",
                "question": "",
                "ticket_url": "",
            }
            | more,
            recipients=[email(to)],
            route=profile.default_route,
            requested_by=request.actor.user_id,
            # About nobody, as far as the log of their messages goes: they were not written to.
            priority=Priority.URGENT,
            receipt=True,
        ),
    )
    if not queued.created:
        return False
    if action == "pack.mail":  # the evidence and the question; a letter to a stranger is no ticket of ours
        body = f"{more['question']}\n\n{pack.text}"
        await filings.ticket(tx, services, found.subscriber.id, once=key, subject=pack.title, body=body)
    await audit(
        tx,
        request,
        action,
        _subject(found),
        detail={"notification": str(queued.notification_id), "to": to},
    )
    await tx.posts.want(DELIVERY_SURFACE, str(queued.notification_id), request.channel)
    return True


async def _refuse_a_subscriber(tx: Tx, address: str) -> None:
    """An address that somebody mistyped in app.yaml must not make a customer read a colleague's words."""
    if await tx.subscribers.by_address(Channel.EMAIL, normalise_email(address).address, 1):
        raise UserError(
            "The address for escalations is a subscriber's, so nothing was sent.",
            "An admin has to correct it in app.yaml, section escalation.",
        )


__all__ = ["escalation_of", "mail_pack", "mail_postmaster", "packs"]
