"""What the methods of the Web API work with: the desk (all of the workspace's state) and one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.slack.errors import SlackError
from sandbox.slack.faults import Behaviours
from sandbox.slack.limits import SCOPES, Buckets
from sandbox.slack.messages import Messages
from sandbox.slack.tickets import ResponseUrls, Triggers
from sandbox.slack.timing import Timing
from sandbox.slack.views import Views
from sandbox.slack.workspace import BOT_USER_ID, CHANNELS, PEOPLE, Channel, Workspace
from sandbox.world import World


class Desk:
    """All state of the emulated Slack."""

    def __init__(self, world: World, timing: Timing) -> None:
        self.world = world
        self.timing = timing
        self.workspace = Workspace(world)
        self.messages = Messages(world)
        self.views = Views(world)
        self.triggers = Triggers(timing)
        self.response_urls = ResponseUrls(world, timing)
        self.behaviours = Behaviours()
        self.buckets = Buckets(timing)
        self.paid_plan = False
        self.newer_blocks = False


@dataclass
class Call:
    desk: Desk
    method: str
    args: Mapping[str, Any]
    problems: list[str] = field(default_factory=list)

    def text(self, name: str) -> str:
        """A required text argument."""
        value = self.args.get(name)
        if not isinstance(value, str) or not value:
            raise SlackError(
                "invalid_arguments",
                messages=[f"[ERROR] missing required field: {name} [json-pointer:/{name}]"],
            )
        return value

    def flag(self, name: str) -> bool:
        return self.args.get(name) in (True, "1", "true", "True", 1)

    def whole(self, name: str, default: int, most: int) -> int:
        try:
            value = int(self.args.get(name) or default)
        except (TypeError, ValueError):
            raise SlackError("invalid_arguments", messages=[f"[ERROR] {name} must be a number"]) from None
        if not 1 <= value <= most:
            raise SlackError("invalid_limit")
        return value

    def complain(self, problem: str | None) -> None:
        if problem:
            self.problems.append(problem)

    def need_scope(self, scope: str) -> None:
        if scope not in SCOPES:
            raise SlackError("missing_scope", needed=scope, provided=",".join(sorted(SCOPES)))

    def channel(self, *, posting: bool = False) -> Channel:
        """The channel argument: an id; for posting also a person's id or a channel's name."""
        wanted = self.args.get("channel")
        if not isinstance(wanted, str) or not wanted:
            raise SlackError("channel_not_found")
        if posting and wanted == BOT_USER_ID:
            raise SlackError("cannot_dm_bot")
        if posting and any(wanted == person.id for person in PEOPLE):
            wanted = f"D_{wanted}"
        found = CHANNELS.get(wanted)
        if found is None and posting:
            names = {one.name: one for one in CHANNELS.values() if not one.is_im}
            found = names.get(wanted.removeprefix("#"))
        if found is None:
            raise SlackError("channel_not_found")
        return found

    def joined(self, channel: Channel) -> Channel:
        if not self.desk.workspace.is_member(channel, BOT_USER_ID):
            raise SlackError("not_in_channel")
        return channel
