"""`ispbot proof`: a record of notices from the command line, and whether one that is shown is genuine.

Making one writes to the audit, so on SQLite it goes while the product is stopped; checking goes beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bot.config import Config
from bot.wiring import build_services, ensure_tenants, open_store
from handlers.contract import Actor, CommandRequest, Services
from handlers.found import One
from handlers.profile import Role
from handlers.proofs.period import split
from handlers.reply import UserError
from handlers.workflows import proof
from handlers.workflows.lookup import find
from store import migrate
from store.engine import DatabaseError
from store.types import new_id
from store.unit import Store

ASKER = "command line"
Say = Callable[[str], None]


async def make_record(config: Config, key: str, asked: str, reason: str, to: Path, say: Say) -> None:
    """Writes the PDF into `to`. UserError or DatabaseError with the sentence to print."""
    tenant = config.app.tenants[key].id
    store = await _open(config)
    try:
        store.engine.lock_process()
        await ensure_tenants(store, config)
        services = build_services(config, store, {})
        profile = services.profile(tenant)
        today = services.now().astimezone(profile.time_zone).date()
        named, period = split(asked, today)
        async with store.read(tenant) as tx:
            found = await find(tx, profile, named)
        if not isinstance(found, One):
            raise UserError(
                f"{named} is not one thing.", "Say `account 1042` or `invoice 20042`, in quotation marks."
            )
        request = CommandRequest(
            tenant=tenant, id=f"cli:{new_id()}", actor=Actor(ASKER, Role.ADMIN), channel="", command="proof"
        )
        made = await proof.make(services, request, found, period or proof.usual_period(found, today), reason)
        file = to / made.file.name
        file.write_bytes(made.file.content)
        say(f"{file}: {made.notices:,} notices")
        say(f"SHA-256 {made.sha256}")
    finally:
        await store.close()


async def verify_record(config: Config, key: str, content: bytes, say: Say) -> bool:
    """Whether it is genuine and the chain holds; tells why not."""
    store = await _open(config)
    try:
        services: Services = build_services(config, store, {})
        found = await proof.verify(services, config.app.tenants[key].id, content)
    finally:
        await store.close()
    say(f"SHA-256 {found.digest}")
    if not found.known:
        say("No record with these bytes was made here. It was changed, or it comes from somewhere else.")
        return False
    say(f"Made {found.made_at} by {found.made_by}")
    for name, value in found.detail:
        say(f"  {name}: {value}")
    if found.head is not None:
        say(f"Audit: {found.head.seq:,} sealed entries, the last one {found.head.hash}")
    if found.broken_at is not None:
        say(f"The audit chain does not hold: it was changed at entry {found.broken_at:,}.")
        return False
    if not found.head_holds:
        say("The hash that stands in the document is no longer that entry's: the chain was rewritten.")
        return False
    say("The record is genuine, and the audit chain holds.")
    return True


async def _open(config: Config) -> Store:
    if await migrate.current(config.database_url) != migrate.head():
        raise DatabaseError("The database's schema is not that of this version. Run `ispbot migrate`.")
    return open_store(config)
