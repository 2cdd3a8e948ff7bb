"""The content of a message that the app sends: what Slack refuses, and what it takes though it looks wrong.

Used alike for chat.*, for answers to a response_url and for the body of an acknowledgement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sandbox.slack.blocks import MOST_TEXT, check_blocks, text_length
from sandbox.slack.errors import SlackError, block_error
from sandbox.slack.rules import Surface

MOST_POSTED = 40_000
MOST_UPDATED = 4_000
MOST_METADATA = 16_000
_BROADCAST = re.compile(r"<!(?:channel|everyone|here|group)(?:\|[^>]*)?>")
_LINK = re.compile(r"https?://", re.IGNORECASE)
_LABELLED_LINK = re.compile(r"<(https?://[^|>\s]+)\|([^>]+)>")


def parsed(args: Mapping[str, Any], name: str, code: str) -> Any:
    """An argument that may be JSON text, as it is in form bodies."""
    value = args.get(name)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value else None
    except ValueError:
        raise SlackError(code) from None


def read_blocks(args: Mapping[str, Any], *, newer: bool = False) -> list[Any] | None:
    """The message's blocks, valid; None when the argument is absent."""
    blocks = parsed(args, "blocks", "invalid_blocks_format")
    if blocks is None:
        return None
    faults = check_blocks(blocks, Surface.MESSAGE, newer=newer)
    if faults:
        raise block_error("invalid_blocks", faults)
    if (length := text_length(blocks)) > MOST_TEXT:
        raise SlackError(
            "msg_blocks_too_long",
            messages=[
                f"[ERROR] the blocks hold {length} characters, over {MOST_TEXT} [json-pointer:/blocks]"
            ],
        )
    return list(blocks)


def read_text(args: Mapping[str, Any], most: int = MOST_POSTED) -> str | None:
    text = args.get("text", args.get("markdown_text"))
    if text is None:
        return None
    if not isinstance(text, str):
        raise SlackError("invalid_arguments", messages=["[ERROR] must be a string [json-pointer:/text]"])
    if len(text) > most:
        raise SlackError("msg_too_long")
    return text


def read_metadata(args: Mapping[str, Any]) -> dict[str, Any] | None:
    metadata = parsed(args, "metadata", "invalid_metadata_format")
    if metadata is None:
        return None
    if (
        not isinstance(metadata, dict)
        or not isinstance(metadata.get("event_type"), str)
        or not metadata["event_type"]
        or not isinstance(metadata.get("event_payload"), dict)
    ):
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(metadata)) > MOST_METADATA:
        raise SlackError("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}


def read_reply(content: Mapping[str, Any], *, newer: bool = False) -> tuple[str, list[Any]]:
    """Text and blocks of an acknowledgement or of an answer to a response_url."""
    text, blocks = read_text(content), read_blocks(content, newer=newer)
    if not text and not blocks:
        raise SlackError("no_text")
    return text or "", blocks or []


def suspicious(text: str | None, blocks: object) -> str | None:
    """What Slack obeys in mrkdwn although it probably came from someone's data unescaped."""
    found: list[str] = []
    for pointer, mrkdwn in [("/text", text or ""), *_mrkdwn(blocks, "/blocks")]:
        found += [f"{hit.group()} at {pointer}" for hit in _BROADCAST.finditer(mrkdwn)]
        for hit in _LABELLED_LINK.finditer(mrkdwn):
            if _pretends(hit.group(1), hit.group(2)):
                found.append(
                    f"a link to {urlsplit(hit.group(1)).hostname} labelled {hit.group(2)} at {pointer}"
                )
    return f"unescaped control sequence: {', '.join(found)}" if found else None


def has_link(text: str, blocks: object) -> bool:
    """Something in it that Slack would make a link of."""
    return any(_LINK.search(mrkdwn) for mrkdwn in (text, *(shown for _, shown in _mrkdwn(blocks, ""))))


def _pretends(address: str, label: str) -> bool:
    """A label that is itself an address, of another host."""
    try:
        shown, real = urlsplit(label.strip()), urlsplit(address)
    except ValueError:
        return True
    return shown.scheme in ("http", "https") and shown.hostname != real.hostname


def _mrkdwn(value: object, pointer: str) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [hit for index, entry in enumerate(value) for hit in _mrkdwn(entry, f"{pointer}/{index}")]
    if not isinstance(value, dict):
        return []
    if value.get("type") in ("mrkdwn", "markdown") and isinstance(value.get("text"), str):
        return [(f"{pointer}/text", value["text"])]
    return [hit for key, entry in value.items() for hit in _mrkdwn(entry, f"{pointer}/{key}")]
