"""/isp resend: preview who really gets the invoice, send it, follow it to its end on a card.

By mail; by text (the link); or by another mail server, which is a test of that server and for leads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from handlers.blocks import section, text_input
from handlers.commands.resend import text_view, view
from handlers.contract import CommandRequest, Services, audit
from handlers.found import AccountOrInvoice, One, Several
from handlers.plans import ResendPlan
from handlers.profile import CommandSpec, Role, TenantProfile
from handlers.questions import account_or_invoice, narrow_down
from handlers.reply import Answer, FieldErrors, Modal, Reply, To, UserError
from handlers.typed import split_by, split_to
from handlers.workflows import resend, resend_text
from handlers.workflows.lookup import find
from handlers.workflows.pointing import pointed
from store.addresses import normalise_email
from store.unit import Tx

BY_TEXT = ("text", "sms", "txt")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for: to whom, and which way. Both None: to all on file, by the usual mail server."""

    to: str | None
    way: str | None


class Resend:
    spec = CommandSpec(
        name="resend",
        usage="resend <invoice | account> [to <address>] [by text | by <server>]",
        summary="Send an invoice again, and watch it arrive",
        examples=("resend 1001", "resend 1001 to me@inbox.example", "resend 1001 by text"),
        role=Role.AGENT,
        action_roles={"byroute": Role.LEAD, "test": Role.LEAD},
        action_max_age={
            "send": timedelta(hours=1),
            "text": timedelta(hours=1),
            "test": timedelta(hours=1),
        },
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "other":
            return Answer(modal=await self._other(request, services), done=True)
        if request.action == "asked":
            problem = normalise_email(request.inputs.get("address", "")).problem
            return Answer(errors=FieldErrors({"address": problem})) if problem else Answer()
        return Answer()

    async def _other(self, request: CommandRequest, services: Services) -> Modal:
        async with services.store.read(request.tenant) as tx:
            found = await pointed(tx, request)
        field = text_input("address", "Send it to", placeholder="name@example.com")
        blocks = [section(view.whose(found.subscriber, found.invoice)), field]
        return Modal("resend.asked", "Another address", blocks, submit="Preview", carry=request.value)

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "cancel":
            return [view.cancelled()]
        if request.action in ("send", "test"):
            return [await self._send(request, services)]
        if request.action == "text":
            return [await self._text(request, services)]
        async with services.store.begin(request.tenant) as tx:
            planned = await self._preview(tx, request, services)
        if isinstance(planned, Reply):
            return [planned]
        profile = services.profile(request.tenant)
        plan = await resend.weigh(services, profile, planned)
        return [view.preview(plan, profile, request.id, To.ASKER)]

    async def _send(self, request: CommandRequest, services: Services) -> Reply:
        profile = services.profile(request.tenant)
        test = _test(profile, str(request.value["r"])) if request.action == "test" else None
        outcome, plan = await resend.send(
            services,
            request,
            invoice_id=UUID(request.value["i"]),
            to=request.value["to"],
            preview=request.value["p"],
            seen=(seen := str(request.value.get("e", ""))),
            test=test,
        )
        if outcome is resend.Sent.CHANGED:
            plan = await resend.weigh(services, profile, plan)
            return view.preview(plan, profile, request.id, To.REPLACE, seen=seen)
        return view.sent() if outcome is resend.Sent.NOW else view.sent_before()

    async def _text(self, request: CommandRequest, services: Services) -> Reply:
        outcome, plan = await resend_text.send(
            services,
            request,
            invoice_id=UUID(request.value["i"]),
            to=request.value["to"],
            preview=request.value["p"],
            seen=request.value["e"],
        )
        if outcome is resend.Sent.CHANGED:
            # The preview keeps its name: its link is in the words already.
            profile = services.profile(request.tenant)
            return text_view.preview(plan, profile, request.value["p"], To.REPLACE, changed=True)
        return text_view.sent() if outcome is resend.Sent.NOW else text_view.sent_before()

    async def _preview(self, tx: Tx, request: CommandRequest, services: Services) -> Reply | ResendPlan:
        profile = services.profile(request.tenant)
        if request.action:
            found, wish = await pointed(tx, request), _pressed(request, profile)
        else:
            target, wish = _typed(request, profile)
            looked_up = await find(tx, profile, target)
            # Checked by now: it travels in buttons.
            carry = {k: v for k, v in (("to", wish.to), ("w", wish.way)) if v}
            if not isinstance(looked_up, One):
                await audit(tx, request, "subscriber.search", "search")
            if isinstance(looked_up, AccountOrInvoice):
                return account_or_invoice(looked_up, "resend.open", carry)
            if isinstance(looked_up, Several):
                return narrow_down(looked_up, "resend.open", carry)
            found = looked_up
        return await self._planned(tx, request, services, found, wish)

    async def _planned(
        self, tx: Tx, request: CommandRequest, services: Services, found: One, wish: Wish
    ) -> Reply | ResendPlan:
        """A mail's plan is weighed outside of the transaction: DNS is asked."""
        profile = services.profile(request.tenant)
        _allow(request, wish.way)
        invoice = await resend.invoice_of(tx, found, profile.command)
        if wish.way in BY_TEXT:
            text = await resend_text.plan(tx, services, profile, invoice, wish.to, request.id)
            planned: Reply | ResendPlan
            payer, planned = text.payer, text_view.preview(text, profile, request.id)
        else:
            test = _test(profile, wish.way) if wish.way else None
            to = [wish.to] if wish.to else None
            plan = await resend.plan(tx, invoice, to, test, zone=profile.time_zone)
            payer, planned = plan.payer, plan
        # The preview shows addresses in full: who checks an address must see it. So it is a look.
        subject = f"account:{payer.account}"
        await audit(tx, request, "subscriber.contacts", subject, detail={"for": "resend preview"})
        return planned


def _pressed(request: CommandRequest, profile: TenantProfile) -> Wish:
    if request.action == "bytext":
        return Wish(None, BY_TEXT[0])
    if request.action == "byroute":
        if profile.remote_route is None:
            raise UserError("There is no other mail server.", "An admin can set one up in app.yaml.")
        return Wish(None, profile.remote_route)
    typed, way = request.inputs.get("address") or request.value.get("to"), request.value.get("w")
    return Wish(_checked(str(typed), way, profile) if typed else None, way)


def _typed(request: CommandRequest, profile: TenantProfile) -> tuple[str, Wish]:
    """What was typed: whose invoice, and the wish. UserError where a part of it is missing or wrong."""
    rest, way = split_by(request.text)
    target, to = split_to(rest)
    if to == "":
        raise UserError(
            "To which address?",
            f"Write it behind “to”: `{profile.command} resend {target} to name@example.net`.",
        )
    if not target:
        raise UserError(
            "Which invoice, or whose?", f"Add an account or invoice: `{profile.command} resend 1001`."
        )
    if way is not None and way not in (*BY_TEXT, *(route.name for route in profile.routes)):
        servers = ", ".join(f"`by {route.name}`" for route in profile.routes)
        said = f"There is no way called “{way[:40]}”." if way else "By what?"
        raise UserError(said, f"Write `by text`, or the name of a mail server: {servers}.")
    return target, Wish(_checked(to, way, profile) if to else None, way)


def _checked(to: str, way: str | None, profile: TenantProfile) -> str:
    if way in BY_TEXT:
        resend_text.texting(profile)  # that no texts go at all is the better answer
        return resend_text.typed_number(to, profile)
    return resend.typed_address(to)


def _allow(request: CommandRequest, way: str | None) -> None:
    if way is not None and way not in BY_TEXT and request.actor.role < Role.LEAD:
        raise UserError("Tests of another mail server are for leads.", "Send it as usual, or ask one.")


def _test(profile: TenantProfile, route: str) -> resend.RouteTest:
    if route not in {known.name for known in profile.routes}:
        raise UserError("That mail server is not set up any more.", "Ask an admin.")
    return resend.RouteTest(route, profile.test_mailboxes)


COMMAND = Resend()
