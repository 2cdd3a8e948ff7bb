"""What Slack hands to the app for one use or a short while: trigger ids and response URLs.

A trigger_id opens one view within 3 s; a response_url answers 5 times within 30 minutes. Both in real time.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from sandbox.slack.errors import SlackError
from sandbox.slack.timing import Timing
from sandbox.world import World

RESPONSE_USES = 5
_KIND = "slack_response"


@dataclass
class Trigger:
    user: str
    issued: float
    view_id: str | None = None
    exchanged: bool = False


class Triggers:
    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._issued: dict[str, Trigger] = {}

    def issue(self, user: str, view_id: str | None = None) -> str:
        now = self._timing.monotonic()
        self._issued = {key: one for key, one in self._issued.items() if now - one.issued < 600}
        trigger_id = f"{int(time.time() * 1000)}.{secrets.randbelow(10**10)}.{secrets.token_hex(16)}"
        self._issued[trigger_id] = Trigger(user, now, view_id)
        return trigger_id

    def exchange(self, trigger_id: object) -> Trigger:
        trigger = self._issued.get(trigger_id) if isinstance(trigger_id, str) else None
        if trigger is None:
            raise SlackError("invalid_arguments", messages=["[ERROR] invalid trigger_id"])
        if trigger.exchanged:
            raise SlackError("exchanged_trigger_id")
        if self._timing.monotonic() - trigger.issued > self._timing.trigger_s:
            raise SlackError("expired_trigger_id")
        trigger.exchanged = True
        return trigger


class ResponseUrls:
    """`used` counts the answers; the original is the message whose button was pressed, if any."""

    def __init__(self, world: World, timing: Timing) -> None:
        self._world = world
        self._timing = timing

    def issue(self, user: str, channel: str, *, original_ts: str | None = None) -> str:
        key = secrets.token_urlsafe(18)
        self._world.documents.put(
            _KIND,
            key,
            {
                "id": key,
                "user": user,
                "channel": channel,
                "original_ts": original_ts,
                "issued": self._timing.epoch(),
                "used": 0,
            },
        )
        return f"{self._world.endpoints['http']}/slack/response/{key}"

    def use(self, key: str) -> tuple[dict[str, Any] | None, str | None]:
        """The ticket, and the error of Slack when it is not good any more."""
        ticket = self._world.documents.get(_KIND, key)
        if ticket is None:
            return None, "no_such_url"
        if self._timing.epoch() - ticket["issued"] > self._timing.response_s:
            return ticket, "expired_url"
        if ticket["used"] >= RESPONSE_USES:
            return ticket, "used_url"
        return ticket, None

    def count(self, ticket: dict[str, Any]) -> None:
        ticket["used"] += 1
        self._world.documents.put(_KIND, ticket["id"], ticket)
