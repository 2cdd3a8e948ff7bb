"""`ispbot find`, `diagnose`, `messages`, `spf`, `mail`, `failures`, `queue`, `incidents`."""

from __future__ import annotations

import json
from dataclasses import replace

from rich.console import Console

from bot.config import Config
from bot.terminal.jsonable import as_json
from bot.terminal.twins import TWINS
from bot.wiring import build_services, close_billing, open_store, schema_fits


async def answer(
    loaded: Config, key: str, name: str, text: str, out: Console, *, as_data: bool, contacts: bool
) -> int:
    """Prints what the twin of that name tells, and gives what to exit with. UserError, DatabaseError."""
    await schema_fits(loaded.database_url)
    store = open_store(loaded)
    services = build_services(loaded, store, {})
    # What is advised is typed here, not in Slack.
    tenants = {one: replace(profile, command="ispbot") for one, profile in services.tenants.items()}
    services = replace(services, tenants=tenants)
    try:
        told = await TWINS[name](services, loaded.app.tenants[key].id, text)
    finally:
        await close_billing(services.billing)
        await store.close()
    if as_data:
        out.out(json.dumps(as_json(told.data, contacts=contacts), ensure_ascii=False), highlight=False)
    else:
        out.print(told.shown)
    return told.code
