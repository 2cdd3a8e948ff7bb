"""/isp pause: an internet package is out of use until a day, on which billing brings it back by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from billing.judgement import refusal
from handlers.commands.pause import view
from handlers.contract import CommandRequest, Services
from handlers.dates import EXAMPLES, ahead, read_day
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, FieldErrors, Reply, UserError
from handlers.workflows import suspension
from handlers.workflows.pointing import asked_for
from store.models import ActKind

_UNTIL = re.compile(r"(?:(.*?) )?(?:until|till|til) (.*)", re.IGNORECASE)


class Pause:
    spec = CommandSpec(
        name="pause",
        usage="pause <account> until <day>",
        summary="Take an internet package out of use until a day",
        examples=("pause 1042 until Dec 5",),
        aliases=("hibernate",),
        role=Role.LEAD,
        action_max_age={"choose": timedelta(hours=1)},
        in_menu=False,
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "choose":
            standing = await suspension.load(
                services,
                request.tenant,
                UUID(request.value["s"]),
                ActKind.PAUSE,
                within_s=suspension.WITHIN_S,
            )
            against = refusal(ActKind.PAUSE, standing.case)
            if against is not None:
                raise UserError(against.sentence, against.next_step)
            day = request.value.get("d")
            until = date.fromisoformat(day) if day else None
            return Answer(modal=view.dialog(standing, services.profile(request.tenant), until), done=True)
        if request.action == "chosen":
            return self._checked(request, services)
        return Answer()

    def _checked(self, request: CommandRequest, services: Services) -> Answer:
        errors = {}
        if not request.inputs.get("package"):
            errors["package"] = "Choose a package."
        try:
            self._day(date.fromisoformat(request.inputs.get("until", "")), request, services)
        except UserError as error:
            errors["until"] = error.sentence
        except ValueError:
            errors["until"] = "Choose a day."
        return Answer(errors=FieldErrors(errors)) if errors else Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "cancel":
            return [view.cancelled()]
        if not services.billing[request.tenant].pauses:
            raise UserError(
                "Packages cannot be paused from here: nothing would bring them back on their day.",
                "Pause it in your billing system.",
            )
        if request.action == "chosen":
            return [await self._chosen(request, services)]
        named, until = self._read(request, services)
        carry = {"d": until.isoformat()} if until else {}
        found = await asked_for(
            services, request, "pause.open", "Whose package is to be paused?", text=named, carry=carry
        )
        if isinstance(found, Reply):
            return [found]
        standing = await suspension.load(services, request.tenant, found.subscriber.id, ActKind.PAUSE)
        return [view.preview(standing, services.profile(request.tenant), until)]

    def _read(self, request: CommandRequest, services: Services) -> tuple[str, date | None]:
        if request.action:
            day = request.value.get("d")
            return "", date.fromisoformat(day) if day else None
        found = _UNTIL.fullmatch(request.text)
        if found is None:
            return request.text, None
        day = read_day(found[2], self._today(request, services))
        if day is None:
            raise UserError("I do not understand that day.", f"Write it as {EXAMPLES}.")
        return found[1] or "", self._day(day, request, services)

    def _day(self, day: date, request: CommandRequest, services: Services) -> date:
        today = self._today(request, services)
        if day == today:
            raise UserError(
                "A pause ends tomorrow at the earliest.", f"Give a later day, such as {EXAMPLES}."
            )
        return ahead(day, today)

    def _today(self, request: CommandRequest, services: Services) -> date:
        return services.now().astimezone(services.profile(request.tenant).time_zone).date()

    async def _chosen(self, request: CommandRequest, services: Services) -> Reply:
        until = date.fromisoformat(request.inputs["until"])
        act = await suspension.intend(
            services,
            request,
            ActKind.PAUSE,
            subscriber_id=UUID(request.value["s"]),
            package_id=UUID(request.inputs["package"]),
            reason=request.inputs.get("reason", "").strip() or "no reason given",
            tell=False,
            owed_before=None,
            until=until,
        )
        async with services.store.read(request.tenant) as tx:
            packages = await tx.packages.of_subscriber(act.subscriber_id)
        return view.under_way(next(p.name for p in packages if p.id == act.package_id))


COMMAND = Pause()
