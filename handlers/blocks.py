"""A small Block Kit vocabulary: escaped by default, Slack's limits enforced. Pure.

Two kinds of text: `Mrkdwn` is trusted markup, `str` is data. `md` joins them: whatever is put into a
template is escaped, so that no subscriber's name can ping a channel or fake a link.
Limits: docs.slack.dev, reference/block-kit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from handlers.reply import Block

SECTION_MAX = 3000
FIELD_MAX = 2000
HEADER_MAX = 150
BUTTON_TEXT_MAX = 75
OPTION_TEXT_MAX = 75
OPTION_VALUE_MAX = 150
TITLE_MAX = 24
BLOCKS_MAX = 50
ACTIONS_MAX = 25
FIELDS_MAX = 10
CONTEXT_MAX = 10
TEXT_MAX = 12_000
"""All text of a message together; Slack refuses near 13,000."""

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_FENCE = "```"
_USER = re.compile(r"[UW][A-Z0-9_]{2,}")
_LONGEST_USER = 32


class Mrkdwn(str):
    """Markup that we wrote ourselves."""

    __slots__ = ()


def clean(text: str) -> str:
    """Without control characters, direction marks and halves of surrogate pairs."""
    return _CONTROL.sub("", text)


def esc(text: str) -> Mrkdwn:
    """Data made safe for mrkdwn: Slack's three control characters (docs.slack.dev, formatting text).

    Three back-ticks would make a code block of the lines that follow, so data holds none.
    """
    if isinstance(text, Mrkdwn):
        return text
    text = clean(text).replace(_FENCE, "ˋˋˋ")
    return Mrkdwn(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def md(template: str, *args: object, **named: object) -> Mrkdwn:
    """`template.format` in which every value is escaped unless it is Mrkdwn already."""
    return Mrkdwn(
        template.format(*(esc(_text(a)) for a in args), **{k: esc(_text(v)) for k, v in named.items()})
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def mention(who: str) -> Mrkdwn:
    """A Slack user id as their name; anything else (an import, the clock) as it is."""
    return Mrkdwn(f"<@{who}>") if is_user(who) else esc(who)


def is_user(text: str) -> bool:
    """Whether it is the id of somebody in Slack."""
    return len(text) <= _LONGEST_USER and _USER.fullmatch(text) is not None


def lines(parts: Iterable[str]) -> Mrkdwn:
    """Escaped lines, one under the other; empty ones are left out."""
    return Mrkdwn("\n".join(esc(part) for part in parts if part))


def code(text: str) -> Mrkdwn:
    """Raw text in a code block; its back-ticks are replaced, so that it cannot close the block."""
    return Mrkdwn(f"{_FENCE}{esc(text.replace('`', 'ˋ'))}{_FENCE}")


def shorten(text: str, limit: int) -> str:
    """Cut with an ellipsis, never inside an escaped character such as `&amp;`; code blocks are closed."""
    if len(text) <= limit:
        return text
    cut = _cut(text, limit - 1)
    if cut.count(_FENCE) % 2 == 0:
        return cut.rstrip() + "…"
    cut = _cut(text, limit - 1 - len(_FENCE))
    # Even now: the block was opened by the very last characters, and goes.
    return cut.rstrip() + "…" + (_FENCE if cut.count(_FENCE) % 2 else "")


def _cut(text: str, room: int) -> str:
    """The first `room` characters less half a fence or half an entity at their end."""
    cut = text[:room]
    while cut.endswith("`") and text.startswith("`", len(cut)):
        cut = cut[:-1]
    entity = cut.rfind("&", max(len(cut) - 5, 0))
    return cut[:entity] if entity >= 0 and ";" not in cut[entity:] else cut


def spoken(text: str) -> Mrkdwn:
    """The text beside the blocks: Slack reads it as mrkdwn too, and takes 4,000 characters in an edit."""
    return Mrkdwn(shorten(esc(text), SECTION_MAX))


def plain(text: str, limit: int = SECTION_MAX) -> Block:
    return {"type": "plain_text", "text": shorten(clean(text), limit) or " ", "emoji": True}


def mrkdwn(text: str, limit: int = SECTION_MAX) -> Block:
    return {"type": "mrkdwn", "text": shorten(esc(text), limit) or " "}


def header(text: str) -> Block:
    return {"type": "header", "text": plain(text, HEADER_MAX)}


def section(text: str, *, accessory: Block | None = None, fields: Sequence[str] = ()) -> Block:
    block: Block = {"type": "section"}
    if text:
        block["text"] = mrkdwn(text)
    if fields:
        block["fields"] = [mrkdwn(f, FIELD_MAX) for f in fields[:FIELDS_MAX]]
    if accessory is not None:
        block["accessory"] = accessory
    return block


def context(*texts: str) -> Block:
    return {"type": "context", "elements": [mrkdwn(t) for t in texts if t][:CONTEXT_MAX]}


def divider() -> Block:
    return {"type": "divider"}


def button(
    text: str,
    action: str,
    value: Mapping[str, Any] | None = None,
    *,
    style: str | None = None,
    confirm: Block | None = None,
) -> Block:
    """`action` is COMMAND.ACTION, with `:n` behind it where one message has several of a kind."""
    block: Block = {
        "type": "button",
        "text": plain(text, BUTTON_TEXT_MAX),
        "action_id": action,
        "value": dict(value or {}),
    }
    if style:
        block["style"] = style
    if confirm:
        block["confirm"] = confirm
    return block


def confirm(title: str, text: str, yes: str, no: str = "Go back") -> Block:
    return {
        "title": plain(title, 100),
        "text": mrkdwn(text, 300),
        "confirm": plain(yes, 30),
        "deny": plain(no, 30),
    }


def option(text: str, value: str) -> Block:
    return {"text": plain(text, OPTION_TEXT_MAX), "value": value[:OPTION_VALUE_MAX]}


def select(action: str, placeholder: str, options: Sequence[Block]) -> Block:
    return {
        "type": "static_select",
        "action_id": action,
        "placeholder": plain(placeholder, 150),
        "options": list(options[:100]),
    }


def actions(*elements: Block | None) -> list[Block]:
    """None, one or several rows: Slack takes 25 elements in one."""
    present = [element for element in elements if element is not None]
    return [
        {"type": "actions", "elements": present[i : i + ACTIONS_MAX]}
        for i in range(0, len(present), ACTIONS_MAX)
    ]


def text_input(
    block_id: str,
    label: str,
    *,
    placeholder: str = "",
    initial: str = "",
    hint: str = "",
    multiline: bool = False,
    optional: bool = False,
    longest: int = 300,
) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": block_id, "max_length": longest}
    if multiline:
        element["multiline"] = True
    if placeholder:
        element["placeholder"] = plain(placeholder, 150)
    if initial:
        element["initial_value"] = initial
    return _input(block_id, label, element, hint, optional=optional)


def select_input(
    block_id: str,
    label: str,
    options: Sequence[Block],
    *,
    initial: Block | None = None,
    hint: str = "",
    optional: bool = False,
) -> Block:
    """A drop-down in a dialog; what was chosen comes back as the option's value."""
    element: Block = {"type": "static_select", "action_id": block_id, "options": list(options[:100])}
    if initial is not None:
        element["initial_option"] = initial
    return _input(block_id, label, element, hint, optional=optional)


