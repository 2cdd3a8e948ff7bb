"""What a person has typed or chosen in inputs, selects and pickers, in the shapes of Slack's payloads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sandbox.slack.messages import interactive
from sandbox.world import ControlError

# type -> (key in state.values, key of the initial value in the element)
TYPED = {
    "plain_text_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "users_select": ("selected_user", "initial_user"),
    "channels_select": ("selected_channel", "initial_channel"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
}
CHOSEN = {
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "overflow": ("selected_option", ""),
}
CHOSEN_MANY = {
    "checkboxes": ("selected_options", "initial_options"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "file_input": ("files", ""),
}
STATEFUL = {**TYPED, **CHOSEN, **CHOSEN_MANY}
EXTERNAL = frozenset({"external_select", "multi_external_select"})
_FORMATS = {
    "datepicker": (r"\d{4}-\d{2}-\d{2}", "a date like 2026-01-31"),
    "timepicker": (r"\d{2}:\d{2}", "a time like 08:30"),
    "number_input": (r"-?\d+(\.\d+)?", "a number"),
    "email_text_input": (r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address"),
    "url_text_input": (r"https?://\S+", "an address that starts with http"),
}

State = dict[str, dict[str, dict[str, Any]]]


def elements(blocks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(block, element) of everything a person can use."""
    for block in blocks:
        if isinstance(block, dict):
            for element in interactive(block):
                yield block, element


def find(
    blocks: Sequence[Mapping[str, Any]], action_id: str, block_id: str | None = None, value: Any = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The element to use. An action_id may stand in several blocks: then block_id or value decides."""
    found = [
        (block, element)
        for block, element in elements(blocks)
        if element.get("action_id") == action_id and block_id in (None, block["block_id"])
    ]
    if not found:
        there = ", ".join(sorted(str(element.get("action_id")) for _, element in elements(blocks))) or "none"
        raise ControlError(f"There is nothing to press with action_id {action_id}; there is: {there}.", 404)
    for block, element in found:
        own = [element.get("value"), *(option.get("value") for option in options_of(element))]
        if value is not None and value in own:
            return block, element
    return found[0]


def initial(element: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(element.get("type"))
    key, source = STATEFUL[kind]
    value = element.get(source, [] if kind in CHOSEN_MANY else None)
    return {"type": kind, key: value}


def state_of(blocks: Sequence[Mapping[str, Any]], kept: State | None = None) -> State:
    """Every stateful element's state: what was kept for the same block, action and type, else initial."""
    values: State = {}
    for block, element in elements(blocks):
        kind = element.get("type")
        if kind not in STATEFUL or kind == "overflow":
            continue
        before = (kept or {}).get(block["block_id"], {}).get(element["action_id"])
        entry = before if before is not None and before["type"] == kind else initial(element)
        values.setdefault(block["block_id"], {})[element["action_id"]] = entry
    return values


def entered(element: Mapping[str, Any], value: Any, offered: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The state after a person enters `value`; `offered` are the options of an external select."""
    kind = str(element.get("type"))
    if kind not in STATEFUL:
        raise ControlError(f"A {kind} takes no value.")
    key = STATEFUL[kind][0]
    if value is None or value == "":
        return {"type": kind, key: [] if kind in CHOSEN_MANY else None}
    if kind in CHOSEN or kind in ("checkboxes", "multi_static_select", "multi_external_select"):
        choices = list(offered) or options_of(element)
        if kind in CHOSEN:
            return {"type": kind, key: _option(choices, value, loosely=bool(offered))}
        many = value if isinstance(value, list) else [value]
        return {"type": kind, key: [_option(choices, one, loosely=bool(offered)) for one in many]}
    if kind in CHOSEN_MANY:
        return {"type": kind, key: value if isinstance(value, list) else [value]}
    return {"type": kind, key: _typed(element, kind, value)}


def _typed(element: Mapping[str, Any], kind: str, value: Any) -> Any:
    if kind == "datetimepicker":
        if isinstance(value, bool) or not isinstance(value, int):
            raise ControlError("A datetimepicker takes seconds since 1970 as a whole number.")
        return value
    if kind == "rich_text_input" and isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise ControlError(f"A {kind} takes text.")
    most = element.get("max_length")
    if isinstance(most, int) and len(value) > most:
        raise ControlError(f"The input takes at most {most} characters.")
    if kind in ("datepicker", "timepicker") and not re.fullmatch(_FORMATS[kind][0], value):
        raise ControlError(f"A {kind} takes {_FORMATS[kind][1]}.")
    return value


def options_of(element: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups = element.get("option_groups") or []
    return [option for group in [element, *groups] for option in group.get("options") or []]


def matching(choices: Sequence[dict[str, Any]], wanted: Any, *, loosely: bool) -> dict[str, Any] | None:
    """By value, else by what is written on it; loosely also by a part of that, as typing narrows a menu."""
    for option in choices:
        if option.get("value") == wanted:
            return option
    for option in choices:
        if option.get("text", {}).get("text") == wanted:
            return option
    for option in choices if loosely else ():
        if str(wanted).lower() in option.get("text", {}).get("text", "").lower():
            return option
    return None


def _option(choices: Sequence[dict[str, Any]], wanted: Any, *, loosely: bool) -> dict[str, Any]:
    found = matching(choices, wanted, loosely=loosely)
    if found is not None:
        return found
    there = ", ".join(str(option.get("value")) for option in choices) or "none"
    raise ControlError(f"There is no option {wanted}; there is: {there}.")


def refusals(blocks: Sequence[Mapping[str, Any]], values: State) -> dict[str, str]:
    """{block_id: sentence} for what Slack's client itself refuses before a modal is submitted."""
    found: dict[str, str] = {}
    for block, element in elements(blocks):
        if block.get("type") != "input":
            continue
        kind = str(element["type"])
        entry = values.get(block["block_id"], {}).get(element["action_id"], {})
        value = entry.get(STATEFUL[kind][0]) if kind in STATEFUL else None
        if value in (None, "", []):
            if not block.get("optional"):
                found[block["block_id"]] = "Please complete this required field."
        elif sentence := _ill_formed(element, kind, value):
            found[block["block_id"]] = sentence
    return found


def _ill_formed(element: Mapping[str, Any], kind: str, value: Any) -> str | None:
    pattern, words = _FORMATS.get(kind, (None, ""))
    if pattern is not None and not re.fullmatch(pattern, str(value)):
        return f"Please enter {words}."
    least = element.get("min_length")
    if kind == "plain_text_input" and isinstance(least, int) and len(str(value)) < least:
        return f"Please enter at least {least} characters."
    if kind == "number_input":
        if "." in str(value) and not element.get("is_decimal_allowed"):
            return "Please enter a whole number."
        if "min_value" in element and float(value) < float(element["min_value"]):
            return f"Please enter a number of at least {element['min_value']}."
        if "max_value" in element and float(value) > float(element["max_value"]):
            return f"Please enter a number of at most {element['max_value']}."
    return None
