"""The two ways of asking back when a look-up is not one thing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.blocks import actions, button, context, divider, fit, md, section
from handlers.found import AccountOrInvoice, Several
from handlers.reply import Block, Reply
from store.models import Subscriber


def account_or_invoice(found: AccountOrInvoice, then: str, carry: Mapping[str, Any] | None = None) -> Reply:
    """The number is both: ask. `then` is the action that goes on with the choice."""
    more = dict(carry or {})
    invoice_text = f"Invoice {found.number} (account {found.invoice_of.account})"
    blocks = [
        section(md("*{}* is an account and an invoice. Which one do you mean?", found.number)),
        divider(),
        *actions(
            button(
                f"Account {found.number} ({found.account.name})",
                f"{then}:0",
                {"s": str(found.account.id)} | more,
            ),
            button(invoice_text, f"{then}:1", {"i": str(found.invoice.id)} | more),
        ),
    ]
    return Reply(f"{found.number} is an account and an invoice. Which one?", blocks)


def narrow_down(
    found: Several, then: str, carry: Mapping[str, Any] | None = None, *, label: str = "This one"
) -> Reply:
    """Several people fit: up to 25 rows, each with a button; never a guess."""
    more = dict(carry or {})
    count = f"{len(found.subscribers)}{'+' if found.more else ''}"
    told = f"{count} subscribers fit. Which one?"
    blocks: list[Block] = [section(md("*{} subscribers fit.* Which one?", count))]
    if found.close:
        told = "Nobody is called exactly so. Did you mean one of these?"
        blocks = [section(md("*Nobody is called exactly so.* Did you mean one of these?"))]
    for index, s in enumerate(found.subscribers):
        choose = button(label, f"{then}:{index}", {"s": str(s.id)} | more)
        blocks.append(section(_row(s), accessory=choose))
    if found.more:
        blocks.append(context("There are more. Add a letter or two to narrow it down."))
    return Reply(told, fit(blocks))


def _row(s: Subscriber) -> str:
    return md("*{}* · {} · {}, {}", s.account, s.name, s.kind, s.status)