def user_input(block_id: str, label: str, *, hint: str = "") -> Block:
    """Somebody of this workspace, in a dialog; comes back as their id."""
    return _input(block_id, label, {"type": "users_select", "action_id": block_id}, hint)


def date_input(block_id: str, label: str, *, initial: date | None = None, hint: str = "") -> Block:
    """A calendar in a dialog; comes back as an ISO 8601 day."""
    element: Block = {"type": "datepicker", "action_id": block_id}
    if initial is not None:
        element["initial_date"] = initial.isoformat()
    return _input(block_id, label, element, hint)


def _input(block_id: str, label: str, element: Block, hint: str, *, optional: bool = False) -> Block:
    block: Block = {"type": "input", "block_id": block_id, "label": plain(label, 2000), "element": element}
    if hint:
        block["hint"] = plain(hint, 2000)
    if optional:
        block["optional"] = True
    return block


def fit(blocks: Sequence[Block]) -> list[Block]:
    """At most 50 blocks and 12,000 characters; what does not fit is said, never silently dropped."""
    kept: list[Block] = []
    room = TEXT_MAX
    for index, block in enumerate(blocks):
        room -= _length(block)
        full = len(kept) == BLOCKS_MAX - 1 and index < len(blocks) - 1
        if room < 0 or full:
            kept.append(context("There is more than fits here. Narrow it down to see the rest."))
            break
        kept.append(block)
    return kept


def _length(value: object) -> int:
    if isinstance(value, Mapping):
        return sum(len(v) if k == "text" and isinstance(v, str) else _length(v) for k, v in value.items())
    if isinstance(value, list):
        return sum(_length(v) for v in value)
    return 0
