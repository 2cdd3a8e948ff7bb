"""Queues COUNT test mails in a demo's database while the product is down: `python ... STATE COUNT`."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path

from bot.config import load_config
from bot.wiring import build_services, discover_commands, open_store
from notifier.outbox import Draft, email
from store.models import NotificationKind, Priority


async def main(state: Path, count: int) -> None:
    environ = dict(
        word.split("=", 1)
        for word in shlex.split((state / "environment").read_text())
        if word.startswith("ISPBOT_")
    )
    config = load_config(state / "app.yaml", environ)
    store = open_store(config)
    try:
        store.engine.lock_process()
        commands, _ = discover_commands()
        services = build_services(config, store, commands)
        tenant = config.app.tenants["cascade"].id
        brand = {"name": "Cascade", "support_email": "help@cascade.example", "support_phone": ""}
        async with store.begin(tenant) as tx:
            await services.outbox.enqueue_many(
                tx,
                [
                    Draft(
                        key=f"kill:{number}",
                        kind=NotificationKind.TEST,
                        language="en",
                        context={"brand": brand, "route": "visp"},
                        recipients=[email(f"kill{number:04}@inbox.example")],
                        route="visp",
                        requested_by="test",
                        priority=Priority.BULK,
                    )
                    for number in range(count)
                ],
            )
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
