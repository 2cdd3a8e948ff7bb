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

from notifier import templates
from notifier.keys import DeliveryToken, Keyring
from store.models import (
    Channel,
    Confidence,
    Delivery,
    Fallback,
    Notification,
    NotificationKind,
    Outcome,
    Priority,
    Reason,
    Recipient,
    Stage,
)
from store.types import derived_id, new_id
from store.unit import Tx


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
        content = [
            self.kind,
            self.language,
            dict(self.context),
            sorted((r.channel, r.address) for r in self.recipients),
            str(self.invoice_id),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Enqueued:
    key: str
    notification_id: UUID
    created: bool
    """False: this key had been enqueued before; nothing was added."""


class Outbox:
    """`message_id_domain` is the right side of every Message-ID, usually the envelope domain."""

    def __init__(self, keyring: Keyring, message_id_domain: Mapping[int, str]) -> None:
        self._keyring, self._domains = keyring, message_id_domain

    async def enqueue(self, tx: Tx, draft: Draft) -> Enqueued:
        return (await self.enqueue_many(tx, [draft]))[0]

    async def enqueue_many(self, tx: Tx, drafts: Sequence[Draft]) -> list[Enqueued]:
        """All in the caller's transaction, or none of it: KeyConflict (a key stands for other content) must
        leave the transaction, so that no key stays reserved for nothing.
        """
        sources = [templates.load(draft.kind, draft.language) for draft in drafts]
        wanted = [(draft.key, draft.content_hash(), draft.id or new_id()) for draft in drafts]
        known = await tx.notifications.get_many([draft.id for draft in drafts if draft.id is not None])
        holders = await tx.notifications.reserve(wanted)
        results: list[Enqueued] = []
        notifications: list[Notification] = []
        deliveries: list[Delivery] = []
        for source in {source.hash: source for source in sources}.values():
            await tx.notifications.keep_template(source)
        for draft, source, (key, content, fresh_id) in zip(drafts, sources, wanted, strict=True):
            held_content, held_id = holders[key]
            if held_content != content:
                raise KeyConflict(f"The key {key} stands for another message already.")
            created = held_id == fresh_id and held_id not in known
            results.append(Enqueued(key, held_id, created))
            if not created:
                continue
            notification = self._notification(tx, draft, source.hash, source.language, fresh_id)
            notifications.append(notification)
            deliveries += self._deliveries(tx, draft, notification)
        if notifications:
            await tx.notifications.add(notifications)
            await tx.deliveries.add(deliveries)
        return results

    def _notification(
        self, tx: Tx, draft: Draft, template_hash: str, language: str, notification_id: UUID
    ) -> Notification:
        return Notification(
            id=notification_id,
            kind=draft.kind,
            subscriber_id=draft.subscriber_id,
            invoice_id=draft.invoice_id,
            template_hash=template_hash,
            language=language,
            context=draft.context,
            requested_by=draft.requested_by,
            priority=draft.priority,
            receipt=draft.receipt,
            expires_at=(draft.not_before or tx.now) + draft.lifetime,
            created_at=tx.now,
            run_id=draft.run_id,
            attach_pdf=draft.attach_pdf,
            fallback=tuple(draft.fallback),
        )

    def _deliveries(self, tx: Tx, draft: Draft, notification: Notification) -> list[Delivery]:
        # One address given twice is one delivery: its id is derived from it.
        unique = {delivery_id(notification.id, r): r for r in draft.recipients}
        return [
            Delivery(
                id=did,
                tenant=tx.tenant,
                notification_id=notification.id,
                subscriber_id=recipient.subscriber_id or draft.subscriber_id,
                channel=recipient.channel,
                address=recipient.address,
                route=draft.sms_route if recipient.channel is Channel.SMS else draft.route,
                priority=draft.priority,
                stage=Stage.QUEUED,
                stage_reason=None,
                stage_by=None,
                due_at=draft.not_before or tx.now,
                attempt=0,
                outcome=Outcome.NONE,
                reason=Reason.NONE,
                confidence=Confidence.UNKNOWN,
                outcome_at=None,
                cls="",
                diagnostic="",
                remote="",
                message_id=self._message_id(tx.tenant, did),
                expires_at=notification.expires_at,
                created_at=tx.now,
            )
            for did, recipient in unique.items()
        ]

    def _message_id(self, tenant: int, did: UUID) -> str:
        """Attempt 0: the Message-ID is the same on every attempt, so that mailboxes fold duplicates."""
        token = self._keyring.delivery_token(DeliveryToken(tenant, did, 0))
        return f"<{token}@{self._domains[tenant]}>"


def delivery_id(notification_id: UUID, recipient: Recipient) -> UUID:
    return derived_id(notification_id, "delivery", recipient.channel, recipient.address)


def email(address: str, subscriber_id: UUID | None = None) -> Recipient:
    return Recipient(Channel.EMAIL, address, subscriber_id)


def text(number: str, subscriber_id: UUID | None = None) -> Recipient:
    """`number` in E.164."""
    return Recipient(Channel.SMS, number, subscriber_id)
