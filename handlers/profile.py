"""How a provider's desk is set up, as handlers and views see it. Pure: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

from notifier.channels import Route


class Role(IntEnum):
    """What somebody may do; each includes the ones before."""

    NONE = 0
    VIEWER = 1
    AGENT = 2
    LEAD = 3
    ADMIN = 4


@dataclass(frozen=True, slots=True)
class Brand:
    name: str
    support_email: str
    support_phone: str = ""


@dataclass(frozen=True, slots=True)
class TenantProfile:
    """How one provider's desk is set up; the part of the configuration that handlers need."""

    id: int
    key: str
    brand: Brand
    time_zone: ZoneInfo
    locale: str
    region: str
    command: str
    support_channel: str
    oncall_channel: str
    routes: tuple[Route, ...]
    default_route: str
    required_include: str
    send_mode: str

    def route(self, name: str | None = None) -> Route:
        wanted = name or self.default_route
        return next(route for route in self.routes if route.name == wanted)


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """What help shows and the rim enforces. `action_roles` overrides `role` for single buttons."""

    name: str
    usage: str
    summary: str
    role: Role = Role.VIEWER
    aliases: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    action_roles: Mapping[str, Role] = field(default_factory=dict)
    action_max_age: Mapping[str, timedelta] = field(default_factory=dict)
    """How long a button stays good, where less than the usual 30 days."""
    in_menu: bool = True

    def needs(self, action: str) -> Role:
        return self.action_roles.get(action, self.role)
