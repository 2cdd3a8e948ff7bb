"""Whom a thread is about, told by the card that it hangs below: a mention there need not name them."""

from __future__ import annotations

from uuid import UUID

from handlers.workflows import diagnosed
from handlers.workflows.conversations import CONVERSATION_SURFACE
from notifier.tracking import DELIVERY_SURFACE
from store.models import Post
from store.unit import Tx

SUBSCRIBER, ACT = "subscriber", "act"
"""Surfaces (handlers.surfaces) whose keys begin with the subscriber's id, and are an act's id."""


async def subject(tx: Tx, channel: str, thread_ts: str) -> str:
    """In the words of `find`, the invoice where the card is about one; empty: the thread is about nobody."""
    post = await tx.posts.at(channel, thread_ts)
    if post is None:
        return ""
    if post.surface == DELIVERY_SURFACE:
        return await _of_notification(tx, UUID(post.key))
    owner = await _owner(tx, post)
    subscriber = await tx.subscribers.by_id(owner) if owner is not None else None
    return f"account {subscriber.account}" if subscriber is not None else ""


async def _of_notification(tx: Tx, notification_id: UUID) -> str:
    notification = await tx.notifications.get(notification_id)
    if notification is None:
        return ""
    if notification.invoice_id is not None:
        found = await tx.invoices.by_ids([notification.invoice_id])
        if invoice := found.get(notification.invoice_id):
            return f"invoice {invoice.number}"
    owner = notification.subscriber_id
    subscriber = await tx.subscribers.by_id(owner) if owner is not None else None
    return f"account {subscriber.account}" if subscriber is not None else ""


async def _owner(tx: Tx, post: Post) -> UUID | None:
    if post.surface == SUBSCRIBER:
        return UUID(post.key.partition(":")[0])
    if post.surface == CONVERSATION_SURFACE:
        conversation = await tx.conversations.get(UUID(post.key))
        return conversation.subscriber_id if conversation is not None else None
    if post.surface == ACT:
        act = await tx.acts.get(UUID(post.key))
        return act.subscriber_id if act is not None else None
    if post.surface == diagnosed.DIAGNOSIS_SURFACE:
        _, subscriber, _ = await diagnosed.whose(tx, UUID(post.key))
        return subscriber.id
    return None
