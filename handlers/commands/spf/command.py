"""/isp spf: does the envelope domain authorise the Visp server, and what to publish if not.

SPF is about the envelope sender's domain (RFC 7208 section 2.4), not about the visible From.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from handlers import format as fmt
from handlers.commands.spf import view
from handlers.contract import CommandRequest, Services, audit
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, Reply, To, UserError
from notifier.mailauth import lint_spf

_DOMAIN = re.compile(r"(?:https?://)?(?:[^@/\s]+@)?([^\s/@:]+\.[^\s/@:]+)(?::\d+)?(?:/\S*)?", re.IGNORECASE)


def typed_domain(text: str) -> str:
    """The domain in what was typed; an address or a web address is taken by its domain."""
    found = _DOMAIN.fullmatch(text.strip())
    if found is None or len(found.group(1)) > 253:
        raise UserError("That is not a domain name.", "Write it like this: `mail.example.net`.")
    return found.group(1).rstrip(".").lower()


SPF_SURFACE = "spf"


class Spf:
    spec = CommandSpec(
        name="spf",
        usage="spf [domain]",
        summary="Check that our mail servers are authorised",
        examples=("spf", "spf example.net"),
        action_roles={"share": Role.AGENT},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "share":
            return [await self._share(request, services)]
        profile = services.profile(request.tenant)
        asked = request.value.get("d") or request.text
        domain = typed_domain(asked) if asked else profile.route().envelope_domain
        services.forget_dns()
        report = await lint_spf(domain, resolver=services.resolver, required_include=profile.required_include)
        async with services.store.begin(request.tenant) as tx:
            await audit(tx, request, "spf.check", f"domain:{domain}"[:120], detail={"ok": report.ok})
        to = To.REPLACE if request.action == "recheck" else To.ASKER
        checked = fmt.clock_time(services.now(), profile.time_zone, profile.locale, seconds=True)
        return [
            view.answer(
                report,
                profile.required_include,
                to,
                checked=checked,
                nonce=request.id[:12] if request.actor.role >= Role.AGENT else "",
            )
        ]

    async def _share(self, request: CommandRequest, services: Services) -> Reply:
        domain = str(request.value["d"])
        async with services.store.begin(request.tenant) as tx:
            await tx.posts.want(SPF_SURFACE, f"{domain[:150]}#{request.value['n']}", request.channel)
            about = f"domain:{domain}"[:120]
            await audit(tx, request, "spf.share", about, detail={"channel": request.channel})
        return Reply("Shared here.")


COMMAND = Spf()
