"""/isp suspend: what speaks for and against it, a package chosen in a dialog, a card to its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from billing.judgement import refusal
from handlers.commands.suspend import view
from handlers.contract import CommandRequest, Services, audit
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, FieldErrors, Reply, UserError
from handlers.workflows import suspension
from handlers.workflows.pointing import asked_for
from store.models import ActKind


class Suspend:
    spec = CommandSpec(
        name="suspend",
        usage="suspend <account>",
        summary="Suspend a package, with everything that speaks against it first",
        examples=("suspend 1260",),
        role=Role.LEAD,
        action_max_age={"choose": timedelta(hours=1)},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "choose":
            standing = await suspension.load(
                services,
                request.tenant,
                UUID(request.value["s"]),
                ActKind.SUSPEND,
                within_s=suspension.WITHIN_S,
            )
            suspension.here(standing)
            owed = int(request.value["b"])
            against = refusal(ActKind.SUSPEND, standing.case, owed_before=owed)
            if against is not None:
                raise UserError(against.sentence, against.next_step)
            modal = view.dialog(standing, services.profile(request.tenant), owed)
            return Answer(modal=modal, done=True)
        if request.action == "chosen":
            return _checked(request)
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "cancel":
            return [view.cancelled()]
        if request.action == "chosen":
            return [await self._chosen(request, services)]
        if request.action == "check":
            return [await self._look_again(request, services)]
        found = await asked_for(services, request, "suspend.open", "Whom do you want to suspend?")
        if isinstance(found, Reply):
            return [found]
        standing = await suspension.load(services, request.tenant, found.subscriber.id, ActKind.SUSPEND)
        return [view.preview(standing, services.profile(request.tenant))]

    async def _chosen(self, request: CommandRequest, services: Services) -> Reply:
        inputs = request.inputs
        detail = inputs.get("detail", "").strip()
        reason = view.REASONS.get(inputs.get("reason", ""), view.REASONS["unpaid"])
        act = await suspension.intend(
            services,
            request,
            ActKind.SUSPEND,
            subscriber_id=UUID(request.value["s"]),
            package_id=UUID(inputs["package"]),
            reason=f"{reason}: {detail}" if detail else reason,
            tell=inputs.get("tell") != "no",
            owed_before=int(request.value["b"]),
            checked_payments=inputs.get(view.CHECKED) == view.CHECKED,
        )
        async with services.store.read(request.tenant) as tx:
            packages = await tx.packages.of_subscriber(act.subscriber_id)
        return view.under_way(next(p.name for p in packages if p.id == act.package_id))

    async def _look_again(self, request: CommandRequest, services: Services) -> Reply:
        act_id = UUID(request.value["a"])
        async with services.store.begin(request.tenant) as tx:
            act = await tx.acts.get(act_id)
            if act is None or not await tx.acts.look_again(act_id):
                raise UserError("It is not in doubt any more.", "Its card shows how it ended.")
            await audit(tx, request, "billing.look_again", f"act:{act_id}")
        return view.looking_again()


def _checked(request: CommandRequest) -> Answer:
    errors = {}
    if not request.inputs.get("package"):
        errors["package"] = "Choose a package."
    if view.CHECKED in request.inputs and request.inputs[view.CHECKED] != view.CHECKED:
        errors[view.CHECKED] = "Look for payments in billing first, then say so here."
    return Answer(errors=FieldErrors(errors)) if errors else Answer()


COMMAND = Suspend()
