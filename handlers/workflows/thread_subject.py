"""Whom a thread is about, told by the card that it hangs below: a mention there need not name them."""

from __future__ import annotations

from uuid import UUID

from billing.acts import ACT_SURFACE
from handlers.workflows import diagnosed
from handlers.workflows.conversations import CONVERSATION_SURFACE
from handlers.workflows.profile_card import SUBSCRIBER_SURFACE
from notifier.tracking import DELIVERY_SURFACE
from store.models import Post
from store.unit import Tx


async def subject(tx: Tx, channel: str, thread_ts: str) -> str:
    """In the words of `find`, the invoice where the card is about one; empty: the thread is about nobody."""
    post = await tx.posts.at(channel, thread_ts)
    if post is None:
        return ""
    owner: UUID | None
    if post.surface == DELIVERY_SURFACE:
        notification = await tx.notifications.get(UUID(post.key))
        if notification is None:
            return ""
        invoice = await tx.invoices.by_id(notification.invoice_id) if notification.invoice_id else None
        if invoice is not None:
            return f"invoice {invoice.number}"
        owner = notification.subscriber_id
    else:
        owner = await _owner(tx, post)
    subscriber = await tx.subscribers.by_id(owner) if owner is not None else None
    return f"account {subscriber.account}" if subscriber is not None else ""


async def _owner(tx: Tx, post: Post) -> UUID | None:
    if post.surface == SUBSCRIBER_SURFACE:
        return UUID(post.key.partition(":")[0])
    if post.surface == CONVERSATION_SURFACE:
        conversation = await tx.conversations.get(UUID(post.key))
        return conversation.subscriber_id if conversation is not None else None
    if post.surface == ACT_SURFACE:
        act = await tx.acts.get(UUID(post.key))
        return act.subscriber_id if act is not None else None
    if post.surface == diagnosed.DIAGNOSIS_SURFACE:
        _, subscriber, _ = await diagnosed.whose(tx, UUID(post.key))
        return subscriber.id
    return None
