"""A shared SPF answer, looked up when it is drawn; one that is watched follows its watch until the end.

Key: the domain, a hash sign, what shared it; or only a hash sign and the watch's id.
"""

from __future__ import annotations

from uuid import UUID

from handlers import format as fmt
from handlers.commands.spf import view
from handlers.contract import Services
from handlers.reply import Reply, To
from handlers.workflows.spf import SPF_SURFACE, look_at


class SpfSurface:
    name = SPF_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        domain, _, rest = key.partition("#")
        if not domain:
            return await self._watched(services, tenant, UUID(rest))
        profile = services.profile(tenant)
        look = await look_at(services, tenant, domain)
        checked = fmt.clock_time(services.now(), profile.time_zone, profile.locale, seconds=True)
        return view.answer(look, To.ASKER, checked=checked)

    async def _watched(self, services: Services, tenant: int, watch_id: UUID) -> Reply | None:
        async with services.store.read(tenant) as tx:
            watch = await tx.dns_watches.get(watch_id)
        if watch is None:
            return None
        services.forget_dns()  # another process may have looked: its cache is not ours
        look = await look_at(services, tenant, watch.domain)
        return view.watch_card(look, watch, services.profile(tenant), services.now())


SURFACE = SpfSurface()
