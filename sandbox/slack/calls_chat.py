"""chat.*: what the app posts, edits and deletes."""

from __future__ import annotations

from typing import Any

from sandbox.slack.call import Call
from sandbox.slack.content import (
    MOST_UPDATED,
    has_link,
    parsed,
    read_blocks,
    read_metadata,
    read_text,
    suspicious,
)
from sandbox.slack.errors import SlackError
from sandbox.slack.workspace import BOT_USER_ID, USERS


def _content(call: Call) -> tuple[str, list[Any]]:
    blocks = read_blocks(call.args, newer=call.desk.newer_blocks)
    text = read_text(call.args)
    attachments = parsed(call.args, "attachments", "invalid_attachments")
    if not text and not blocks and not attachments:
        raise SlackError("no_text")
    if attachments:
        call.complain("attachments are legacy and not shown here: use blocks")
    call.complain(suspicious(text, blocks))
    return text or "", blocks or []


def _thread(call: Call, channel: str) -> str | None:
    thread_ts = call.args.get("thread_ts")
    if not thread_ts:
        return None
    root = call.desk.messages.get(channel, str(thread_ts))
    if root is None or root["ephemeral"]:
        raise SlackError("thread_not_found")
    return str(root["thread_ts"] or root["ts"])


def _wanted(call: Call, name: str) -> bool:
    """Unless it is switched off."""
    return call.flag(name) or name not in call.args


def post_message(call: Call) -> dict[str, Any]:
    channel = call.joined(call.channel(posting=True))
    if any(call.args.get(name) for name in ("username", "icon_emoji", "icon_url")):
        call.need_scope("chat:write.customize")
    metadata = read_metadata(call.args)
    text, blocks = _content(call)
    if has_link(text, blocks) and any(_wanted(call, name) for name in ("unfurl_links", "unfurl_media")):
        call.complain("Slack would fetch the links in it and show what they lead to")
    message = call.desk.messages.add(
        channel.id,
        BOT_USER_ID,
        text,
        blocks=blocks,
        thread_ts=_thread(call, channel.id),
        metadata=metadata,
        broadcast=call.flag("reply_broadcast"),
    )
    view = call.desk.messages.api_view(message, metadata=True)
    return {"channel": channel.id, "ts": message["ts"], "message": view}


def post_ephemeral(call: Call) -> dict[str, Any]:
    channel = call.joined(call.channel(posting=True))
    user = USERS.get(call.text("user"))
    if user is None or not call.desk.workspace.is_member(channel, user.id):
        raise SlackError("user_not_in_channel")
    text, blocks = _content(call)
    thread_ts = _thread(call, channel.id)
    message = call.desk.messages.add(
        channel.id, BOT_USER_ID, text, blocks=blocks, thread_ts=thread_ts, ephemeral_to=user.id
    )
    return {"message_ts": message["ts"]}


def _own_message(call: Call, refusal: str) -> dict[str, Any]:
    channel = call.joined(call.channel())
    message = call.desk.messages.get(channel.id, call.text("ts"))
    # Ephemeral messages cannot be reached by ts: only by the response_url of a press on them.
    if message is None or message["ephemeral"]:
        raise SlackError("message_not_found")
    if message["user"] != BOT_USER_ID:
        raise SlackError(refusal)
    return message


def update(call: Call) -> dict[str, Any]:
    message = _own_message(call, "cant_update_message")
    metadata = read_metadata(call.args)
    text = read_text(call.args, MOST_UPDATED)
    blocks = read_blocks(call.args, newer=call.desk.newer_blocks)
    if text is None and blocks is None:
        raise SlackError("no_text")
    # What is not given stays: an empty array of blocks removes them.
    text = message["text"] if text is None else text
    blocks = message["blocks"] if blocks is None else blocks
    if not text and not blocks:
        raise SlackError("no_text")
    call.complain(suspicious(text, blocks))
    call.desk.messages.edit(message, text, blocks)
    if metadata is not None:
        call.desk.messages.set_metadata(message, metadata)
    view = call.desk.messages.api_view(message, metadata=True)
    return {"channel": message["channel"], "ts": message["ts"], "text": text, "message": view}


def delete(call: Call) -> dict[str, Any]:
    message = _own_message(call, "cant_delete_message")
    call.desk.messages.delete(message)
    return {"channel": message["channel"], "ts": message["ts"]}


def get_permalink(call: Call) -> dict[str, Any]:
    channel = call.channel()
    message = call.desk.messages.get(channel.id, call.text("message_ts"))
    if message is None or message["ephemeral"]:
        raise SlackError("message_not_found")
    path = f"/archives/{channel.id}/p{message['ts'].replace('.', '')}"
    return {"channel": channel.id, "permalink": f"{call.desk.world.endpoints['http']}{path}"}


METHODS = {
    "chat.postMessage": post_message,
    "chat.postEphemeral": post_ephemeral,
    "chat.update": update,
    "chat.delete": delete,
    "chat.getPermalink": get_permalink,
}
