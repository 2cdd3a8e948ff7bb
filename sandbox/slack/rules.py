"""Small rules from which Block Kit's shapes are put together: text, arrays, objects, choices.

A rule looks at one value at one JSON pointer and reports its faults to the `Checker`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Surface(StrEnum):
    MESSAGE = "message"
    MODAL = "modal"
    HOME = "home"


@dataclass(frozen=True)
class Fault:
    path: str
    sentence: str

    def __str__(self) -> str:
        return f"[ERROR] {self.sentence} [json-pointer:{self.path}]"


@dataclass
class Checker:
    """What was found so far in one payload."""

    surface: Surface
    faults: list[Fault] = field(default_factory=list)
    block_ids: set[str] = field(default_factory=set)
    action_ids: set[str] = field(default_factory=set)
    text_length: int = 0
    markdown_length: int = 0
    focused: bool = False

    def fault(self, path: str, sentence: str) -> None:
        self.faults.append(Fault(path, sentence))

    def is_object(self, path: str, value: object) -> bool:
        if not isinstance(value, dict):
            self.fault(path, "must provide an object")
            return False
        return True

    def new_block(self) -> None:
        """An action_id is unique within its block, not within the message."""
        self.action_ids.clear()

    def count_text(self, value: object) -> None:
        if isinstance(value, list):
            for entry in value:
                self.count_text(entry)
        elif isinstance(value, dict):
            for key, entry in value.items():
                if key == "text" and isinstance(entry, str):
                    self.text_length += len(entry)
                elif isinstance(entry, dict | list):
                    self.count_text(entry)


Rule = Callable[[Checker, str, Any], None]
Also = Callable[[Checker, str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Shape:
    """An object's fields, those it must have, a rule over the whole, and where it may stand."""

    fields: Mapping[str, Rule]
    required: Collection[str] = ()
    also: Also | None = None
    surfaces: Collection[Surface] | None = None
    places: Collection[str] = ()


def anything(check: Checker, path: str, value: Any) -> None:
    """A field whose value is checked elsewhere or not at all."""


def boolean(check: Checker, path: str, value: Any) -> None:
    if not isinstance(value, bool):
        check.fault(path, "must be a boolean")


def string(least: int, most: int) -> Rule:
    def rule(check: Checker, path: str, value: Any) -> None:
        if not isinstance(value, str):
            check.fault(path, "must provide a string")
        elif len(value) < least:
            check.fault(path, f"must be more than {least - 1} characters")
        elif len(value) > most:
            check.fault(path, f"must be less than {most + 1} characters")

    return rule


def matching(pattern: str, words: str) -> Rule:
    def rule(check: Checker, path: str, value: Any) -> None:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            check.fault(path, f"must be {words}")

    return rule


def integer(least: int, most: int) -> Rule:
    def rule(check: Checker, path: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            check.fault(path, f"must be an integer from {least} to {most}")

    return rule


def one_of(*choices: str) -> Rule:
    def rule(check: Checker, path: str, value: Any) -> None:
        if value not in choices:
            check.fault(path, f"must be one of {', '.join(choices)}")

    return rule


def array(item: Rule, least: int, most: int) -> Rule:
    def rule(check: Checker, path: str, value: Any) -> None:
        if not isinstance(value, list):
            check.fault(path, "must provide an array")
            return
        if len(value) < least:
            check.fault(path, f"no fewer than {least} items allowed")
        if len(value) > most:
            check.fault(path, f"no more than {most} items allowed")
        for index, entry in enumerate(value):
            item(check, f"{path}/{index}", entry)

    return rule


def shape(known: Shape) -> Rule:
    """An object that has the required fields, no unknown ones, and obeys each field's rule."""

    def rule(check: Checker, path: str, value: Any) -> None:
        if not check.is_object(path, value):
            return
        for name in known.required:
            if value.get(name) is None:
                check.fault(path, f"missing required field: {name}")
        for name, entry in value.items():
            if name not in known.fields:
                check.fault(path, f"invalid additional property: {name}")
            elif entry is not None:
                known.fields[name](check, f"{path}/{name}", entry)
        if known.also is not None:
            known.also(check, path, value)

    return rule


def text(most: int, *kinds: str, least: int = 1) -> Rule:
    """A text object; without `kinds`, plain_text or mrkdwn."""
    allowed = kinds or ("plain_text", "mrkdwn")
    extras = {"plain_text": "emoji", "mrkdwn": "verbatim"}

    def rule(check: Checker, path: str, value: Any) -> None:
        if not check.is_object(path, value):
            return
        kind = value.get("type")
        if kind not in allowed:
            check.fault(f"{path}/type", f"must be one of {', '.join(allowed)}")
            return
        fields: dict[str, Rule] = {"type": anything, "text": string(least, most), extras[kind]: boolean}
        shape(Shape(fields, {"text"}))(check, path, value)

    return rule
