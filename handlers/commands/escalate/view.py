"""Escalating: what would be mailed, the dialog with a question, and the letter to a postmaster. Pure.

For the asker alone. The pack is shown as it leaves; the letter is there to be copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handlers.blocks import (
    Mrkdwn,
    actions,
    button,
    code,
    confirm,
    context,
    esc,
    fit,
    header,
    lines,
    md,
    section,
    text_input,
)
from handlers.diagnosis import Diagnosis
from handlers.packs import Pack, PostmasterPack
from handlers.profile import EscalationProfile, Role
from handlers.reply import Block, Modal, Reply, To

_PIECE = 2000
_SHOWN = 9000
"""Characters of a pack that a message shows; the mail has all of it."""
LONGEST_QUESTION = 1000
_PROMISE = (
    "Contacts are masked, and we put no name and no amount in it. "
    "What servers answered stands in their words."
)


def preview(
    found: Diagnosis,
    pack: Pack,
    letter: PostmasterPack | None,
    to: EscalationProfile | None,
    value: Mapping[str, Any],
    books: str = "",
) -> Reply:
    """`books`: the billing system in which a ticket is opened too."""
    title = f"Escalate account {found.evidence.subscriber.account}?"
    whom = (
        md("It goes to *{}* and into a private ticket in {}.", to.address, books)
        if to is not None and books
        else md("It goes to *{}*, and nowhere else.", to.address)
        if to is not None
        else md(":warning: Nobody is set up to escalate to. An admin can name an address in app.yaml.")
    )
    blocks: list[Block] = [header(title), section(lines([md("*{}*", found.headline), whom]))]
    blocks += _exactly(pack.text)
    if len(pack.text) > _SHOWN:
        blocks.append(context(md("The mail has all of it.")))
    blocks += actions(
        button("Mail it…", "escalate.ask", value, style="primary") if to is not None else None,
        button("Letter to their postmaster", "escalate.postmaster", value) if letter is not None else None,
    )
    ticket = _ticket(to)
    blocks.append(context(*[text for text in (md("{}", _PROMISE), ticket) if text]))
    return Reply(title, fit(blocks))


def _ticket(to: EscalationProfile | None) -> str:
    """A link of our own configuration, its characters escaped all the same."""
    if to is None or not to.ticket_url:
        return ""
    return Mrkdwn(f"<{esc(to.ticket_url)}|Open a ticket>")


def _exactly(text: str) -> list[Block]:
    """In code blocks cut at line ends, as much as a message holds."""
    pieces: list[str] = [""]
    for line in text[:_SHOWN].splitlines():
        row = line[:_PIECE]
        if len(esc(pieces[-1])) + len(esc(row)) > _PIECE:
            pieces.append("")
        pieces[-1] += row + "\n"
    return [section(code(piece.rstrip("\n") or " ")) for piece in pieces]


def dialog(to: EscalationProfile, value: Mapping[str, Any], once: str, books: str = "") -> Modal:
    """`books`: the billing system in which a ticket is opened too."""
    carry = {k: v for k, v in value.items() if k in ("s", "i")} | {"n": once}
    blocks = [
        section(
            md(
                "To *{}* and into a private ticket in {}, with the evidence that was shown.",
                to.address,
                books,
            )
            if books
            else md("To *{}*, with the evidence that was shown. It can go nowhere else.", to.address)
        ),
        text_input(
            "question",
            "Your question",
            hint="E-mail addresses and telephone numbers in it are masked.",
            multiline=True,
            longest=LONGEST_QUESTION,
        ),
    ]
    return Modal("escalate.asked", "Escalate", blocks, submit="Mail it", carry=carry)


def letter(
    pack: PostmasterPack,
    value: Mapping[str, Any],
    role: Role,
    once: str,
    to: To = To.ASKER,
    *,
    changed: bool = False,
) -> Reply:
    """`changed`: more was learnt since it was shown."""
    title = f"Letter to {pack.to}"
    about = lines([md("*To:* {}", pack.to), md("*Subject:* {}", pack.title)])
    blocks: list[Block] = [header(title)]
    if changed:
        blocks.append(section(md(":warning: *Something has changed since. Nothing was sent on your press.*")))
    blocks += [section(about), *_exactly(pack.text)]
    if role >= Role.LEAD:
        sure = confirm(
            "Write to their postmaster?",
            md("One mail to {}, in these words. A person may read it.", pack.to),
            "Mail it",
        )
        carry = {k: v for k, v in value.items() if k in ("s", "i")} | {"n": once, "e": pack.seen}
        blocks += actions(button(f"Mail it to {pack.to}"[:75], "escalate.mail", carry, confirm=sure))
    hint = (
        "Copy it into their form or your own mail. It names the mailbox, and nothing else of the subscriber."
    )
    blocks.append(context(md("{}", hint)))
    return Reply(title, fit(blocks), to)


def sent(where: str, ticket: EscalationProfile | None = None, books: str = "") -> Reply:
    rows: Sequence[str] = [
        md(":outbox_tray: *On its way to {}.* The card in this channel follows it.", where)
    ]
    if books:
        rows = [*rows, md("A private ticket about the client is opened in {} too.", books)]
    link = _ticket(ticket)
    return Reply(f"On its way to {where}.", [section(lines([*rows, link] if link else rows))])


def sent_before() -> Reply:
    text = "It is on its way already: one mail went out, not two."
    return Reply(text, [section(md(":outbox_tray: {}", text))])
