"""What is kept of every message for seven years: of a recent one the live rows, of an older one its notice.

A notice is one delivery when its events have been moved out of the live tables (store.retention): everything
that a proof needs, in one row. Readers get both in one shape, and are told which it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Table, func, select

from store.filed import Asked, Count, Filed
from store.models import (
    ABOUT_NOBODY,
    Channel,
    Confidence,
    Delivery,
    Event,
    EventKind,
    EventSource,
    JsonObject,
    Notification,
    NotificationKind,
    Outcome,
    Priority,
    Reason,
    Stage,
)
from store.repository import BATCH, Repository, batched
from store.tables import deliveries, notices, notifications, template_sources

_INSTANTS = ("at", "recorded_at")


def event_json(event: Event, *, decided: bool = False) -> JsonObject:
    """An event as a notice keeps it: what is empty is left out, instants are ISO 8601 in UTC.

    `decided`: the delivery's outcome was read from it.
    """
    kept: dict[str, Any] = {
        "attempt": event.attempt,
        "kind": str(event.kind),
        "key": event.key,
        "source": str(event.source),
        "reason": str(event.reason),
        "confidence": str(event.confidence),
        "hard": event.hard,
        "reply_code": event.reply_code,
        "status": event.status,
        "diagnostic": event.diagnostic,
        "remote": event.remote,
        "cls": event.cls,
        "actor": event.actor,
        "took_ms": event.took_ms,
    }
    kept = {name: value for name, value in kept.items() if value not in ("", None, False)}
    if decided:
        kept["decided"] = True
    for name in _INSTANTS:
        if (instant := getattr(event, name)) is not None:
            kept[name] = instant.isoformat()
    return kept


def event_from_json(delivery_id: UUID, kept: Mapping[str, Any]) -> Event:
    plain = ("hard", "reply_code", "status", "diagnostic", "remote", "cls", "actor", "took_ms")
    return Event(
        delivery_id=delivery_id,
        attempt=int(kept["attempt"]) if "attempt" in kept else 0,
        kind=EventKind(kept["kind"]),
        key=kept["key"],
        at=datetime.fromisoformat(kept["at"]),
        recorded_at=datetime.fromisoformat(kept["recorded_at"]) if "recorded_at" in kept else None,
        source=EventSource(kept["source"]),
        reason=Reason(kept["reason"]),
        confidence=Confidence(kept["confidence"]),
        **{name: kept[name] for name in plain if name in kept},
    )


def _kept(row: Row[Any]) -> Filed:
    """A row of `notices` in the shape of the live rows that it was made of."""
    events = tuple(event_from_json(row.id, answer) for answer in row.answers)
    decided = next((e for e, kept in zip(events, row.answers, strict=True) if kept.get("decided")), None)
    notification = Notification(
        id=row.notification_id,
        kind=NotificationKind(row.kind),
        subscriber_id=row.subscriber_id,
        invoice_id=row.invoice_id,
        template_hash=row.template_hash,
        language=row.language,
        context=row.context,
        requested_by=row.requested_by,
        priority=Priority.NORMAL,
        receipt=False,
        expires_at=row.created_at,
        created_at=row.created_at,
    )
    delivery = Delivery(
        id=row.id,
        tenant=row.tenant_id,
        notification_id=row.notification_id,
        subscriber_id=row.subscriber_id,
        channel=Channel(row.channel),
        address=row.address,
        route=row.route,
        priority=Priority.NORMAL,
        stage=Stage.CLOSED,
        stage_reason=None,
        stage_by=None,
        due_at=row.created_at,
        attempt=row.attempts,
        outcome=Outcome(row.outcome),
        reason=Reason(row.reason),
        confidence=Confidence(row.confidence),
        outcome_at=row.outcome_at,
        cls=decided.cls if decided else "",
        diagnostic=decided.diagnostic if decided else "",
        remote=decided.remote if decided else "",
        message_id=row.message_id,
        expires_at=row.created_at,
        created_at=row.created_at,
        queue_id=row.queue_id,
    )
    return Filed(notification, delivery, events, row.content_hash, row.pdf_hash, row.archived_at)


class Notices(Repository):
    async def count(self, asked: Asked) -> Count:
        """Messages of that account or invoice; our own tests and letters are about nobody."""
        live = (
            select(func.count(), func.min(notifications.c.created_at))
            .select_from(notifications.join(deliveries, self._of_notification()))
            .where(*self._about(notifications, asked))
        )
        kept = select(func.count(), func.min(notices.c.created_at)).where(*self._about(notices, asked))
        here = (await self._tx.conn.execute(live)).one()
        away = (await self._tx.conn.execute(kept)).one()
        return Count(int(here[0]), int(away[0]), min((at for at in (here[1], away[1]) if at), default=None))

    async def filed(self, asked: Asked, limit: int) -> list[Filed]:
        """Oldest first: what is archived, then what is live."""
        statement = (
            select(notices)
            .where(*self._about(notices, asked))
            .order_by(notices.c.created_at, notices.c.id)
            .limit(limit)
        )
        found = [_kept(row) for row in await self._tx.conn.execute(statement)]
        return found + await self._filed_live(asked, limit - len(found))

    async def _filed_live(self, asked: Asked, limit: int) -> list[Filed]:
        statement = (
            select(
                notifications.c.id.label("notification_id"),
                deliveries.c.id,
                deliveries.c.content_hash,
                deliveries.c.pdf_hash,
            )
            .select_from(notifications.join(deliveries, self._of_notification()))
            .where(*self._about(notifications, asked))
            .order_by(notifications.c.created_at, notifications.c.id, deliveries.c.address)
            .limit(limit)
        )
        rows = (await self._tx.conn.execute(statement)).all()
        messages = await self._tx.notifications.get_many(list({row.notification_id for row in rows}))
        items = await self._tx.deliveries.get_many([row.id for row in rows])
        events = await self._tx.events.of([(self._tenant, row.id) for row in rows])
        return [
            Filed(
                messages[row.notification_id],
                items[row.id],
                tuple(events[(self._tenant, row.id)]),
                row.content_hash,
                row.pdf_hash,
            )
            for row in rows
        ]

    async def page(
        self,
        *,
        subscriber_ids: Sequence[UUID] = (),
        invoice_id: UUID | None = None,
        offset: int = 0,
        limit: int = 5,
    ) -> tuple[list[list[Filed]], int]:
        """Archived notifications, newest first, each with its messages; and how many there are in all."""
        c = notices.c
        about = c.invoice_id == invoice_id if invoice_id else c.subscriber_id.in_(list(subscriber_ids))
        where = (c.tenant_id == self._tenant, about)
        counted = select(func.count(c.notification_id.distinct())).where(*where)
        total = int((await self._tx.conn.execute(counted)).scalar_one())
        if not total or limit <= 0:
            return [], total
        newest = (
            select(c.notification_id)
            .where(*where)
            .group_by(c.notification_id)
            .order_by(func.max(c.created_at).desc(), c.notification_id.desc())
            .offset(offset)
            .limit(limit)
        )
        ids = list((await self._tx.conn.execute(newest)).scalars())
        found = await self.of_notifications(ids)
        return [found[notification_id] for notification_id in ids], total

    async def of_notifications(self, ids: Sequence[UUID]) -> dict[UUID, list[Filed]]:
        """Archived messages by their notification; those that are not archived are left out."""
        found: dict[UUID, list[Filed]] = {}
        c = notices.c
        for batch in batched(ids, BATCH):
            statement = (
                select(notices)
                .where(c.tenant_id == self._tenant, c.notification_id.in_(batch))
                .order_by(c.address, c.id)
            )
            for row in await self._tx.conn.execute(statement):
                found.setdefault(row.notification_id, []).append(_kept(row))
        return found

    async def template_names(self, hashes: Sequence[str]) -> dict[str, str]:
        """What each kept template source is called."""
        found: dict[str, str] = {}
        c = template_sources.c
        for batch in batched(sorted(set(hashes)), BATCH):
            statement = select(c.hash, c.name).where(c.hash.in_(batch))
            found.update((row.hash, row.name) for row in await self._tx.conn.execute(statement))
        return found

    def _of_notification(self) -> ColumnElement[bool]:
        d, n = deliveries.c, notifications.c
        return (d.tenant_id == n.tenant_id) & (d.notification_id == n.id)

    def _about(self, table: Table, asked: Asked) -> tuple[ColumnElement[bool], ...]:
        """Either table knows whom and what a message was about, of what kind it was, and since when it is."""
        c = table.c
        about = (
            c.invoice_id == asked.invoice_id if asked.invoice_id else c.subscriber_id == asked.subscriber_id
        )
        return (
            c.tenant_id == self._tenant,
            about,
            c.kind.not_in(ABOUT_NOBODY),
            c.created_at >= asked.since,
            c.created_at < asked.until,
        )


__all__ = ["Notices", "event_from_json", "event_json"]
