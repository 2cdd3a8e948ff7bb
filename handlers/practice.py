"""Answers of the practice desk: with its badge on top, and buttons and dialogs that lead back to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from handlers.blocks import BLOCKS_MAX, context, md, section
from handlers.reply import Answer, Block, File, Home, Modal, Reply

PREFIX: Final = "practice."
BADGE: Final = md(":game_die: *Practice.* Nothing is sent, and nobody here is real.")
_SPOKEN: Final = "Practice, nothing is sent. "


def reply(shown: Reply | Home | File) -> Reply | Home | File:
    if isinstance(shown, Reply):
        # Without blocks its text would be shown, and nothing on top of it.
        blocks = list(shown.blocks) or [section(md("{}", shown.text))]
        return replace(shown, text=_SPOKEN + shown.text, blocks=marked(blocks))
    if isinstance(shown, File):
        return replace(shown, name=f"practice-{shown.name}", text=_SPOKEN + shown.text)
    return Home(marked(shown.blocks))


def answer(given: Answer) -> Answer:
    return given if given.modal is None else replace(given, modal=_modal(given.modal))


def _modal(modal: Modal) -> Modal:
    return replace(modal, callback=PREFIX + modal.callback, blocks=marked(modal.blocks))


def marked(blocks: Sequence[Block]) -> list[Block]:
    """Where a message is full already, its last block gives way: the badge counts more."""
    most = max(BLOCKS_MAX, len(blocks))
    return [context(BADGE), *(_led_back(block) for block in blocks)][:most]


def _led_back(node: Any) -> Any:
    """`find.open:3` becomes `practice.find.open:3`, wherever it stands; what a button carries stays."""
    if isinstance(node, list):
        return [_led_back(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    copy = {key: item if key == "value" else _led_back(item) for key, item in node.items()}
    if "action_id" in node:
        copy["action_id"] = PREFIX + str(node["action_id"])
    return copy
