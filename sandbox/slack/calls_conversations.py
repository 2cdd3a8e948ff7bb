"""conversations.*: the channels, their members, and what was said in them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from sandbox.slack.call import Call
from sandbox.slack.errors import SlackError
from sandbox.slack.workspace import BOT_USER_ID, CHANNELS, PEOPLE, Channel, channel_view

TYPE_SCOPES = {
    "public_channel": "channels:read",
    "private_channel": "groups:read",
    "im": "im:read",
    "mpim": "mpim:read",
}


def _readable(call: Call) -> Channel:
    channel = call.channel()
    call.need_scope("im:read" if channel.is_im else "channels:read")
    return channel


def _page(call: Call, entries: Sequence[Any], default: int, most: int) -> tuple[list[Any], dict[str, Any]]:
    """One page of `entries`; the cursor is the number of entries before the next page."""
    start = 0
    if cursor := call.args.get("cursor"):
        try:
            start = int(base64.b64decode(str(cursor), validate=True).decode().removeprefix("next:"))
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise SlackError("invalid_cursor") from None
    end = start + call.whole("limit", default, most)
    following = base64.b64encode(f"next:{end}".encode()).decode() if end < len(entries) else ""
    return list(entries[start:end]), {"response_metadata": {"next_cursor": following}}


def list_(call: Call) -> dict[str, Any]:
    wanted = str(call.args.get("types") or "public_channel").replace(" ", "").split(",")
    for kind in wanted:
        if kind not in TYPE_SCOPES:
            raise SlackError("invalid_types")
        call.need_scope(TYPE_SCOPES[kind])
    found = [channel for channel in CHANNELS.values() if not channel.is_im]
    views = [channel_view(channel, call.desk.workspace.members(channel)) for channel in found]
    channels, metadata = _page(call, views, 100, 1000)
    return {"channels": channels, **metadata}


def info(call: Call) -> dict[str, Any]:
    channel = _readable(call)
    return {"channel": channel_view(channel, call.desk.workspace.members(channel))}


def members(call: Call) -> dict[str, Any]:
    channel = _readable(call)
    found, metadata = _page(call, call.desk.workspace.members(channel), 100, 1000)
    return {"members": found, **metadata}


def open_(call: Call) -> dict[str, Any]:
    if call.args.get("channel"):
        channel = call.channel()
    else:
        users = call.text("users").split(",")
        if len(users) > 1:
            call.need_scope("mpim:write")
        if users[0] == BOT_USER_ID:
            raise SlackError("cannot_dm_bot")
        if not any(person.id == users[0] for person in PEOPLE):
            raise SlackError("user_not_found")
        channel = CHANNELS[f"D_{users[0]}"]
    view: dict[str, Any] = {"id": channel.id}
    if call.flag("return_im"):
        view = channel_view(channel, call.desk.workspace.members(channel))
    return {"no_op": True, "already_open": True, "channel": view}


def _in_window(call: Call, message: dict[str, Any]) -> bool:
    """`oldest` and `latest` exclude their own ts unless `inclusive`. ts compare as numbers."""
    ts = float(message["ts"])
    try:
        oldest = float(call.args.get("oldest") or 0)
        latest = float(call.args.get("latest") or "inf")
    except (TypeError, ValueError):
        raise SlackError("invalid_ts_oldest") from None
    if call.flag("inclusive"):
        return oldest <= ts <= latest
    return oldest < ts < latest


def history(call: Call) -> dict[str, Any]:
    channel = call.joined(call.channel())
    messages = [
        message
        for message in reversed(call.desk.messages.lasting(channel.id))
        if (message["thread_ts"] is None or message["broadcast"]) and _in_window(call, message)
    ]
    return _messages(call, messages)


def replies(call: Call) -> dict[str, Any]:
    channel = call.joined(call.channel())
    asked = call.desk.messages.get(channel.id, call.text("ts"))
    if asked is None or asked["ephemeral"]:
        raise SlackError("thread_not_found")
    root = call.desk.messages.get(channel.id, asked["thread_ts"] or asked["ts"])
    if root is None:
        raise SlackError("thread_not_found")
    thread = [one for one in call.desk.messages.replies(root) if _in_window(call, one)]
    return _messages(call, [root, *thread])


def _messages(call: Call, messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found, metadata = _page(call, messages, 100, 999)
    with_metadata = call.flag("include_all_metadata")
    return {
        "messages": [call.desk.messages.api_view(one, metadata=with_metadata) for one in found],
        "has_more": bool(metadata["response_metadata"]["next_cursor"]),
        **metadata,
    }


METHODS = {
    "conversations.list": list_,
    "conversations.info": info,
    "conversations.members": members,
    "conversations.open": open_,
    "conversations.history": history,
    "conversations.replies": replies,
}
