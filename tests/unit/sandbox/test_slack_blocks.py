"""The Block Kit validator: what Slack takes, and every refusal with the path that is at fault."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.slack.blocks import MOST_TEXT, check_blocks, check_view, text_length
from sandbox.slack.content import read_blocks, read_metadata, suspicious
from sandbox.slack.errors import SlackError
from sandbox.slack.rules import Surface


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "x", **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn(text), **more}


def option(value: str, text: str = "label") -> dict[str, Any]:
    return {"text": plain(text), "value": value}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain("Press"), "action_id": "press", **more}


def actions(*elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements), **more}


def select(**more: Any) -> dict[str, Any]:
    return {"type": "static_select", "action_id": "pick", "options": [option("a"), option("b")], **more}


def field(element: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "input", "label": plain("Label"), "element": element, **more}


def modal(*blocks: Any, **more: Any) -> dict[str, Any]:
    return {"type": "modal", "title": plain("Title"), "submit": plain("Save"), "blocks": list(blocks), **more}


CELL = {"type": "raw_text", "text": "x"}
CONFIRM = {"title": plain("Sure?"), "text": mrkdwn("Really"), "confirm": plain("Yes"), "deny": plain("No")}

GOOD = [
    [],
    [section("x" * 3000)],
    [{"type": "section", "fields": [mrkdwn("x" * 2000)] * 10}],
    [section(accessory=button(style="danger", confirm=CONFIRM, value="v" * 2000))],
    [{"type": "header", "text": plain("h" * 150)}, {"type": "divider"}],
    [actions(*(button(action_id=f"b{number}") for number in range(25)))],
    [actions({"type": "overflow", "action_id": "o", "options": [option(str(n)) for n in range(5)]})],
    [actions(select(initial_option=option("b"), placeholder=plain("Choose")))],
    [actions(select(options=[option(str(n)) for n in range(100)]))],
    [{"type": "context", "elements": [mrkdwn("x"), plain("y")]}],
    [{"type": "image", "image_url": "https://example.org/a.png", "alt_text": "a"}],
    [{"type": "markdown", "text": "m" * 12_000}],
    [{"type": "table", "rows": [[CELL] * 20] * 100}],
    [section(block_id="one"), section(block_id="two")],
    # The same action_id in different blocks is allowed: a button for each row of a list.
    [section(accessory=button()), section(accessory=button())],
    [field({"type": "plain_text_input", "action_id": "t"})],
]

BAD: list[tuple[Any, str, str]] = [
    ({}, "/blocks", "must provide an array"),
    (["x"], "/blocks/0", "must provide an object"),
    ([section()] * 51, "/blocks", "no more than 50 items"),
    ([{"type": "sectoin"}], "/blocks/0/type", "unsupported type: sectoin"),
    ([section("x" * 3001)], "/blocks/0/text/text", "less than 3001"),
    ([section("")], "/blocks/0/text/text", "more than 0"),
    ([{"type": "section"}], "/blocks/0", "text or fields"),
    ([{"type": "section", "fields": [mrkdwn("x")] * 11}], "/blocks/0/fields", "no more than 10"),
    ([{"type": "section", "fields": [mrkdwn("x" * 2001)]}], "/blocks/0/fields/0/text", "less than 2001"),
    ([section(colour="red")], "/blocks/0", "invalid additional property: colour"),
    ([{"type": "section", "text": "plain"}], "/blocks/0/text", "must provide an object"),
    ([{"type": "header", "text": mrkdwn("h")}], "/blocks/0/text/type", "must be one of plain_text"),
    ([{"type": "header", "text": plain("h" * 151)}], "/blocks/0/text/text", "less than 151"),
    ([actions()], "/blocks/0/elements", "no fewer than 1"),
    ([actions(*(button(action_id=str(n)) for n in range(26)))], "/blocks/0/elements", "no more than 25"),
    ([actions(button(), button())], "/blocks/0/elements/1/action_id", "used twice"),
    ([section(block_id="b"), section(block_id="b")], "/blocks/1/block_id", "used twice"),
    ([section(block_id="b" * 256)], "/blocks/0/block_id", "less than 256"),
    ([actions(button(text=plain("x" * 76)))], "/blocks/0/elements/0/text/text", "less than 76"),
    ([actions(button(text=mrkdwn("x")))], "/blocks/0/elements/0/text/type", "plain_text"),
    ([actions(button(value="v" * 2001))], "/blocks/0/elements/0/value", "less than 2001"),
    ([actions(button(value=1042))], "/blocks/0/elements/0/value", "must provide a string"),
    ([actions(button(style="green"))], "/blocks/0/elements/0/style", "primary, danger"),
    ([actions(button(action_id="a" * 256))], "/blocks/0/elements/0/action_id", "less than 256"),
    ([actions(select(options=[]))], "/blocks/0/elements/0/options", "no fewer than 1"),
    (
        [actions(select(options=[option(str(n)) for n in range(101)]))],
        "/blocks/0/elements/0/options",
        "no more than 100",
    ),
    ([actions(select(options=[option("v" * 151)]))], "/blocks/0/elements/0/options/0/value", "less than 151"),
    (
        [actions(select(options=[option("v", "t" * 76)]))],
        "/blocks/0/elements/0/options/0/text/text",
        "less than 76",
    ),
    ([actions(select(initial_option=option("c")))], "/blocks/0/elements/0", "one of the options"),
    ([actions(select(option_groups=[]))], "/blocks/0/elements/0", "exactly one of options"),
    (
        [actions({"type": "overflow", "action_id": "o", "options": [option(str(n)) for n in range(6)]})],
        "/blocks/0/elements/0/options",
        "no more than 5",
    ),
    (
        [actions({"type": "plain_text_input"})],
        "/blocks/0/elements/0/type",
        "not allowed in a block of type actions",
    ),
    ([{"type": "context", "elements": [mrkdwn("x")] * 11}], "/blocks/0/elements", "no more than 10"),
    ([{"type": "context", "elements": [button()]}], "/blocks/0/elements/0/type", "must be one of"),
    (
        [{"type": "image", "image_url": "https://x.example/a"}],
        "/blocks/0",
        "field: alt_text",
    ),
    ([{"type": "image", "alt_text": "a"}], "/blocks/0", "image_url and slack_file"),
    (
        [section(accessory=button(confirm={**CONFIRM, "text": plain("x" * 301)}))],
        "/blocks/0/accessory/confirm/text/text",
        "less than 301",
    ),
    (
        [section(accessory=button(confirm={"text": plain("x")}))],
        "/blocks/0/accessory/confirm",
        "required field",
    ),
    ([{"type": "markdown", "text": "m" * 7000}] * 2, "/blocks/1/text", "12000 characters together"),
    (
        [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 21]}],
        "/blocks/0/rows/0",
        "no more than 20",
    ),
    ([{"type": "data_table"}], "/blocks/0/type", "unsupported type: data_table"),
    ([field({"type": "datepicker", "initial_date": "tomorrow"})], "/blocks/0/element/initial_date", "a date"),
]


@pytest.mark.parametrize("blocks", GOOD)
def test_good_blocks_have_no_fault(blocks: list[Any]) -> None:
    assert check_blocks(blocks, Surface.MESSAGE) == []


@pytest.mark.parametrize(("blocks", "path", "words"), BAD)
def test_bad_blocks_are_refused_with_their_path(blocks: Any, path: str, words: str) -> None:
    faults = check_blocks(blocks, Surface.MESSAGE)
    assert any(fault.path == path and words in fault.sentence for fault in faults), faults


def test_newer_blocks_pass_when_the_workspace_has_them() -> None:
    assert check_blocks([{"type": "data_table"}], Surface.MESSAGE, newer=True) == []


@pytest.mark.parametrize(
    ("view", "path"),
    [
        ({"type": "modal", "blocks": []}, "/view"),
        (modal(title=plain("t" * 25)), "/view/title/text"),
        (modal(close=plain("t" * 25)), "/view/close/text"),
        (modal(private_metadata="m" * 3001), "/view/private_metadata"),
        (modal(*[section()] * 101), "/view/blocks"),
        (modal(field({"type": "plain_text_input"}), submit=None), "/view/submit"),
        (modal({"type": "markdown", "text": "x"}), "/view/blocks/0/type"),
        (modal(callback_id="c" * 256), "/view/callback_id"),
        ({"type": "home", "blocks": []}, "/view/type"),
        (
            modal(
                field({"type": "plain_text_input", "focus_on_load": True}),
                field({"type": "plain_text_input", "focus_on_load": True}),
            ),
            "/view/blocks/1/element/focus_on_load",
        ),
    ],
)
def test_bad_modals_are_refused_with_their_path(view: dict[str, Any], path: str) -> None:
    assert path in [fault.path for fault in check_view(view, Surface.MODAL)]


def test_a_hundred_blocks_are_fine_in_a_view() -> None:
    assert check_view(modal(*[section()] * 100), Surface.MODAL) == []
    assert check_view({"type": "home", "blocks": [section()] * 100}, Surface.HOME) == []


def test_a_home_tab_has_no_title() -> None:
    faults = check_view({"type": "home", "title": plain("x"), "blocks": []}, Surface.HOME)
    assert [fault.sentence for fault in faults] == ["invalid additional property: title"]


def test_a_file_input_belongs_into_a_modal() -> None:
    blocks = [field({"type": "file_input"})]
    assert check_view(modal(*blocks), Surface.MODAL) == []
    assert "not allowed in a message" in check_blocks(blocks, Surface.MESSAGE)[0].sentence


def test_the_text_of_all_blocks_together_is_limited() -> None:
    blocks = [section("x" * 2600) for _ in range(5)]
    assert text_length(blocks) == MOST_TEXT
    assert read_blocks({"blocks": blocks}) == blocks
    with pytest.raises(SlackError) as refusal:
        read_blocks({"blocks": [*blocks, section("y")]})
    assert refusal.value.code == "msg_blocks_too_long"


def test_blocks_come_as_json_text_too_and_broken_json_is_named() -> None:
    assert read_blocks({"blocks": '[{"type": "divider"}]'}) == [{"type": "divider"}]
    with pytest.raises(SlackError) as refusal:
        read_blocks({"blocks": "[{"})
    assert refusal.value.code == "invalid_blocks_format"


@pytest.mark.parametrize("metadata", ["x", {"event_type": "a"}, {"event_type": "", "event_payload": {}}])
def test_metadata_needs_a_type_and_a_payload(metadata: Any) -> None:
    with pytest.raises(SlackError) as refusal:
        read_metadata({"metadata": metadata})
    assert refusal.value.code == "invalid_metadata_format"


@pytest.mark.parametrize(
    ("text", "blocks", "words"),
    [
        ("hello <!channel>", None, "<!channel> at /text"),
        ("x", [section("<!here|here> all")], "<!here|here> at /blocks/0/text/text"),
        ("x", [{"type": "section", "fields": [mrkdwn("<!everyone>")]}], "/blocks/0/fields/0/text"),
        ("<https://evil.example|https://bank.example/login>", None, "labelled https://bank.example/login"),
    ],
)
def test_control_sequences_from_data_are_reported(text: str, blocks: Any, words: str) -> None:
    assert words in (suspicious(text, blocks) or "")


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("hello &lt;!channel&gt;", None),
        ("<@U_AGENT> see <https://example.org|the invoice>", None),
        ("<https://example.org/a|https://example.org>", None),
        ("x", [{"type": "section", "text": plain("<!channel>")}]),
    ],
)
def test_escaped_text_mentions_and_honest_links_are_fine(text: str, blocks: Any) -> None:
    assert suspicious(text, blocks) is None
