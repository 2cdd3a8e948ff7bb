"""The record of notices before it is made, and legal holds. Pure."""

from __future__ import annotations

from typing import Any

from handlers import format as fmt
from handlers.blocks import (
    actions,
    button,
    confirm,
    context,
    fit,
    header,
    lines,
    md,
    mention,
    section,
    text_input,
)
from handlers.note_lines import legal_hold_line
from handlers.profile import TenantProfile
from handlers.proofs.case import MOST_NOTICES, REASON_MAX, Made, Preview
from handlers.proofs.period import EXAMPLES, Period
from handlers.reply import Block, Modal, Reply, To
from store.filed import LegalHold
from store.models import Subscriber

WHAT_IT_IS = (
    "A PDF for a lawyer: each notice with its address in full, every attempt, the other side's own answers, "
    "and a page on what it does not prove."
)


def target(made: Preview) -> dict[str, Any]:
    about = {"i": str(made.invoice_id)} if made.invoice_id else {"s": str(made.subscriber.id)}
    return about | carried(made.period)


def carried(period: Period) -> dict[str, str]:
    return {"f": period.first.isoformat(), "l": period.last.isoformat()}


def preview(made: Preview, profile: TenantProfile) -> Reply:
    s = made.subscriber
    about = f"invoice {made.invoice_number}" if made.invoice_number else f"account {s.account}"
    days = f"{fmt.day(made.period.first, profile.locale)} to {fmt.day(made.period.last, profile.locale)}"
    count = made.count
    rows = [
        md("{} · account {}", s.name, s.account),
        md("*{}* in the time {}", _notices(count.total), days),
    ]
    if count.archived:
        rows.append(md("{} of them from the archive (older than 13 months)", f"{count.archived:,}"))
    elsewhere = made.ever.total - count.total
    if elsewhere > 0:
        rows.append(md("{} more outside of that time: add {}", f"{elsewhere:,}", EXAMPLES))
    blocks: list[Block] = [header(f"Record of notices · {about}"), section(lines(rows))]
    if made.too_many:
        text = f"One record holds {MOST_NOTICES:,} notices at most. Ask for a shorter time, or one invoice."
        blocks.append(section(md(":warning: {}", text)))
    else:
        empty = "" if count.total else " With no notice in that time it says just that."
        blocks.append(section(md("{}{}", WHAT_IT_IS, empty)))
    blocks += [section(lines([legal_hold_line(hold) for hold in made.holds]))] if made.holds else []
    value = target(made)
    blocks += actions(
        None if made.too_many else button("Make the PDF…", "proof.ask", value, style="primary"),
        _release(s) if made.holds else button("Legal hold…", "proof.holding", {"s": str(s.id)}),
    )
    blocks.append(context(md("You are asked why. The reason is kept in the audit and stands in the record.")))
    return Reply(f"Record of notices for {about}: {_notices(count.total)}", fit(blocks))


def _notices(number: int) -> str:
    return f"{number:,} notice{'' if number == 1 else 's'}"


def _release(s: Subscriber) -> Block:
    sure = confirm(
        "Release the legal hold?",
        md("What is past its time is removed then. Release it only when counsel agrees."),
        "Release",
    )
    return button("Release legal hold", "proof.released", {"s": str(s.id)}, style="danger", confirm=sure)


def reason_dialog(value: dict[str, Any]) -> Modal:
    field = text_input(
        "reason",
        "Why is it needed?",
        placeholder="Dispute about invoice 20042, asked for by counsel",
        longest=REASON_MAX,
        hint="Stands in the record and in the audit.",
    )
    return Modal("proof.make", "Record of notices", [field], submit="Make the PDF", carry=value)


def hold_dialog(value: dict[str, Any]) -> Modal:
    field = text_input(
        "reason",
        "Why is it to be held?",
        placeholder="Letter of counsel of Nov 3",
        longest=REASON_MAX,
        hint="Until it is released, nothing of this account is removed by age.",
    )
    return Modal("proof.held", "Legal hold", [field], submit="Hold", carry=value)


def made(result: Made) -> Reply:
    title = "The record is in your direct message with me."
    return Reply(
        title,
        [
            section(md(":page_facing_up: {} {} told.", title, _notices(result.notices))),
            context(md("SHA-256 {}", result.sha256)),
            context(md("Anybody with the file can have it checked: `ispbot proof verify FILE`.")),
        ],
    )


def held(s: Subscriber, hold: LegalHold) -> Reply:
    title = f"Legal hold on account {s.account}: nothing of it is removed by age."
    return Reply(
        title,
        [
            section(lines([md(":scales: *{}*", title), md("{} — {}", hold.reason, mention(hold.actor))])),
            *actions(_release(s)),
        ],
    )


def released(s: Subscriber, to: To) -> Reply:
    text = f"The legal hold on account {s.account} is released. What is past its time is removed from now on."
    return Reply(text, [section(md(":scales: {}", text))], to)
