"""Whom a command is about: typed behind it, pointed at by a button, or asked back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from handlers.contract import CommandRequest, Services, audit
from handlers.found import AccountOrInvoice, One, Several
from handlers.questions import account_or_invoice, narrow_down
from handlers.reply import Reply, UserError
from handlers.workflows.lookup import find
from store.unit import Tx


async def asked_for(
    services: Services,
    request: CommandRequest,
    then: str,
    question: str,
    *,
    text: str | None = None,
    carry: Mapping[str, Any] | None = None,
) -> One | Reply:
    """One subscriber, the look at them audited; or the question back, whose buttons lead to `then`.

    `text`: what names them, where not all that was typed does. UserError when nobody fits.
    """
    profile = services.profile(request.tenant)
    named = request.text if text is None else text
    async with services.store.begin(request.tenant) as tx:
        if request.action:
            found: One = await pointed(tx, request)
        else:
            if not named.strip():
                raise UserError(question, f"Add an account: `{profile.command} {request.command} 1042`.")
            looked_up = await find(tx, profile, named)
            if not isinstance(looked_up, One):
                await audit(tx, request, "subscriber.search", "search")
            if isinstance(looked_up, AccountOrInvoice):
                return account_or_invoice(looked_up, then, carry)
            if isinstance(looked_up, Several):
                return narrow_down(looked_up, then, carry)
            found = looked_up
        subject = f"account:{found.subscriber.account}"
        await audit(tx, request, "subscriber.look", subject, detail={"for": request.command})
    return found


async def pointed(tx: Tx, request: CommandRequest) -> One:
    """The subscriber that a button names, by itself or by one of its invoices."""
    invoice = await tx.invoices.by_id(UUID(request.value["i"])) if "i" in request.value else None
    subscriber = await tx.subscribers.by_id(invoice.subscriber_id if invoice else UUID(request.value["s"]))
    if subscriber is None:
        raise UserError("This subscriber is not on file any more.", "Look them up again.")
    return One(subscriber, invoice)
