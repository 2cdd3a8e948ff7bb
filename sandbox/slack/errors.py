"""An error answer of the Web API: its code and what Slack says with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.slack.rules import Fault


class SlackError(Exception):
    """`{"ok": false, "error": code}`; `messages` go to response_metadata, `fields` beside the code."""

    def __init__(self, code: str, *, messages: Iterable[str] = (), **fields: Any) -> None:
        super().__init__(code)
        self.code = code
        self.messages = list(messages)
        self.fields = fields

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"ok": False, "error": self.code, **self.fields}
        if self.messages:
            body["response_metadata"] = {"messages": self.messages}
        return body

    def sentence(self) -> str:
        return "; ".join([self.code, *self.messages[:5]])


def block_error(code: str, faults: Iterable[Fault]) -> SlackError:
    found = list(faults)
    return SlackError(
        code,
        messages=[str(fault) for fault in found],
        errors=[f"{fault.sentence} [json-pointer:{fault.path}]" for fault in found],
    )
