"""/isp unsuspend: bring a suspended package back. Agents where it is paid, leads always."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from handlers.commands.unsuspend import view
from handlers.contract import CommandRequest, Services
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, FieldErrors, Reply, UserError
from handlers.workflows import suspension
from handlers.workflows.pointing import asked_for
from store.models import ActKind, BillingAct


class Unsuspend:
    spec = CommandSpec(
        name="unsuspend",
        usage="unsuspend <account>",
        summary="Bring a suspended package back",
        examples=("unsuspend 1260",),
        aliases=("reactivate",),
        role=Role.AGENT,
        action_roles={"undo": Role.LEAD},
        action_max_age={"choose": timedelta(hours=1), "undo": timedelta(days=1)},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "choose":
            standing = await suspension.load(
                services,
                request.tenant,
                UUID(request.value["s"]),
                ActKind.UNSUSPEND,
                within_s=suspension.WITHIN_S,
            )
            suspension.here(standing)
            if standing.refusal is not None:
                raise UserError(standing.refusal.sentence, standing.refusal.next_step)
            return Answer(modal=view.dialog(standing, services.profile(request.tenant)), done=True)
        if request.action == "chosen" and not request.inputs.get("package"):
            return Answer(errors=FieldErrors({"package": "Choose a package."}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "cancel":
            return [view.cancelled()]
        if request.action == "undo":
            act = await suspension.undo(services, request, UUID(request.value["a"]))
            return [await self._under_way(request, services, act)]
        if request.action == "chosen":
            return [await self._chosen(request, services)]
        found = await asked_for(services, request, "unsuspend.open", "Whom do you want to unsuspend?")
        if isinstance(found, Reply):
            return [found]
        standing = await suspension.load(services, request.tenant, found.subscriber.id, ActKind.UNSUSPEND)
        return [view.preview(standing, services.profile(request.tenant), request.actor.role)]

    async def _chosen(self, request: CommandRequest, services: Services) -> Reply:
        act = await suspension.intend(
            services,
            request,
            ActKind.UNSUSPEND,
            subscriber_id=UUID(request.value["s"]),
            package_id=UUID(request.inputs["package"]),
            reason=request.inputs.get("reason", "").strip() or "no reason given",
            tell=request.inputs.get("tell") != "no",
            owed_before=None,
        )
        return await self._under_way(request, services, act)

    async def _under_way(self, request: CommandRequest, services: Services, act: BillingAct) -> Reply:
        async with services.store.read(request.tenant) as tx:
            packages = await tx.packages.of_subscriber(act.subscriber_id)
        return view.under_way(next(p.name for p in packages if p.id == act.package_id))


COMMAND = Unsuspend()
