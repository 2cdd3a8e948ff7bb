"""How a provider's desk is set up, as handlers and views see it. Pure: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from decimal import Decimal
from enum import IntEnum
from zoneinfo import ZoneInfo

from notifier.channels import Route, SmsRoute
from notifier.limits import RouteLimits
from notifier.templates import BUILT_IN, Templates


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
class SmsProfile:
    """How this provider texts. `window`: no bulk text outside it, in the subscriber's own time."""

    route: SmsRoute
    segment_price: Decimal | None = None
    """In `currency`, such as 0.0079; None: costs are not shown."""
    currency: str = "USD"
    fallback: bool = False
    """Invoice notices whose mail failed go by text."""
    window: tuple[time, time] = (time(9), time(20))


@dataclass(frozen=True, slots=True)
class OncallProfile:
    """Whom to text when something urgent is not acknowledged in time."""

    numbers: tuple[str, ...] = ()
    text_after: timedelta = timedelta(minutes=10)
    burst: int = 20
    """Failures of one cause within `burst_window` that make an alert, whoever's fault they are."""
    burst_window: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class RunsProfile:
    """What guards invoice runs."""

    approve_above: int | None = 500
    """A run of more notices waits for a second lead; None: nobody else is asked."""
    stop_at_percent: int | None = 5
    """A run in which more than so many per cent fail pauses itself; None: never."""


@dataclass(frozen=True, slots=True)
class EscalationProfile:
    """Who helps when nobody here can: the one address that evidence is mailed to."""

    address: str
    ticket_url: str = ""
    """Where a ticket is opened; shown as a link."""


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
    public_url: str = ""
    """Where subscribers and webhooks reach us, without a slash at the end."""
    remote_route: str | None = None
    """The provider's own mail server, for the "use remote mail server" test."""
    test_mailboxes: tuple[str, ...] = ()
    """Where leads may send test mails."""
    attach_pdf: bool = True
    sms: SmsProfile | None = None
    """None: this provider sends no texts."""
    oncall: OncallProfile = field(default_factory=OncallProfile)
    runs: RunsProfile = field(default_factory=RunsProfile)
    limits: Mapping[str, RouteLimits] = field(default_factory=dict)
    """What is set for each way out, by its name: how long a run takes."""
    portal_url: str = ""
    """Where subscribers pay; empty: texts name the telephone number instead."""
    billing: str = "local"
    """Its system of record, by name."""
    billing_link: str = ""
    """Where an account stands in a billing system that we only have copies of, `{account}` in it."""
    templates: Templates = BUILT_IN
    """What its messages are rendered from."""
    escalation: EscalationProfile | None = None
    """None: evidence is shown, and mailed to nobody."""

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
    ask: str = ""
    """What the button says that opens this command's dialog (action `ask`); empty: it has none."""

    @property
    def takes_account(self) -> bool:
        """Whether it is about a subscriber, whom the thread that it is typed in may name."""
        return "account" in self.usage

    def needs(self, action: str) -> Role:
        return self.action_roles.get(action, self.role)
