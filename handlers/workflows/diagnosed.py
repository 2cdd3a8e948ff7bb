"""Diagnoses that are kept: run again, they tell what has changed; on a shared card the thread tells it.

A result is kept by an id derived from its interaction, so that carrying that out twice keeps one. A shared
card is drawn from the state of the moment; each time that somebody runs it again, the result is compared
with the last one that its thread knows.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from handlers.contract import CommandRequest, Services, audit
from handlers.diagnosis import Diagnosis
from handlers.diagnosis.changes import changes, findings_of
from handlers.diagnosis.kept import Kept
from handlers.reply import UserError
from handlers.workflows.diagnose import examine
from store.models import Invoice, PastDiagnosis, Post, Subscriber
from store.types import derived_id
from store.unit import Tx

DIAGNOSIS_SURFACE = "diagnosis"
"""A shared card. Key: the id of the result that was shared."""
CHANGE_SURFACE = "diagnosis_change"
"""What has changed, in the card's thread. Key: the id of the newer result."""
REMEMBERED = timedelta(days=30)
"""Within so long an earlier diagnosis of the account is named."""


async def keep(
    tx: Tx, request: CommandRequest, found: Diagnosis, previous: PastDiagnosis | None = None
) -> PastDiagnosis:
    """`previous`: what this one is compared with. Kept before: as it was then."""
    subscriber = found.evidence.subscriber
    diagnosis_id = derived_id(subscriber.id, "diagnosis", request.id)
    before = await tx.diagnoses.get(diagnosis_id)
    if before is not None:
        return before
    kept = PastDiagnosis(
        id=diagnosis_id,
        subscriber_id=subscriber.id,
        asked_invoice_id=found.evidence.asked.id if found.evidence.asked else None,
        invoice_id=found.invoice.id if found.invoice else None,
        cause=found.cause,
        certainty=found.certainty,
        headline=found.headline,
        findings=findings_of(found.lines, found.told),
        actor=request.actor.user_id,
        created_at=tx.now,
        previous_id=previous.id if previous else None,
    )
    await tx.diagnoses.add(kept)
    return kept


async def kept_for_asker(tx: Tx, request: CommandRequest, found: Diagnosis, again: UUID | None) -> Kept:
    """`again`: the result that stands on the asker's screen, to be replaced by this one."""
    last = await tx.diagnoses.get(again) if again is not None else None
    kept = await keep(tx, request, found, last)
    if last is not None:
        return Kept(kept, last, changes(last, kept))
    earlier = await tx.diagnoses.latest(
        found.evidence.subscriber.id, since=tx.now - REMEMBERED, other_than=kept.id
    )
    return Kept(kept, earlier)


async def share(tx: Tx, request: CommandRequest, shared: PastDiagnosis, account: str) -> None:
    """A card in this channel; sharing one result twice makes one."""
    await tx.posts.want(DIAGNOSIS_SURFACE, str(shared.id), request.channel)
    detail = {"channel": request.channel}
    await audit(tx, request, "diagnosis.share", f"account:{account}", detail=detail)


async def run_again_in_thread(services: Services, request: CommandRequest, shared_id: UUID) -> None:
    """Examines anew, keeps the result, and wants the change told under the card that was pressed."""
    async with services.store.begin(request.tenant) as tx:
        shared, subscriber, asked = await whose(tx, shared_id)
        await audit(tx, request, "subscriber.diagnose", f"account:{subscriber.account}")
    services.forget_dns()  # whoever asks again may have mended a record a moment ago
    found = await examine(services, request.tenant, subscriber, asked)
    async with services.store.begin(request.tenant) as tx:
        card = await _card_in(tx, shared_id, request.channel)
        if card is None:
            raise UserError("This card is not known here.", "Run the diagnosis anew.")
        new_id = derived_id(subscriber.id, "diagnosis", request.id)
        last = await last_in_thread(tx, card, shared, other_than=new_id)
        kept = await keep(tx, request, found, last)
        await tx.posts.want(CHANGE_SURFACE, str(kept.id), card.place, parent=card.id)
        await tx.posts.bump(DIAGNOSIS_SURFACE, [(tx.tenant, card.key)])


async def whose(tx: Tx, diagnosis_id: UUID) -> tuple[PastDiagnosis, Subscriber, Invoice | None]:
    """UserError when it or its subscriber is not on file any more."""
    kept = await tx.diagnoses.get(diagnosis_id)
    subscriber = await tx.subscribers.by_id(kept.subscriber_id) if kept else None
    if kept is None or subscriber is None:
        raise UserError("This diagnosis is not kept any more.", "Run it anew.")
    asked = await tx.invoices.by_id(kept.asked_invoice_id) if kept.asked_invoice_id else None
    return kept, subscriber, asked


async def _card_in(tx: Tx, shared_id: UUID, channel: str) -> Post | None:
    cards = await tx.posts.of(DIAGNOSIS_SURFACE, str(shared_id))
    return next((card for card in cards if channel in (card.channel, card.posted_in)), None)


async def last_in_thread(
    tx: Tx, card: Post, shared: PastDiagnosis, other_than: UUID | None = None
) -> PastDiagnosis:
    """The newest result that the thread has told of; the shared one when it has told of none."""
    ids = [UUID(post.key) for post in await tx.posts.under(card.id) if post.surface == CHANGE_SURFACE]
    ids = [diagnosis_id for diagnosis_id in ids if diagnosis_id != other_than]
    return (await tx.diagnoses.get(ids[-1]) if ids else None) or shared


__all__ = [
    "CHANGE_SURFACE",
    "DIAGNOSIS_SURFACE",
    "keep",
    "kept_for_asker",
    "last_in_thread",
    "run_again_in_thread",
    "share",
    "whose",
]
