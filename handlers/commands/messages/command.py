"""/isp messages: what was sent to whom, what became of it, and the raw answers one press away."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from handlers.blocks import text_input
from handlers.commands.messages import view
from handlers.contract import CommandRequest, Services, audit
from handlers.found import AccountOrInvoice, One, Several
from handlers.profile import CommandSpec, Role
from handlers.questions import account_or_invoice, narrow_down
from handlers.reply import Answer, FieldErrors, Modal, Reply, To, UserError
from handlers.typed import plain_text
from handlers.workflows.lookup import find
from handlers.workflows.pointing import pointed
from handlers.workflows.profile_card import notice_of, page_of_notices
from store.models import Invoice, Subscriber
from store.unit import Tx

MESSAGES_SURFACE = "messages"


class Messages:
    spec = CommandSpec(
        name="messages",
        usage="messages <account | invoice>",
        summary="See what was sent, and what became of it",
        examples=("messages 1042", "messages invoice 20042"),
        aliases=("log", "logs", "mails"),
        role=Role.VIEWER,
        action_roles={"unmask": Role.AGENT, "share": Role.AGENT},
        ask="See messages",
    )

    async def answer(self, request: CommandRequest, services: Services) -> Answer:
        if request.action == "ask":
            field = text_input("query", "Whose, or of which invoice?", placeholder="1042")
            return Answer(modal=Modal("messages.asked", "See messages", [field], submit="Show"), done=True)
        if request.action == "asked" and not plain_text(request.inputs.get("query", "")):
            return Answer(errors=FieldErrors({"query": "Type an account or an invoice."}))
        return Answer()

    async def run(self, request: CommandRequest, services: Services) -> Sequence[Reply]:
        async with services.store.begin(request.tenant) as tx:
            if request.action in ("timeline", "unmask"):
                return [await self._timeline(tx, request, services)]
            if request.action == "share":
                return [await self._share(tx, request)]
            if request.action and request.action != "asked":
                target = await pointed(tx, request)
            else:
                profile = services.profile(request.tenant)
                asked = plain_text(request.inputs.get("query", "")) or request.text
                if not asked:
                    raise UserError(
                        "Whose messages, or of which invoice?",
                        f"Add an account or invoice: `{profile.command} messages 1042`.",
                    )
                found = await find(tx, profile, asked)
                if not isinstance(found, One):
                    await audit(tx, request, "subscriber.search", "search")
                if isinstance(found, AccountOrInvoice):
                    return [account_or_invoice(found, "messages.open")]
                if isinstance(found, Several):
                    return [narrow_down(found, "messages.open")]
                target = found
            return [await self._page(tx, request, services, target.subscriber, target.invoice)]

    async def _page(
        self,
        tx: Tx,
        request: CommandRequest,
        services: Services,
        subscriber: Subscriber,
        invoice: Invoice | None,
    ) -> Reply:
        offset = max(int(request.value.get("o", 0)), 0)
        notices, total = await page_of_notices(
            tx,
            subscriber_ids=[subscriber.id],
            invoice_id=invoice.id if invoice else None,
            offset=offset,
            limit=view.PAGE,
        )
        await audit(tx, request, "messages.look", f"account:{subscriber.account}", detail={"offset": offset})
        return view.page(
            notices,
            total,
            offset,
            subscriber=subscriber,
            invoice=invoice,
            profile=services.profile(request.tenant),
            # Who turns a page of a shared card turns it for themselves.
            to=To.REPLACE if request.action == "page" and "x" not in request.value else To.ASKER,
            role=request.actor.role,
            nonce=request.id[:12],
        )

    async def _timeline(self, tx: Tx, request: CommandRequest, services: Services) -> Reply:
        notice = await notice_of(tx, UUID(request.value["n"]))
        if notice is None:
            raise UserError("This message is not on file any more.")
        shown = request.action == "unmask"
        action = "messages.addresses" if shown else "messages.timeline"
        await audit(tx, request, action, f"notification:{notice.notification.id}")
        return view.timeline(
            notice,
            services.profile(request.tenant),
            masked=not shown,
            may_unmask=request.actor.role >= Role.AGENT,
        )

    async def _share(self, tx: Tx, request: CommandRequest) -> Reply:
        target = await pointed(tx, request)
        subscriber, invoice = target.subscriber, target.invoice
        about = f"i{invoice.id}" if invoice else f"s{subscriber.id}"
        offset = max(int(request.value.get("o", 0)), 0)
        key = f"{about}:{offset}:{request.value.get('n') or request.id}"
        await tx.posts.want(MESSAGES_SURFACE, key, request.channel)
        await audit(
            tx,
            request,
            "messages.share",
            f"account:{subscriber.account}",
            detail={"channel": request.channel},
        )
        return Reply("Shared here, with addresses masked.")


COMMAND = Messages()
