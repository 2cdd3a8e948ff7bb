"""What stands on top of every card while not everything leaves: a test is no real thing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bot.config import AppConfig, MailConfig
from handlers.blocks import md

MOST_NAMED: Final = 2
"""Test addresses that are named; more are counted."""


def badges(app: AppConfig) -> dict[int, str]:
    """Tenant -> its badge; those that are live have none."""
    found = {tenant.id: badge(tenant.mail) for tenant in app.tenants.values()}
    return {tenant: text for tenant, text in found.items() if text}


def badge(mail: MailConfig) -> str:
    if mail.send_mode == "live":
        return ""
    if mail.send_mode == "off":
        return md(":no_entry: *Sending is off.* Messages are made and held, nobody gets any.")
    who = " and ".join(mail.only_to)
    if len(mail.only_to) > MOST_NAMED:
        who = f"{len(mail.only_to)} test addresses"
    verb = "gets" if len(mail.only_to) == 1 else "get"
    return md(":test_tube: *Test mode.* Only {} {} messages; what is for others is held.", who, verb)


Badges = Mapping[int, str]

__all__ = ["Badges", "badge", "badges"]
