"""/isp practice: every command on invented people, in a database of its own that no worker reads (ADR 20).

What is typed behind it, or pressed on its cards, is carried out by the command itself, with the services
of the practice desk in the place of the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from handlers import practice
from handlers.commands.practice import view
from handlers.contract import Command, CommandRequest, PracticeDesk, Services
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, File, Home, Reply, UserError

NOT_HERE = frozenset({"practice", "home", "thread"})
"""They belong to places of the real desk."""


class Practice:
    spec = CommandSpec(
        name="practice",
        usage="practice [what you would type]",
        summary="Try everything on invented people: nothing is sent",
        role=Role.AGENT,
        examples=("practice", "practice find 1042"),
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if _is_tour(request):
            return Answer()
        desk = _desk(services)
        command, asked = _asked(request, desk)
        return practice.answer(await command.answer(asked, await desk.open(request.tenant)))

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply | Home | File]:
        desk, fresh = _desk(services), _wants_reset(request)
        if fresh:
            await desk.reset(request.tenant)
        if _is_tour(request):
            return [view.tour(f"{services.profile(request.tenant).command} practice", fresh=fresh)]
        command, asked = _asked(request, desk)
        told = await command.run(asked, await desk.open(request.tenant))
        return [practice.reply(one) for one in (*told, *await desk.after(request.tenant))]


def _desk(services: Services) -> PracticeDesk:
    if services.practice is None:
        raise UserError("There is no practice here.", "Ask whoever runs this bot.")
    return services.practice


def _wants_reset(request: CommandRequest) -> bool:
    return request.action == "reset" or (not request.action and request.text.casefold() == "reset")


def _is_tour(request: CommandRequest) -> bool:
    return _wants_reset(request) or (not request.action and not request.text)


def _asked(request: CommandRequest, desk: PracticeDesk) -> tuple[Command, CommandRequest]:
    """What the command itself would have been asked. Whoever practises may do everything."""
    name, _, action = request.action.partition(".")
    text, value = request.text, request.value
    if request.action in ("", "try"):
        typed = str(value.get("t", "")) or text
        word, _, rest = typed.partition(" ")
        known = {w: c.spec.name for c in desk.commands.values() for w in (c.spec.name, *c.spec.aliases)}
        found = known.get(word.casefold())
        name, action, text = (found, "", rest.strip()) if found else ("find", "", typed)
        value = {key: item for key, item in value.items() if key != "t"} if request.action else value
    command = desk.commands.get(name)
    if command is None or name in NOT_HERE:
        raise UserError("That cannot be practised.", "Type `practice` alone to see what can.")
    prefix = len(practice.PREFIX)
    inputs = {
        key[prefix:] if key.startswith(practice.PREFIX) else key: chosen
        for key, chosen in request.inputs.items()
    }
    actor = replace(request.actor, role=Role.ADMIN)
    return command, replace(
        request, actor=actor, command=name, action=action, text=text, value=value, inputs=inputs
    )


COMMAND = Practice()
