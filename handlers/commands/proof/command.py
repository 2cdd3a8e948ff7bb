"""/isp proof: a record of notices that a lawyer can read, and legal holds on accounts (docs/proof.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

from handlers.commands.proof import view
from handlers.contract import CommandRequest, Services
from handlers.profile import CommandSpec, Role
from handlers.proofs.period import Period, split
from handlers.reply import Answer, FieldErrors, File, Reply, To
from handlers.typed import plain_text
from handlers.workflows import proof
from handlers.workflows.pointing import asked_for

_HOLD = re.compile(r"hold\s+((?:(?:account|acct)\s+)?\S+)\s*(.*)", re.IGNORECASE | re.DOTALL)
_RELEASE = re.compile(r"(?:hold\s+)?release\s+(.+)|hold\s+(\S+)\s+release", re.IGNORECASE)
_DIALOGS = {"make": "Say why you need it.", "held": "Say why it is to be held."}


class ProofCommand:
    spec = CommandSpec(
        name="proof",
        usage="proof <account | invoice> [dates]",
        summary="Make a record of notices for a lawyer; hold an account's records",
        examples=(
            "proof 1042",
            "proof invoice 20042",
            "proof 1042 Jan 5 to Mar 31",
            "proof hold 1042 case 77",
        ),
        role=Role.LEAD,
        action_max_age={"ask": timedelta(days=1)},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "ask":
            return Answer(modal=view.reason_dialog(dict(request.value)), done=True)
        if request.action == "holding":
            return Answer(modal=view.hold_dialog(dict(request.value)), done=True)
        if request.action in _DIALOGS and not plain_text(request.inputs.get("reason", "")):
            return Answer(errors=FieldErrors({"reason": _DIALOGS[request.action]}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply | File]:
        typed = request.text.strip() if not request.action else ""
        if request.action == "released":
            return [await self._release(request, services, "")]
        if (releasing := _RELEASE.fullmatch(typed)) is not None:
            return [await self._release(request, services, releasing[1] or releasing[2])]
        if request.action in ("held", "keep"):
            return [await self._hold(request, services, "", "")]
        if (holding := _HOLD.fullmatch(typed)) is not None:
            return [await self._hold(request, services, holding[1], holding[2])]
        profile = services.profile(request.tenant)
        today = services.now().astimezone(profile.time_zone).date()
        named, period = ("", _carried(request)) if request.action else split(typed, today)
        carry = view.carried(period) if period else {}
        question = "Whose notices, or of which invoice?"
        found = await asked_for(services, request, "proof.open", question, text=named, carry=carry)
        if isinstance(found, Reply):
            return [found]
        period = period or proof.usual_period(found, today)
        if request.action != "make":
            return [view.preview(await proof.preview(services, request.tenant, found, period), profile)]
        made = await proof.make(services, request, found, period, plain_text(request.inputs["reason"]))
        return [made.file, view.made(made)]

    async def _hold(self, request: CommandRequest, services: Services, named: str, reason: str) -> Reply:
        reason = plain_text(request.inputs.get("reason", "")) or reason or str(request.value.get("r", ""))
        question = "Whose records are to be held?"
        carry = {"r": reason[:200]}
        found = await asked_for(services, request, "proof.keep", question, text=named, carry=carry)
        if isinstance(found, Reply):
            return found
        hold = await proof.set_legal_hold(services, request, found.subscriber, reason)
        return view.held(found.subscriber, hold)

    async def _release(self, request: CommandRequest, services: Services, named: str) -> Reply:
        question = "Whose records are to be released?"
        found = await asked_for(services, request, "proof.released", question, text=named)
        if isinstance(found, Reply):
            return found
        await proof.release_legal_hold(services, request, found.subscriber)
        # What was typed has no message yet that could be replaced.
        return view.released(found.subscriber, To.REPLACE if request.action else To.ASKER)


def _carried(request: CommandRequest) -> Period | None:
    if "f" not in request.value:
        return None
    return Period(date.fromisoformat(request.value["f"]), date.fromisoformat(request.value["l"]))


COMMAND = ProofCommand()
