"""How often and with which scopes the app may call: Slack's rate tiers and the demo app's manifest.

Buckets refill in real time; their burst is generous, so that only a loop or a flood meets a 429.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sandbox.slack.timing import Timing

SCOPES = frozenset(
    {
        "commands",
        "chat:write",
        "app_mentions:read",
        "channels:history",
        "groups:history",
        "im:history",
        "channels:read",
        "im:write",
        "users:read",
        "usergroups:read",
        "files:write",
        "files:read",
    }
)


@dataclass(frozen=True)
class Rate:
    """`per_minute` calls in the long run, `burst` at once; counted for each channel or for all."""

    per_minute: float
    burst: int
    by_channel: bool = False


POSTING = Rate(60, 5, by_channel=True)
TIER_1 = Rate(1, 5)
TIER_2 = Rate(20, 20)
TIER_3 = Rate(50, 25)
TIER_4 = Rate(100, 50)
SPECIAL = Rate(600, 600)

RATES: dict[str, Rate] = {
    "api.test": SPECIAL,
    "auth.test": SPECIAL,
    "bots.info": TIER_3,
    "chat.delete": TIER_3,
    "chat.getPermalink": SPECIAL,
    "chat.postEphemeral": TIER_4,
    "chat.postMessage": POSTING,
    "chat.update": TIER_3,
    "conversations.history": TIER_3,
    "conversations.info": TIER_3,
    "conversations.list": TIER_2,
    "conversations.members": TIER_4,
    "conversations.open": TIER_3,
    "conversations.replies": TIER_3,
    "files.completeUploadExternal": TIER_4,
    "files.getUploadURLExternal": TIER_4,
    "files.info": TIER_4,
    "usergroups.list": TIER_2,
    "usergroups.users.list": TIER_2,
    "users.info": TIER_4,
    "users.list": TIER_2,
    "views.open": TIER_4,
    "views.publish": TIER_4,
    "views.push": TIER_4,
    "views.update": TIER_4,
}

NEEDED_SCOPES: dict[str, str] = {
    "bots.info": "users:read",
    "chat.delete": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.list": "channels:read",
    "conversations.open": "im:write",
    "files.completeUploadExternal": "files:write",
    "files.getUploadURLExternal": "files:write",
    "files.info": "files:read",
    "usergroups.list": "usergroups:read",
    "usergroups.users.list": "usergroups:read",
    "users.info": "users:read",
    "users.list": "users:read",
    # Methods that Slack has and this app may not call: it never asked for these scopes.
    "bookmarks.add": "bookmarks:write",
    "conversations.archive": "channels:manage",
    "conversations.create": "channels:manage",
    "conversations.invite": "channels:manage",
    "conversations.join": "channels:join",
    "conversations.kick": "channels:manage",
    "conversations.leave": "channels:manage",
    "conversations.setTopic": "channels:manage",
    "pins.add": "pins:write",
    "reactions.add": "reactions:write",
    "reactions.remove": "reactions:write",
    "team.info": "team:read",
    "users.lookupByEmail": "users:read.email",
    "users.profile.get": "users.profile:read",
}


class Buckets:
    """Token buckets in monotonic time."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._levels: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, method: str, channel: str) -> int | None:
        """None when the call may pass, else the Retry-After in whole seconds."""
        rate = RATES.get(method)
        if rate is None:
            return None
        key = (method, channel if rate.by_channel else "")
        now = self._timing.monotonic()
        level, since = self._levels.get(key, (float(rate.burst), now))
        level = min(float(rate.burst), level + (now - since) * rate.per_minute / 60)
        if level < 1:
            self._levels[key] = (level, now)
            return max(1, math.ceil((1 - level) * 60 / rate.per_minute))
        self._levels[key] = (level - 1, now)
        return None
