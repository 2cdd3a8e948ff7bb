"""`ispbot check`: what this deployment depends on, all tried at once, with a remedy for what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import aiohttp

from bot.checks.database import database
from bot.checks.finding import Finding
from bot.checks.mail import dns, listener, mail
from bot.checks.outside import billing, public_url, texts
from bot.checks.slack import slack
from bot.config import Config
from bot.wiring import build_services, close_billing, open_resolver, open_store
from notifier.mailauth.lookup import DnsResolver

PATIENCE_S: Final = 45.0
"""For each of them: a server that accepts and says nothing keeps no other check waiting."""
Check = Coroutine[Any, Any, list[Finding]]


async def run_checks(
    config: Config,
    *,
    send_test: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    patience_s: float = PATIENCE_S,
) -> list[Finding]:
    """`send_test`: an address that gets a mail by each route. `progress`: how many of how many are done.

    One that breaks off is a finding, and hides no other.
    """
    store = open_store(config)
    services = build_services(config, store, {})
    resolver = open_resolver(config)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        checks: list[tuple[str, Check]] = [
            ("database", database(config)),
            ("Slack", slack(config, session)),
            ("public address", public_url(config, session)),
            ("DNS", dns(config, resolver)),
            ("mail", mail(config, services, send_test)),
            ("bounce listener", listener(config)),
            ("texts", texts(config)),
            ("billing", billing(config)),
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
    checks: Sequence[tuple[str, Check]], progress: Callable[[int, int], None] | None, patience_s: float
) -> list[Finding]:
    done = 0

    async def one(what: str, check: Check) -> list[Finding]:
        nonlocal done
        try:
            async with asyncio.timeout(patience_s):
                return await check
        except TimeoutError:
            return [
                Finding(
                    what, False, f"no end within {patience_s:.0f} s", "Try again, and look at its server."
                )
            ]
        except Exception as error:  # noqa: BLE001  # whatever it is, the others are told
            remedy = "This is a fault of ours: report it with what the log says."
            return [Finding(what, False, f"broke off ({type(error).__name__})", remedy)]
        finally:
            done += 1
            if progress is not None:
                progress(done, len(checks))

    each = await asyncio.gather(*(one(what, check) for what, check in checks))
    return [finding for findings in each for finding in findings]


__all__ = ["Finding", "run_checks"]
