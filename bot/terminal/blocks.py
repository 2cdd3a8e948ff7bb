"""Slack's blocks on a terminal: the same words as in Slack, without its buttons.

Only what our own vocabulary makes (handlers.blocks) has to be read: a subset of mrkdwn
(docs.slack.dev, formatting text).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.emoji import Emoji
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from handlers.reply import Block

_TOKEN: Final = re.compile(
    r"```(?P<fence>.*?)```"
    r"|`(?P<code>[^`\n]+)`"
    r"|<(?P<link>[^<>|\n]+)(?:\|(?P<label>[^<>\n]*))?>"
    r"|(?<![\w*])\*(?P<bold>[^*\n]+)\*(?![\w*])"
    r"|(?<!\w)_(?P<italic>[^_\n]+)_(?!\w)",
    re.DOTALL,
)
_EMOJI: Final = {
    ":large_green_circle:": "\U0001f7e2",
    ":large_orange_circle:": "\U0001f7e0",
    ":large_blue_circle:": "\U0001f535",
}
_UNKNOWN_EMOJI: Final = re.compile(r"(?<!\S):[a-z][a-z0-9_+-]*:\s?")
_ENTITIES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def rendered(blocks: Sequence[Block]) -> RenderableType:
    """Everything that is to be read."""
    return Group(*_all(blocks))


def _all(blocks: Sequence[Block]) -> Iterator[RenderableType]:
    for block in blocks:
        match block["type"]:
            case "header":
                yield Text()
                yield Text(_plain(block["text"]["text"]), style="bold underline")
            case "section":
                yield from _section(block)
            case "context":
                yield Text("  ").join(_mrkdwn(part["text"], "dim") for part in block["elements"])
            case "divider":
                yield Rule(style="dim")


def _section(block: Block) -> Iterator[RenderableType]:
    if "text" in block:
        yield _mrkdwn(block["text"]["text"])
    if fields := block.get("fields"):
        table = Table.grid(padding=(0, 4))
        for place in range(0, len(fields), 2):
            table.add_row(*(_mrkdwn(field["text"]) for field in fields[place : place + 2]))
        yield table


def _mrkdwn(text: str, style: str = "") -> Text:
    found = Text(style=style)
    at = 0
    for token in _TOKEN.finditer(text):
        found.append(_plain(text[at : token.start()]))
        at = token.end()
        found.append(*_styled(token))
    found.append(_plain(text[at:]))
    return found


def _styled(token: re.Match[str]) -> tuple[str, str]:
    kind: Any = token.lastgroup
    if kind == "fence":
        return _raw(token["fence"]), "cyan"
    if kind == "code":
        return _raw(token["code"]), "cyan"
    if kind in ("link", "label"):
        return _raw(token["label"] or token["link"].lstrip("@#!")), "underline"
    return _plain(token[kind]), kind


def _plain(text: str) -> str:
    for name, sign in _EMOJI.items():
        text = text.replace(name, sign)
    return _raw(_UNKNOWN_EMOJI.sub("", Emoji.replace(text)))


def _raw(text: str) -> str:
    """What mrkdwn escapes."""
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    return text


__all__ = ["rendered"]
