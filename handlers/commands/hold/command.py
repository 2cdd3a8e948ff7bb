"""/isp hold: reminders and our own suspension wait until a day; shows on every card, ends with a message.

Of an account, or of all of a town or a tag: that is shown before it is done, and a lead's to do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from uuid import UUID

from handlers.commands.hold import area_view, view
from handlers.contract import CommandRequest, Services
from handlers.dates import EXAMPLES, ahead, leading_day
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, FieldErrors, Reply, To, UserError
from handlers.sticky import REASON_MAX
from handlers.workflows import area_holds, holds
from handlers.workflows.pointing import asked_for
from store.models import TAG

_AREA = re.compile(r"(town|tag)s?(?:: ?| +(?=.))", re.IGNORECASE)
"""`town:Bend`; `town Bend` too, since whoever has a fire to think of looks up no colon."""
_QUOTED = re.compile(r'"([^"]+)"')
_UNTIL = re.compile(r"(?:(.*?) )?(?:until|till|til) (.*)", re.IGNORECASE)


class HoldCommand:
    spec = CommandSpec(
        name="hold",
        usage='hold <account, town:"…" or tag:…> until <day> [reason]',
        summary="Let reminders and suspension wait until a day",
        examples=(
            "hold 1042 until Dec 5 promised to pay",
            "hold 1042",
            'hold town:"Grants Pass" until Dec 5 wildfire',
            "hold tag:fire-2026 until +14d",
        ),
        role=Role.AGENT,
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "ask":
            data = await holds.load(services, request.tenant, UUID(request.value["s"]))
            hold = data.holds[-1] if data.holds else None
            return Answer(modal=view.dialog(data.subscriber, data.today, hold), done=True)
        if request.action == "asked":
            try:
                ahead(date.fromisoformat(request.inputs.get("until", "")), self._today(request, services))
            except UserError as error:
                return Answer(errors=FieldErrors({"until": error.sentence}))
            except ValueError:
                return Answer(errors=FieldErrors({"until": "Choose a day."}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        profile = services.profile(request.tenant)
        if request.action == "end":
            return [view.ended(await holds.end_hold(services, request, UUID(request.value["h"])))]
        today = self._today(request, services)
        if request.action == "area" or (not request.action and _AREA.match(request.text)):
            return [await self._area(request, services, today)]
        named, until, reason = self._read(request, today)
        carry = {"d": until.isoformat(), "r": reason} if until else {}
        found = await asked_for(
            services, request, "hold.open", "Whose account is to be held?", text=named, carry=carry
        )
        if isinstance(found, Reply):
            return [found]
        if until is None:
            data = await holds.load(services, request.tenant, found.subscriber.id)
            return [view.shown(data, profile)]
        data = await holds.set_hold(services, request, found.subscriber, ahead(until, today), reason)
        return [view.shown(data, profile, just_set=True)]

    async def _area(self, request: CommandRequest, services: Services, today: date) -> Reply:
        """Typed: what it would touch, or how it stands. Pressed: done."""
        profile = services.profile(request.tenant)
        if request.action:
            value = request.value
            data = await area_holds.load(services, request.tenant, value["sc"], value["k"])
            until = ahead(date.fromisoformat(value["d"]), today)
            data = await area_holds.set_hold(services, request, data, until, str(value.get("r", "")))
            return area_view.shown(data, profile, just_set=True, to=To.REPLACE)
        scope, name, day, reason = split_area(request.text, today)
        data = await area_holds.load(services, request.tenant, scope, name)
        if day is None:
            return area_view.shown(data, profile)
        area_holds.allowed(request, "Holding")
        _short(reason)
        return area_view.preview(data, ahead(day, today), reason, profile)

    def _today(self, request: CommandRequest, services: Services) -> date:
        return services.now().astimezone(services.profile(request.tenant).time_zone).date()

    def _read(self, request: CommandRequest, today: date) -> tuple[str, date | None, str]:
        """(who, until when, why), from what was typed, pressed or sent; no day: just show."""
        if request.action == "asked":
            reason = request.inputs.get("reason", "").strip()
            return "", date.fromisoformat(request.inputs["until"]), reason
        if request.action:
            day = request.value.get("d")
            return "", date.fromisoformat(day) if day else None, str(request.value.get("r", ""))
        named, until, reason = split(request.text, today)
        if until is not None:
            ahead(until, today)  # before anything is asked back
            _short(reason)
        return named, until, reason


def _short(reason: str) -> None:
    if len(reason) > REASON_MAX:
        raise UserError(f"The reason is longer than {REASON_MAX} characters.", "Keep it to a sentence.")


def split_area(text: str, today: date) -> tuple[str, str, date | None, str]:
    """`town:"Grants Pass" until Dec 5 fire` -> ("town", "Grants Pass", the day, "fire"). Without quotes a
    name goes on until "until"."""
    found = _AREA.match(text)
    if found is None:
        raise UserError("Which town or tag?", 'Write `town:"Grants Pass"` or `tag:fire-2026`.')
    scope, rest = found[1].casefold(), text[found.end() :].strip()
    if quoted := _QUOTED.match(rest):
        name, rest = quoted[1], rest[quoted.end() :].strip()
        if not rest:
            return scope, name.strip(), None, ""
        day = re.sub(r"^(?:until|till|til)\b ?", "", rest, flags=re.IGNORECASE)
        read = leading_day(day, today)
        if read is None:
            raise UserError("Until which day?", f"Write `until` and {EXAMPLES} behind the name.")
        return scope, name.strip(), *read
    if scope == TAG and " " in rest:
        name, _, rest = rest.partition(" ")
        return split_area(f'tag:"{name}" {rest}', today)
    if (until := _UNTIL.fullmatch(rest)) is not None and until[1]:
        return split_area(f'{scope}:"{until[1]}" until {until[2]}', today)
    if not rest:
        raise UserError(f"Which {scope}?", 'Write `town:"Grants Pass"` or `tag:fire-2026`.')
    return scope, rest, None, ""


def split(text: str, today: date) -> tuple[str, date | None, str]:
    """`1042 until Dec 5 promised` -> ("1042", the day, "promised"); an account needs no "until"."""
    if (found := _UNTIL.fullmatch(text)) is not None:
        read = leading_day(found[2], today)
        if read is None:
            raise UserError("I do not understand that day.", f"Write it as {EXAMPLES}.")
        return found[1] or "", *read
    account, _, rest = text.partition(" ")
    read = leading_day(rest, today)
    if read is not None:
        return account, *read
    if text.casefold().endswith(("until", "till")):
        raise UserError("Until which day?", f"Add one, such as {EXAMPLES}.")
    if any(c.isdigit() for c in account) and rest:
        raise UserError("Until which day?", f"Write `hold {account} until` and {EXAMPLES}.")
    return text, None, ""


COMMAND = HoldCommand()
