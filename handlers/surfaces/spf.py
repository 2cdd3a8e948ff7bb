"""A shared SPF answer, looked up when it is drawn. Key: the domain, a hash sign, what shared it."""

from __future__ import annotations

from handlers import format as fmt
from handlers.commands.spf import view
from handlers.commands.spf.command import SPF_SURFACE
from handlers.contract import Services
from handlers.reply import Reply, To
from notifier.mailauth import lint_spf


class SpfSurface:
    name = SPF_SURFACE

    async def draw(self, services: Services, tenant: int, key: str) -> Reply | None:
        profile = services.profile(tenant)
        domain = key.partition("#")[0]
        report = await lint_spf(domain, resolver=services.resolver, required_include=profile.required_include)
        checked = fmt.clock_time(services.now(), profile.time_zone, profile.locale, seconds=True)
        return view.answer(report, profile.required_include, To.ASKER, checked=checked)


SURFACE = SpfSurface()
