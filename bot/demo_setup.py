"""What a demo needs before its first start: the schema, the cast, its past, and what the page completes.

Apart from `bot.demo`, because it imports most of the product: a second start does without it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from billing.local import ImportKind, import_csv
from billing.port import Followed, Unavailable
from bot.config import load_config
from bot.demo import TENANT, DemoFailed
from bot.history import enqueue_history
from bot.wiring import build_services, close_billing, discover_commands, ensure_tenants, open_store
from store import migrate
from store.unit import Store


def write_commands(state: Path) -> None:
    """For the page's completion: what stands behind the slash command. Slack itself does not know it."""
    commands, _ = discover_commands()
    offers = [
        {"text": f"/isp {spec.name}", "usage": f"/isp {spec.usage}", "hint": spec.summary}
        for spec in (command.spec for command in commands.values())
        if spec.in_menu or spec.name == "help"
    ]
    (state / "commands.json").write_text(json.dumps(offers, ensure_ascii=False))


async def prepare(state: Path, environ: Mapping[str, str], cast: Path, *, keep: bool) -> None:
    """Migrates, imports the cast and queues its past. `keep`: it stands there already, migrate only."""
    config = load_config(state / "app.yaml", environ)
    if not keep:
        # Fresh, or cut off in the middle the last time: begin with an empty database, whatever it held.
        await migrate.downgrade(config.database_url, "base")
    await migrate.upgrade(config.database_url)
    store = open_store(config)
    try:
        store.engine.lock_process()
        await ensure_tenants(store, config)
        if keep:
            return
        tenant = config.app.tenants[TENANT].id
        commands, _ = discover_commands()
        services = build_services(config, store, commands)
        try:
            await _fill(store, services.billing[tenant], tenant, cast)
        finally:
            await close_billing(services.billing)
        await enqueue_history(services, tenant)
    finally:
        await store.close()


async def past_is_settled(
    session: aiohttp.ClientSession, sandbox: str, state: Path, environ: Mapping[str, str], *, limit_s: float
) -> None:
    """Returns when each past invoice was tried and its bounce is here; after `limit_s` in any case.

    Whoever diagnoses at once reads what became of it, not that it is being sent.
    """
    config = load_config(state / "app.yaml", environ)
    store, tenant = open_store(config), config.app.tenants[TENANT].id
    seq = 0
    try:
        async with asyncio.timeout(limit_s):
            while await _untried(store, tenant) or await _bounces_under_way(session, sandbox):
                change = f"{sandbox}/sandbox/wait?for=mail,wire&since={seq}&timeout_s=0.5"
                async with session.get(change) as answer:
                    seq = (await answer.json())["seq"]
    except TimeoutError:
        return  # a slow machine: the page shows the rest as it happens
    finally:
        await store.close()


async def _untried(store: Store, tenant: int) -> int:
    async with store.read(tenant) as tx:
        return await tx.deliveries.untried()


async def _bounces_under_way(session: aiohttp.ClientSession, sandbox: str) -> bool:
    async with session.get(f"{sandbox}/sandbox/mail/queue") as answer:
        return any(piece["work"] == "outgoing" and piece["tries"] == 0 for piece in await answer.json())


async def _fill(store: Store, billing: object, tenant: int, cast: Path) -> None:
    """The cast, from its files or from the billing system that has it in its books."""
    if not isinstance(billing, Followed):
        await _import(store, tenant, cast)
        return
    result = await billing.sync(full=True)
    if isinstance(result, Unavailable):
        raise DemoFailed(f"The billing system did not give the cast: {result.sentence}")


async def _import(store: Store, tenant: int, cast: Path) -> None:
    for kind in (ImportKind.SUBSCRIBERS, ImportKind.PACKAGES, ImportKind.INVOICES):
        result = await import_csv(store, tenant, kind, cast / f"{kind}.csv", source="csv")
        if result.errors:
            first = result.errors[0]
            raise DemoFailed(f"The cast's {kind}.csv: line {first.line}, {first.column}: {first.reason}")
