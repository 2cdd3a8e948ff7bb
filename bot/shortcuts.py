"""Slack's shortcuts: what they are called, which command each of them runs, and on what.

A message shortcut runs its command on what the message points at (handlers.pointers); it asks which one where
there are several, and opens the command's own dialog where there is none. A global one opens the dialog.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handlers.blocks import option, select_input
from handlers.reply import Modal


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Slack's limits: name 24 characters, callback 255, description 150, ten of them an app."""

    callback: str
    name: str
    description: str
    command: str
    """A command whose dialog is its action `ask`, answered as `asked` with the block `query`."""
    on_message: bool


SHORTCUTS = (
    Shortcut("find_in_message", "Find this customer", "Looks up whom this message is about", "find", True),
    Shortcut(
        "diagnose_message",
        "Why no invoice?",
        "Finds out why the invoice of whom this message is about did not arrive",
        "diagnose",
        True,
    ),
    Shortcut("find_anybody", "Find a customer", "Looks a subscriber up", "find", False),
    Shortcut(
        "diagnose_anybody", "Why no invoice?", "Finds out why an invoice did not arrive", "diagnose", False
    ),
)
BY_CALLBACK = {shortcut.callback: shortcut for shortcut in SHORTCUTS}


def which_one(shortcut: Shortcut, found: Sequence[str]) -> Modal:
    """The dialog that asks which of several pointers is meant."""
    field = select_input("query", "The message names several", [option(word, word) for word in found])
    return Modal(f"{shortcut.command}.asked", "Which one?", [field], submit="This one")
