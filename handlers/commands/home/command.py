"""App Home: who you are here, what needs attention now, and the dialogs that people open most.

Drawn when the tab comes into view and on Refresh; counts only, so that it names no subscriber.
"""

from __future__ import annotations

from collections.abc import Sequence

from handlers.commands.home import view
from handlers.contract import CommandRequest, Services
from handlers.failures import Scope
from handlers.profile import CommandSpec, Role, TenantProfile
from handlers.reply import Answer, Home, Reply
from handlers.workflows.failures import load
from store.models import Run, RunState, Stage
from store.unit import Tx

_OPEN = (RunState.WAITING, RunState.RUNNING, RunState.PAUSED)


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
            desk = await _look(tx, profile)
        specs = [spec for spec in services.specs if role >= spec.role]
        home = view.home(desk, role, specs, profile)
        if request.action:
            return [home]
        return [home, view.drawn()]


async def _look(tx: Tx, profile: TenantProfile) -> view.Desk:
    conversations, paused = await tx.conversations.count_open()
    running = [run for run in await tx.runs.latest() if run.state in _OPEN]
    return view.Desk(
        now=tx.now,
        incidents=await tx.incidents.unresolved(),
        conversations=conversations,
        paused=paused,
        runs=[(run, await _handed_over(tx, run)) for run in running],
        failing=await load(tx, profile, Scope(days=view.DAYS)),
        under_way=await tx.deliveries.under_way(),
        unmatched=await tx.orphans.count_waiting(),
    )


async def _handed_over(tx: Tx, run: Run) -> bool:
    """All of it has left: it is only waited for late bounces and receipts."""
    stages = {tally.stage for tally in await tx.runs.tally(run.id)}
    return run.ready_at is not None and stages <= {Stage.AWAITING, Stage.CLOSED}


COMMAND = AppHome()
