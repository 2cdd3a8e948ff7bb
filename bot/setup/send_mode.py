"""The one setting that `ispbot golive` changes in app.yaml, in its place; the rest stays as written."""

from __future__ import annotations

import yaml


class NotThere(Exception):
    """app.yaml has no such provider with a section mail."""


def with_send_mode(text: str, tenant: str, mode: str, remark: str = "") -> str:
    """`remark` is put behind it where the line has room: at its end, where no other stands."""
    try:
        whole = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise NotThere from None
    mail = _mapping(_mapping(_mapping(whole, "tenants"), tenant), "mail")
    for key, value in mail.value:
        if key.value == "send_mode":
            return _replaced(text, value.start_mark.index, value.end_mark.index, mode, remark)
    if not mail.value:
        raise NotThere
    first = mail.value[0][0].start_mark
    if mail.flow_style:
        return f"{text[: first.index]}send_mode: {mode}, {text[first.index :]}"
    return f"{text[: first.index]}send_mode: {mode}\n{' ' * first.column}{text[first.index :]}"


def _mapping(node: yaml.Node | None, name: str) -> yaml.MappingNode:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name and isinstance(value, yaml.MappingNode):
                return value
    raise NotThere


def _replaced(text: str, start: int, end: int, mode: str, remark: str) -> str:
    line_end = text.find("\n", end)
    rest = text[end : len(text) if line_end < 0 else line_end]
    note = f"  # {remark}" if remark and not rest.strip() else ""
    return f"{text[:start]}{mode}{note}{text[end:]}"


__all__ = ["NotThere", "with_send_mode"]
