"""/isp mail: how our mail is doing, on one page: routes, who refuses us, our domains in DNS, bounces."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.commands.mail import view
from handlers.contract import CommandRequest, Services, audit
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, Reply, To
from handlers.workflows import domains
from handlers.workflows.mail import load


class Mail:
    spec = CommandSpec(
        name="mail",
        usage="mail",
        summary="See how our mail is doing: routes, refusals, DNS, bounces",
        examples=("mail",),
        aliases=("health", "deliverability"),
        role=Role.VIEWER,
        action_roles={"recheck": Role.AGENT},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        return [await _RUN.get(request.action, _overview)(request, services)]


async def _overview(request: CommandRequest, services: Services) -> Reply:
    data = await load(services, request.tenant)
    return view.overview(data, services.profile(request.tenant), request.actor.role)


async def _recheck(request: CommandRequest, services: Services) -> Reply:
    """The daily look, now: what it finds is written down and told like any other."""
    looked = await domains.look(services, request.tenant)
    async with services.store.begin(request.tenant) as tx:
        detail = {"changed": len(looked.changed), "unanswered": list(looked.unanswered)}
        await audit(tx, request, "mail.recheck", "domains", detail=detail)
    data = await load(services, request.tenant)
    note = view.rechecked(len(looked.changed), looked.unanswered)
    # Pressed on the page itself it takes the page's place; an alert in the channel stays.
    to = To.REPLACE if "p" in request.value else To.ASKER
    return view.overview(data, services.profile(request.tenant), request.actor.role, to, note)


async def _trend(request: CommandRequest, services: Services) -> Reply:
    data = await load(services, request.tenant)
    offset = max(int(request.value.get("o", 0)), 0)
    return view.breakdown(data.trend, offset, To.REPLACE if "p" in request.value else To.ASKER)


async def _drift(request: CommandRequest, services: Services) -> Reply:
    return view.drift(await load(services, request.tenant), services.profile(request.tenant))


_RUN = {"recheck": _recheck, "trend": _trend, "drift": _drift}
COMMAND = Mail()
