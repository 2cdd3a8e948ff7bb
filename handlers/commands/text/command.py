"""/isp text: write to a subscriber by text, from the same preview as in a conversation's thread."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from handlers import talk_view as view
from handlers.contract import CommandRequest, Services, audit
from handlers.found import AccountOrInvoice, One, Several
from handlers.masks import mask_phone
from handlers.profile import CommandSpec, Role, TenantProfile
from handlers.questions import account_or_invoice, narrow_down
from handlers.reply import Answer, Reply, UserError
from handlers.workflows import conversations as talks
from handlers.workflows.lookup import find
from store.models import Channel, ContactRole, Subscriber
from store.unit import Tx

_ROLES = (ContactRole.SERVICE, ContactRole.BILLING, ContactRole.TECHNICAL, ContactRole.EMERGENCY)


class Text:
    spec = CommandSpec(
        name="text",
        usage="text <account | name | phone>",
        summary="Write to a subscriber by text",
        examples=("text 1001",),
        aliases=("sms",),
        role=Role.AGENT,
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        """The dialog opens at once where one subscriber is meant; else `run` asks, or says why not."""
        if request.action == "written":
            return talks.checked(request)
        profile = services.profile(request.tenant)
        async with services.store.read(request.tenant) as tx:
            try:
                subscriber = await self._meant(tx, request, profile)
                number = await self._number(tx, profile, subscriber) if subscriber else None
            except UserError:
                return Answer()  # said by `run`, which has more room for it
        if subscriber is None or number is None:
            return Answer()
        who = f"{subscriber.account}, {mask_phone(number)}"
        carry = {"s": str(subscriber.id)}
        return Answer(modal=view.write("text.written", who, carry), done=True)

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        profile = services.profile(request.tenant)
        async with services.store.begin(request.tenant) as tx:
            if request.action == "written":
                return [await self._preview(tx, request, profile)]
            if request.action == "open":
                subscriber = await self._meant(tx, request, profile)
            else:
                found = await self._found(tx, request, profile)
                if not isinstance(found, One):
                    await audit(tx, request, "subscriber.search", "search")
                if isinstance(found, AccountOrInvoice):
                    return [account_or_invoice(found, "text.open")]
                if isinstance(found, Several):
                    return [narrow_down(found, "text.open")]
                subscriber = found.subscriber
            if subscriber is not None:
                await self._number(tx, profile, subscriber)  # says what is in the way
        raise UserError("That took too long.", "Ask for it again.")

    async def _found(
        self, tx: Tx, request: CommandRequest, profile: TenantProfile
    ) -> One | Several | AccountOrInvoice:
        if not request.text:
            raise UserError("Whom do you want to text?", f"Add an account: `{profile.command} text 1001`.")
        return await find(tx, profile, request.text)

    async def _meant(self, tx: Tx, request: CommandRequest, profile: TenantProfile) -> Subscriber | None:
        """The one subscriber that was typed or pressed; None when more than one fits."""
        if "i" in request.value:
            invoice = await tx.invoices.by_id(UUID(request.value["i"]))
            return await tx.subscribers.by_id(invoice.subscriber_id) if invoice else None
        if "s" in request.value:
            subscriber = await tx.subscribers.by_id(UUID(request.value["s"]))
            if subscriber is None:
                raise UserError("This subscriber is not on file any more.", "Look them up again.")
            return subscriber
        found = await self._found(tx, request, profile)
        return found.subscriber if isinstance(found, One) else None

    async def _number(self, tx: Tx, profile: TenantProfile, subscriber: Subscriber) -> str:
        """Where this subscriber is texted; UserError when nowhere."""
        if profile.sms is None:
            raise UserError(
                "This provider sends no texts.", "An admin can switch them on in app.yaml, section sms."
            )
        points = (await tx.subscribers.points([subscriber.id]))[subscriber.id]
        usable = [p for p in points if p.channel is Channel.SMS and p.problem is None]
        if not usable:
            raise UserError(
                f"Account {subscriber.account} has no number that can be texted.",
                "Call or mail them instead.",
            )
        number = min(usable, key=lambda p: (_ROLES.index(p.role), p.position)).address
        await talks.refuse_if_unreachable(tx, number)
        return number

    async def _preview(self, tx: Tx, request: CommandRequest, profile: TenantProfile) -> Reply:
        subscriber = await self._meant(tx, request, profile)
        if subscriber is None or profile.sms is None:
            raise UserError("This subscriber is not on file any more.", "Look them up again.")
        number = await self._number(tx, profile, subscriber)
        conversation = await talks.continue_with(tx, profile, number, subscriber, request.step("about"))
        words = request.inputs.get("words", "")
        plan = await talks.plan_text(tx, profile, conversation, words)
        draft = await talks.draft_text(tx, conversation, request, words)
        return view.preview(plan, profile, str(draft.id), {})


COMMAND = Text()
