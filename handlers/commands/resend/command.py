"""/isp resend: preview who really gets the invoice, send it, follow it to its end on a card."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from handlers.blocks import text_input
from handlers.commands.resend import view
from handlers.contract import CommandRequest, Services, audit
from handlers.found import AccountOrInvoice, One, Several
from handlers.profile import CommandSpec, Role
from handlers.questions import account_or_invoice, narrow_down
from handlers.reply import Answer, FieldErrors, Modal, Reply, To, UserError
from handlers.typed import split_to
from handlers.workflows import resend
from handlers.workflows.lookup import find
from store.addresses import normalise_email
from store.unit import Tx


class Resend:
    spec = CommandSpec(
        name="resend",
        usage="resend <invoice | account> [to <address>]",
        summary="Send an invoice again, and watch it arrive",
        examples=("resend 1001", "resend 1001 to me@inbox.example"),
        role=Role.AGENT,
        action_max_age={"send": timedelta(hours=1)},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "other":
            field = text_input("address", "Send it to", placeholder="name@example.com")
            modal = Modal("resend.asked", "Another address", [field], submit="Preview", carry=request.value)
            return Answer(modal=modal, done=True)
        if request.action == "asked":
            problem = normalise_email(request.inputs.get("address", "")).problem
            return Answer(errors=FieldErrors({"address": problem})) if problem else Answer()
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "cancel":
            return [view.cancelled()]
        if request.action == "send":
            return [await self._send(request, services)]
        async with services.store.begin(request.tenant) as tx:
            return [await self._preview(tx, request, services)]

    async def _send(self, request: CommandRequest, services: Services) -> Reply:
        outcome, plan = await resend.send(
            services,
            request,
            invoice_id=UUID(request.value["i"]),
            to=request.value["to"],
            preview=request.value["p"],
            newest=request.value.get("e", ""),
        )
        if outcome is resend.Sent.CHANGED:
            return view.preview(plan, services.profile(request.tenant), request.id, To.REPLACE, changed=True)
        return view.sent() if outcome is resend.Sent.NOW else view.sent_before()

    async def _preview(self, tx: Tx, request: CommandRequest, services: Services) -> Reply:
        profile = services.profile(request.tenant)
        if request.action:
            found, typed = (
                await self._pointed(tx, request),
                request.inputs.get("address") or request.value.get("to"),
            )
        else:
            target, typed = split_to(request.text)
            if typed == "":
                raise UserError(
                    "To which address?",
                    f"Write it behind “to”: `{profile.command} resend {target} to name@example.net`.",
                )
            if not target:
                raise UserError(
                    "Which invoice, or whose?", f"Add an account or invoice: `{profile.command} resend 1001`."
                )
            if typed:
                typed = resend.typed_address(typed)  # before anything is asked back: it travels in buttons
            looked_up = await find(tx, profile, target)
            carry = {"to": typed} if typed else {}
            if not isinstance(looked_up, One):
                await audit(tx, request, "subscriber.search", "search")
            if isinstance(looked_up, AccountOrInvoice):
                return account_or_invoice(looked_up, "resend.open", carry)
            if isinstance(looked_up, Several):
                return narrow_down(looked_up, "resend.open", carry)
            found = looked_up
        address = resend.typed_address(typed) if typed else None
        invoice = await resend.invoice_of(tx, found, profile.command)
        plan = await resend.plan(tx, invoice, [address] if address else None)
        # The preview shows addresses in full: who checks an address must see it. So it is a look.
        await audit(
            tx,
            request,
            "subscriber.contacts",
            f"account:{plan.payer.account}",
            detail={"for": "resend preview"},
        )
        return view.preview(plan, profile, request.id, To.ASKER)

    async def _pointed(self, tx: Tx, request: CommandRequest) -> One:
        invoice = await tx.invoices.by_id(UUID(request.value["i"])) if "i" in request.value else None
        subscriber_id = invoice.subscriber_id if invoice else UUID(request.value["s"])
        subscriber = await tx.subscribers.by_id(subscriber_id)
        if subscriber is None:
            raise UserError("This subscriber is not on file any more.", "Look them up again.")
        return One(subscriber, invoice)


COMMAND = Resend()
