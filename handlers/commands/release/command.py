"""/isp release: take an address off the do-not-send list. Leads only, with a reason.

A new hard bounce undoes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handlers.commands.release import view
from handlers.contract import CommandRequest, Services, audit, audit_key
from handlers.profile import CommandSpec, Role, TenantProfile
from handlers.reply import Answer, FieldErrors, Reply, UserError
from store.addresses import normalise_email, normalise_phone
from store.models import Channel, Suppression
from store.unit import Tx


class Release:
    spec = CommandSpec(
        name="release",
        usage="release <address>",
        summary="Take an address off the do-not-send list",
        examples=("release ann@inbox.example",),
        aliases=("unsuppress",),
        role=Role.LEAD,
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "ask":
            async with services.store.read(request.tenant) as tx:
                found = await _standing(tx, request.value)
            profile, invoice = services.profile(request.tenant), str(request.value.get("i", ""))
            return Answer(modal=view.dialog(found, profile, invoice), done=True)
        if request.action == "confirmed" and not request.inputs.get("reason", "").strip():
            return Answer(errors=FieldErrors({"reason": "Say why: it is kept with your name."}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        profile = services.profile(request.tenant)
        async with services.store.begin(request.tenant) as tx:
            if request.action == "confirmed":
                return [await self._release(tx, request)]
            return [view.asked(await _standing(tx, _typed(request, profile)), profile)]

    async def _release(self, tx: Tx, request: CommandRequest) -> Reply:
        channel, address = Channel(request.value["c"]), str(request.value["a"])
        subject = f"address:{channel}"
        if await tx.audit.stands(audit_key(request, "suppression.release", subject)):
            return view.released(address, str(request.value.get("i", "")))
        if not await tx.suppressions.release(channel, address, actor=request.actor.user_id):
            raise _not_listed()
        await audit(
            tx,
            request,
            "suppression.release",
            subject,
            personal={"address": address, "reason": request.inputs["reason"].strip()},
        )
        return view.released(address, str(request.value.get("i", "")))


def _not_listed() -> UserError:
    return UserError("This address is not on the do-not-send list.", "Mail to it goes out as it is.")


def _typed(request: CommandRequest, profile: TenantProfile) -> Mapping[str, Any]:
    text = request.text.strip()
    if not text:
        raise UserError(
            "Which address?", f"Add it: `{profile.command} release ann@inbox.example`, or a telephone number."
        )
    if "@" in text:
        return {"c": Channel.EMAIL, "a": normalise_email(text).address}
    number = normalise_phone(text, profile.region)
    if number.problem is not None:
        raise UserError(
            "That is no e-mail address and no telephone number.",
            f"Write it like this: `{profile.command} release ann@inbox.example`.",
        )
    return {"c": Channel.SMS, "a": number.address}


async def _standing(tx: Tx, value: Mapping[str, Any]) -> Suppression:
    key = (Channel(value["c"]), str(value["a"]))
    found = (await tx.suppressions.active([key])).get(key)
    if found is None:
        raise _not_listed()
    return found


COMMAND = Release()
