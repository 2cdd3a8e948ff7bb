"""The limits of every way out, as app.yaml sets them (docs/limits.md)."""

from __future__ import annotations

from bot.config import AppConfig
from notifier.limits import EVERYBODY, RouteLimits

DIRECT_PER_S = 20.0
"""To each domain, where we speak to its own servers and nothing is set: a relay paces by itself."""


def route_limits(app: AppConfig) -> dict[tuple[int, str], RouteLimits]:
    """What is set for every way out, by tenant and route."""
    found: dict[tuple[int, str], RouteLimits] = {}
    for tenant in app.tenants.values():
        domains = {domain: limit.per_s for domain, limit in tenant.mail.domain_limits.items()}
        for name, route in tenant.mail.routes.items():
            mine = {EVERYBODY: DIRECT_PER_S} | domains if route.kind == "direct" else domains
            found[tenant.id, name] = RouteLimits(route.per_s, mine)
        if tenant.sms is not None:
            found[tenant.id, tenant.sms.name] = RouteLimits(tenant.sms.segments_per_s)
    return found


def failovers(app: AppConfig) -> dict[tuple[int, str], str]:
    """By which other route the mail of each goes when it is dead."""
    return {
        (tenant.id, name): tenant.mail.failover
        for tenant in app.tenants.values()
        for name in tenant.mail.routes
        if tenant.mail.failover is not None and name != tenant.mail.failover
    }
