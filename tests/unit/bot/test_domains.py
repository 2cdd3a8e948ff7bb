"""The loop that looks at DNS: one tenant's trouble keeps nobody else from their turn."""

from __future__ import annotations

from dataclasses import replace

from bot.domains import DnsLooks
from handlers.contract import Services
from notifier.mailauth import Answer, StaticResolver
from store.unit import Store
from tests.builders import KEYRING, outbox
from tests.unit.handlers.support import RELAY, profile
from tests.unit.handlers.test_domains import ZONE


class _Broken:
    """A resolver with a defect in it that one domain meets."""

    def __init__(self) -> None:
        self._good = StaticResolver(ZONE)

    async def query(self, name: str, rtype: str) -> Answer:
        if "broken" in name:
            raise RuntimeError("a defect")
        return await self._good.query(name, rtype)


async def test_a_look_that_fails_is_logged_and_the_other_provider_s_is_taken(sqlite_store: Store) -> None:
    broken = replace(RELAY, envelope_domain="mail.broken.example")
    services = Services(
        store=sqlite_store,
        outbox=outbox(),
        resolver=_Broken(),
        tenants={1: profile(routes=(broken,)), 2: profile(id=2, key="rio")},
        specs=[],
        keyring=KEYRING,
    )
    await DnsLooks(services).round()
    async with sqlite_store.read(1) as tx:
        assert await tx.domain_records.all() == []
        assert not await tx.domain_records.due(), "it is taken again in a while, not every two seconds"
    async with sqlite_store.read(2) as tx:
        assert {record.kind for record in await tx.domain_records.all()} == {"spf", "mx", "dmarc"}
