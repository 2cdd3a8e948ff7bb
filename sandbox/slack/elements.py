"""Block Kit's interactive elements: their fields, options, confirm dialogs, and where they may stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.slack.rules import (
    Checker,
    Rule,
    Shape,
    Surface,
    anything,
    array,
    boolean,
    integer,
    matching,
    one_of,
    shape,
    string,
    text,
)

PLAIN = "plain_text"
MOST_INPUT = 3000


def _action_id(check: Checker, path: str, value: Any) -> None:
    string(1, 255)(check, path, value)
    if isinstance(value, str):
        if value in check.action_ids:
            check.fault(path, f"action_id {value} is used twice in this block")
        check.action_ids.add(value)


def _focus(check: Checker, path: str, value: Any) -> None:
    boolean(check, path, value)
    if value is True:
        if check.focused:
            check.fault(path, "only one element may have focus_on_load")
        check.focused = True


CONFIRM = shape(
    Shape(
        {
            "title": text(100, PLAIN),
            "text": text(300),
            "confirm": text(30, PLAIN),
            "deny": text(30, PLAIN),
            "style": one_of("primary", "danger"),
        },
        {"title", "text", "confirm", "deny"},
    )
)


def _option(label: Rule, *, url: bool = False) -> Rule:
    fields: dict[str, Rule] = {"text": label, "value": string(1, 150), "description": text(75)}
    if url:
        fields["url"] = string(0, 3000)
    return shape(Shape(fields, {"text", "value"}))


PLAIN_OPTION = _option(text(75, PLAIN))
RICH_OPTION = _option(text(75))
OPTION_GROUP = shape(
    Shape({"label": text(75, PLAIN), "options": array(PLAIN_OPTION, 1, 100)}, {"label", "options"})
)


def check_options_answer(answer: Mapping[str, Any]) -> Checker:
    """The app's answer to a block_suggestion: options or option_groups, at most 100."""
    check = Checker(Surface.MESSAGE)
    fields: dict[str, Rule] = {
        "options": array(PLAIN_OPTION, 0, 100),
        "option_groups": array(OPTION_GROUP, 0, 100),
    }
    shape(Shape(fields, also=_one_options_source))(check, "", answer)
    return check


def _one_options_source(check: Checker, path: str, element: Mapping[str, Any]) -> None:
    if ("options" in element) == ("option_groups" in element):
        check.fault(path, "must provide exactly one of options and option_groups")


def _all_options(element: Mapping[str, Any]) -> list[Any]:
    groups = [element, *(g for g in element.get("option_groups") or [] if isinstance(g, dict))]
    return [option for group in groups for option in group.get("options") or []]


def _initial_is_an_option(check: Checker, path: str, element: Mapping[str, Any]) -> None:
    initial = [element["initial_option"]] if "initial_option" in element else []
    initial += element.get("initial_options") or []
    known = [option.get("value") for option in _all_options(element) if isinstance(option, dict)]
    for option in initial:
        if not isinstance(option, dict) or option.get("value") not in known:
            check.fault(path, "the initial option must be one of the options")


def _static_select(check: Checker, path: str, element: Mapping[str, Any]) -> None:
    _one_options_source(check, path, element)
    _initial_is_an_option(check, path, element)


ACTION: dict[str, Rule] = {"type": anything, "action_id": _action_id}
COMMON: dict[str, Rule] = {**ACTION, "confirm": CONFIRM, "focus_on_load": _focus}
WITH_PLACEHOLDER: dict[str, Rule] = {**COMMON, "placeholder": text(150, PLAIN)}
TEXT_INPUT: dict[str, Rule] = {
    **ACTION,
    "focus_on_load": _focus,
    "placeholder": text(150, PLAIN),
    "initial_value": string(0, MOST_INPUT),
    "dispatch_action_config": anything,
}
IMAGE_FIELDS: dict[str, Rule] = {
    "image_url": string(1, 3000),
    "slack_file": anything,
    "alt_text": string(1, 2000),
}
STATIC: dict[str, Rule] = {
    "options": array(PLAIN_OPTION, 1, 100),
    "option_groups": array(OPTION_GROUP, 1, 100),
}
QUERY: dict[str, Rule] = {"min_query_length": integer(0, 1000)}
CONVERSATIONS: dict[str, Rule] = {
    "default_to_current_conversation": boolean,
    "response_url_enabled": boolean,
    "filter": anything,
}
MANY: dict[str, Rule] = {**WITH_PLACEHOLDER, "max_selected_items": integer(1, 100)}
IDS = array(string(1, 255), 0, 100)
EVERYWHERE = ("section", "actions", "input")


def _length_order(check: Checker, path: str, element: Mapping[str, Any]) -> None:
    least, most = element.get("min_length"), element.get("max_length")
    if isinstance(least, int) and isinstance(most, int) and least > most:
        check.fault(path, "min_length must not be greater than max_length")


