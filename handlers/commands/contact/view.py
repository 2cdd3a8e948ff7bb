"""Mending an address: the dialog with before and after, and what is said once it is done. Pure.

The dialog and its answers are the asker's alone: whoever mends an address must read it letter by letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.blocks import actions, button, clean, context, fit, lines, md, option, section, select_input
from handlers.blocks import text_input as field
from handlers.contacts import Contact, Mended
from handlers.reply import Block, Modal, Reply, To
from store.models import Subscriber

MOST_OPTIONS = 100


def dialog(contact: Contact, value: Mapping[str, Any]) -> Modal:
    """`value`: s whose, p which point, g what was probably meant, i the invoice to resend afterwards."""
    s = contact.subscriber
    wanted = next((p for p in contact.points if str(p.id) == value.get("p")), None)
    first = wanted or next(iter(contact.points), None)
    blocks: list[Block] = [section(md("*{}* · account {}", s.name, s.account))]
    if len(contact.points) > 1 and first is not None:
        options = {p.id: option(p.address or "(empty)", str(p.id)) for p in contact.points[:MOST_OPTIONS]}
        initial = options.get(first.id)
        blocks.append(select_input("which", "Which address", list(options.values()), initial=initial))
    elif first is not None:
        blocks.append(section(md("Now: *{}*", first.address)))
    else:
        blocks.append(section(md("There is no address on file yet.")))
    suggestion = clean(str(value.get("g", "")))
    hint = "This is what was probably meant. Ask the customer." if suggestion else ""
    initial_text = suggestion or (clean(first.address)[:254] if first is not None else "")
    blocks.append(
        field("address", "New address", placeholder="name@example.com", initial=initial_text, hint=hint)
    )
    blocks.append(context("It holds here at once. Billing keeps the old one until somebody tells it."))
    carry = {k: v for k, v in value.items() if k in ("s", "i", "p")}
    return Modal("contact.mended", "Mend an address", blocks, submit="Save", carry=carry)


def addresses(contact: Contact, asked: Subscriber) -> Reply:
    """What is on file, in full, with a button for each."""
    s = contact.subscriber
    title = f"E-mail addresses of account {s.account}"
    rows: list[Block] = [section(md("*{}* · {}", title, s.name))]
    if s.id != asked.id:
        rows.append(section(md("Account {} pays for {}: invoices go here.", s.account, asked.account)))
    for index, point in enumerate(contact.points):
        mend = button("Mend address…", f"contact.mend:{index}", {"s": str(s.id), "p": str(point.id)})
        problem = f" — :warning: {point.problem}" if point.problem else ""
        rows.append(section(md("{}{}", point.address or "(empty)", problem), accessory=mend))
    if not contact.points:
        rows.append(section(md("There is no address on file yet.")))
        rows += actions(button("Add an address…", "contact.mend", {"s": str(s.id)}))
    return Reply(title, fit(rows))


def mended(done: Mended, invoice: str = "") -> Reply:
    o, s = done.override, done.subscriber
    title = f"Mended for account {s.account}."
    before = md("Before: ~{}~", o.old_address) if o.old_address else md("Before: no address")
    again = {"i": invoice} if invoice else {"s": str(s.id)}
    return Reply(
        title,
        fit(
            [
                section(
                    lines([md(":white_check_mark: *{}*", title), before, md("Now: *{}*", o.new_address)])
                ),
                section(md(":point_right: *Tell billing too*: it still has the old one.")),
                *actions(
                    button("Resend", "resend.open", again, style="primary"),
                    button("Undo", "contact.undo", {"o": str(o.id)}),
                ),
            ]
        ),
    )


def undone(done: Mended, now: bool) -> Reply:
    o = done.override
    title = "Taken back." if now else "This was taken back already."
    back = (
        md("The address is *{}* again.", o.old_address) if o.old_address else md("The address is gone again.")
    )
    return Reply(title, [section(lines([md("*{}*", title), back if now else ""]))], To.REPLACE)
