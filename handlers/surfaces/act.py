"""The card of a billing act, edited in place until the subscriber is told. Key: the act's id."""

from __future__ import annotations

from uuid import UUID

from billing.acts import ACT_SURFACE
from handlers.act_card import ActData, card
from handlers.contract import Services
from handlers.reply import Reply
from handlers.workflows.profile_card import load_notices
from store.models import ActKind, ActState
from store.unit import Tx


class ActSurface:
    name = ACT_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        async with services.store.read(tenant) as tx:
            data = await load(tx, UUID(key))
        return card(data, services.profile(tenant)) if data is not None else None


async def load(tx: Tx, act_id: UUID) -> ActData | None:
    act = await tx.acts.get(act_id)
    subscriber = await tx.subscribers.by_id(act.subscriber_id) if act else None
    if act is None or subscriber is None:
        return None
    packages = await tx.packages.of_subscriber(act.subscriber_id)
    later = [
        other
        for other in await tx.acts.of_subscriber(act.subscriber_id)
        if other.package_id == act.package_id and other.id > act.id and other.state is not ActState.FAILED
    ]
    undone = [o for o in later if o.kind is ActKind.UNSUSPEND and o.state is ActState.DONE]
    notification = await tx.notifications.get(act.id)
    return ActData(
        act=act,
        subscriber=subscriber,
        package=next((p for p in packages if p.id == act.package_id), None),
        notice=(await load_notices(tx, [notification]))[0] if notification else None,
        undone_by=undone[-1] if undone and act.kind is ActKind.SUSPEND else None,
        superseded=bool(later),
    )


SURFACE = ActSurface()
