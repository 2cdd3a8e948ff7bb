"""Slack: the token and its team, scopes, channels, user groups, Socket Mode; its clock besides.

Only methods that the product calls anyway are asked (bot.manifest.METHODS): no scope is needed for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.checks.database import clock
from bot.checks.finding import LINE_S, Finding, Look, all_tried
from bot.config import Config, TenantConfig
from bot.manifest import scopes
from bot.wiring import slack_clients

WAY_OUT: Final = "Check slack.api_url and the way out to it."
_NOT_SLACK: Final = "what answers there is not Slack"
SIGNED_FOR: Final = timedelta(minutes=1)
"""Slack's signatures are good for five minutes; a clock that is a minute off is on its way there."""


@dataclass(frozen=True, slots=True)
class Token:
    """What auth.test tells of a bot token, in its answer and beside it (x-oauth-scopes, Date)."""

    team: str
    team_name: str
    scopes: frozenset[str] | None
    date: datetime | None


class NotAsked(Exception):
    """Slack was not reached, or refused: `code` is its own word for why, empty where nobody answered."""

    def __init__(self, found: str, code: str = "") -> None:
        super().__init__(found)
        self.found, self.code = found, code


async def look_at(client: AsyncWebClient) -> Token:
    """NotAsked where there is nothing to look at."""
    answer = await _asked(client, "auth.test")
    headers: Mapping[str, str] = {str(k).lower(): str(v) for k, v in (answer.headers or {}).items()}
    granted = headers.get("x-oauth-scopes")
    return Token(
        str(answer.get("team_id")),
        str(answer.get("team", "")),
        None if granted is None else frozenset(filter(None, (s.strip() for s in granted.split(",")))),
        _date(headers.get("date", "")),
    )


async def _asked(client: AsyncWebClient, method: str, **params: Any) -> Any:
    try:
        return await client.api_call(method, params=params)
    except SlackApiError as error:
        # slack_sdk: what is no JSON comes with aiohttp's own answer, which has no words of Slack's.
        told = error.response.get("error") if isinstance(error.response, AsyncSlackResponse) else None
        if not isinstance(told, str):
            raise NotAsked(_NOT_SLACK) from None
        raise NotAsked(f"refused ({told})", told) from None
    except AttributeError:  # slack_sdk takes text/plain for the answer to an upload, and trips over it
        raise NotAsked(_NOT_SLACK) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NotAsked(f"no answer ({type(error).__name__})") from None


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (TypeError, ValueError):
        return None


async def slack(config: Config, session: aiohttp.ClientSession, line_s: float = LINE_S) -> list[Finding]:
    clients = slack_clients(config, session)
    looks: list[tuple[str, Look]] = [
        (f"Slack of {key}", _tenant(config, key, tenant, clients[tenant.id]))
        for key, tenant in config.app.tenants.items()
    ]
    if config.app.slack.mode == "socket":
        looks.append(("Socket Mode", _socket(config, session)))
    return await all_tried(looks, line_s)


async def _tenant(config: Config, key: str, tenant: TenantConfig, client: AsyncWebClient) -> list[Finding]:
    what = f"Slack of {key}"
    try:
        token = await look_at(client)
    except NotAsked as trouble:
        remedy = WAY_OUT
        if trouble.code:
            remedy = f"Put the bot token into {tenant.slack.bot_token_env}."
            return [Finding(what, False, f"refused the token ({trouble.code})", remedy)]
        return [Finding(what, False, trouble.found, remedy)]
    right = token.team == tenant.slack.team_id
    remedy = "" if right else f"Set tenants.{key}.slack.team_id to {token.team}, or use that team's token."
    findings = [Finding(what, right, f"team {token.team}", remedy), _scopes(config, key, token)]
    if token.date is not None:
        now = datetime.now(UTC)
        findings.append(clock(f"clock of Slack ({key})", token.date, now, SIGNED_FOR))
    findings += await asyncio.gather(
        channel_readable(key, "support", tenant.channels.support, client),
        channel_readable(key, "oncall", tenant.channels.oncall, client),
        *(_group(key, role, group, client) for role, group in _groups(tenant)),
    )
    return findings


def _scopes(config: Config, key: str, token: Token) -> Finding:
    what = f"scopes of {key}"
    if token.scopes is None:
        return Finding(what, True, "Slack does not tell them", "Compare them with: ispbot manifest")
    needed = scopes(config.app)
    missing = sorted(needed.keys() - token.scopes)
    if not missing:
        return Finding(what, True, f"all {len(needed)} are granted")
    told = "; ".join(f"{scope} ({needed[scope]})" for scope in missing)
    remedy = "Paste the manifest of `ispbot manifest` into the app again, and reinstall it to the workspace."
    return Finding(what, False, f"missing: {told}", remedy)


async def channel_readable(key: str, name: str, channel: str, client: AsyncWebClient) -> Finding:
    """Whether it can be read: its latest message is asked for, and thrown away."""
    what = f"channel {name} of {key}"
    try:
        await _asked(client, "conversations.history", channel=channel, limit=1)
    except NotAsked as trouble:
        remedies = {
            "not_in_channel": f"Invite the app: /invite @app in {channel}.",
            "channel_not_found": f"Set tenants.{key}.channels.{name} to the channel's id (C..., at the end "
            "of its details), and invite the app there.",
            "missing_scope": "See the scopes: a private channel needs groups:history.",
            "": WAY_OUT,
            "is_archived": f"Unarchive the channel, or set tenants.{key}.channels.{name} to another.",
        }
        remedy = remedies.get(trouble.code, "Ask Slack's status page, and try again.")
        return Finding(what, False, f"{channel}: {trouble.found}", remedy)
    return Finding(what, True, f"{channel}: the app is in it")


def _groups(tenant: TenantConfig) -> list[tuple[str, str]]:
    members = {role: getattr(tenant.roles, role) for role in ("viewer", "agent", "lead", "admin")}
    return [(role, group) for role, one in members.items() for group in one.groups]


async def _group(key: str, role: str, group: str, client: AsyncWebClient) -> Finding:
    what = f"group of {role}s, {key}"
    try:
        answer = await _asked(client, "usergroups.users.list", usergroup=group)
    except NotAsked as trouble:
        remedy = f"Set tenants.{key}.roles.{role}.groups to ids of user groups (S...), or name users instead."
        if trouble.code == "missing_scope":
            remedy = "See the scopes: groups need usergroups:read."
        return Finding(what, False, f"{group}: {trouble.found}", remedy)
    count = len(answer.get("users") or ())
    remedy = "" if count else "Nobody is in it: nobody has this role by it."
    return Finding(what, True, f"{group}: {count} people", remedy)


async def _socket(config: Config, session: aiohttp.ClientSession) -> Finding:
    client = AsyncWebClient(
        token=config.secrets.app_token,
        base_url=config.app.slack.api_url,
        session=session,
        retry_handlers=[],
        timeout=10,
    )
    return await opens_socket(client, config.app.slack.app_token_env)


async def opens_socket(client: AsyncWebClient, variable: str) -> Finding:
    """Asks for the address of a connection, and opens none. `variable`: where the token belongs."""
    try:
        await _asked(client, "apps.connections.open")
    except NotAsked as trouble:
        remedy = WAY_OUT
        if trouble.code:
            remedy = f"Make an app-level token with connections:write, put it into {variable}."
        return Finding("Socket Mode", False, trouble.found, remedy)
    return Finding("Socket Mode", True, "may be opened")


__all__ = ["WAY_OUT", "NotAsked", "Token", "channel_readable", "look_at", "opens_socket", "slack"]
