"""What is removed by age, class by class, a batch at a time (docs/adr/0017).

Messages are not lost at the end of their first period: each delivery becomes one row of `notices`, with every
answer it got, in the transaction that removes the live rows. So a kill between two batches loses nothing, and
the next round goes on where this one was. What belongs to an account under a legal hold is passed over.

Ids are UUIDv7, so what is old stands at the beginning of each table's key: old rows are found without an
index on their age. Business time is never behind the ids' real time; the row's own instant decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Table, and_, delete, exists, func, literal, or_, select, tuple_

from store.models import Stage
from store.notices import event_json
from store.repository import BATCH, Repository, batched
from store.tables import (
    billing_filings,
    deliveries,
    diagnoses,
    events,
    idempotency,
    invoice_links,
    invoice_pdfs,
    invoices,
    legal_holds,
    notices,
    notifications,
    orphans,
    points,
    route_trials,
    sweep_cursors,
    template_sources,
)

MESSAGES = 200
"""Notifications archived in one transaction, with all their deliveries and events."""


class Kept(StrEnum):
    """What has a time of its own."""

    MESSAGES = "messages"
    NOTICES = "notices"
    KEYS = "keys"
    LINKS = "links"
    PDFS = "pdfs"
    REPORTS = "reports"
    DIAGNOSES = "diagnoses"
    TRIALS = "trials"
    TEMPLATES = "templates"
    FILINGS = "filings"


@dataclass(frozen=True, slots=True)
class Term:
    """How long, in calendar months and days, and what happens then, in words."""

    months: int
    days: int
    what: str
    then: str


TERMS: Mapping[Kept, Term] = {
    Kept.TRIALS: Term(13, 0, "Tests by two routes", "deleted"),
    Kept.MESSAGES: Term(13, 0, "Messages with their events", "moved to the notices"),
    Kept.NOTICES: Term(84, 0, "Notices (7 years)", "deleted"),
    Kept.KEYS: Term(84, 0, "Keys against sending twice", "deleted with the last trace of their message"),
    Kept.LINKS: Term(0, 90, "Invoice links, after their end", "deleted"),
    Kept.PDFS: Term(13, 0, "Drawn PDFs (their hashes stay)", "deleted; drawn again when asked for"),
    Kept.REPORTS: Term(0, 90, "Reports that matched no message", "deleted"),
    Kept.DIAGNOSES: Term(0, 400, "Diagnoses", "deleted"),
    Kept.FILINGS: Term(0, 90, "Entries written into billing's own books", "deleted; they stand there"),
    Kept.TEMPLATES: Term(84, 0, "Template sources that nothing refers to", "deleted"),
}
"""In the order in which they are gone through."""


def before(now: datetime, kept: Kept) -> datetime:
    """What is older than that is past its time. The 31st of a shorter month is its last day."""
    term = TERMS[kept]
    month = now.year * 12 + now.month - 1 - term.months
    first = now.replace(year=month // 12, month=month % 12 + 1, day=1)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(now.day, last.day)) - timedelta(days=term.days)


@dataclass(frozen=True, slots=True)
class Due:
    """How many rows are past their time, and how many of those a legal hold keeps."""

    removable: int
    held: int


@dataclass(frozen=True, slots=True)
class Archived:
    """One batch. `last`: where the next one goes on; None: nothing is left."""

    messages: int
    last: UUID | None


def _bound(at: datetime) -> UUID:
    """The least UUIDv7 of that millisecond (RFC 9562 section 5.7)."""
    return UUID(int=max(int(at.timestamp() * 1000), 0) << 80)


def _held(account: ColumnElement[Any], tenant: ColumnElement[int]) -> ColumnElement[bool]:
    """A legal hold stands on this subscriber."""
    h = legal_holds.c
    return exists(
        select(literal(1))
        .select_from(legal_holds)
        .where(h.tenant_id == tenant, h.subscriber_id == account, h.ended_at.is_(None))
        .correlate_except(legal_holds)
    )


def _message_held(message: Any) -> ColumnElement[bool]:
    """Its account, whose invoice it is about, or whoever it was sent to."""
    m, d, i = message.c, deliveries.c, invoices.c
    sent_to = exists(
        select(literal(1))
        .select_from(deliveries)
        .where(d.tenant_id == m.tenant_id, d.notification_id == m.id, _held(d.subscriber_id, d.tenant_id))
        .correlate_except(deliveries)
    )
    return or_(_held(m.subscriber_id, m.tenant_id), sent_to, _invoice_held(m.invoice_id, m.tenant_id, i))


def _invoice_held(invoice: ColumnElement[Any], tenant: ColumnElement[int], i: Any) -> ColumnElement[bool]:
    return exists(
        select(literal(1))
        .select_from(invoices)
        .where(i.tenant_id == tenant, i.id == invoice, _held(i.subscriber_id, i.tenant_id))
        .correlate_except(invoices)
    )


def _report_held() -> ColumnElement[bool]:
    """Matched to a message of a held account, or about an address that is on file for one."""
    o, p, d = orphans.c, points.c, deliveries.c
    on_file = exists(
        select(literal(1))
        .select_from(points)
        .where(
            p.tenant_id == o.tenant_id,
            p.address == func.lower(o.recipient),
            _held(p.subscriber_id, p.tenant_id),
        )
        .correlate_except(points)
    )
    matched = exists(
        select(literal(1))
        .select_from(deliveries)
        .where(d.tenant_id == o.tenant_id, d.id == o.delivery_id, _held(d.subscriber_id, d.tenant_id))
        .correlate_except(deliveries)
    )
    return or_(on_file, matched)


def _key_in_use() -> ColumnElement[bool]:
    k, n, m = idempotency.c, notices.c, notifications.c
    kept = exists().where(n.tenant_id == k.tenant_id, n.notification_id == k.notification_id)
    live = exists().where(m.tenant_id == k.tenant_id, m.id == k.notification_id)
    return or_(kept.correlate(idempotency), live.correlate(idempotency))


@dataclass(frozen=True, slots=True)
class _Rule:
    """A table whose old rows are simply deleted. `birth`: the UUIDv7 by which its key is in order of age."""

    table: Table
    key: tuple[str, ...]
    at: str
    birth: str | None
    held: Callable[[], ColumnElement[bool]]


def _nobody() -> ColumnElement[bool]:
    return literal(1) == literal(0)


_RULES: Mapping[Kept, _Rule] = {
    Kept.NOTICES: _Rule(
        notices,
        ("id",),
        "created_at",
        "id",
        lambda: or_(
            _held(notices.c.subscriber_id, notices.c.tenant_id),
            _invoice_held(notices.c.invoice_id, notices.c.tenant_id, invoices.c),
        ),
    ),
    Kept.KEYS: _Rule(idempotency, ("key",), "created_at", None, _key_in_use),
    Kept.LINKS: _Rule(
        invoice_links,
        ("id",),
        "expires_at",
        "id",
        lambda: _held(invoice_links.c.subscriber_id, invoice_links.c.tenant_id),
    ),
    Kept.PDFS: _Rule(
        invoice_pdfs,
        ("invoice_id", "revision"),
        "created_at",
        "invoice_id",
        lambda: _invoice_held(invoice_pdfs.c.invoice_id, invoice_pdfs.c.tenant_id, invoices.c),
    ),
    Kept.REPORTS: _Rule(orphans, ("id",), "received_at", "id", _report_held),
    Kept.DIAGNOSES: _Rule(
        diagnoses,
        ("id",),
        "created_at",
        "id",
        lambda: _held(diagnoses.c.subscriber_id, diagnoses.c.tenant_id),
    ),
    Kept.FILINGS: _Rule(
        billing_filings,
        ("id",),
        "created_at",
        None,
        lambda: _held(billing_filings.c.subscriber_id, billing_filings.c.tenant_id),
    ),
    Kept.TRIALS: _Rule(route_trials, ("id",), "created_at", "id", _nobody),
}


def _old(rule: _Rule, at: datetime, tenant: int) -> list[ColumnElement[bool]]:
    c = rule.table.c
    where = [c.tenant_id == tenant, c[rule.at] < at]
    return [*where, c[rule.birth] < _bound(at)] if rule.birth else where


class Retention(Repository):
    """One tenant's; templates are everybody's."""

    async def due(self, kept: Kept) -> Due:
        """Counted for a dry run; nothing is changed."""
        at = before(self._tx.now, kept)
        if kept is Kept.TEMPLATES:
            counted = select(func.count()).select_from(template_sources).where(*_unused_templates(at))
            return Due(int((await self._tx.conn.execute(counted)).scalar_one()), 0)
        if kept is Kept.MESSAGES:
            table, where, held = notifications, self._settled(at), _message_held(notifications)
        else:
            rule = _RULES[kept]
            table, where, held = rule.table, _old(rule, at, self._tenant), rule.held()
        counted = select(func.count()).select_from(table).where(*where)
        everything = int((await self._tx.conn.execute(counted)).scalar_one())
        spared = int((await self._tx.conn.execute(counted.where(held))).scalar_one()) if everything else 0
        return Due(everything - spared, spared)

    async def remove(self, kept: Kept, limit: int = BATCH) -> int:
        """Deletes up to so many rows that are past their time; fewer than `limit`: nothing is left."""
        at = before(self._tx.now, kept)
        if kept is Kept.TEMPLATES:
            gone = await self._tx.conn.execute(delete(template_sources).where(*_unused_templates(at)))
            return int(gone.rowcount)
        rule = _RULES[kept]
        key = [rule.table.c[name] for name in rule.key]
        chosen = select(*key).where(*_old(rule, at, self._tenant), ~rule.held()).order_by(*key).limit(limit)
        rows = [tuple(row) for row in await self._tx.conn.execute(chosen)]
        for batch in batched(rows, BATCH):
            await self._tx.conn.execute(
                delete(rule.table).where(rule.table.c.tenant_id == self._tenant, tuple_(*key).in_(batch))
            )
        return len(rows)

    async def archive(self, after: UUID | None = None, limit: int = MESSAGES) -> Archived:
        """Moves the oldest settled notifications behind `after` to `notices`, each with all its deliveries.

        The deliveries are locked first: a report that comes meanwhile waits, and then finds the message gone,
        which keeps it as unmatched (store.orphans).
        """
        at, n, d = before(self._tx.now, Kept.MESSAGES), notifications.c, deliveries.c
        old = [n.tenant_id == self._tenant, n.id < _bound(at), n.created_at < at]
        if after is not None:
            old.append(n.id > after)
        chosen = select(notifications).where(*old).order_by(n.id).limit(limit)
        messages = {row.id: row for row in await self._tx.conn.execute(chosen)}
        if not messages:
            return Archived(0, None)
        last = max(messages)
        locked = (
            select(deliveries)
            .where(d.tenant_id == self._tenant, d.notification_id.in_(list(messages)))
            .order_by(d.id)
            .with_for_update()
        )
        items = (await self._tx.conn.execute(locked)).all()
        stay = {item.notification_id for item in items if item.stage != Stage.CLOSED}
        stay |= await self._held_of(messages, items)
        going = {one: row for one, row in messages.items() if one not in stay}
        leaving = [item for item in items if item.notification_id in going]
        await self._keep(going, leaving)
        await self._forget(list(going), [item.id for item in leaving])
        return Archived(len(leaving), last)

    async def _held_of(self, messages: Mapping[UUID, Row[Any]], items: Sequence[Row[Any]]) -> set[UUID]:
        """Those that a legal hold keeps: on their account, on whoever was written to, or on whose invoice."""
        h, i = legal_holds.c, invoices.c
        standing = select(h.subscriber_id).where(h.tenant_id == self._tenant, h.ended_at.is_(None))
        held = set((await self._tx.conn.execute(standing)).scalars())
        if not held:
            return set()
        about = {row.invoice_id for row in messages.values() if row.invoice_id}
        owned = select(i.id).where(i.tenant_id == self._tenant, i.id.in_(about), i.subscriber_id.in_(held))
        of_held = set((await self._tx.conn.execute(owned)).scalars())
        found = {
            one for one, row in messages.items() if row.subscriber_id in held or row.invoice_id in of_held
        }
        return found | {item.notification_id for item in items if item.subscriber_id in held}

    async def last_round(self, name: str) -> datetime | None:
        """When a round of this tenant last came to its end; None: never."""
        c = sweep_cursors.c
        statement = select(c.at).where(c.tenant_id == self._tenant, c.name == name)
        found: datetime | None = (await self._tx.conn.execute(statement)).scalar_one_or_none()
        return found

    async def round_done(self, name: str) -> None:
        await self._upsert(
            sweep_cursors, ("name",), [{"tenant_id": self._tenant, "name": name, "at": self._tx.now}]
        )

    def _settled(self, at: datetime) -> list[ColumnElement[bool]]:
        n, d = notifications.c, deliveries.c
        open_still = exists().where(
            d.tenant_id == n.tenant_id, d.notification_id == n.id, d.stage != Stage.CLOSED
        )
        return [n.tenant_id == self._tenant, n.id < _bound(at), n.created_at < at, ~open_still]

    async def _keep(self, messages: Mapping[UUID, Row[Any]], items: Sequence[Row[Any]]) -> None:
        told = await self._tx.events.of([(item.tenant_id, item.id) for item in items])
        rows = []
        for item in items:
            message = messages[item.notification_id]
            decided = (item.diagnostic, item.remote, item.cls)
            history = told[(item.tenant_id, item.id)]
            deciding = next(
                (e for e in reversed(history) if (e.diagnostic, e.remote, e.cls) == decided), None
            )
            rows.append(
                {
                    "tenant_id": item.tenant_id,
                    "id": item.id,
                    "notification_id": message.id,
                    "subscriber_id": message.subscriber_id or item.subscriber_id,
                    "invoice_id": message.invoice_id,
                    "kind": message.kind,
                    "channel": item.channel,
                    "address": item.address,
                    "route": item.route,
                    "template_hash": message.template_hash,
                    "language": message.language,
                    "context": message.context,
                    "content_hash": item.content_hash,
                    "pdf_hash": item.pdf_hash,
                    "message_id": item.message_id,
                    "queue_id": item.queue_id,
                    "requested_by": message.requested_by,
                    "outcome": item.outcome,
                    "reason": item.reason,
                    "confidence": item.confidence,
                    "outcome_at": item.outcome_at,
                    "attempts": item.attempt,
                    "answers": [event_json(e, decided=e is deciding) for e in history],
                    "created_at": message.created_at,
                    "archived_at": self._tx.now,
                }
            )
        for batch in batched(rows, BATCH):
            await self._tx.conn.execute(self._insert(notices).values(batch).on_conflict_do_nothing())

    async def _forget(self, ids: Sequence[UUID], items: Sequence[UUID]) -> None:
        """The live rows, now that each delivery has its notice; a notification goes with its last one."""
        e, d, n = events.c, deliveries.c, notifications.c
        kept = exists().where(notices.c.tenant_id == d.tenant_id, notices.c.id == d.id)
        for batch in batched(items, BATCH):
            await self._tx.conn.execute(
                delete(events).where(e.tenant_id == self._tenant, e.delivery_id.in_(batch))
            )
            await self._tx.conn.execute(
                delete(deliveries).where(d.tenant_id == self._tenant, d.id.in_(batch), kept)
            )
        left = exists().where(d.tenant_id == n.tenant_id, d.notification_id == n.id)
        for batch in batched(ids, BATCH):
            await self._tx.conn.execute(
                delete(notifications).where(n.tenant_id == self._tenant, n.id.in_(batch), ~left)
            )


def _unused_templates(at: datetime) -> tuple[ColumnElement[bool], ...]:
    t = template_sources.c
    live = exists().where(notifications.c.template_hash == t.hash)
    kept = exists().where(notices.c.template_hash == t.hash)
    return (and_(t.created_at < at, ~live, ~kept),)


__all__ = ["TERMS", "Archived", "Due", "Kept", "Retention", "Term", "before"]
