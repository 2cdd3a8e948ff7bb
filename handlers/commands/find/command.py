"""/isp find: look a subscriber up by account, name, phone, e-mail or invoice.

The answer is the asker's alone. "Show contacts" unmasks, to the asker alone, and is audited; "Share here"
posts a masked card in the channel.
"""

from __future__ import annotations

from collections.abc import Sequence

from handlers.blocks import text_input
from handlers.cards import CardData
from handlers.commands.find import view
from handlers.contract import CommandRequest, Services, audit
from handlers.found import AccountOrInvoice, Several
from handlers.profile import CommandSpec, Role
from handlers.questions import account_or_invoice, narrow_down
from handlers.reply import Answer, FieldErrors, Modal, Reply, To
from handlers.typed import plain_text
from handlers.workflows.lookup import find
from handlers.workflows.pointing import pointed
from handlers.workflows.profile_card import SUBSCRIBER_SURFACE, load_card
from store.models import Invoice, Subscriber
from store.unit import Tx


class Find:
    spec = CommandSpec(
        name="find",
        usage="find <account | name | phone | e-mail | invoice | IP | MAC>",
        summary="Look a subscriber up",
        examples=("find 1042", "find santos", "find 541 555 0142"),
        aliases=("lookup", "search"),
        action_roles={"contacts": Role.AGENT, "share": Role.AGENT},
        ask="Find a subscriber",
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "ask":
            hint = "Account, any word of a name or address, phone, e-mail, invoice, IP or MAC"
            field = text_input("query", "Whom are you looking for?", placeholder="1042", hint=hint)
            return Answer(modal=Modal("find.asked", "Find a subscriber", [field], submit="Find"), done=True)
        if request.action == "asked" and not plain_text(request.inputs.get("query", "")):
            return Answer(errors=FieldErrors({"query": "Type an account, a name, a phone or an e-mail."}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        async with services.store.begin(request.tenant) as tx:
            if request.action == "share":
                return [await self._share(tx, request)]
            if request.action in ("open", "contacts"):
                target = await pointed(tx, request)
                subscriber, invoice = target.subscriber, target.invoice
                return [await self._card(tx, request, services, subscriber, invoice)]
            return [await self._search(tx, request, services)]

    async def _search(self, tx: Tx, request: CommandRequest, services: Services) -> Reply:
        profile = services.profile(request.tenant)
        asked = plain_text(request.inputs.get("query", "")) or request.text
        found = await find(tx, profile, asked, [spec.name for spec in services.specs])
        if isinstance(found, Several):
            await audit(
                tx, request, "subscriber.search", "search", detail={"matches": len(found.subscribers)}
            )
            return narrow_down(found, "find.open", label="Open")
        if isinstance(found, AccountOrInvoice):
            return account_or_invoice(found, "find.open")
        return await self._card(tx, request, services, found.subscriber, found.invoice)

    async def _card(
        self,
        tx: Tx,
        request: CommandRequest,
        services: Services,
        subscriber: Subscriber,
        invoice: Invoice | None,
    ) -> Reply:
        profile = services.profile(request.tenant)
        data: CardData = await load_card(tx, profile, subscriber, invoice)
        shown = request.action == "contacts"
        action = "subscriber.contacts" if shown else "subscriber.look"
        await audit(tx, request, action, f"account:{subscriber.account}")
        return view.card(
            data,
            profile,
            masked=False,
            contacts_shown=shown,
            to=To.REPLACE if shown else To.ASKER,
            role=request.actor.role,
            nonce=request.id[:12],
        )

    async def _share(self, tx: Tx, request: CommandRequest) -> Reply:
        subscriber = (await pointed(tx, request)).subscriber
        # By the card that it stands on: pressed twice, it is shared once.
        key = f"{subscriber.id}:{request.value.get('n') or request.id}"
        await tx.posts.want(SUBSCRIBER_SURFACE, key, request.channel)
        await audit(
            tx,
            request,
            "subscriber.share",
            f"account:{subscriber.account}",
            detail={"channel": request.channel},
        )
        return Reply("Shared here, with contacts masked.")


COMMAND = Find()
