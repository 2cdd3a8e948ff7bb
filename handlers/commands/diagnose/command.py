"""/isp diagnose: why somebody did not get an invoice, how sure that is, and what to do next.

Asked for an account it tells the last three invoices as one story, asked for an invoice it is about that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from handlers.blocks import text_input
from handlers.commands.diagnose import view
from handlers.contract import CommandRequest, Services, audit
from handlers.found import AccountOrInvoice, One, Several
from handlers.profile import CommandSpec, Role
from handlers.questions import account_or_invoice, narrow_down
from handlers.reply import Answer, FieldErrors, Modal, Reply, To, UserError
from handlers.typed import plain_text
from handlers.workflows import diagnosed
from handlers.workflows.diagnose import examine
from handlers.workflows.lookup import find
from handlers.workflows.pointing import pointed
from store.models import Invoice, Subscriber
from store.unit import Tx


class Diagnose:
    spec = CommandSpec(
        name="diagnose",
        usage="diagnose <account | invoice>",
        summary="Find out why an invoice did not arrive",
        examples=("diagnose 1042", "diagnose invoice 20042"),
        aliases=("why", "diag"),
        role=Role.VIEWER,
        action_roles={"share": Role.AGENT, "rerun": Role.AGENT},
        ask="Diagnose",
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "ask":
            field = text_input("query", "Whose invoice, or which one?", placeholder="1042")
            return Answer(modal=Modal("diagnose.asked", "Diagnose", [field], submit="Find out"), done=True)
        if request.action == "asked" and not plain_text(request.inputs.get("query", "")):
            return Answer(errors=FieldErrors({"query": "Type an account or an invoice."}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "share":
            return [await self._share(request, services)]
        if request.action == "rerun":
            await diagnosed.run_again_in_thread(services, request, UUID(request.value["d"]))
            return []
        async with services.store.begin(request.tenant) as tx:
            found = await self._find(tx, request, services)
            if isinstance(found, Reply):
                return [found]
            subscriber, invoice = found
            await audit(tx, request, "subscriber.diagnose", f"account:{subscriber.account}")
        services.forget_dns()  # whoever asks may have mended a record a moment ago
        diagnosis = await examine(services, request.tenant, subscriber, invoice)
        role = request.actor.role
        if request.action == "more":
            return [view.more(diagnosis, role, str(request.value.get("d", "")))]
        again = UUID(request.value["d"]) if request.action == "again" else None
        async with services.store.begin(request.tenant) as tx:
            kept = await diagnosed.kept_for_asker(tx, request, diagnosis, again)
        profile = services.profile(request.tenant)
        to = To.REPLACE if again else To.ASKER
        return [view.verdict(diagnosis, profile, role=role, kept=kept, to=to)]

    async def _find(
        self, tx: Tx, request: CommandRequest, services: Services
    ) -> Reply | tuple[Subscriber, Invoice | None]:
        if request.action and request.action != "asked":
            target = await pointed(tx, request)
            return target.subscriber, target.invoice
        profile = services.profile(request.tenant)
        asked = plain_text(request.inputs.get("query", "")) or request.text
        if not asked:
            raise UserError(
                "Whose invoice, or which one?",
                f"Add an account or invoice: `{profile.command} diagnose 1042`.",
            )
        found = await find(tx, profile, asked)
        if not isinstance(found, One):
            await audit(tx, request, "subscriber.search", "search")
        if isinstance(found, AccountOrInvoice):
            return account_or_invoice(found, "diagnose.open")
        if isinstance(found, Several):
            return narrow_down(found, "diagnose.open")
        return found.subscriber, found.invoice

    async def _share(self, request: CommandRequest, services: Services) -> Reply:
        async with services.store.begin(request.tenant) as tx:
            shared, subscriber, _ = await diagnosed.whose(tx, UUID(request.value["d"]))
            await diagnosed.share(tx, request, shared, subscriber.account)
        return view.shared()


COMMAND = Diagnose()
