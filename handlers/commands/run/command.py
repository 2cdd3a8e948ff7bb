"""/isp run: rehearse an invoice run, start it, follow it on a card, cancel what has not gone yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from handlers.commands.run import view
from handlers.contract import CommandRequest, Services, audit
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, FieldErrors, Reply, To, UserError
from handlers.runs import Criteria, What, issued_since, read_criteria
from handlers.workflows import rehearsal
from handlers.workflows import run as workflow
from notifier.runs import RUN_SURFACE


class RunCommand:
    spec = CommandSpec(
        name="run",
        usage="run issued since <day> | overdue | reminders | invoice <number>",
        summary="Tell many about their invoices: rehearse, send, follow",
        role=Role.LEAD,
        examples=("run issued since 2026-11-01", "run overdue", "run invoice 20042"),
        action_roles={"left": Role.VIEWER, "dismiss": Role.VIEWER},
        action_max_age={"start": timedelta(hours=1)},
        ask="Invoice run",
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "ask" or (not request.action and not request.text):
            return Answer(modal=view.dialog(_today(request, services)), done=True)
        if request.action == "asked":
            try:
                _asked(request, _today(request, services))
            except UserError as error:
                number = request.inputs.get("what") == What.INVOICE
                return Answer(errors=FieldErrors({"number" if number else "since": error.sentence}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        match request.action:
            case "dismiss":
                return [view.dismissed()]
            case "start":
                return [await self._start(request, services)]
            case "cancel":
                return [await self._cancel(request, services)]
            case "who" | "left":
                return [await self._who(request, services)]
            case "asked":
                criteria = _asked(request, _today(request, services))
            case _:
                command = services.profile(request.tenant).command
                criteria = read_criteria(request.text, _today(request, services), command)
        made = await rehearsal.rehearse(services, request.tenant, criteria)
        return [view.rehearsal(made, services.profile(request.tenant), request.id)]

    async def _start(self, request: CommandRequest, services: Services) -> Reply:
        """One preview starts one run, however often its button is pressed; taken up again after a crash."""
        profile = services.profile(request.tenant)
        criteria, preview = Criteria.from_json(request.value["c"]), str(request.value["p"])
        step = f"run:{preview}"
        async with services.store.read(request.tenant) as tx:
            standing = await tx.runs.by_step(step)
        if standing is None:
            made = await rehearsal.rehearse(services, request.tenant, criteria)
            if made.notices > int(request.value["n"]):
                return view.rehearsal(made, profile, request.id, To.REPLACE, grown=True)
        async with services.store.begin(request.tenant) as tx:
            run = await workflow.begin(
                tx, criteria, step, requested_by=request.actor.user_id, locale=profile.locale
            )
            detail = {"criteria": dict(run.criteria), "label": run.label}
            await audit(tx, request, "run.start", f"run:{run.id}", detail=detail)
            await tx.posts.want(RUN_SURFACE, str(run.id), request.channel or profile.support_channel)
        if run.ready_at is not None:
            return view.begun_before()
        await workflow.carry_out(services, request.tenant, run)
        return view.started()

    async def _cancel(self, request: CommandRequest, services: Services) -> Reply:
        run_id = UUID(request.value["r"])
        async with services.store.begin(request.tenant) as tx:
            cancelled = await workflow.cancel(tx, request.tenant, run_id, request.actor.user_id)
            if cancelled:
                await audit(tx, request, "run.cancel", f"run:{run_id}")
            run = await tx.runs.get(run_id)
        # A run cancelled by this very press before a crash is called back to the end all the same.
        number = (
            await workflow.call_back(services, request.tenant, run_id, request.actor.user_id) if run else 0
        )
        return view.called_back(number, over=not cancelled and not number)

    async def _who(self, request: CommandRequest, services: Services) -> Reply:
        profile = services.profile(request.tenant)
        if request.action == "left":
            return await self._left(request, services)
        criteria, reason = Criteria.from_json(request.value["c"]), str(request.value["w"])
        offset = int(request.value["o"])
        found = await rehearsal.who(
            services, request.tenant, criteria, reason, offset=offset, limit=view.PAGE + 1
        )
        await _looked(services, request, f"left out: {reason}")
        return view.who(found, criteria, reason, offset, profile)

    async def _left(self, request: CommandRequest, services: Services) -> Reply:
        run, found, counts = await workflow.left_out_of(
            services,
            request.tenant,
            UUID(request.value["r"]),
            reason=request.value.get("w"),
            offset=int(request.value.get("o", 0)),
            limit=view.PAGE + 1,
        )
        await _looked(services, request, f"left out of run {run.id}")
        return view.left_out(run, found, counts, request.value.get("w"), int(request.value.get("o", 0)))


async def _looked(services: Services, request: CommandRequest, what: str) -> None:
    """Names on a list are a look at subscribers."""
    async with services.store.begin(request.tenant) as tx:
        await audit(tx, request, "subscriber.list", "run", detail={"for": what})


def _today(request: CommandRequest, services: Services) -> date:
    """In the provider's own zone."""
    return services.now().astimezone(services.profile(request.tenant).time_zone).date()


def _asked(request: CommandRequest, today: date) -> Criteria:
    """What the dialog said."""
    what = What(request.inputs.get("what") or What.ISSUED)
    if what is What.ISSUED:
        return issued_since(request.inputs.get("since", ""), today)
    number = request.inputs.get("number", "").strip().lstrip("#")
    if what is What.INVOICE and not number:
        raise UserError("Which invoice? Write its number here.")
    return Criteria(what, today, number=number if what is What.INVOICE else "")


COMMAND = RunCommand()
