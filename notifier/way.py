"""One route of a tenant as the worker sees it: who carries it, and how a message for it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from notifier.attachments import Attachments
from notifier.channels import AnyProvider, AnyRoute
from notifier.mime import Attachment
from store.models import Delivery, EventSource, Notification, TemplateSource

Compose = Callable[[Delivery, Notification, TemplateSource, Sequence[Attachment]], Any]
"""A delivery to what the channel's session takes; TemplateProblem or ValueError when it cannot be written."""
Weigh = Callable[[Delivery, Notification, TemplateSource], int]
"""What a delivery takes of its sender's limit: a text's segments."""


@dataclass(frozen=True, slots=True)
class Way:
    """One route of a tenant: who carries it, how a message for it is written, and who speaks of its ends."""

    tenant: int
    route: AnyRoute
    provider: AnyProvider
    compose: Compose
    source: EventSource
    attachments: Attachments | None = None
    """None: nothing is ever attached here."""
    weigh: Weigh | None = None
    """None: each message counts as one."""
