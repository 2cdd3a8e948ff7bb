"""May this leave now? Asked after the truth check and before the send: limits, and breakers.

A port, as `notifier.truth` is one: the worker asks, and tells how each attempt ended. Truth is about the
message (may it still be sent?), admission about the way (is there room for it now?).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifier.channels import SubmitOutcome
from notifier.connections import Share
from notifier.way import Way
from store.models import Delivery, Priority


@dataclass(frozen=True, slots=True)
class Wish:
    """A delivery that may go by the facts; `weight` is what it takes of a limit (a text: its segments), 0
    where it has its slot already and only asks whether anything has come in between."""

    delivery: Delivery
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Admit:
    """It may go; not before `at` (of `time.monotonic`; 0: at once)."""

    at: float = 0.0


@dataclass(frozen=True, slots=True)
class NotBefore:
    """Queued again for `due_at` (business time), which is its place in the line of that limit."""

    due_at: datetime
    sentence: str
    limit_key: str


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Held by `by` until that releases it; `sentence` says why to an agent."""

    sentence: str
    by: str


Admission = Admit | NotBefore | HeldBy


class Gate(Protocol):
    async def allowance(self, way: Way, highest: Priority, wanted: int) -> int:
        """How many are worth claiming now: what would only wait for its route's limit stays queued.

        Waits a moment for room where there is none, and may still say 0.
        """
        ...

    def share(self, way: Way, wanted: int) -> Share:
        """The connections that this worker may hold for what is not urgent; asked once, at the start."""
        ...

    def patience(self, way: Way, poll_s: float) -> float:
        """How long to wait for news when nothing is due; shorter while a line moves."""
        ...

    async def admit(self, way: Way, wishes: Sequence[Wish]) -> Mapping[UUID, Admission]:
        """A decision for every delivery id. Never called inside a transaction: it has its own."""
        ...

    def ended(self, way: Way, delivery: Delivery, outcome: SubmitOutcome) -> None:
        """What came of an attempt; cheap, written down later and in groups."""
        ...

    async def run(self) -> None:
        """Beside the sending, until cancelled: writes down what it was told, reads what others were."""
        ...


class NoLimits:
    """Everything goes at once."""

    async def allowance(self, way: Way, highest: Priority, wanted: int) -> int:
        return wanted

    def share(self, way: Way, wanted: int) -> Share:
        return Share(wanted, wanted)

    def patience(self, way: Way, poll_s: float) -> float:
        return poll_s

    async def admit(self, way: Way, wishes: Sequence[Wish]) -> Mapping[UUID, Admission]:
        at_once = Admit()
        return {wish.delivery.id: at_once for wish in wishes}

    def ended(self, way: Way, delivery: Delivery, outcome: SubmitOutcome) -> None:
        """Nobody counts."""

    async def run(self) -> None:
        await asyncio.Event().wait()
