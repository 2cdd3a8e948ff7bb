"""News that comes in by the hundred (bounces, text statuses) is carried out in groups, one transaction each.

While one group is at the database the next one gathers, so that a lone report waits for nothing and a flood
costs a handful of statements for hundreds. What a group cannot do (one of it fails) is done one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import structlog

from handlers import webhooks
from notifier import dsn
from notifier.keys import Keyring
from store.models import Interaction, InteractionKind
from store.unit import Store

log = structlog.get_logger()
MOST = 200
"""Items in one transaction."""
GROUPED = (InteractionKind.DSN, InteractionKind.SMS_STATUS)


class Groups:
    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        *,
        mx_hosts: dsn.MxHosts = dsn.no_hosts,
        desk: dict[int, str] | None = None,
    ) -> None:
        self._store, self._keyring, self._mx_hosts, self._desk = store, keyring, mx_hosts, desk or {}

    async def carry_out(self, kind: InteractionKind, items: Sequence[Interaction]) -> None:
        """All of it and that it is done, or nothing; raises what went wrong."""
        if kind is InteractionKind.DSN:
            await self._bounces(items)
        else:
            await self._text_statuses(items)

    async def _text_statuses(self, items: Sequence[Interaction]) -> None:
        async with self._store.system() as tx:
            results = await webhooks.text_statuses(tx, self._keyring, [item.payload for item in items])
            await tx.interactions.finish_many(items)
        log.info("text_statuses", **Counter(str(result) for result in results))

    async def _bounces(self, items: Sequence[Interaction]) -> None:
        messages = [
            await dsn.prepare(
                dsn.Message(item.body, str(item.payload["envelope_to"]), item.tenant), self._mx_hosts
            )
            for item in items
        ]
        async with self._store.system() as tx:
            results = await dsn.receive_many(tx, self._keyring, messages, self._desk)
            await tx.interactions.finish_many(items)
        log.info("bounce_messages", **Counter(str(result) for result in results))


__all__ = ["GROUPED", "MOST", "Groups"]
