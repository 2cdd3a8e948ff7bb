"""What a handler answers with: values, no I/O. The rim turns them into Slack calls.

Button values are plain mappings here; the rim signs them on the way out and checks them on the way in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

Block = dict[str, Any]


class To(StrEnum):
    """Who sees a reply. Asker: only whoever asked. Replace: in place of the message with the button."""

    ASKER = "asker"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Reply:
    """A message: blocks for the screen, `text` for notifications, screen readers and old clients."""

    text: str
    blocks: Sequence[Block] = ()
    to: To = To.ASKER
    thread_ts: str = ""
    """The thread in which it stands; empty: where it was asked."""
    rest: timedelta = timedelta()
    """A card that is dear to draw is drawn again no sooner."""


@dataclass(frozen=True, slots=True)
class Home:
    """The asker's App Home, drawn anew: up to 100 blocks."""

    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class File:
    """A file for the asker alone, in their direct message with the app; `text` stands beside it."""

    name: str
    text: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Modal:
    """A dialog to open while the trigger is fresh (3 s); `callback` names the command that gets it."""

    callback: str
    title: str
    blocks: Sequence[Block]
    submit: str | None = None
    carry: Mapping[str, Any] | None = None
    """What the dialog remembers between opening and submission; signed like a button value."""


@dataclass(frozen=True, slots=True)
class FieldErrors:
    """A submission that is refused: block id -> sentence."""

    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said within the acknowledgement. Nothing set: acknowledge, then run.

    A modal in answer to a submission is the next page of that dialog, and nothing runs yet.
    """

    modal: Modal | None = None
    errors: FieldErrors | None = None
    done: bool = False
    """True: there is nothing left to run."""


class UserError(Exception):
    """An expected end told to the asker: what is wrong, and what to do next, in plain words."""

    def __init__(self, sentence: str, next_step: str = "") -> None:
        super().__init__(sentence)
        self.sentence, self.next_step = sentence, next_step
