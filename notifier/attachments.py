"""What is attached to mails: the invoice's PDF, fetched right before an attempt and outside transactions.

A port: `billing` fills it with drawings that are made once per revision and kept. A mail whose PDF cannot
be drawn goes without it, and its text says so (docs/adr/0007-pdf-at-the-attempt.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol
from uuid import UUID

from notifier.channels import Accepted, SubmitOutcome
from notifier.mime import Attachment
from store.models import Channel, Delivery, Notification

WITHOUT_PDF = "sent without the PDF, which could not be drawn"


class Attachments(Protocol):
    async def invoice(self, tenant: int, invoice_id: UUID) -> Attachment | None:
        """The invoice's present revision; None when it cannot be drawn. Raises when the store is gone."""
        ...


class NoAttachments:
    """For workers that send no invoices."""

    async def invoice(self, tenant: int, invoice_id: UUID) -> Attachment | None:
        return None


async def attachments_of(
    port: Attachments, delivery: Delivery, notification: Notification
) -> tuple[Attachment, ...]:
    """What goes with this delivery; empty for texts, and where nothing is asked for or can be had."""
    if not wants_pdf(notification) or delivery.channel is not Channel.EMAIL:
        return ()
    assert notification.invoice_id is not None  # noqa: S101  # wants_pdf
    found = await port.invoice(delivery.tenant, notification.invoice_id)
    return () if found is None else (found,)


def wants_pdf(notification: Notification) -> bool:
    return notification.attach_pdf and notification.invoice_id is not None


def told(outcome: SubmitOutcome, *, missing: bool) -> SubmitOutcome:
    """The end of an attempt with a word about a PDF that was to be in it and is not."""
    if missing and isinstance(outcome, Accepted):
        return replace(outcome, text=f"{outcome.text} ({WITHOUT_PDF})")
    return outcome
