"""Setting, moving and ending a hold on an account; billing.holds says what it stops."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

from billing import holds
from billing.hold_words import subject_of, thing
from handlers.contract import CommandRequest, Services, audit
from handlers.intents import redact_cards
from handlers.reply import UserError
from handlers.standing import elsewhere
from handlers.sticky import REASON_MAX, HoldData
from handlers.workflows import area_holds
from store.models import ACCOUNT, Hold, Subscriber
from store.types import derived_id


async def load(services: Services, tenant: int, subscriber_id: UUID) -> HoldData:
    profile = services.profile(tenant)
    async with services.store.read(tenant) as tx:
        subscriber = await tx.subscribers.by_id(subscriber_id)
        if subscriber is None:
            raise UserError("This subscriber is not on file any more.", "Look them up again.")
        standing = tuple(await tx.notes.holds_of(subscriber.account))
        today = tx.now.astimezone(profile.time_zone).date()
    there = elsewhere(profile.billing, profile.billing_link, subscriber)
    by_itself = services.billing[tenant].acts_by_itself or there is not None
    return HoldData(subscriber, standing, today, by_itself)


async def set_hold(
    services: Services, request: CommandRequest, subscriber: Subscriber, until: date, reason: str
) -> HoldData:
    """One hold an account: a new one takes the place of the last. Run again it changes nothing."""
    if len(reason) > REASON_MAX:
        raise UserError(f"The reason is longer than {REASON_MAX} characters.", "Keep it to a sentence.")
    reason = redact_cards(reason)
    hold_id = derived_id(subscriber.id, "hold", request.id)
    async with services.store.begin(request.tenant) as tx:
        before = [h for h in await tx.notes.holds_of(subscriber.account) if h.id != hold_id]
        hold = Hold(hold_id, "account", subscriber.account, until, reason, request.actor.user_id, tx.now)
        if await tx.notes.add_hold(hold):  # else what others have set since counts
            for old in before:
                await tx.notes.end_hold(old.id, request.actor.user_id)  # what waits goes on waiting
            await audit(
                tx,
                request,
                "hold.set",
                f"account:{subscriber.account}",
                detail={
                    "until": until.isoformat(),
                    "hold": str(hold_id),
                    "instead_of": [str(h.id) for h in before],
                },
                personal={"reason": reason},
            )
    return replace(await load(services, request.tenant, subscriber.id), instead_of=tuple(before))


async def end_hold(services: Services, request: CommandRequest, hold_id: UUID) -> Hold:
    """UserError when it has ended already."""
    async with services.store.begin(request.tenant) as tx:
        hold = await tx.notes.hold(hold_id)
        if hold is None:
            raise UserError("This hold is not on file any more.")
        if hold.scope != ACCOUNT:
            area_holds.allowed(request, "Letting go of")
        ended = await holds.end(tx, hold, request.actor.user_id)
        if ended:
            await audit(tx, request, "hold.end", subject_of(hold), detail={"hold": str(hold_id)})
        elif hold.ended_by != request.actor.user_id:
            raise UserError(f"The hold on {thing(hold.scope, hold.scope_key)} has ended already.")
    return hold
