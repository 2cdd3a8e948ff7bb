"""What Slack refuses us for good: told once, to whoever can mend it, and ended once it works again.

A revoked token, a scope that is missing, a channel that is gone. Each is an incident: where a card in Slack
reaches nobody, handlers.workflows.oncall texts the on-call number. A rate limit is waited out.
docs.slack.dev/reference/methods: errors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from handlers.profile import TenantProfile
from handlers.workflows.incidents import INCIDENT_SURFACE, show_again
from notifier.oncall import CAUSES, Cause, Urgent, parse
from store.unit import Store

log = structlog.get_logger()
BY: Final = "Slack"
TOKEN, SCOPE, CHANNEL = "slack_token", "slack_scope", "slack_channel"  # names of causes
_TOKEN_CODES: Final = frozenset(
    {"account_inactive", "invalid_auth", "not_authed", "org_login_required", "token_expired", "token_revoked"}
)
_CHANNEL_CODES: Final = frozenset({"channel_not_found", "not_in_channel", "is_archived"})
AGAIN_S: Final = 300.0
"""The same trouble is told anew no sooner: its count goes up."""
PATIENT: Final = frozenset(
    {
        "chat.postEphemeral",
        "conversations.open",
        "files.completeUploadExternal",
        "files.getUploadURLExternal",
        "views.publish",
    }
)
"""Refused for their number they were not carried out: so they wait as long as Slack says. Cards have their
own pace (bot.poster), and a dialog's trigger is dead by then."""
LONGEST_WAIT_S: Final = 30.0
_TRIES: Final = 3


class SlackTroubles:
    """What this process has told. The first success after a start looks whether another told something."""

    def __init__(
        self, store: Store, profiles: Mapping[int, TenantProfile], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._profiles, self._clock = store, profiles, clock
        self._told: dict[tuple[int, str], float] = {}
        self._looked: set[int] = set()

    def names(self) -> list[str]:
        """What stands now, as far as this process knows; for /ready."""
        return sorted({parse(key).name for _, key in self._told})

    async def refused(self, tenant: int, error: SlackApiError, channel: str) -> None:
        cause = self._cause(tenant, error, channel)
        if cause is None:
            return
        before = self._told.get((tenant, cause.key))
        if before is not None and self._clock() - before < AGAIN_S:
            return
        self._told[tenant, cause.key] = self._clock()
        log.error("slack_trouble", cause=cause.name, about=cause.about, mend=CAUSES[cause.name].todo)
        try:
            await self._alarm(tenant, cause)
        except (
            Exception
        ) as failure:  # whatever it is, the call's own end counts; it is told again in a moment
            del self._told[tenant, cause.key]
            log.exception("slack_trouble_untold", error=type(failure).__name__)

    async def _alarm(self, tenant: int, cause: Cause) -> None:
        async with self._store.begin(tenant) as tx:
            urgent = CAUSES[cause.name].urgent is Urgent.AT_ONCE
            raised = await tx.incidents.alarm(cause.key, cause.title, urgent=urgent)
            oncall = self._profiles[tenant].oncall_channel
            await tx.posts.want(INCIDENT_SURFACE, str(raised.incident.id), oncall)

    def _cause(self, tenant: int, error: SlackApiError, channel: str) -> Cause | None:
        code = str(error.response.get("error"))
        if code in _TOKEN_CODES:
            return Cause(TOKEN)
        if code == "missing_scope":
            return Cause(SCOPE, str(error.response.get("needed") or "something"))
        profile = self._profiles[tenant]
        # Where somebody typed in a channel that we are not in, the answer goes to them directly.
        if code in _CHANNEL_CODES and channel in (profile.support_channel, profile.oncall_channel):
            return Cause(CHANNEL, channel)
        return None

    async def works(self, tenant: int, channel: str) -> None:
        """A call went through: the token is good, and so is this channel. Of a scope a person knows."""
        first = tenant not in self._looked
        mine = [key for whose, key in self._told if whose == tenant and _over(key, channel)]
        if not first and not mine:
            return
        self._looked.add(tenant)
        try:
            async with self._store.begin(tenant) as tx:
                for incident in await tx.incidents.unresolved():
                    if _over(incident.cause, channel) and await tx.incidents.resolve(
                        incident.id, BY, "Slack takes it again."
                    ):
                        await show_again(tx, incident.id)
        except Exception as failure:  # what went through must not look as if it had not: it would go again
            self._looked.discard(tenant)
            log.exception("slack_trouble_untold", error=type(failure).__name__)
            return
        for key in mine:
            del self._told[tenant, key]


def _over(key: str, channel: str) -> bool:
    cause = parse(key)
    return cause.name == TOKEN or (cause.name == CHANNEL and cause.about == channel)


class WatchedClient(AsyncWebClient):
    """Every call of a tenant: refusals are told, rate limits waited out where that loses nothing."""

    def __init__(self, *, tenant: int, troubles: SlackTroubles, **more: Any) -> None:
        super().__init__(**more)
        self._tenant, self._troubles = tenant, troubles

    async def api_call(self, api_method: str, **more: Any) -> Any:
        channel = _channel(more)
        for _ in range(_TRIES):
            try:
                answer = await super().api_call(api_method, **more)
            except SlackApiError as error:
                wait = _wait(error)
                if wait is None or api_method not in PATIENT or wait > LONGEST_WAIT_S:
                    await self._troubles.refused(self._tenant, error, channel)
                    raise
                log.info("slack_waits", method=api_method, seconds=wait)
                await asyncio.sleep(wait)
            else:
                await self._troubles.works(self._tenant, channel)
                return answer
        return await super().api_call(api_method, **more)


def _wait(error: SlackApiError) -> float | None:
    """How long Slack asks us to wait; None where that is not the matter."""
    if error.response.status_code != 429 and error.response.get("error") != "ratelimited":
        return None
    return float(error.response.headers.get("Retry-After", "1"))


def _channel(call: Mapping[str, Any]) -> str:
    for where in ("json", "params", "data"):
        if isinstance(held := call.get(where), Mapping) and (channel := held.get("channel")):
            return str(channel)
    return ""


__all__ = ["SlackTroubles", "WatchedClient"]
