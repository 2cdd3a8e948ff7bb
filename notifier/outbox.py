"""Enqueueing: a notification and its deliveries, written in the caller's transaction.

A key makes asking twice one notification; the same key with other content is an error. What is sent is
frozen here: template by hash, language, context. Nothing is sent from here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from notifier.keys import Keyring
from notifier.templates import BUILT_IN, Templates
from store.bulk import UNTRIED, Row
from store.models import Channel, Fallback, NotificationKind, Priority, Recipient, TemplateSource
from store.notifications import fallback_json
from store.types import derived_id, new_id
from store.unit import Tx

_encode = json.JSONEncoder(sort_keys=True).encode
_quoted = json.encoder.encode_basestring_ascii


class KeyConflict(Exception):
    """The idempotency key was used before for other content."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What is wanted, before it has ids."""

    key: str
    kind: NotificationKind
    language: str
    context: Mapping[str, Any]
    recipients: Sequence[Recipient]
    route: str
    """By which e-mail goes."""
    requested_by: str
    sms_route: str = ""
    """By which texts go."""
    subscriber_id: UUID | None = None
    invoice_id: UUID | None = None
    priority: Priority = Priority.NORMAL
    receipt: bool = False
    not_before: datetime | None = None
    lifetime: timedelta = timedelta(days=3)
    run_id: UUID | None = None
    attach_pdf: bool = False
    fallback: Sequence[Fallback] = ()
    """Used when the first way is settled without success (notifier.fallback)."""
    id: UUID | None = None
    """The notification's id, where what it tells of has one already (a billing act)."""

    def content_hash(self) -> str:
        """What the caller asked for. Not the template: a new one must not make an old request another."""
        return _content_hash(self, _json(self.context))


def _json(context: Mapping[str, Any]) -> str:
    """The frozen context, in one spelling: it is stored like this, and part of what the key stands for."""
    return _encode(dict(context))


def _content_hash(draft: Draft, context: str) -> str:
    """SHA-256 of the JSON of [kind, language, context, [[channel, address], ...], invoice].

    Put together by hand, since a run does it a million times; the bytes are those of `json.dumps`, by which
    keys that stand in databases were hashed (tests/unit/notifier/test_outbox_hash.py).
    """
    recipients = ", ".join(
        f"[{_quoted(channel)}, {_quoted(address)}]"
        for channel, address in sorted((r.channel, r.address) for r in draft.recipients)
    )
    content = (
        f'[{_quoted(draft.kind)}, {_quoted(draft.language)}, {context}, [{recipients}], "{draft.invoice_id}"]'
    )
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Enqueued:
    key: str
    notification_id: UUID
    created: bool
    """False: this key had been enqueued before; nothing was added."""


class Outbox:
    """`message_id_domain` is the right side of every Message-ID, usually the envelope domain."""

    def __init__(
        self,
        keyring: Keyring,
        message_id_domain: Mapping[int, str],
        own: Mapping[int, Templates] | None = None,
    ) -> None:
        """`own`: the templates of the providers that have some of their own."""
        self._keyring, self._domains = keyring, message_id_domain
        self._own = dict(own or {})

    def templates(self, tenant: int) -> Templates:
        """What this provider's messages are rendered from when they are enqueued now."""
        return self._own.get(tenant, BUILT_IN)

    async def enqueue(self, tx: Tx, draft: Draft) -> Enqueued:
        return (await self.enqueue_many(tx, [draft]))[0]

    async def enqueue_many(self, tx: Tx, drafts: Sequence[Draft]) -> list[Enqueued]:
        """All in the caller's transaction, or none of it: KeyConflict (a key stands for other content) must
        leave the transaction, so that no key stays reserved for nothing.
        """
        templates = self.templates(tx.tenant)
        sources = [templates.load(draft.kind, draft.language) for draft in drafts]
        contexts = [_json(draft.context) for draft in drafts]
        wanted = [
            (draft.key, _content_hash(draft, context), draft.id or new_id())
            for draft, context in zip(drafts, contexts, strict=True)
        ]
        known = await tx.notifications.get_many([draft.id for draft in drafts if draft.id is not None])
        holders = await tx.notifications.reserve(wanted)
        results: list[Enqueued] = []
        notifications: list[Row] = []
        fresh: list[tuple[Draft, UUID]] = []
        for source in {source.hash: source for source in sources}.values():
            await tx.notifications.keep_template(source)
        for draft, source, context, (key, content, fresh_id) in zip(
            drafts, sources, contexts, wanted, strict=True
        ):
            held_content, held_id = holders[key]
            if held_content != content:
                raise KeyConflict(f"The key {key} stands for another message already.")
            created = held_id == fresh_id and held_id not in known
            results.append(Enqueued(key, held_id, created))
            if created:
                notifications.append(_notification(tx, draft, source, context, fresh_id))
                fresh.append((draft, fresh_id))
        if notifications:
            await tx.notifications.add_rows(notifications)
            await tx.deliveries.add_rows(self._deliveries(tx, fresh))
        return results

    def _deliveries(self, tx: Tx, drafts: Sequence[tuple[Draft, UUID]]) -> list[Row]:
        """Rows of store.bulk.DELIVERY for drafts and their notifications' ids."""
        # One address given twice is one delivery: its id is derived from it.
        each = {
            delivery_id(notification_id, r): (draft, notification_id, r)
            for draft, notification_id in drafts
            for r in draft.recipients
        }
        # Attempt 0: the Message-ID is the same on every attempt, so that mailboxes fold duplicates.
        tokens = self._keyring.delivery_tokens(tx.tenant, list(each))
        tenant, now, domain = tx.tenant, tx.now, self._domains[tx.tenant]
        return [
            (
                tenant,
                did,
                notification_id,
                recipient.subscriber_id or draft.subscriber_id,
                recipient.channel.value,
                recipient.address,
                draft.sms_route if recipient.channel is Channel.SMS else draft.route,
                int(draft.priority),
                draft.not_before or now,
                f"<{token}@{domain}>",
                expiry(draft, now),
                now,
                *UNTRIED,
            )
            for token, (did, (draft, notification_id, recipient)) in zip(tokens, each.items(), strict=True)
        ]


def expiry(draft: Draft, now: datetime) -> datetime:
    """When it is not worth sending any more."""
    return (draft.not_before or now) + draft.lifetime


def _notification(tx: Tx, draft: Draft, source: TemplateSource, context: str, notification_id: UUID) -> Row:
    """A row of store.bulk.NOTIFICATION."""
    return (
        tx.tenant,
        notification_id,
        draft.kind.value,
        draft.subscriber_id,
        draft.invoice_id,
        source.hash,
        source.language,
        context,
        draft.requested_by,
        int(draft.priority),
        draft.receipt,
        expiry(draft, tx.now),
        tx.now,
        draft.run_id,
        draft.attach_pdf,
        fallback_json(draft.fallback),
    )


def delivery_id(notification_id: UUID, recipient: Recipient) -> UUID:
    return derived_id(notification_id, "delivery", recipient.channel, recipient.address)


def email(address: str, subscriber_id: UUID | None = None) -> Recipient:
    return Recipient(Channel.EMAIL, address, subscriber_id)


def text(number: str, subscriber_id: UUID | None = None) -> Recipient:
    """`number` in E.164."""
    return Recipient(Channel.SMS, number, subscriber_id)