ELEMENTS: dict[str, Shape] = {
    "button": Shape(
        {
            **ACTION,
            "text": text(75, PLAIN),
            "url": string(1, 3000),
            "value": string(0, 2000),
            "style": one_of("primary", "danger"),
            "confirm": CONFIRM,
            "accessibility_label": string(1, 75),
        },
        {"text"},
        places=("section", "actions"),
    ),
    "overflow": Shape(
        {**ACTION, "options": array(_option(text(75, PLAIN), url=True), 1, 5), "confirm": CONFIRM},
        {"options"},
        places=("section", "actions"),
    ),
    "image": Shape({"type": anything, **IMAGE_FIELDS}, {"alt_text"}, places=("section",)),
    "checkboxes": Shape(
        {**COMMON, "options": array(RICH_OPTION, 1, 10), "initial_options": array(RICH_OPTION, 1, 10)},
        {"options"},
        also=_initial_is_an_option,
        places=EVERYWHERE,
    ),
    "radio_buttons": Shape(
        {**COMMON, "options": array(RICH_OPTION, 1, 10), "initial_option": RICH_OPTION},
        {"options"},
        also=_initial_is_an_option,
        places=EVERYWHERE,
    ),
    "datepicker": Shape(
        {**WITH_PLACEHOLDER, "initial_date": matching(r"\d{4}-\d{2}-\d{2}", "a date like 2026-01-31")},
        places=EVERYWHERE,
    ),
    "timepicker": Shape(
        {
            **WITH_PLACEHOLDER,
            "initial_time": matching(r"\d{2}:\d{2}", "a time like 08:30"),
            "timezone": string(1, 100),
        },
        places=EVERYWHERE,
    ),
    "datetimepicker": Shape(
        {**COMMON, "initial_date_time": integer(1_000_000_000, 9_999_999_999)}, places=("actions", "input")
    ),
    "static_select": Shape(
        {**WITH_PLACEHOLDER, **STATIC, "initial_option": PLAIN_OPTION}, also=_static_select, places=EVERYWHERE
    ),
    "external_select": Shape(
        {**WITH_PLACEHOLDER, **QUERY, "initial_option": PLAIN_OPTION}, places=EVERYWHERE
    ),
    "users_select": Shape({**WITH_PLACEHOLDER, "initial_user": string(1, 255)}, places=EVERYWHERE),
    "channels_select": Shape(
        {**WITH_PLACEHOLDER, "initial_channel": string(1, 255), "response_url_enabled": boolean},
        places=EVERYWHERE,
    ),
    "conversations_select": Shape(
        {**WITH_PLACEHOLDER, **CONVERSATIONS, "initial_conversation": string(1, 255)}, places=EVERYWHERE
    ),
    "multi_static_select": Shape(
        {**MANY, **STATIC, "initial_options": array(PLAIN_OPTION, 1, 100)},
        also=_static_select,
        places=EVERYWHERE,
    ),
    "multi_external_select": Shape(
        {**MANY, **QUERY, "initial_options": array(PLAIN_OPTION, 1, 100)}, places=EVERYWHERE
    ),
    "multi_users_select": Shape({**MANY, "initial_users": IDS}, places=EVERYWHERE),
    "multi_channels_select": Shape({**MANY, "initial_channels": IDS}, places=EVERYWHERE),
    "multi_conversations_select": Shape(
        {**MANY, **CONVERSATIONS, "initial_conversations": IDS}, places=EVERYWHERE
    ),
    "plain_text_input": Shape(
        {
            **TEXT_INPUT,
            "multiline": boolean,
            "min_length": integer(0, MOST_INPUT),
            "max_length": integer(1, MOST_INPUT),
        },
        also=_length_order,
        places=("input",),
    ),
    "email_text_input": Shape(TEXT_INPUT, places=("input",)),
    "url_text_input": Shape(TEXT_INPUT, places=("input",)),
    "number_input": Shape(
        {
            **TEXT_INPUT,
            "is_decimal_allowed": boolean,
            "min_value": string(1, 100),
            "max_value": string(1, 100),
        },
        {"is_decimal_allowed"},
        places=("input",),
    ),
    "rich_text_input": Shape({**TEXT_INPUT, "initial_value": anything}, places=("input",)),
    "file_input": Shape(
        {**ACTION, "filetypes": array(string(1, 50), 1, 100), "max_files": integer(1, 10)},
        places=("input",),
        surfaces=(Surface.MODAL,),
    ),
}


def element_of(place: str) -> Rule:
    """An element that may stand in `place`: section, actions or input."""

    def rule(check: Checker, path: str, value: Any) -> None:
        if not check.is_object(path, value):
            return
        kind = value.get("type")
        known = ELEMENTS.get(kind) if isinstance(kind, str) else None
        if known is None:
            check.fault(f"{path}/type", f"unsupported type: {kind}")
            return
        if place not in known.places:
            check.fault(f"{path}/type", f"{kind} is not allowed in a block of type {place}")
        if known.surfaces is not None and check.surface not in known.surfaces:
            check.fault(f"{path}/type", f"{kind} is not allowed in a {check.surface.value}")
        shape(known)(check, path, value)

    return rule
