"""Who may do what: Slack users and user groups to roles, groups cached for a minute.

Asked when a thing happens, not when its button was drawn.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.config import Roles
from handlers.profile import Role

log = structlog.get_logger()
_KEEP_S = 60.0


class RoleBook:
    def __init__(self, roles: Mapping[int, Roles], clients: Mapping[int, AsyncWebClient]) -> None:
        self._roles, self._clients = roles, clients
        self._groups: dict[tuple[int, str], tuple[float, frozenset[str]]] = {}

    async def role_of(self, tenant: int, user_id: str) -> Role:
        """The highest role of this user; NONE for everybody else."""
        roles = self._roles[tenant]
        for role, members in (
            (Role.ADMIN, roles.admin),
            (Role.LEAD, roles.lead),
            (Role.AGENT, roles.agent),
            (Role.VIEWER, roles.viewer),
        ):
            if user_id in members.users:
                return role
            for group in members.groups:
                if user_id in await self._members(tenant, group):
                    return role
        return Role.NONE

    def forget_groups(self) -> None:
        """Slack said that a group changed."""
        self._groups.clear()

    async def _members(self, tenant: int, group: str) -> frozenset[str]:
        known = self._groups.get((tenant, group))
        if known is not None and time.monotonic() - known[0] < _KEEP_S:
            return known[1]
        try:
            answer = await self._clients[tenant].usergroups_users_list(usergroup=group)
            members = frozenset(answer.get("users") or ())
        except (SlackApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            # Without an answer nobody gets in by this group; a known membership is kept.
            code = error.response.get("error") if isinstance(error, SlackApiError) else type(error).__name__
            log.warning("group_unreadable", group=group, error=code)
            members = known[1] if known is not None else frozenset()
        self._groups[(tenant, group)] = (time.monotonic(), members)
        return members
