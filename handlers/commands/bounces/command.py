"""/isp bounces: reports that belong to no message; read, matched by hand or dismissed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from handlers.commands.bounces import view
from handlers.contract import CommandRequest, Services, audit
from handlers.found import AccountOrInvoice, One, Several
from handlers.profile import CommandSpec, Role
from handlers.questions import account_or_invoice, narrow_down
from handlers.reply import Answer, FieldErrors, Reply, To, UserError
from handlers.workflows import bounces as workflow
from handlers.workflows.lookup import find
from handlers.workflows.pointing import pointed

_CHOOSE = "Choose a message, or type an account, an invoice or a Message-ID."


class Bounces:
    spec = CommandSpec(
        name="bounces",
        usage="bounces",
        summary="Bounces that belong to no message: read, match, dismiss",
        examples=("bounces",),
        aliases=("unmatched", "orphans"),
        role=Role.VIEWER,
        action_roles=dict.fromkeys(
            ("raw", "match", "matched", "of", "pick", "dismiss", "undo", "read"), Role.AGENT
        ),
        action_max_age={"undo": timedelta(days=7)},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        profile = services.profile(request.tenant)
        if request.action == "raw":
            async with services.store.read(request.tenant) as tx:
                orphan = await workflow.orphan_of(tx, request)
            return Answer(modal=view.raw(orphan, profile))  # not done: the look is audited afterwards
        if request.action == "match":
            async with services.store.read(request.tenant) as tx:
                made = await workflow.matching(tx, await workflow.waiting(tx, request))
            return Answer(modal=view.dialog(made, profile, int(request.value.get("o", 0))))
        if request.action == "matched":
            return await self._checked(request, services)
        return Answer()

    async def _checked(self, request: CommandRequest, services: Services) -> Answer:
        named = _typed(request)
        if not named:
            chosen = request.inputs.get("which")
            return Answer() if chosen else Answer(errors=FieldErrors({"other": _CHOOSE}))
        async with services.store.read(request.tenant) as tx:
            orphan = await workflow.orphan_of(tx, request)
            if await workflow.matching_token(tx, services.keyring, orphan, named) is not None:
                return Answer()
            try:
                await find(tx, services.profile(request.tenant), named)
            except UserError as nobody:
                return Answer(errors=FieldErrors({"other": nobody.sentence}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        profile = services.profile(request.tenant)
        picked = request.action == "pick"
        # What was typed was typed on purpose; what is chosen may be no more than what stood there.
        if picked or (request.action == "matched" and request.inputs.get("which") and not _typed(request)):
            chosen = UUID(str(request.value["d"]) if picked else request.inputs["which"])
            made = await workflow.match(services, request, chosen)
            return [view.matched(made, profile, To.REPLACE if picked else To.ASKER)]
        if request.action in ("matched", "of"):
            return [await self._named(request, services)]
        async with services.store.begin(request.tenant) as tx:
            if request.action in ("raw", "match"):
                await audit(tx, request, "bounce.look", f"report:{request.value['r']}")
                return []
            done, undo = "", ""
            if request.action == "dismiss":
                orphan = await workflow.dismiss(tx, request)
                done, undo = f"Dismissed: {view.named(orphan)}.", str(orphan.id)
            elif request.action == "undo":
                done = f"Back in the queue: {view.named(await workflow.undo(tx, request))}."
            page = await workflow.load(tx, int(request.value.get("o", 0)))
        shown = view.queue(page, profile, request.actor.role, done=done, undo=undo)
        return [view.in_place(shown) if request.action == "page" else shown]

    async def _named(self, request: CommandRequest, services: Services) -> Reply:
        """The mails of what was typed, to choose from; or the question back."""
        profile = services.profile(request.tenant)
        async with services.store.begin(request.tenant) as tx:
            orphan = await workflow.waiting(tx, request)
            if request.action == "of":
                found: One | Several | AccountOrInvoice = await pointed(tx, request)
            else:
                named = _typed(request)
                if made := await workflow.matching_token(tx, services.keyring, orphan, named):
                    return view.choose(made, profile)
                found = await find(tx, profile, named)
            carry = {"r": str(orphan.id)}
            if isinstance(found, AccountOrInvoice):
                return account_or_invoice(found, "bounces.of", carry)
            if isinstance(found, Several):
                return narrow_down(found, "bounces.of", carry)
            subject = f"account:{found.subscriber.account}"
            await audit(tx, request, "subscriber.look", subject, detail={"for": "matching a bounce"})
            return view.choose(await workflow.matching_named(tx, orphan, found), profile)


def _typed(request: CommandRequest) -> str:
    return request.inputs.get("other", "").strip()


COMMAND = Bounces()
