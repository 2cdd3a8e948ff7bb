"""/isp run: rehearse an invoice run, start and approve it, follow it on a card, pause, resume, cancel it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from handlers.commands.run import ledger_view, view
from handlers.contract import CommandRequest, Services, audit
from handlers.format import day
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, FieldErrors, File, Reply, To, UserError
from handlers.runs import Criteria, What, issued_since, read_criteria
from handlers.workflows import failures, rehearsal
from handlers.workflows import run as workflow
from handlers.workflows import run_control as control
from handlers.workflows import run_ledger as ledgers
from notifier import runs as following
from notifier.runs import RUN_SURFACE
from store.models import RunState


class RunCommand:
    spec = CommandSpec(
        name="run",
        usage="run issued since <day> | overdue | reminders | invoice <number>",
        summary="Tell many about their invoices: rehearse, send, follow",
        role=Role.LEAD,
        examples=("run issued since 2026-11-01", "run overdue", "run invoice 20042"),
        action_roles={
            "left": Role.VIEWER,
            "dismiss": Role.VIEWER,
            "more": Role.VIEWER,
            "ledger": Role.VIEWER,
        },
        action_max_age={"start": timedelta(hours=1), "again": timedelta(hours=1)},
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

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply | File]:
        match request.action:
            case "dismiss":
                return [view.dismissed()]
            case "start":
                return [await self._start(request, services)]
            case "approve" | "pause" | "resume" | "cancel":
                return [await self._press(request, services)]
            case "retry" | "again":
                return [await self._retry(request, services)]
            case "who" | "left":
                return [await self._who(request, services)]
            case "more" | "ledger":
                return await self._ledger(request, services)
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
        step, made = f"run:{preview}", None
        async with services.store.read(request.tenant) as tx:
            standing = await tx.runs.by_step(step)
        if standing is None:
            made = await rehearsal.rehearse(services, request.tenant, criteria)
            if made.notices > int(request.value["n"]):
                return view.rehearsal(made, profile, request.id, To.REPLACE, grown=True)
        async with services.store.begin(request.tenant) as tx:
            run = await workflow.begin(
                tx,
                criteria,
                step,
                requested_by=request.actor.user_id,
                locale=profile.locale,
                made=made,
                guard=profile.runs,
            )
            detail = {"criteria": dict(run.criteria), "label": run.label}
            await audit(tx, request, "run.start", f"run:{run.id}", detail=detail)
            await tx.posts.want(RUN_SURFACE, str(run.id), request.channel or profile.support_channel)
        if run.state is RunState.WAITING:
            return view.asked()
        if run.ready_at is not None:
            return view.begun_before()
        await workflow.carry_out(services, request.tenant, run)
        return view.started()

    async def _press(self, request: CommandRequest, services: Services) -> Reply:
        run_id, by, step = UUID(request.value["r"]), request.actor.user_id, request.step("run")
        match request.action:
            case "approve":
                approval = await control.approve(services, request.tenant, run_id, by, step)
                return view.approval(approval, services.profile(request.tenant))
            case "pause":
                return view.paused(await control.pause(services, request.tenant, run_id, by, step))
            case "resume":
                return view.resumed(await control.resume(services, request.tenant, run_id, by, step))
            case _:
                return view.cancelled(await control.cancel(services, request.tenant, run_id, by, step))

    async def _retry(self, request: CommandRequest, services: Services) -> Reply:
        """Planned for the preview and again at the press; one preview sends once."""
        profile, run_id = services.profile(request.tenant), UUID(request.value["r"])
        async with services.store.read(request.tenant) as tx:
            run = await control.standing(tx, run_id)
            made = await failures.plan_again(tx, services, profile, run)
        if request.action == "again" and len(made.going) <= int(request.value["n"]):
            number = await failures.act(services, request, made, str(request.value["p"]))
            async with services.store.begin(request.tenant) as tx:
                await following.bump(tx, [(request.tenant, str(run_id))])
            return view.tried_again(number)
        return view.retry(made, run, profile, request.id)

    async def _ledger(self, request: CommandRequest, services: Services) -> Sequence[Reply | File]:
        profile = services.profile(request.tenant)
        async with services.store.read(request.tenant) as tx:
            run = await control.standing(tx, UUID(request.value["r"]))
            if request.action == "more":
                mine, days, missing = await ledgers.of_run(tx, run)
        criteria = Criteria.from_json(run.criteria)
        if request.action == "more":
            since = f"since {day(criteria.since, profile.locale)}" if criteria.since is not None else ""
            value = {"r": str(run.id)}
            return [ledger_view.ledger(mine, run.label, days, since, value, missing)]
        await _looked(services, request, f"ledger of run {run.id}")
        first = criteria.since or criteria.today
        lines: list[ledgers.Line] = []
        async for line in ledgers.lines(services, request.tenant, first, criteria.today):
            lines.append(line)
            if len(lines) > ledger_view.MOST_ROWS:
                break
        file = ledger_view.file(lines[: ledger_view.MOST_ROWS], cut=len(lines) > ledger_view.MOST_ROWS)
        return [file, ledger_view.exported()]

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
