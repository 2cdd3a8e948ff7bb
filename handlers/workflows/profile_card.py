"""Everything that a subscriber's card shows, read in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from billing import holds
from handlers.cards import CardData, KnownIncident, Notice
from handlers.profile import TenantProfile
from handlers.workflows.lookup import payer_of
from store.filed import Filed
from store.models import Aside, Invoice, Notification, NotificationKind, Subscriber
from store.unit import Tx

SUBSCRIBER_SURFACE = "subscriber"
"""The posts that show a shared card; their key is the subscriber's id, and what it was shared from."""


async def load_card(
    tx: Tx, profile: TenantProfile, subscriber: Subscriber, named: Invoice | None = None
) -> CardData:
    payer = await payer_of(tx, subscriber)
    points = await tx.subscribers.points([subscriber.id, payer.id])
    everything = [*points[subscriber.id], *points[payer.id]]
    suppressed = await tx.suppressions.active([(p.channel, p.address) for p in everything])
    notices, _ = await page_of_notices(tx, subscriber_ids=[subscriber.id], limit=1)
    return CardData(
        subscriber=subscriber,
        payer=payer,
        billed_for=tuple(await tx.subscribers.billed_to(subscriber.account)),
        points=tuple(points[subscriber.id]),
        payer_points=tuple(points[payer.id]),
        suppressed=frozenset(address for _, address in suppressed),
        packages=tuple(await tx.packages.of_subscriber(subscriber.id)),
        invoices=tuple(await tx.invoices.latest(subscriber.id, 3)),
        notes=tuple(await tx.notes.of_subscriber(subscriber.id)),
        holds=await holds.touching(tx, subscriber),
        last_notice=notices[0] if notices else None,
        now=tx.now,
        today=tx.now.astimezone(profile.time_zone).date(),
        overrides=tuple((await tx.overrides.active([subscriber.id])).get(subscriber.id, ())),
        named=named,
        incidents=await known_incidents(tx, subscriber),
        legal_holds=tuple(await tx.legal_holds.standing(subscriber.id)),
    )


async def known_incidents(tx: Tx, subscriber: Subscriber) -> tuple[KnownIncident, ...]:
    """Those that caught messages about this account; unresolved ones only."""
    found = (await tx.incidents.of_subscribers([subscriber.id]))[subscriber.id]
    people = await tx.incidents.people([incident.id for incident in found])
    return tuple(KnownIncident(incident, people[incident.id]) for incident in found)


async def load_notices(tx: Tx, notifications: list[Notification]) -> list[Notice]:
    """With deliveries and their events, in the order given."""
    deliveries = await tx.deliveries.of_notifications([n.id for n in notifications])
    refs = [(d.tenant, d.id) for ds in deliveries.values() for d in ds]
    events = await tx.events.of(refs)
    incidents = await tx.incidents.of_deliveries([did for _, did in refs])
    invoices = await tx.invoices.by_ids([n.invoice_id for n in notifications if n.invoice_id])
    asides = await tx.failures.asides([n.id for n in notifications])
    return [
        Notice(
            notification=n,
            invoice=invoices.get(n.invoice_id) if n.invoice_id else None,
            # By address: the order of their ids, which are hashes, would mean nothing to a person.
            deliveries=tuple(sorted(deliveries[n.id], key=lambda d: d.address)),
            events={d.id: tuple(events[(d.tenant, d.id)]) for d in deliveries[n.id]},
            incidents={d.id: incidents[d.id] for d in deliveries[n.id] if d.id in incidents},
            aside={d.id: asides[d.id] for d in deliveries[n.id] if d.id in asides},
        )
        for n in notifications
    ]


async def page_of_notices(
    tx: Tx,
    *,
    subscriber_ids: Sequence[UUID] = (),
    invoice_id: UUID | None = None,
    offset: int = 0,
    limit: int = 5,
) -> tuple[list[Notice], int]:
    """Newest first, the archived ones behind the live ones; and how many there are in all."""
    about: dict[str, Any] = {"subscriber_ids": subscriber_ids, "invoice_id": invoice_id}
    live, total = await tx.notifications.page(**about, offset=offset, limit=limit)
    found = await load_notices(tx, live)
    room = limit - len(found)
    groups, archived = await tx.notices.page(**about, offset=max(offset - total, 0), limit=room)
    return found + await archived_notices(tx, groups), total + archived


async def notice_of(tx: Tx, notification_id: UUID) -> Notice | None:
    """Live or archived; None: it is not on file (any more)."""
    notification = await tx.notifications.get(notification_id)
    if notification is not None:
        return (await load_notices(tx, [notification]))[0]
    kept = await tx.notices.of_notifications([notification_id])
    return (await archived_notices(tx, list(kept.values())))[0] if kept else None


async def archived_notices(tx: Tx, groups: Sequence[Sequence[Filed]]) -> list[Notice]:
    """Each group is one notification's messages."""
    ids = [group[0].notification.invoice_id for group in groups]
    invoices = await tx.invoices.by_ids([invoice_id for invoice_id in ids if invoice_id])
    return [
        Notice(
            notification=group[0].notification,
            invoice=invoices.get(invoice_id) if invoice_id else None,
            deliveries=tuple(filed.delivery for filed in group),
            events={filed.delivery.id: filed.events for filed in group},
            aside={filed.delivery.id: why for filed in group if (why := _aside(filed.notification))},
            archived_at=group[0].archived_at,
        )
        for group, invoice_id in zip(groups, ids, strict=True)
    ]


def _aside(notification: Notification) -> Aside | None:
    """As store.proof has it for live ones, of what the message itself says."""
    if notification.kind is not NotificationKind.RESEND:
        return None
    if notification.context.get("test_of"):
        return Aside.TEST
    return None if notification.context.get("on_file") else Aside.ELSEWHERE
