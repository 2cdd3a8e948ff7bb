"""/isp spf: does the envelope domain authorise our servers, what to publish, and a word when it is right.

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
from handlers.spf_look import SpfState
from handlers.workflows import spf as watching
from handlers.workflows.spf import SPF_SURFACE

_DOMAIN = re.compile(r"(?:https?://)?(?:[^@/\s]+@)?([^\s/@:]+\.[^\s/@:]+)(?::\d+)?(?:/\S*)?", re.IGNORECASE)


def typed_domain(text: str) -> str:
    """The domain in what was typed; an address or a web address is taken by its domain."""
    found = _DOMAIN.fullmatch(text.strip())
    if found is None or len(found.group(1)) > 253:
        raise UserError("That is not a domain name.", "Write it like this: `mail.example.net`.")
    return found.group(1).rstrip(".").lower()


class Spf:
    spec = CommandSpec(
        name="spf",
        usage="spf [domain]",
        summary="Check that our mail servers are authorised",
        examples=("spf", "spf example.net"),
        action_roles={"share": Role.AGENT, "watch": Role.AGENT, "stop": Role.AGENT, "look": Role.AGENT},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        return [await _RUN.get(request.action, _check)(request, services)]


async def _check(request: CommandRequest, services: Services) -> Reply:
    profile = services.profile(request.tenant)
    asked = request.value.get("d") or request.text
    domain = typed_domain(asked) if asked else profile.route().envelope_domain.lower()
    services.forget_dns()
    look = await watching.look_at(services, request.tenant, domain)
    async with services.store.begin(request.tenant) as tx:
        right = look.state is SpfState.RIGHT
        await audit(tx, request, "spf.check", f"domain:{domain}"[:120], detail={"ok": right})
        if right:
            await watching.hurry(tx, look.domain)
    to = To.REPLACE if request.action == "recheck" else To.ASKER
    checked = fmt.clock_time(services.now(), profile.time_zone, profile.locale, seconds=True)
    nonce = request.id[:12] if request.actor.role >= Role.AGENT else ""
    return view.answer(look, to, checked=checked, nonce=nonce)


async def _share(request: CommandRequest, services: Services) -> Reply:
    domain = str(request.value["d"])
    async with services.store.begin(request.tenant) as tx:
        await tx.posts.want(SPF_SURFACE, f"{domain[:150]}#{request.value['n']}", request.channel)
        about = f"domain:{domain}"[:120]
        await audit(tx, request, "spf.share", about, detail={"channel": request.channel})
    return Reply("Shared here.")


async def _watch(request: CommandRequest, services: Services) -> Reply:
    """Looked at again first: what is right already needs no watch."""
    services.forget_dns()
    look = await watching.look_at(services, request.tenant, str(request.value["d"]))
    if look.state is SpfState.RIGHT:
        return view.answer(look, To.ASKER)
    async with services.store.begin(request.tenant) as tx:
        watch = await watching.ask(tx, request, look)
    return view.asked(watch)


async def _stop(request: CommandRequest, services: Services) -> Reply:
    async with services.store.begin(request.tenant) as tx:
        return view.stopped(await watching.stop(tx, request))


async def _look(request: CommandRequest, services: Services) -> Reply:
    async with services.store.begin(request.tenant) as tx:
        return view.looking(await watching.look_now(tx, request))


_RUN = {"share": _share, "watch": _watch, "stop": _stop, "look": _look}
COMMAND = Spf()
