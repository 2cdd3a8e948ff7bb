"""Who and what is in the Slack workspace: five people, the app, two channels, a direct message each."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sandbox.world import ControlError, World

TEAM_ID = "T_CASCADE"
TEAM_DOMAIN = "cascade"
OTHER_TEAM_ID = "T_OTHER"
OTHER_TEAM_DOMAIN = "other"
BOT_USER_ID = "U_BOT"
BOT_ID = "B_ISPBOT"
BOT_NAME = "ISP Bot"
APP_ID = "A_ISPBOT"
SLACKBOT_ID = "USLACKBOT"
COMMANDS = {"/isp": "Subscribers, invoices and what became of their messages"}
"""The slash commands that the app's manifest declares."""


@dataclass(frozen=True)
class User:
    id: str
    name: str
    handle: str
    role: str
    team_id: str = TEAM_ID

    @property
    def team_domain(self) -> str:
        return TEAM_DOMAIN if self.team_id == TEAM_ID else OTHER_TEAM_DOMAIN


@dataclass(frozen=True)
class Channel:
    id: str
    name: str
    im_user: str | None = None

    @property
    def is_im(self) -> bool:
        return self.im_user is not None


PEOPLE = (
    User("U_AGENT", "Ana Agent", "ana", "agent"),
    User("U_LEAD", "Leo Lead", "leo", "lead"),
    User("U_ADMIN", "Ada Admin", "ada", "admin"),
    User("U_VIEWER", "Vera Viewer", "vera", "viewer"),
    User("U_OUTSIDER", "Oscar Outsider", "oscar", "outsider", OTHER_TEAM_ID),
)
BOT = User(BOT_USER_ID, BOT_NAME, "ispbot", "bot")
SLACKBOT = User(SLACKBOT_ID, "Slackbot", "slackbot", "bot")
USERS = {user.id: user for user in (*PEOPLE, BOT, SLACKBOT)}
CHANNELS = {
    channel.id: channel
    for channel in (
        Channel("C_SUPPORT", "support"),
        Channel("C_ONCALL", "oncall"),
        *(Channel(f"D_{user.id}", "directmessage", user.id) for user in PEOPLE),
    )
}
GROUPS = (
    {"id": "S_LEADS", "handle": "leads", "name": "Leads", "users": ["U_LEAD"]},
    {"id": "S_ADMINS", "handle": "admins", "name": "Admins", "users": ["U_ADMIN"]},
)


class Workspace:
    """Membership and secrets; both survive a restart."""

    def __init__(self, world: World) -> None:
        self._documents = world.documents
        kept = self._documents.get("slack_secrets", "app")
        if kept is None:
            kept = {
                "signing_secret": secrets.token_hex(16),
                "bot_token": f"xoxb-{secrets.token_hex(12)}",
                "app_token": f"xapp-{secrets.token_hex(12)}",
            }
            self._documents.put("slack_secrets", "app", kept)
        self.signing_secret: str = kept["signing_secret"]
        self.bot_token: str = kept["bot_token"]
        self.app_token: str = kept.get("app_token") or f"xapp-{kept['bot_token'].removeprefix('xoxb-')}"

    def members(self, channel: Channel) -> list[str]:
        if channel.im_user is not None:
            return [channel.im_user, BOT_USER_ID]
        kept = self._documents.get("slack_members", channel.id)
        return list(kept["users"]) if kept else [*(user.id for user in PEOPLE), BOT_USER_ID]

    def set_member(self, channel: Channel, user_id: str, member: bool) -> None:
        if channel.is_im:
            raise ControlError("The members of a direct message cannot change.")
        users = [one for one in self.members(channel) if one != user_id] + [user_id] * member
        self._documents.put("slack_members", channel.id, {"users": users})

    def is_member(self, channel: Channel, user_id: str) -> bool:
        return user_id in self.members(channel)

    def channels_of(self, user_id: str) -> list[Channel]:
        return [channel for channel in CHANNELS.values() if self.is_member(channel, user_id)]

    def person(self, user_id: str) -> User:
        """A person of the control API; the app and Slackbot are not people."""
        user = USERS.get(user_id)
        if user is None or user not in PEOPLE:
            known = ", ".join(person.id for person in PEOPLE)
            raise ControlError(f"There is no user {user_id}; users: {known}.", 404)
        return user

    def channel_for(self, channel_id: str, user: User) -> Channel:
        """A channel that `user` can open."""
        channel = CHANNELS.get(channel_id)
        if channel is None or not self.is_member(channel, user.id):
            known = ", ".join(one.id for one in self.channels_of(user.id))
            raise ControlError(f"{user.id} sees no channel {channel_id}; channels: {known}.", 404)
        return channel


def user_view(user: User) -> dict[str, Any]:
    """A user as users.info answers it."""
    return {
        "id": user.id,
        "team_id": user.team_id,
        "name": user.handle,
        "real_name": user.name,
        "deleted": False,
        "is_bot": user.role == "bot" and user.id != SLACKBOT_ID,
        "is_app_user": False,
        "is_admin": user.role == "admin",
        "is_restricted": False,
        "is_stranger": user.team_id != TEAM_ID,
        "tz": "America/Los_Angeles",
        "tz_label": "Pacific Time",
        "tz_offset": -28800,
        "updated": 1_700_000_000,
        "profile": {
            "real_name": user.name,
            "display_name": user.name,
            "team": user.team_id,
            **({"bot_id": BOT_ID, "api_app_id": APP_ID} if user.id == BOT_USER_ID else {}),
        },
    }


def channel_view(channel: Channel, members: list[str]) -> dict[str, Any]:
    """A conversation as conversations.info answers it."""
    common: dict[str, Any] = {
        "id": channel.id,
        "created": 1_700_000_000,
        "is_archived": False,
        "is_im": channel.is_im,
        "is_mpim": False,
        "is_private": channel.is_im,
        "is_org_shared": False,
        "context_team_id": TEAM_ID,
        "updated": 1_700_000_000_000,
    }
    if channel.im_user is not None:
        return {**common, "user": channel.im_user, "is_open": True, "is_user_deleted": False, "priority": 0}
    shared = any(USERS[one].team_id != TEAM_ID for one in members)
    return {
        **common,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": True,
        "is_group": False,
        "is_general": False,
        "is_shared": shared,
        "is_ext_shared": shared,
        "is_member": BOT_USER_ID in members,
        "creator": "U_ADMIN",
        "num_members": len(members),
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }
