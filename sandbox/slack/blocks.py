"""Which Block Kit payloads Slack takes: limits, known types, required fields, unique ids, surfaces.

Follows Slack's Block Kit reference. `check_blocks` and `check_view` return every fault with its JSON
pointer; nothing is corrected. The rules of elements are in `elements.py`, of their values in `rules.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.slack.elements import IMAGE_FIELDS, element_of
from sandbox.slack.rules import (
    Checker,
    Fault,
    Rule,
    Shape,
    Surface,
    anything,
    array,
    boolean,
    one_of,
    shape,
    string,
    text,
)

MOST_BLOCKS = {Surface.MESSAGE: 50, Surface.MODAL: 100, Surface.HOME: 100}
MOST_TEXT = 13_000
MOST_MARKDOWN = 12_000
MOST_VIEW_BYTES = 250_000
NEWER_BLOCKS = frozenset({"data_table", "data_visualization", "context_actions"})
"""Rolling out: workspaces differ, so the sandbox refuses them until it is told that they are on."""


def _rich_text(check: Checker, path: str, value: Any) -> None:
    known = ("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote")
    if check.is_object(path, value):
        if value.get("type") not in known:
            check.fault(f"{path}/type", f"unsupported type: {value.get('type')}")
        elif not isinstance(value.get("elements"), list):
            check.fault(path, "missing required field: elements")
        else:
            check.count_text(value)


def _cell(check: Checker, path: str, value: Any) -> None:
    if check.is_object(path, value):
        if value.get("type") not in ("raw_text", "rich_text"):
            check.fault(f"{path}/type", f"unsupported type: {value.get('type')}")
        check.count_text(value)


def _context_element(check: Checker, path: str, value: Any) -> None:
    if isinstance(value, dict) and value.get("type") == "image":
        shape(Shape({"type": anything, **IMAGE_FIELDS}, {"alt_text"}))(check, path, value)
    else:
        text(3000)(check, path, value)


def _text_or_fields(check: Checker, path: str, block: Mapping[str, Any]) -> None:
    if not block.get("text") and not block.get("fields"):
        check.fault(path, "missing required field: text or fields")


def _image_source(check: Checker, path: str, block: Mapping[str, Any]) -> None:
    if ("image_url" in block) == ("slack_file" in block):
        check.fault(path, "must provide exactly one of image_url and slack_file")


def _markdown_total(check: Checker, path: str, block: Mapping[str, Any]) -> None:
    check.markdown_length += len(str(block.get("text", "")))
    if check.markdown_length > MOST_MARKDOWN:
        check.fault(f"{path}/text", f"markdown blocks hold at most {MOST_MARKDOWN} characters together")


BLOCKS: dict[str, Shape] = {
    "section": Shape(
        {
            "text": text(3000),
            "fields": array(text(2000), 1, 10),
            "accessory": element_of("section"),
            "expand": boolean,
        },
        also=_text_or_fields,
    ),
    "header": Shape({"text": text(150, "plain_text")}, {"text"}),
    "divider": Shape({}),
    "image": Shape({**IMAGE_FIELDS, "title": text(2000, "plain_text")}, {"alt_text"}, also=_image_source),
    "context": Shape({"elements": array(_context_element, 1, 10)}, {"elements"}),
    "actions": Shape({"elements": array(element_of("actions"), 1, 25)}, {"elements"}),
    "input": Shape(
        {
            "label": text(2000, "plain_text"),
            "element": element_of("input"),
            "dispatch_action": boolean,
            "hint": text(2000, "plain_text"),
            "optional": boolean,
        },
        {"label", "element"},
    ),
    "rich_text": Shape({"elements": array(_rich_text, 0, 1000)}, {"elements"}),
    "markdown": Shape(
        {"text": string(1, MOST_MARKDOWN)}, {"text"}, also=_markdown_total, surfaces={Surface.MESSAGE}
    ),
    "table": Shape(
        {
            "rows": array(array(_cell, 1, 20), 1, 100),
            "column_settings": array(anything, 0, 20),
        },
        {"rows"},
        surfaces={Surface.MESSAGE},
    ),
    "file": Shape(
        {"external_id": string(1, 255), "source": one_of("remote")},
        {"external_id", "source"},
        surfaces={Surface.MESSAGE},
    ),
    "video": Shape(
        {
            "alt_text": string(1, 2000),
            "title": text(200, "plain_text"),
            "title_url": string(1, 3000),
            "thumbnail_url": string(1, 3000),
            "video_url": string(1, 3000),
            "author_name": string(0, 50),
            "description": text(200, "plain_text"),
            "provider_icon_url": string(0, 3000),
            "provider_name": string(0, 50),
        },
        {"alt_text", "title", "thumbnail_url", "video_url"},
    ),
}


def check_blocks(
    blocks: object, surface: Surface, *, pointer: str = "/blocks", newer: bool = False
) -> list[Fault]:
    """Every fault of `blocks`; pointers start with `pointer`."""
    check = Checker(surface)
    _check_list(check, blocks, pointer, newer)
    return check.faults


def _check_list(check: Checker, blocks: object, pointer: str, newer: bool) -> None:
    if not isinstance(blocks, list):
        check.fault(pointer, "must provide an array")
        return
    most = MOST_BLOCKS[check.surface]
    if len(blocks) > most:
        check.fault(pointer, f"no more than {most} items allowed")
    for index, block in enumerate(blocks):
        _check_block(check, block, f"{pointer}/{index}", newer)


def _check_block(check: Checker, block: Any, path: str, newer: bool) -> None:
    if not check.is_object(path, block):
        return
    kind = block.get("type")
    if newer and kind in NEWER_BLOCKS and check.surface is Surface.MESSAGE:
        return
    known = BLOCKS.get(kind) if isinstance(kind, str) else None
    if known is None:
        check.fault(f"{path}/type", f"unsupported type: {kind}")
        return
    if known.surfaces is not None and check.surface not in known.surfaces:
        check.fault(f"{path}/type", f"{kind} is not allowed in a {check.surface.value}")
    check.new_block()
    fields: dict[str, Rule] = {"type": anything, "block_id": _block_id, **known.fields}
    shape(Shape(fields, known.required, also=known.also))(check, path, block)


def _block_id(check: Checker, path: str, value: Any) -> None:
    string(1, 255)(check, path, value)
    if isinstance(value, str):
        if value in check.block_ids:
            check.fault(path, f"block_id {value} is used twice")
        check.block_ids.add(value)


def text_length(blocks: object) -> int:
    """The text of all blocks together, as Slack counts it for a message."""
    check = Checker(Surface.MESSAGE)
    check.count_text(blocks)
    return check.text_length


_VIEW_FIELDS: dict[str, Rule] = {
    "type": one_of("modal", "home"),
    "blocks": anything,
    "private_metadata": string(0, 3000),
    "callback_id": string(0, 255),
    "external_id": string(0, 255),
}
_MODAL_FIELDS: dict[str, Rule] = {
    **_VIEW_FIELDS,
    "title": text(24, "plain_text"),
    "submit": text(24, "plain_text"),
    "close": text(24, "plain_text"),
    "clear_on_close": boolean,
    "notify_on_close": boolean,
    "submit_disabled": boolean,
}


def check_view(view: object, surface: Surface) -> list[Fault]:
    """Every fault of a modal's or home tab's view payload."""
    check = Checker(surface)
    if not check.is_object("/view", view) or not isinstance(view, dict):
        return check.faults
    wanted = "modal" if surface is Surface.MODAL else "home"
    if view.get("type") != wanted:
        check.fault("/view/type", f"must be {wanted} here")
    fields, required = _VIEW_FIELDS, {"type", "blocks"}
    if surface is Surface.MODAL:
        fields, required = _MODAL_FIELDS, {"type", "blocks", "title"}
    shape(Shape(fields, required))(check, "/view", view)
    if "blocks" in view:
        _check_list(check, view["blocks"], "/view/blocks", newer=False)
    if surface is Surface.MODAL and not view.get("submit") and _has_inputs(view.get("blocks")):
        check.fault("/view/submit", "missing required field: submit, as there are input blocks")
    return check.faults


def _has_inputs(blocks: object) -> bool:
    return isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)
