"""/isp failures: who has no proven notice and why, who takes care, and what is done for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from handlers.blocks import is_user
from handlers.commands.failures import view
from handlers.contract import CommandRequest, Services, audit
from handlers.failures import REFUSED, Bulk, Failing, Group, Scope, read_scope
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, FieldErrors, File, Reply
from handlers.workflows import failures as workflow
from handlers.workflows.incidents import show_again
from store.unit import Tx


class Failures:
    spec = CommandSpec(
        name="failures",
        usage="failures [today | <n> days | run]",
        summary="People without a proven notice, by cause",
        examples=("failures", "failures 3 days", "failures run"),
        aliases=("failed",),
        role=Role.VIEWER,
        action_roles={
            "assign": Role.AGENT,
            "assigned": Role.AGENT,
            "mine": Role.AGENT,
            "plan": Role.AGENT,
            "do": Role.AGENT,
            "again": Role.LEAD,
            "do_again": Role.LEAD,
        },
        action_max_age={"do": timedelta(hours=1), "do_again": timedelta(hours=1)},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "assign":
            return Answer(modal=view.assign_dialog(dict(request.value)), done=True)
        if request.action == "assigned" and not is_user(request.inputs.get("who", "")):
            return Answer(errors=FieldErrors({"who": "Choose somebody."}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply | File]:
        if request.action == "dismiss":
            return [view.dismissed()]
        profile = services.profile(request.tenant)
        scope = _scope(request, profile.command)
        if request.action in ("do", "do_again"):
            return [await self._do(request, services, scope)]
        async with services.store.begin(request.tenant) as tx:
            failing = await workflow.load(tx, profile, scope)
            if request.action in ("assigned", "mine"):
                return [await self._assign(tx, request, failing)]
            await audit(tx, request, "subscriber.list", "failures", detail=scope.as_json())
            if request.action == "export":
                return self._export(request, failing)
            if request.action not in ("cause", "plan", "again"):
                return [view.overview(failing, profile)]
            again = request.action == "again"  # the button on an incident's card
            group = failing.group(REFUSED if again else str(request.value["k"]))
            if group is None:
                return [view.gone()]
            if again or request.action == "plan":
                bulk = Bulk.RETRY if again else Bulk(request.value["b"])
                made = await workflow.plan(tx, services, profile, group, bulk)
                return [view.bulk_preview(made, scope.as_json(), profile, request.id)]
        offset = int(request.value.get("o", 0))
        return [view.group_page(failing, group, offset, profile, request.actor.role)]

    def _export(self, request: CommandRequest, failing: Failing) -> Sequence[Reply | File]:
        groups = failing.groups
        if "k" in request.value:
            group = failing.group(str(request.value["k"]))
            groups = (group,) if group else ()
        return [view.export(failing, groups), view.exported()] if groups else [view.gone()]

    async def _assign(self, tx: Tx, request: CommandRequest, failing: Failing) -> Reply:
        """One row by the dialog, or everybody of a cause to whoever pressed."""
        to = request.inputs["who"] if request.action == "assigned" else request.actor.user_id
        if request.action == "assigned":
            subjects = [str(request.value["j"])]
        else:
            group = failing.group(str(request.value["k"]))
            subjects = sorted({row.subject for row in group.rows if row.subject}) if group else []
        await tx.assignments.assign(subjects, to, actor=request.actor.user_id)
        detail = {"rows": len(subjects), "to": to, "cause": str(request.value["k"])}
        await audit(tx, request, "failures.assign", "failures", detail=detail)
        return view.assigned(len(subjects), to)

    async def _do(self, request: CommandRequest, services: Services, scope: Scope) -> Reply:
        """Planned again: a payment or a STOP since the preview counts."""
        profile, preview = services.profile(request.tenant), str(request.value["p"])
        if (scope.incident is not None) != (request.action == "do_again"):
            return view.gone()  # what a lead may send again is not an agent's to send
        async with services.store.read(request.tenant) as tx:
            failing = await workflow.load(tx, profile, scope)
            group: Group | None = failing.group(str(request.value["k"]))
            if group is None:
                return view.done(0)
            made = await workflow.plan(tx, services, profile, group, Bulk(request.value["b"]))
        if len(made.going) > int(request.value["n"]):
            return view.bulk_preview(made, scope.as_json(), profile, request.id)
        fresh = await workflow.act(services, request, made, preview)
        if scope.incident is not None:  # its card offers to send them
            async with services.store.begin(request.tenant) as tx:
                await show_again(tx, UUID(scope.incident))
        return view.done(fresh)


def _scope(request: CommandRequest, command: str) -> Scope:
    if request.action == "run":  # the button on a run's card
        return Scope(run=str(request.value["r"]))
    if request.action == "again":
        return Scope(incident=str(request.value["i"]))
    if request.action:
        return Scope.from_json(request.value["s"])
    return read_scope(request.text, command)


COMMAND = Failures()
