"""A conversation by text as cards and previews show it, read already. Pure: values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from notifier.sms_text import Segments
from store.models import Conversation, ConversationLine, Invoice, Subscriber

ASK_CANCEL = "ask:cancel"
"""Author of the line that asks colleagues what a "cancel" was about."""
ASK_ADDRESS = "ask:address:"
"""Author of the line that offers to mend with an address that they wrote: this, and the question's id."""
MEDIA = "media:"
"""Author of a line that stands for a file: this, and its content type."""


class Decision(StrEnum):
    """What a "cancel" was about."""

    TEXTS = "texts"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Talk:
    conversation: Conversation
    subscriber: Subscriber | None
    candidates: tuple[Subscriber, ...]
    """Whoever has this number on file."""
    next_invoice: Invoice | None
    opted_out: datetime | None
    """Since when."""
    last: ConversationLine | None
    last_by_itself: bool = False
    """Its words are the product's, whoever asked for them."""


@dataclass(frozen=True, slots=True)
class TextPlan:
    """One text as it would leave, before anybody presses Send."""

    talk: Talk
    segments: Segments
    """Of the exact text, the brand's name included."""
    price: Decimal | None
    """Of one segment; None: not known."""
    currency: str
    zones: tuple[ZoneInfo, ...]
    """Where the subscriber may be."""
    now: datetime
    in_window: bool
