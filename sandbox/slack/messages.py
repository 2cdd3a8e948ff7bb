"""The messages of the workspace, ephemeral ones among them, and who can see which.

A message's ts is business time, unique and rising, as the sandbox's clock is what its people live by.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Sequence
from typing import Any

from sandbox.slack.workspace import APP_ID, BOT_ID, BOT_NAME, BOT_USER_ID, TEAM_ID
from sandbox.world import World

KIND = "slack_message"


def with_ids(blocks: Sequence[Any]) -> list[Any]:
    """A copy in which every block has a block_id and every interactive element an action_id."""
    filled: list[Any] = copy.deepcopy(list(blocks))
    for block in filled:
        if not isinstance(block, dict):
            continue
        block["block_id"] = block.get("block_id") or secrets.token_urlsafe(4)
        for element in interactive(block):
            element["action_id"] = element.get("action_id") or secrets.token_urlsafe(4)
    return filled


def interactive(block: dict[str, Any]) -> list[dict[str, Any]]:
    """The elements of a block that a person can use."""
    candidates = [block.get("accessory"), block.get("element")]
    if block.get("type") == "actions":
        candidates += block.get("elements") or []
    return [one for one in candidates if isinstance(one, dict) and one.get("type") != "image"]


class Messages:
    def __init__(self, world: World) -> None:
        self._world = world
        self._by_channel: dict[str, dict[str, dict[str, Any]]] = {}
        self._replies: dict[tuple[str, str], list[str]] = {}
        self._last_us = 0
        for message in world.documents.all(KIND):
            self._by_channel.setdefault(message["channel"], {})[message["ts"]] = message
            if message["thread_ts"] is not None and not message["ephemeral"]:
                self._replies.setdefault((message["channel"], message["thread_ts"]), []).append(message["ts"])
            self._last_us = max(self._last_us, _microseconds(message["ts"]))

    def next_ts(self) -> str:
        now_us = int(self._world.clock.now().timestamp() * 1_000_000)
        self._last_us = max(now_us, self._last_us + 1)
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def add(
        self,
        channel: str,
        user: str,
        text: str,
        *,
        blocks: Sequence[Any] = (),
        thread_ts: str | None = None,
        ephemeral_to: str | None = None,
        metadata: dict[str, Any] | None = None,
        files: Sequence[dict[str, Any]] = (),
        broadcast: bool = False,
    ) -> dict[str, Any]:
        ts = self.next_ts()
        message: dict[str, Any] = {
            "ts": ts,
            "channel": channel,
            "user": user,
            "ephemeral": ephemeral_to is not None,
            "ephemeral_to": ephemeral_to,
            "text": text,
            "blocks": with_ids(blocks),
            "thread_ts": thread_ts,
            "edits": 0,
            "files": list(files),
            "metadata": metadata,
            "broadcast": broadcast,
        }
        self._by_channel.setdefault(channel, {})[ts] = message
        if thread_ts is not None and not message["ephemeral"]:
            self._replies.setdefault((channel, thread_ts), []).append(ts)
        self._keep(message)
        return message

    def _keep(self, message: dict[str, Any]) -> None:
        self._world.documents.put(KIND, f"{message['channel']}:{message['ts']}", message)
        self._world.changes.notify("slack")

    def get(self, channel: str, ts: str) -> dict[str, Any] | None:
        return self._by_channel.get(channel, {}).get(ts)

    def edit(self, message: dict[str, Any], text: str, blocks: Sequence[Any]) -> None:
        message["text"] = text
        message["blocks"] = with_ids(blocks)
        message["edits"] += 1
        self._keep(message)

    def set_metadata(self, message: dict[str, Any], metadata: dict[str, Any] | None) -> None:
        message["metadata"] = metadata
        self._keep(message)

    def delete(self, message: dict[str, Any]) -> None:
        self._by_channel[message["channel"]].pop(message["ts"], None)
        self._world.documents.delete(KIND, f"{message['channel']}:{message['ts']}")
        self._world.changes.notify("slack")

    def visible(self, channel: str, user: str, thread_ts: str | None = None) -> list[dict[str, Any]]:
        """What `user` sees there, oldest first; with `thread_ts` only that thread and its root."""
        return [
            message
            for message in self._by_channel.get(channel, {}).values()
            if message["ephemeral_to"] in (None, user)
            and (thread_ts is None or thread_ts in (message["ts"], message["thread_ts"]))
        ]

    def newest(self, channel: str, user: str) -> str:
        """The ts of the newest message outside threads that somebody else left there for `user`; or ""."""
        for ts, message in reversed(self._by_channel.get(channel, {}).items()):
            mine = message["user"] == user or message["ephemeral_to"] not in (None, user)
            if not mine and (message["thread_ts"] is None or message["broadcast"]):
                return ts
        return ""

    def lasting(self, channel: str) -> list[dict[str, Any]]:
        """What conversations.history knows of: no ephemeral messages."""
        return [m for m in self._by_channel.get(channel, {}).values() if not m["ephemeral"]]

    def replies(self, root: dict[str, Any]) -> list[dict[str, Any]]:
        found = (self.get(root["channel"], ts) for ts in self._replies.get((root["channel"], root["ts"]), []))
        return [reply for reply in found if reply is not None]

    def api_view(self, message: dict[str, Any], *, metadata: bool = False) -> dict[str, Any]:
        """A message as the Web API and event payloads show it."""
        view: dict[str, Any] = {
            "type": "message",
            "user": message["user"],
            "ts": message["ts"],
            "text": message["text"],
            "team": TEAM_ID,
        }
        if message["user"] == BOT_USER_ID:
            view |= {"bot_id": BOT_ID, "app_id": APP_ID}
            view["bot_profile"] = {
                "id": BOT_ID,
                "app_id": APP_ID,
                "name": BOT_NAME,
                "deleted": False,
                "team_id": TEAM_ID,
            }
        if message["blocks"]:
            view["blocks"] = copy.deepcopy(message["blocks"])
        if message["files"]:
            view["files"] = copy.deepcopy(message["files"])
        if message["edits"]:
            view["edited"] = {"user": message["user"], "ts": message["ts"]}
        if metadata and message["metadata"]:
            view["metadata"] = copy.deepcopy(message["metadata"])
        return view | self._thread_view(message)

    def _thread_view(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["thread_ts"] is not None:
            return {"thread_ts": message["thread_ts"]}
        replies = self.replies(message)
        if not replies:
            return {}
        return {
            "thread_ts": message["ts"],
            "reply_count": len(replies),
            "reply_users": sorted({reply["user"] for reply in replies}),
            "latest_reply": replies[-1]["ts"],
        }


def _microseconds(ts: str) -> int:
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * 1_000_000 + int(fraction or 0)
