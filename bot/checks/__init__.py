"""`ispbot check`: what this deployment depends on, all tried at once, with a remedy for what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import aiohttp

from bot.checks.database import database
from bot.checks.finding import LINE_S, PATIENCE_S, Finding, Look, tried
from bot.checks.mail import dns, listener, mail
from bot.checks.outside import billing, public_url, texts
from bot.checks.slack import slack
from bot.config import Config
from bot.wiring import build_services, close_billing, open_resolver, open_store
from notifier.mailauth.lookup import DnsResolver


async def run_checks(
    config: Config,
    *,
    send_test: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    patience_s: float = PATIENCE_S,
    line_s: float = LINE_S,
) -> list[Finding]:
    """`send_test`: an address that gets a mail by each route. `progress`: how many of how many are done.

    One that breaks off is a finding, and hides no other.
    """
    store = open_store(config)
    services = build_services(config, store, {})
    resolver = open_resolver(config)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        checks: list[tuple[str, Look]] = [
            ("database", database(config)),
            ("Slack", slack(config, session, line_s)),
            ("public address", public_url(config, session)),
            ("DNS", dns(config, resolver)),
            ("mail", mail(config, services, send_test, line_s)),
            ("bounce listener", listener(config)),
            ("texts", texts(config, line_s)),
            ("billing", billing(config, line_s)),
        ]
        try:
            found = await _all(checks, progress, patience_s)
        finally:
            await close_billing(services.billing)
            for one in (resolver, services.resolver):
                if isinstance(one, DnsResolver):
                    await one.aclose()
            await store.close()
    return [Finding("configuration", True, f"{config.path}: {len(config.app.tenants)} provider(s)"), *found]


async def _all(
    checks: Sequence[tuple[str, Look]], progress: Callable[[int, int], None] | None, patience_s: float
) -> list[Finding]:
    done = 0

    async def one(what: str, look: Look) -> list[Finding]:
        nonlocal done
        try:
            return await tried(what, look, patience_s)
        finally:
            done += 1
            if progress is not None:
                progress(done, len(checks))

    each = await asyncio.gather(*(one(what, look) for what, look in checks))
    return [finding for findings in each for finding in findings]


__all__ = ["Finding", "run_checks"]
