"""Slack at the wire: Web API, slash commands, interactivity, events, response URLs, for the real slack-bolt.

Beyond SANDBOX.md's calls, the control API has (all POST, under /sandbox/slack):
- `action` also takes block_id, for an action_id that stands in several blocks;
- `close` {user, view_id, all?}, `home` {user, tab?}, `shortcut` {user, callback_id, channel?, ts?};
- `options` {user, action_id, query, and channel + ts or view_id}: what an external select offers;
- `membership` {channel, user, member}: also takes the app (U_BOT) out of a channel;
- `behaviour` {method, error?, status?, retry_after?, delay_s?, lose_response?, times?}: how a Web API
  method (or `response_url`) misbehaves, `times` times or until reset; the method alone resets it.
  `behaviour` {paid_plan?, newer_blocks?}: user groups exist; data_table and its like are accepted.
- `renew` {}, in Socket Mode only: the app is asked to open its connections anew.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.slack.call import Desk
from sandbox.slack.calls_files import FileStore
from sandbox.slack.control import SlackControl
from sandbox.slack.interactions import Interactions
from sandbox.slack.modals import Modals
from sandbox.slack.outbound import Dispatcher
from sandbox.slack.responses import Responses
from sandbox.slack.sockets import Sockets
from sandbox.slack.timing import Timing
from sandbox.slack.web_api import WebApi
from sandbox.slack.workspace import APP_ID, BOT_USER_ID, CHANNELS, PEOPLE, TEAM_ID
from sandbox.world import World

__all__ = ["SlackPart"]


class SlackPart:
    def __init__(self, world: World, timing: Timing | None = None, *, socket_mode: bool = False) -> None:
        self._world = world
        self.desk = Desk(world, timing or Timing())
        self._sockets = Sockets(self.desk) if socket_mode else None
        self._dispatcher = Dispatcher(self.desk, self._sockets)
        self.interactions = Interactions(self.desk, self._dispatcher)
        self.modals = Modals(self.desk, self._dispatcher, self.interactions)

    async def start(self) -> None:
        self._world.endpoints["slack"] = {
            "api": f"{self._world.endpoints['http']}/slack/api/",
            "signing_secret": self.desk.workspace.signing_secret,
            "bot_token": self.desk.workspace.bot_token,
            "app_token": self.desk.workspace.app_token,
            "team_id": TEAM_ID,
            "bot_user_id": BOT_USER_ID,
            "app_id": APP_ID,
        }
        await self._dispatcher.start()

    async def stop(self) -> None:
        if self._sockets is not None:
            await self._sockets.stop()
        await self._dispatcher.stop()

    def routes(self) -> list[web.RouteDef]:
        return [
            *(self._sockets.routes() if self._sockets is not None else ()),
            *WebApi(self.desk).routes(),
            *Responses(self.desk).routes(),
            *FileStore(self.desk).routes(),
            *SlackControl(self.desk, self.interactions, self.modals).routes(),
        ]

    def users(self) -> list[dict[str, Any]]:
        return [{"id": user.id, "name": user.name, "role": user.role} for user in PEOPLE]

    def channels(self) -> list[dict[str, Any]]:
        """The channels that everybody shares; D_<user> is each one's direct message with the app."""
        return [{"id": one.id, "name": one.name} for one in CHANNELS.values() if not one.is_im]
