"""/isp and /isp help: what there is, in a menu with buttons, and how to write it."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.commands.help import view
from handlers.contract import CommandRequest, Services
from handlers.profile import CommandSpec
from handlers.reply import Answer, Reply


class Help:
    spec = CommandSpec(
        name="help",
        usage="help",
        summary="What I can do",
        aliases=("menu", "?"),
        in_menu=False,
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        profile = services.profile(request.tenant)
        specs = [spec for spec in services.specs if request.actor.role >= spec.role]
        if request.action == "menu":
            return [view.menu(specs, profile)]
        return [view.help_page(specs, profile)]


COMMAND = Help()
