"""The payloads of interactions: who, where, on what, as Slack's interactivity reference shows them."""

from __future__ import annotations

import copy
import re
import time
from typing import Any

from sandbox.slack.outbound import UNUSED_TOKEN
from sandbox.slack.state import STATEFUL
from sandbox.slack.workspace import APP_ID, CHANNELS, PEOPLE, TEAM_ID, USERS, User

_KEPT_MARKUP = re.compile(r"(<@[UW][A-Z0-9_]+>|<#C[A-Z0-9_]+(?:\|[^<>]*)?>)")


def actor(user: User) -> dict[str, Any]:
    """Fields that every interaction has. An outsider's carry their own team, as in Slack Connect."""
    return {
        "user": {"id": user.id, "username": user.handle, "name": user.handle, "team_id": user.team_id},
        "team": {"id": user.team_id, "domain": user.team_domain},
        "api_app_id": APP_ID,
        "token": UNUSED_TOKEN,
        "enterprise": None,
        "is_enterprise_install": False,
    }


def channel_of(channel_id: str) -> dict[str, str]:
    return {"id": channel_id, "name": CHANNELS[channel_id].name}


def action_entry(block: dict[str, Any], element: dict[str, Any], entered: dict[str, Any]) -> dict[str, Any]:
    """One of a block_actions payload's actions; `entered` holds a button's value or the new state."""
    entry: dict[str, Any] = {
        "type": element["type"],
        "block_id": block["block_id"],
        "action_id": element["action_id"],
        "action_ts": f"{time.time():.6f}",
    }
    for name in ("text", "style", "url", "placeholder", "confirm"):
        if name in element and (element["type"] == "button" or name in ("placeholder", "confirm")):
            entry[name] = copy.deepcopy(element[name])
    return entry | {name: value for name, value in entered.items() if name != "type"}


def button_value(element: dict[str, Any], given: Any) -> dict[str, Any]:
    value = element.get("value") if given is None else str(given)
    return {} if value is None else {"value": value}


def chosen_value(element: dict[str, Any], state: dict[str, Any]) -> Any:
    return state.get(STATEFUL[str(element["type"])][0])


def typed_text(text: str) -> str:
    """What a person typed, as Slack's client sends it: names become mentions, the rest is escaped."""
    for user in USERS.values():
        for name in (user.name, user.handle):
            text = re.sub(rf"(?<![\w<])@{re.escape(name)}\b", f"<@{user.id}>", text)
    pieces = _KEPT_MARKUP.split(text)
    return "".join(piece if index % 2 else _escaped(piece) for index, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message_event(user: User, channel_id: str, ts: str, text: str, thread_ts: str | None) -> dict[str, Any]:
    event: dict[str, Any] = {
        "type": "message",
        "user": user.id,
        "text": text,
        "ts": ts,
        "channel": channel_id,
        "event_ts": ts,
        "team": user.team_id,
        "channel_type": "im" if CHANNELS[channel_id].is_im else "channel",
        "client_msg_id": f"client-{ts}",
    }
    if thread_ts is not None:
        event["thread_ts"] = thread_ts
    if user.team_id != TEAM_ID:
        event |= {"user_team": user.team_id, "source_team": user.team_id}
    return event


def has_outsiders(channel_id: str) -> bool:
    channel = CHANNELS[channel_id]
    if channel.im_user is not None:
        return USERS[channel.im_user].team_id != TEAM_ID
    return any(person.team_id != TEAM_ID for person in PEOPLE)
