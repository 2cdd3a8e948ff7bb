"""The last look before a message leaves: may this still be sent, now, to this address?

A port: `billing` fills it from the facts it mirrors. The worker asks right before each attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from store.models import Delivery, EventKind, Notification, Reason
from store.unit import Tx


@dataclass(frozen=True, slots=True)
class Go:
    """Nothing speaks against it."""


@dataclass(frozen=True, slots=True)
class Stop:
    """It must not go out any more; `sentence` says why to an agent."""

    kind: Literal[EventKind.SUPPRESSED, EventKind.CANCELLED, EventKind.EXPIRED]
    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: held until somebody or something releases it."""

    sentence: str
    by: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: queued again for `due_at`; `sentence` says until when, and why."""

    due_at: datetime
    sentence: str


Decision = Go | Stop | Wait | Later


class Truth(Protocol):
    async def check(
        self, tx: Tx, deliveries: Sequence[tuple[Delivery, Notification]]
    ) -> Mapping[UUID, Decision]:
        """A decision for every delivery id, from facts read in this transaction."""
        ...
