"""The manifest of the Slack app, made from what this deployment really has.

Form and limits: docs.slack.dev/reference/app-manifest.

Each scope with its reason, so that whoever approves the app at Slack can read why; each is asked for only
when the feature that needs it is on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.config import AppConfig
from bot.shortcuts import SHORTCUTS
from handlers.profile import CommandSpec

NAME_MAX, DESCRIPTION_MAX, USAGE_MAX = 35, 140, 255
METHODS = {
    "auth.test": "",
    "chat.postEphemeral": "chat:write",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "channels:history",
    "conversations.open": "im:write",
    "conversations.replies": "channels:history",
    "files.completeUploadExternal": "files:write",
    "files.getUploadURLExternal": "files:write",
    "usergroups.users.list": "usergroups:read",
    "views.open": "",
    "views.publish": "",
}
"""Every Web API method that this product calls, and the scope that it needs
(docs.slack.dev/reference/methods); private channels need the `groups:` twin of a `channels:` scope."""
EVENTS = {
    "app_home_opened": "",
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "subteam_members_changed": "usergroups:read",
}
"""Events that the product listens to, and the scope behind each."""
GROUPS = "usergroups:read"
_WHY = {
    "commands": "the slash command and the shortcuts",
    "chat:write": "answers, cards and alerts",
    "app_mentions:read": "a mention is read like the command, in threads too",
    "channels:history": "notes in the threads of texts; to find a post whose answer was lost",
    "groups:history": "the same in private channels",
    "im:history": "direct messages are read like the command",
    "im:write": "answers that only one person may see, when nothing else is left",
    "files:write": "exports and records of notices, as files in a direct message",
    GROUPS: "roles by user group",
}


@dataclass(frozen=True, slots=True)
class ManifestProblem(Exception):
    """app.yaml asks for a manifest that Slack would refuse."""

    sentence: str

    def __str__(self) -> str:
        return self.sentence


def scopes(app: AppConfig) -> dict[str, str]:
    """Bot scope -> what it is for."""
    needed = dict(_WHY)
    if not _by_group(app):
        del needed[GROUPS]
    return needed


def events(app: AppConfig) -> list[str]:
    granted = scopes(app)
    return [event for event, scope in EVENTS.items() if not scope or scope in granted]


def manifest(app: AppConfig, commands: Sequence[CommandSpec], name: str = "") -> dict[str, Any]:
    """As Slack takes it under "From a manifest"; ManifestProblem where a limit of Slack's is broken."""
    brands = [tenant.brand.name for tenant in app.tenants.values()]
    called = name or (f"{brands[0]} desk" if len(brands) == 1 else "Support desk")
    if len(called) > NAME_MAX:
        raise ManifestProblem(
            f"Slack takes {NAME_MAX} characters for an app's name, “{called}” has {len(called)}: give --name."
        )
    socket = app.slack.mode == "socket"
    url = f"{app.public_url.rstrip('/')}/slack/events"
    first = next((spec.examples[0] for spec in commands if spec.name == "diagnose" and spec.examples), "help")
    command: dict[str, Any] = {
        "command": app.slack.command,
        "description": "Subscribers, messages, invoices: type it alone for a menu",
        "usage_hint": _cut(f"1042, {first}, or nothing for the menu", USAGE_MAX),
        "should_escape": False,
    }
    interactivity: dict[str, Any] = {"is_enabled": True}
    subscriptions: dict[str, Any] = {"bot_events": events(app)}
    if not socket:
        command["url"] = interactivity["request_url"] = subscriptions["request_url"] = url
    return {
        "display_information": {
            "name": called,
            "description": _cut("Why did the invoice not arrive? Finds out, and mends it.", DESCRIPTION_MAX),
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": called, "always_online": True},
            "shortcuts": [
                {
                    "name": shortcut.name,
                    "type": "message" if shortcut.on_message else "global",
                    "callback_id": shortcut.callback,
                    "description": shortcut.description,
                }
                for shortcut in SHORTCUTS
            ],
            "slash_commands": [command],
        },
        "oauth_config": {"scopes": {"bot": sorted(scopes(app))}},
        "settings": {
            "event_subscriptions": subscriptions,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket,
            "token_rotation_enabled": False,
        },
    }


def _by_group(app: AppConfig) -> bool:
    return any(
        role.groups
        for tenant in app.tenants.values()
        for role in (tenant.roles.viewer, tenant.roles.agent, tenant.roles.lead, tenant.roles.admin)
    )


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
