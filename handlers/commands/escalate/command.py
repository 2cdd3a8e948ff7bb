"""/isp escalate: evidence, redacted, to Client Success; and a letter for the postmaster of their provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from handlers.commands.escalate import view
from handlers.contract import CommandRequest, Services, audit
from handlers.found import One
from handlers.intents import redact_cards
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, FieldErrors, Reply, To, UserError
from handlers.workflows import escalations, filings
from handlers.workflows.pointing import asked_for, pointed
from handlers.workflows.resend import Sent


class Escalate:
    spec = CommandSpec(
        name="escalate",
        usage="escalate <account | invoice>",
        summary="Ask Client Success, with the evidence",
        examples=("escalate 1042", "escalate invoice 20042"),
        role=Role.AGENT,
        action_roles={"mail": Role.LEAD},
        action_max_age={"mail": timedelta(hours=1)},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "ask":
            to = escalations.escalation_of(services.profile(request.tenant))
            return Answer(
                modal=view.dialog(to, request.value, request.id, _books(request, services)), done=True
            )
        if request.action == "asked":
            words = request.inputs.get("question", "")
            if not words.strip():
                return Answer(errors=FieldErrors({"question": "Write what you want to know."}))
            if redact_cards(words) != words:
                return Answer(errors=FieldErrors({"question": "There is a card number in it. Take it out."}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "asked":
            return [await self._mail(request, services)]
        if request.action == "mail":
            return [await self._postmaster(request, services)]
        found = await asked_for(services, request, "escalate.open", "Whose case?")
        if isinstance(found, Reply):
            return [found]
        diagnosis, pack, letter = await escalations.packs(
            services, request.tenant, found, request.actor.user_id
        )
        if request.action == "postmaster":
            if letter is None:
                raise UserError(escalations.NO_LETTER)
            return [view.letter(letter, _target(found), request.actor.role, request.id)]
        to = services.profile(request.tenant).escalation
        return [view.preview(diagnosis, pack, letter, to, _target(found), _books(request, services))]

    async def _mail(self, request: CommandRequest, services: Services) -> Reply:
        found = await self._found(request, services)
        to = escalations.escalation_of(services.profile(request.tenant))
        question = redact_cards(request.inputs.get("question", ""))[: view.LONGEST_QUESTION]
        sent = await escalations.mail_pack(
            services, request, found, question=question, once=str(request.value["n"])
        )
        if sent is not Sent.NOW:
            return view.sent_before()
        return view.sent(to.address, to, _books(request, services))

    async def _postmaster(self, request: CommandRequest, services: Services) -> Reply:
        found, once = await self._found(request, services), str(request.value["n"])
        sent, letter = await escalations.mail_postmaster(
            services, request, found, seen=str(request.value["e"]), once=once
        )
        if sent is Sent.CHANGED and letter is not None:
            role = request.actor.role
            return view.letter(letter, _target(found), role, once, To.REPLACE, changed=True)
        if sent is Sent.BEFORE:
            return view.sent_before()
        where = letter.to if letter is not None else "their postmaster"
        return replace(view.sent(where), to=To.REPLACE)

    async def _found(self, request: CommandRequest, services: Services) -> One:
        async with services.store.begin(request.tenant) as tx:
            found = await pointed(tx, request)
            subject = f"account:{found.subscriber.account}"
            await audit(tx, request, "subscriber.look", subject, detail={"for": "escalate"})
        return found


def _books(request: CommandRequest, services: Services) -> str:
    return filings.books_of(services, request.tenant)


def _target(found: One) -> Mapping[str, Any]:
    """What names this very case again."""
    return {"i": str(found.invoice.id)} if found.invoice else {"s": str(found.subscriber.id)}


COMMAND = Escalate()
