"""The life of a billing act: intended -> calling -> done | failed, with in_doubt where nobody knows. Pure.

A claim that is lost is simply taken again: what the first one did, reading back tells. Only a call that
was made and cannot be read back is in doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from store.models import ActState


class ActEvent(StrEnum):
    TAKEN = "taken"
    """A worker holds it now."""
    DONE = "done"
    """Reading back shows the package as wanted."""
    REFUSED = "refused"
    """The facts speak against it, or billing said no."""
    PUT_OFF = "put_off"
    """Billing could not be asked, and was never told to do it."""
    DOUBTED = "doubted"
    """Billing was told to do it, and whether it did cannot be read back."""


@dataclass(frozen=True, slots=True)
class Ignored:
    reason: str


_NOBODYS = Ignored("nobody holds it")
_ENDED = Ignored("it has ended")

TRANSITIONS: Mapping[ActState, Mapping[ActEvent, ActState | Ignored]] = {
    ActState.INTENDED: {
        ActEvent.TAKEN: ActState.CALLING,
        ActEvent.DONE: _NOBODYS,
        ActEvent.REFUSED: _NOBODYS,
        ActEvent.PUT_OFF: _NOBODYS,
        ActEvent.DOUBTED: _NOBODYS,
    },
    ActState.CALLING: {
        ActEvent.TAKEN: ActState.CALLING,  # its lease ran out; the attempt tells the two apart
        ActEvent.DONE: ActState.DONE,
        ActEvent.REFUSED: ActState.FAILED,
        ActEvent.PUT_OFF: ActState.INTENDED,
        ActEvent.DOUBTED: ActState.IN_DOUBT,
    },
    ActState.IN_DOUBT: {
        ActEvent.TAKEN: ActState.CALLING,
        ActEvent.DONE: _NOBODYS,
        ActEvent.REFUSED: _NOBODYS,
        ActEvent.PUT_OFF: _NOBODYS,
        ActEvent.DOUBTED: _NOBODYS,
    },
    ActState.DONE: dict.fromkeys(ActEvent, _ENDED),
    ActState.FAILED: dict.fromkeys(ActEvent, _ENDED),
}


def after(state: ActState, event: ActEvent) -> ActState:
    """LookupError where the event leads nowhere: the caller holds no claim."""
    step = TRANSITIONS[state][event]
    if isinstance(step, ActState):
        return step
    raise LookupError(f"{event} in state {state}: {step.reason}")
