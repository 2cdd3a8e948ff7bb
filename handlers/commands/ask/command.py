"""/isp ask: ask by text whether a suggested address is right; a yes mends it and sends the invoice again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from handlers.commands.ask import view
from handlers.contract import CommandRequest, Services, audit
from handlers.found import One
from handlers.profile import CommandSpec, Role
from handlers.reply import Answer, Reply, To, UserError
from handlers.workflows import address_questions as questions
from handlers.workflows import contacts
from handlers.workflows.diagnose import examine
from handlers.workflows.pointing import asked_for
from handlers.workflows.resend import Sent
from store.addresses import MAX_ADDRESS


class Ask:
    spec = CommandSpec(
        name="ask",
        usage="ask <account | invoice>",
        summary="Ask by text whether a suggested address is right",
        examples=("ask 1042",),
        role=Role.AGENT,
        action_max_age={"send": timedelta(hours=1)},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "cancel":
            return [view.cancelled()]
        if request.action == "send":
            return [await self._send(request, services)]
        value: Mapping[str, Any] = request.value
        if "g" not in value:
            found = await asked_for(services, request, "ask.open", "Whom?")
            if isinstance(found, Reply):
                return [found]
            value = await self._suggested(request, services, found)
        return [await self._preview(request, services, value)]

    async def _suggested(self, request: CommandRequest, services: Services, found: One) -> Mapping[str, Any]:
        """The address that a diagnosis would mend, else any that looks like a slip, and what was meant."""
        diagnosis = await examine(services, request.tenant, found.subscriber, found.invoice)
        facts = [*([diagnosis.mend] if diagnosis.mend else []), *diagnosis.evidence.addresses]
        fact = next((f for f in facts if f.finding.suggestion), None)
        meant = fact.finding.suggestion if fact is not None else None
        if fact is None or not meant or len(meant) > MAX_ADDRESS:
            profile = services.profile(request.tenant)
            account = found.subscriber.account
            async with services.store.read(request.tenant) as tx:
                texts = await questions.takes_texts(tx, found.subscriber)
            words = f"In your own words: `{profile.command} text {account}`."
            raise UserError(
                f"No address of account {account} looks like a slip, so there is nothing to ask.",
                words if texts and profile.sms is not None else "Call them instead.",
            )
        value = {"s": str(diagnosis.evidence.payer.id), "p": str(fact.point.id), "g": meant}
        return value | ({"i": str(diagnosis.invoice.id)} if diagnosis.invoice else {})

    async def _preview(self, request: CommandRequest, services: Services, value: Mapping[str, Any]) -> Reply:
        profile = services.profile(request.tenant)
        async with services.store.begin(request.tenant) as tx:
            plan = await questions.plan(tx, profile, **_about(value))
            subject = f"account:{plan.payer.account}"
            await audit(tx, request, "subscriber.contacts", subject, detail={"for": "asking by text"})
        typed = replace(request, value={"s": value["s"]}, inputs={"address": str(value["g"])})
        if (problem := await contacts.problem_with(services, typed)) is not None:
            raise UserError(f"It is not asked about {value['g']}: {problem}", "Ask for the address instead.")
        return view.preview(plan, profile, request.id)

    async def _send(self, request: CommandRequest, services: Services) -> Reply:
        sent, plan = await questions.ask(
            services,
            request,
            **_about(request.value),
            preview=str(request.value["n"]),
            seen=str(request.value["e"]),
        )
        if sent is Sent.CHANGED and plan is not None:
            profile = services.profile(request.tenant)
            return view.preview(plan, profile, str(request.value["n"]), To.REPLACE, changed=True)
        if sent is not Sent.NOW:
            return view.sent_before()
        return view.sent(await questions.asked_when(services, request.tenant, str(request.value["n"])))


def _about(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "payer_id": UUID(value["s"]),
        "point_id": str(value["p"]),
        "suggested": str(value["g"]),
        "invoice_id": UUID(value["i"]) if value.get("i") else None,
    }


COMMAND = Ask()
