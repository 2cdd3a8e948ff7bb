"""The message log in words, and the timeline with the raw answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from handlers import format as fmt
from handlers import words
from handlers.blocks import (
    actions,
    button,
    code,
    context,
    divider,
    fit,
    header,
    lines,
    md,
    mention,
    section,
)
from handlers.cards import Notice
from handlers.incident_words import known_line, known_lines
from handlers.masks import mask_in_text
from handlers.profile import Role, TenantProfile
from handlers.reply import Block, Reply, To
from store.models import Channel, Delivery, Invoice, Subscriber

PAGE = 5
ARCHIVED = (
    "From the archive, where messages older than 13 months are: every answer is kept for seven years, and "
    "nothing new can come."
)


def title_of(notice: Notice) -> str:
    number = f" {notice.invoice.number}" if notice.invoice else ""
    return f"{words.kind_words(notice.notification)}{number}"


def page(
    notices: Sequence[Notice],
    total: int,
    offset: int,
    *,
    subscriber: Subscriber,
    invoice: Invoice | None,
    profile: TenantProfile,
    to: To,
    role: Role = Role.AGENT,
    nonce: str = "",
) -> Reply:
    """`nonce` makes sharing this very page twice one post; without one it is a shared card. Viewers get no
    buttons that they may not use."""
    about = f"invoice {invoice.number}" if invoice else f"account {subscriber.account}"
    if not total:
        return Reply(
            f"No message was sent for {about}",
            [
                section(md("*No message was sent for {} from here.*", about)),
                context(md("Mail that the billing system sends by itself is not seen here.")),
                *(_resend(invoice) if role >= Role.AGENT else []),
            ],
            to,
        )
    first, last = offset + 1, offset + len(notices)
    blocks: list[Block] = [header(f"Messages · {about}")]
    for index, notice in enumerate(notices):
        blocks.append(
            section(
                entry(notice, profile),
                accessory=button(
                    "Timeline", f"messages.timeline:{index}", {"n": str(notice.notification.id)}
                ),
            )
        )
    target = {"i": str(invoice.id)} if invoice else {"s": str(subscriber.id)}
    blocks.append(context(md("{} to {} of {}, newest first", first, last, total)))
    if any(notice.archived_at for notice in notices):
        blocks.append(context(ARCHIVED))
    turn = target if nonce else target | {"x": 1}
    blocks += actions(
        button("Newer", "messages.page:newer", turn | {"o": offset - PAGE}) if offset else None,
        button("Older", "messages.page:older", turn | {"o": offset + PAGE}) if last < total else None,
        button("Share here", "messages.share", target | {"o": offset, "n": nonce})
        if role >= Role.AGENT and nonce
        else None,
    )
    plural = "" if total == 1 else "s"
    return Reply(f"{total} message{plural} for {about}", fit(blocks), to)


def _resend(invoice: Invoice | None) -> list[Block]:
    return actions(button("Send it now", "resend.open", {"i": str(invoice.id)})) if invoice else []


def entry(notice: Notice, profile: TenantProfile) -> str:
    """What was sent when, and a line for each address."""
    when = fmt.moment(notice.notification.created_at, profile.time_zone, profile.locale)
    kept = " · archived" if notice.archived_at else ""
    rows = [md("*{}* · {}{}", title_of(notice), when, kept)]
    for d in notice.deliveries:
        state = words.status(d, notice.events[d.id], profile.time_zone)
        target = words.target_of(d, notice.notification.created_at)
        rows.append(md("{} {}: {}", words.mark(d), target, state))
    return lines([*rows, *known_lines(notice, profile)])


_WHO_SAID = {Channel.EMAIL: "What the servers said:", Channel.SMS: "What our text provider said:"}


def _name_of(delivery: Delivery) -> str:
    """What to ask whoever runs the other side for; empty while a text has no name there."""
    if delivery.channel is Channel.EMAIL:
        return f"Message-ID {delivery.message_id}"
    return f"MessageSid {delivery.queue_id}" if delivery.queue_id else ""


def timeline(
    notice: Notice, profile: TenantProfile, *, masked: bool = True, may_unmask: bool = False
) -> Reply:
    """Every event of every delivery with its time; the servers' own words below."""
    blocks: list[Block] = [header(f"Timeline · {title_of(notice)}")]
    asked_at = notice.notification.created_at
    for d in notice.deliveries:
        queued = fmt.moment(d.created_at, profile.time_zone, profile.locale)
        how = (
            "Queued as a text, since every mail had failed" if words.is_second_way(d, asked_at) else "Queued"
        )
        rows = [md("*{}*", words.masked_target(d) if masked else d.address), md("{} · {}", queued, how)]
        answers = []
        for e in notice.events[d.id]:
            when = fmt.moment(e.at, profile.time_zone, profile.locale)
            # A report that nobody signed, put here by a colleague (handlers.workflows.bounces).
            by = md(" · matched by {}", mention(e.actor)) if words.matched_by_hand(e) else ""
            rows.append(md("{} · {}{}", when, words.event_words(e, d.address), by))
            if raw := words.raw_answer(e):
                answers.append(mask_in_text(raw) if masked else raw)
        rows.append(md("_Now: {}_", words.status(d, notice.events[d.id], profile.time_zone)))
        blocks.append(section(lines(rows)))
        if d.id in notice.incidents:
            blocks.append(section(known_line(notice.incidents[d.id], profile)))
        if step := words.next_step(d):
            blocks.append(section(md(":bulb: {}", step)))
        if answers:
            blocks.append(section(lines([md("{}", _WHO_SAID[d.channel]), code("\n".join(answers))])))
        if name := _name_of(d):
            blocks.append(context(md("{}", name)))
        blocks.append(divider())
    blocks = blocks[:-1] if notice.deliveries else blocks
    if notice.archived_at:
        blocks.append(context(ARCHIVED))
    if masked and may_unmask:
        blocks += actions(
            button("Show addresses", "messages.unmask", {"n": str(notice.notification.id)}),
        )
    to = To.ASKER if masked else To.REPLACE
    return Reply(f"Timeline of {title_of(notice)}", fit(blocks), to)
