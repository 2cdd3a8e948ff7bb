"""/isp contact: mend an address here, before billing does; undo it as easily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from handlers.commands.contact import view
from handlers.contacts import Contact, field_of
from handlers.contract import CommandRequest, Services, audit
from handlers.found import AccountOrInvoice, Several
from handlers.profile import CommandSpec, Role
from handlers.questions import account_or_invoice, narrow_down
from handlers.reply import Answer, FieldErrors, Reply, UserError
from handlers.workflows import contacts
from handlers.workflows.address_books import known_of
from handlers.workflows.lookup import find, payer_of
from notifier.addresses import Known
from store.models import Subscriber
from store.unit import Tx


class ContactCommand:
    spec = CommandSpec(
        name="contact",
        usage="contact <account>",
        summary="Mend an e-mail address",
        examples=("contact 1042",),
        aliases=("mend", "address"),
        role=Role.AGENT,
        action_max_age={"undo": timedelta(days=7)},
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action in ("mend", "add"):
            async with services.store.read(request.tenant) as tx:
                contact = await contacts.contact_of(tx, UUID(request.value["s"]))
            wanted = str(request.value.get("p", ""))
            if wanted and contacts.chosen(contact.points, wanted) is None:
                raise UserError(
                    "This address was changed meanwhile.",
                    "Look at the addresses again, then mend the one that you mean.",
                )
            # Not done: the look at the addresses is audited after the acknowledgement.
            return Answer(modal=view.dialog(contact, request.value))
        if request.action == "mended":
            return await self._weighed(request, services)
        return Answer()

    async def _weighed(self, request: CommandRequest, services: Services) -> Answer:
        """Refused in its field; or a second page with what to think of; or nothing to say, and it runs."""
        found = await contacts.weigh(services, request)
        if found.refused:
            return Answer(errors=FieldErrors({field_of(request.inputs): found.refused}))
        read_already = str(request.value.get("w", "")) == found.report.address
        if found.report.blocked or (found.doubts and not read_already):
            return Answer(modal=view.sure(found, request.value), done=True)
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        if request.action == "mended":
            return [view.mended(await contacts.mend(services, request), str(request.value.get("i", "")))]
        if request.action == "undo":
            return [view.undone(*await contacts.undo(services, request))]
        async with services.store.begin(request.tenant) as tx:
            if request.action in ("mend", "add"):
                subscriber = (await contacts.contact_of(tx, UUID(request.value["s"]))).subscriber
                await self._looked(tx, request, subscriber)
                return []
            found = await self._asked(tx, request, services)
        if isinstance(found, Reply):
            return [found]
        contact, asked, known = found
        return [view.addresses(contact, asked, await contacts.look(services, contact, known))]

    async def _asked(
        self, tx: Tx, request: CommandRequest, services: Services
    ) -> Reply | tuple[Contact, Subscriber, Mapping[str, Known]]:
        """Whose addresses, who was asked about, and what our books say of them; or a question back."""
        profile = services.profile(request.tenant)
        if request.action == "open":
            subscriber = (await contacts.contact_of(tx, UUID(request.value["s"]))).subscriber
        else:
            if not request.text:
                raise UserError("Whose address?", f"Add an account: `{profile.command} contact 1042`.")
            found = await find(tx, profile, request.text)
            if isinstance(found, AccountOrInvoice):
                return account_or_invoice(found, "contact.open")
            if isinstance(found, Several):
                return narrow_down(found, "contact.open")
            subscriber = found.subscriber
        payer = await payer_of(tx, subscriber)
        contact = await contacts.contact_of(tx, payer.id)
        await self._looked(tx, request, payer)
        usable = [p.address for p in contact.points if p.problem is None]
        known = await known_of(tx, usable, other_than=payer.id, zone=profile.time_zone)
        return contact, subscriber, known

    async def _looked(self, tx: Tx, request: CommandRequest, subscriber: Subscriber) -> None:
        subject = f"account:{subscriber.account}"
        await audit(tx, request, "subscriber.contacts", subject, detail={"for": "mending an address"})


COMMAND = ContactCommand()
