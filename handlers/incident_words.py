"""Incidents in words: the one line on the cards of those it caught, and who has it. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from handlers import format as fmt
from handlers.blocks import Mrkdwn, md
from handlers.cards import Notice
from handlers.profile import TenantProfile
from store.models import Incident, IncidentState

_USER = re.compile(r"[UW][A-Z0-9_]{2,}")


def person(user: str | None) -> Mrkdwn:
    """A colleague by their Slack id, or whatever else did it by its name."""
    if user and _USER.fullmatch(user):
        return md("<@{}>", user)
    return md("{}", user or "somebody")


def when(value: datetime, profile: TenantProfile, now: datetime | None = None) -> str:
    """The time of day; with its date where that is not known to be today."""
    local = value.astimezone(profile.time_zone)
    clock = fmt.clock_time(value, profile.time_zone, profile.locale)
    if now is not None and local.date() == now.astimezone(profile.time_zone).date():
        return clock
    return f"{fmt.day(local.date(), profile.locale)}, {clock}"


def known_line(
    incident: Incident, profile: TenantProfile, now: datetime | None = None, people: int = 0
) -> Mrkdwn:
    """What an agent tells somebody who was caught; `people` counts the subscribers with them among."""
    others = people - 1
    more = f", {others:,} other{'s' if others != 1 else ''}" if others > 0 else ""
    mine = ""
    if incident.state is IncidentState.ACKNOWLEDGED:
        mine = md(" · {} has it", person(incident.acknowledged_by))
    since = when(incident.first_at, profile, now)
    return md(":rotating_light: *Known incident:* {}, since {}{}{}", incident.title, since, more, mine)


def known_lines(notice: Notice, profile: TenantProfile) -> list[Mrkdwn]:
    """One for each unresolved incident that caught this message."""
    unique = {incident.id: incident for incident in notice.incidents.values()}
    return [known_line(incident, profile) for incident in unique.values()]
