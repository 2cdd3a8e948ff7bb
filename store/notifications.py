"""Notifications (what was wanted), their idempotency keys and their template sources."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, exists, func, null, select, tuple_, update

from store.bulk import Row as NewRow
from store.bulk import add_notifications, reserve_keys
from store.models import (
    Channel,
    Fallback,
    Notification,
    NotificationKind,
    Priority,
    RunState,
    TemplateSource,
)
from store.repository import BATCH, Repository, batched
from store.tables import idempotency, notifications, runs, template_sources


def _notification(row: Row[Any]) -> Notification:
    return Notification(
        id=row.id,
        kind=NotificationKind(row.kind),
        subscriber_id=row.subscriber_id,
        invoice_id=row.invoice_id,
        template_hash=row.template_hash,
        language=row.language,
        context=row.context,
        requested_by=row.requested_by,
        priority=Priority(row.priority),
        receipt=row.receipt,
        expires_at=row.expires_at,
        created_at=row.created_at,
        run_id=row.run_id,
        attach_pdf=row.attach_pdf,
        fallback=tuple(Fallback(Channel(c), address, route) for c, address, route in row.fallback or ()),
    )


def fallback_json(ways: Sequence[Fallback]) -> str | None:
    """As the column has it."""
    return json.dumps([[way.channel, way.address, way.route] for way in ways]) if ways else None


class Notifications(Repository):
    async def reserve(self, keys: Sequence[tuple[str, str, UUID]]) -> dict[str, tuple[str, UUID]]:
        """Claims (key, content hash, notification id); gives for every key whoever holds it."""
        first: dict[str, tuple[str, UUID]] = {}
        for key, content_hash, notification_id in keys:
            first.setdefault(key, (content_hash, notification_id))
        # In one order, so that two callers with the same keys never wait for each other.
        wanted = [(key, *first[key]) for key in sorted(first)]
        if wanted and await reserve_keys(self._tx.conn, self._tenant, wanted, self._tx.now) < len(wanted):
            for batch in batched(first, BATCH):
                statement = select(idempotency).where(
                    idempotency.c.tenant_id == self._tenant, idempotency.c.key.in_(batch)
                )
                for row in await self._tx.conn.execute(statement):
                    first[row.key] = (row.content_hash, row.notification_id)
        return first

    async def holders(self, keys: Sequence[str]) -> dict[str, UUID]:
        """The notification that each key stands for; keys never used are left out."""
        found: dict[str, UUID] = {}
        for batch in batched(keys, BATCH):
            statement = select(idempotency.c.key, idempotency.c.notification_id).where(
                idempotency.c.tenant_id == self._tenant, idempotency.c.key.in_(batch)
            )
            found.update((row.key, row.notification_id) for row in await self._tx.conn.execute(statement))
        return found

    async def add(self, items: Sequence[Notification]) -> None:
        await self.add_rows(
            [
                (
                    self._tenant,
                    item.id,
                    item.kind.value,
                    item.subscriber_id,
                    item.invoice_id,
                    item.template_hash,
                    item.language,
                    json.dumps(dict(item.context)),
                    item.requested_by,
                    int(item.priority),
                    item.receipt,
                    item.expires_at,
                    item.created_at,
                    item.run_id,
                    item.attach_pdf,
                    fallback_json(item.fallback),
                )
                for item in items
            ]
        )

    async def add_rows(self, rows: Sequence[NewRow]) -> None:
        """Rows of store.bulk.NOTIFICATION."""
        await add_notifications(self._tx.conn, rows)

    async def get(self, notification_id: UUID) -> Notification | None:
        return (await self.get_many([notification_id])).get(notification_id)

    async def get_many(self, ids: Sequence[UUID]) -> dict[UUID, Notification]:
        found: dict[UUID, Notification] = {}
        for batch in batched(ids, BATCH):
            rows = await self._tx.conn.execute(
                select(notifications).where(
                    notifications.c.tenant_id == self._tenant, notifications.c.id.in_(batch)
                )
            )
            found.update((row.id, _notification(row)) for row in rows)
        return found

    async def followed_by(self, refs: Sequence[tuple[int, UUID]], name: str) -> list[tuple[int, str, str]]:
        """(tenant, surface, key) that the context holds under `name`, once each, in order; across tenants."""
        found: set[tuple[int, str, str]] = set()
        c = notifications.c
        for batch in batched(refs, BATCH):
            statement = select(c.tenant_id, c.context).where(tuple_(c.tenant_id, c.id).in_(batch))
            for tenant, context in await self._tx.conn.execute(statement):
                if name in context:
                    surface, key = context[name]
                    found.add((tenant, surface, key))
        return sorted(found)

    async def lock_with_fallback(self, refs: Sequence[tuple[int, UUID]]) -> list[tuple[int, Notification]]:
        """Those of (tenant, id) that have an unused second way, locked in one order; across tenants.

        Those of a cancelled run have none any more: nothing of it is begun.
        """
        found: list[tuple[int, Notification]] = []
        c = notifications.c
        cancelled = exists().where(
            runs.c.tenant_id == c.tenant_id, runs.c.id == c.run_id, runs.c.state == RunState.CANCELLED
        )
        for batch in batched(sorted(set(refs)), BATCH):
            statement = (
                select(notifications)
                .where(tuple_(c.tenant_id, c.id).in_(batch), c.fallback.is_not(None), ~cancelled)
                .order_by(c.tenant_id, c.id)
                .with_for_update(of=notifications)
            )
            found += [(row.tenant_id, _notification(row)) for row in await self._tx.conn.execute(statement)]
        return [(tenant, notification) for tenant, notification in found if notification.fallback]

    async def fallback_used(self, refs: Sequence[tuple[int, UUID]]) -> None:
        """The second way was taken: it is offered once."""
        c = notifications.c
        for batch in batched(refs, BATCH):
            await self._tx.conn.execute(
                update(notifications).where(tuple_(c.tenant_id, c.id).in_(batch)).values(fallback=null())
            )

    async def page(
        self,
        *,
        subscriber_ids: Sequence[UUID] = (),
        invoice_id: UUID | None = None,
        offset: int = 0,
        limit: int = 5,
    ) -> tuple[list[Notification], int]:
        """Newest first, with how many there are in all."""
        where = [notifications.c.tenant_id == self._tenant]
        if invoice_id is not None:
            where.append(notifications.c.invoice_id == invoice_id)
        else:
            where.append(notifications.c.subscriber_id.in_(list(subscriber_ids)))
        total = await self._tx.conn.execute(select(func.count()).select_from(notifications).where(*where))
        rows = await self._tx.conn.execute(
            select(notifications)
            .where(*where)
            .order_by(notifications.c.id.desc())
            .offset(offset)
            .limit(limit)
        )
        return [_notification(row) for row in rows], int(total.scalar_one())

    async def keep_template(self, source: TemplateSource) -> None:
        insert = self._insert(template_sources).values(
            hash=source.hash,
            name=source.name,
            language=source.language,
            subject=source.subject,
            text=source.text,
            html=source.html,
            sms=source.sms,
            created_at=self._tx.now,
        )
        await self._tx.conn.execute(insert.on_conflict_do_nothing())

    async def template(self, content_hash: str) -> TemplateSource | None:
        row = (
            await self._tx.conn.execute(
                select(template_sources).where(template_sources.c.hash == content_hash)
            )
        ).first()
        if row is None:
            return None
        return TemplateSource(row.hash, row.name, row.language, row.subject, row.text, row.html, row.sms)
