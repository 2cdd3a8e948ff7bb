"""App Home: who you are here, what needs attention now, and the dialogs that people open most.

Drawn when the tab comes into view and on Refresh; counts only, so that it names no subscriber.
"""

from __future__ import annotations

from collections.abc import Sequence

from handlers.commands.home import view
from handlers.contract import CommandRequest, Services
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, Home, Reply
from store.models import RunState
from store.unit import Tx


class AppHome:
    spec = CommandSpec(
        name="home",
        usage="home",
        summary="What needs attention now",
        # Whoever is not on the list is told so there, rather than shown an empty tab.
        role=Role.NONE,
        in_menu=False,
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply | Home]:
        profile, role = services.profile(request.tenant), request.actor.role
        if role is Role.NONE:
            return [view.stranger(profile)]
        async with services.store.read(request.tenant) as tx:
            desk = await _look(tx)
        specs = [spec for spec in services.specs if role >= spec.role]
        home = view.home(desk, role, specs, profile)
        if request.action:
            return [home]
        return [home, view.drawn()]


async def _look(tx: Tx) -> view.Desk:
    conversations, paused = await tx.conversations.count_open()
    return view.Desk(
        now=tx.now,
        incidents=await tx.incidents.unresolved(),
        conversations=conversations,
        paused=paused,
        runs=[run for run in await tx.runs.latest() if run.state is RunState.RUNNING],
        troubles=await tx.deliveries.troubles_since(tx.now - view.RECENT),
        under_way=await tx.deliveries.under_way(),
        unmatched=await tx.orphans.count_waiting(),
    )


COMMAND = AppHome()
