"""Sticky notes: written, listed, removed; who wrote and who removed stays in the audit."""

from __future__ import annotations

from uuid import UUID

from handlers.contract import CommandRequest, Services, audit
from handlers.intents import redact_cards
from handlers.reply import UserError
from handlers.sticky import MOST, TEXT_MAX, NoteData
from store.models import Note, NoteLevel, Subscriber
from store.types import derived_id


async def load(services: Services, tenant: int, subscriber_id: UUID) -> NoteData:
    async with services.store.read(tenant) as tx:
        subscriber = await tx.subscribers.by_id(subscriber_id)
        if subscriber is None:
            raise UserError("This subscriber is not on file any more.", "Look them up again.")
        return NoteData(subscriber, tuple(await tx.notes.of_subscriber(subscriber_id)))


async def add(
    services: Services, request: CommandRequest, subscriber: Subscriber, text: str, level: NoteLevel
) -> NoteData:
    """Run again it changes nothing; no card number is kept. UserError when there are too many, or it says too
    much.
    """
    if len(text) > TEXT_MAX:
        raise UserError(
            f"That is {len(text)} characters, and a note holds {TEXT_MAX}.",
            "Keep what everybody must see.",
        )
    text = redact_cards(text)
    note_id = derived_id(subscriber.id, "note", request.id)
    async with services.store.begin(request.tenant) as tx:
        standing = [n for n in await tx.notes.of_subscriber(subscriber.id) if n.id != note_id]
        if len(standing) >= MOST:
            raise UserError(f"This account has {MOST} notes already.", "Remove an old one first.")
        note = Note(note_id, subscriber.id, text, level, request.actor.user_id, tx.now)
        await tx.notes.add(note)
        await audit(
            tx,
            request,
            "note.add",
            f"account:{subscriber.account}",
            detail={"note": str(note_id), "level": level},
            personal={"text": text},
        )
    return await load(services, request.tenant, subscriber.id)


async def remove(services: Services, request: CommandRequest, note_id: UUID, subscriber_id: UUID) -> NoteData:
    """Removing what is gone already is no error: the list shows it."""
    async with services.store.begin(request.tenant) as tx:
        subscriber = await tx.subscribers.by_id(subscriber_id)
        if subscriber is not None and await tx.notes.remove(note_id, request.actor.user_id):
            detail = {"note": str(note_id)}
            await audit(tx, request, "note.remove", f"account:{subscriber.account}", detail=detail)
    return await load(services, request.tenant, subscriber_id)
