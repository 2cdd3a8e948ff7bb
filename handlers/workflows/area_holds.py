"""Holds on a town or a tag: what one touches, setting it; billing.holds says what it stops.

A lead's decision: it stops mail to many at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from difflib import get_close_matches
from uuid import UUID

from billing import holds
from billing.hold_words import subject_of
from handlers.contract import CommandRequest, Services, audit
from handlers.intents import redact_cards
from handlers.profile import Role
from handlers.reply import UserError
from handlers.sticky import REASON_MAX, AreaData
from store.models import TOWN, Hold
from store.subscribers import place_key
from store.types import derived_id

_TENANT_WIDE = UUID(int=0)
"""Ids of these holds are derived from the interaction alone: they are about no row that has an id."""
LONGEST = 60
"""Characters of a town or a tag: who holds a delivery is named in eighty."""


def allowed(request: CommandRequest, doing: str) -> None:
    if request.actor.role < Role.LEAD:
        raise UserError(
            f"{doing} a whole town or tag is a lead's decision.", "Ask a lead, or hold a single account."
        )


async def load(services: Services, tenant: int, scope: str, name: str) -> AreaData:
    """UserError, with what may have been meant, when nobody lives there or bears it."""
    profile = services.profile(tenant)
    async with services.store.read(tenant) as tx:
        area = await tx.areas.find(scope, name, holds.AREA_KINDS)
        if area is None:
            raise _unknown(scope, name, sorted(await tx.areas.names(scope)))
        today = tx.now.astimezone(profile.time_zone).date()
        standing = tuple(await tx.notes.of_area(scope, area.key))
    return AreaData(scope, area.key, area.accounts, area.waiting, standing, today)


def _unknown(scope: str, name: str, known: list[str]) -> UserError:
    keys = {place_key(one): one for one in known if one.strip()}
    near = [keys[key] for key in get_close_matches(place_key(name), keys, n=3, cutoff=0.6)]
    what = "lives in a town of that name" if scope == TOWN else "has that tag"
    step = f"Did you mean {' or '.join(near)}?" if near else ""
    if not near and keys:
        step = f"On file are: {', '.join(sorted(keys.values())[:8])}{', …' if len(keys) > 8 else ''}."
    if not keys:
        step = "No account has a tag yet: they come with the import, in a column called tags."
    return UserError(f"Nobody {what}.", step)


async def set_hold(
    services: Services, request: CommandRequest, data: AreaData, until: date, reason: str
) -> AreaData:
    """One hold a town or tag: a new one takes the place of the last. Run again it changes nothing."""
    allowed(request, "Holding")
    if len(reason) > REASON_MAX:
        raise UserError(f"The reason is longer than {REASON_MAX} characters.", "Keep it to a sentence.")
    if len(data.key) > LONGEST:
        raise UserError(f"That name is longer than {LONGEST} characters.", "Hold a tag instead.")
    hold_id = derived_id(_TENANT_WIDE, "hold", str(request.tenant), request.id)
    async with services.store.begin(request.tenant) as tx:
        before = [h for h in await tx.notes.of_area(data.scope, data.key) if h.id != hold_id]
        by = request.actor.user_id
        hold = Hold(hold_id, data.scope, data.key, until, redact_cards(reason), by, tx.now)
        if await tx.notes.add_hold(hold):  # else what others have set since counts
            for old in before:
                await tx.notes.end_hold(old.id, by)  # what waits goes on waiting
            await audit(
                tx,
                request,
                "hold.set",
                subject_of(hold),
                detail={
                    "until": until.isoformat(),
                    "hold": str(hold_id),
                    "accounts": data.accounts,
                    "waiting": data.waiting,
                    "instead_of": [str(h.id) for h in before],
                },
                personal={"reason": hold.reason},
            )
    loaded = await load(services, request.tenant, data.scope, data.key)
    return replace(loaded, instead_of=tuple(before))
