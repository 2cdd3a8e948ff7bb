"""Bounces that belong to no message: the queue, a report in the raw, the choice of a message. Pure.

The queue may be read over a shoulder: recipients are masked. Dialogs are for the asker alone.
"""

from __future__ import annotations

import re
from dataclasses import replace

from handlers import format as fmt
from handlers.blocks import (
    actions,
    button,
    clean,
    code,
    confirm,
    context,
    fit,
    header,
    lines,
    md,
    option,
    section,
    select_input,
    text_input,
)
from handlers.masks import mask_email, shown_name
from handlers.profile import Role, TenantProfile
from handlers.reply import Block, Modal, Reply, To
from handlers.unmatched import PAGE, Candidate, Matching, Queue, class_words
from handlers.words import KIND_WORDS, status
from store.models import Orphan, Unmatched

WHY: dict[Unmatched, str] = {
    Unmatched.FORGED: "It bears a signature that is not ours: it may be forged.",
    Unmatched.OLD_KEY: "It is signed with a key that we gave up, about a mail of more than 30 days ago.",
    Unmatched.GONE: "It bears our signature, but that message is not on file.",
    Unmatched.AMBIGUOUS: "It points to a message of ours that went to somebody else.",
    Unmatched.NO_TOKEN: "It bears no signature of ours, so nothing proves which message it is about.",
    Unmatched.NO_REPORT: "It reports nothing: an ordinary mail. A customer may have answered an invoice.",
    Unmatched.GIVEN_UP: "We failed to work on it. Tell whoever runs this bot.",
}
"""Why a report could not be matched, and what that means."""

_WRITER = re.compile(rb"^From:[^\n]{0,200}?([^\s<>\"',;:]{1,100}@[^\s<>\"',;:]{1,200})", re.I | re.M)
NOTHING_STOPS = "Nobody signed this report. Matching it notes it on the message; mail to the address goes on."
RAW_MAX, PIECE = 9000, 2900
"""How much of a report is shown, and how much of it in one code block."""


def said_of(orphan: Orphan) -> str:
    if not orphan.cls:
        return "a mail without a report" if orphan.why is Unmatched.NO_REPORT else "not read"
    return class_words(orphan.cls)


def whom(orphan: Orphan) -> str:
    """Masked: whom a report is about; of a mail that is none, who wrote it."""
    if orphan.recipient:
        return mask_email(orphan.recipient)
    return f"from {written_by(orphan)}" if written_by(orphan) else "nobody named"


def named(orphan: Orphan) -> str:
    """In the middle of a sentence."""
    writer = written_by(orphan)
    return f"the mail from {writer}" if writer else f"the report about {whom(orphan)}"


def written_by(orphan: Orphan) -> str:
    writer = _WRITER.search(orphan.raw[:20_000])
    if orphan.why is Unmatched.NO_REPORT and writer is not None:
        return mask_email(writer[1].decode("utf-8", "replace"))
    return ""


def queue(page: Queue, profile: TenantProfile, role: Role, *, done: str = "", undo: str = "") -> Reply:
    """`done`: what has just happened; `undo`: the report whose dismissal can be taken back."""
    title = _title(page.total)
    blocks: list[Block] = []
    if done:
        back = button("Undo", "bounces.undo", {"r": undo, "o": page.offset}) if undo else None
        blocks.append(section(md("{}", done), accessory=back))
    blocks.append(header(title))
    if not page.total:
        blocks.append(section(md(":white_check_mark: Every report that came back belongs to a message.")))
        return Reply(f"{done} {title}".strip(), blocks, To.REPLACE if done else To.ASKER)
    blocks.append(context("They change nothing until somebody matches them, and go after 90 days."))
    for number, orphan in enumerate(page.rows):
        blocks += _row(orphan, number, page, profile, role)
    after, before = page.offset + PAGE, page.offset - PAGE
    blocks += actions(
        button(f"Older ({page.total - after:,})", "bounces.page:older", {"o": after})
        if after < page.total
        else None,
        button("Newer", "bounces.page:newer", {"o": max(before, 0)}) if page.offset else None,
    )
    return Reply(f"{done} {title}".strip(), fit(blocks), To.REPLACE if done else To.ASKER)


def in_place(reply: Reply) -> Reply:
    """Instead of the page that was left."""
    return replace(reply, to=To.REPLACE)


def _title(total: int) -> str:
    if not total:
        return "No bounce waits for a message"
    return "1 bounce belongs to no message" if total == 1 else f"{total:,} bounces belong to no message"


def _row(orphan: Orphan, number: int, page: Queue, profile: TenantProfile, role: Role) -> list[Block]:
    came = fmt.moment(orphan.received_at, profile.time_zone, profile.locale)
    text = lines(
        [
            md("*{}* · {}", whom(orphan), said_of(orphan)),
            md(":grey_question: {}", WHY[orphan.why]),
            md("Came {} ({})", came, fmt.age(orphan.received_at, page.now)),
        ]
    )
    if role < Role.AGENT:
        return [section(text)]
    value = {"r": str(orphan.id), "o": page.offset}
    report = orphan.why is not Unmatched.NO_REPORT
    return [
        section(text),
        *actions(
            button("Match…", f"bounces.match:{number}", value) if report else None,
            button("Raw", f"bounces.raw:{number}", value),
            button("Dismiss", f"bounces.dismiss:{number}", value),
        ),
    ]


def raw(orphan: Orphan, profile: TenantProfile) -> Modal:
    """Headers and what follows, cut at a length that can be read in a dialog."""
    came = fmt.moment(orphan.received_at, profile.time_zone, profile.locale)
    text = clean(orphan.raw[: 4 * RAW_MAX].decode("utf-8", "replace").replace("\r", ""))
    head, _, body = text.partition("\n\n")
    blocks: list[Block] = [
        section(lines([md("To *{}*", orphan.envelope_to[:200]), md("Came {}", came)])),
        *_pieces("Headers", head[: RAW_MAX // 3]),
        *_pieces("Message", body[: RAW_MAX - RAW_MAX // 3]),
    ]
    shown = min(len(head), RAW_MAX // 3) + min(len(body), RAW_MAX - RAW_MAX // 3)
    if shown < len(text) - 2 or len(orphan.raw) > 4 * RAW_MAX:
        blocks.append(context(md("The beginning only, of {} octets.", f"{len(orphan.raw):,}")))
    return Modal("bounces.read", "A report", blocks)


def _pieces(title: str, text: str) -> list[Block]:
    if not text.strip():
        return []
    # Escaping makes some characters five: pieces are small enough for that only where they are plain.
    cut = [text[i : i + PIECE // 2] for i in range(0, len(text), PIECE // 2)]
    return [section(md("*{}*", title)), *(section(code(piece)) for piece in cut if piece.strip())]


def dialog(made: Matching, profile: TenantProfile, offset: int) -> Modal:
    """Which message it is about: one to the very recipient, or one that is named."""
    orphan = made.orphan
    blocks: list[Block] = [
        section(lines([md("*{}*", orphan.recipient or "Nobody is named in it"), said_of(orphan)]))
    ]
    if made.candidates:
        options = [option(_brief(c, profile), str(c.delivery.id)) for c in made.candidates]
        blocks.append(
            select_input(
                "which",
                "Which message to this address?",
                options,
                initial=options[0] if len(options) == 1 else None,
                optional=True,
            )
        )
    else:
        blocks.append(section(md("No mail went to this address in the last 30 days.")))
    label = (
        "Or another account, invoice or Message-ID" if made.candidates else "Account, invoice or Message-ID"
    )
    blocks.append(text_input("other", label, placeholder="1042", optional=True, longest=200))
    blocks.append(context(NOTHING_STOPS))
    carry = {"r": str(orphan.id), "o": offset}
    return Modal("bounces.matched", "Match a report", blocks, submit="Match", carry=carry)


def _brief(c: Candidate, profile: TenantProfile) -> str:
    number = f" {c.invoice.number}" if c.invoice else ""
    account = f" · {c.whose.account}" if c.whose else ""
    sent = c.delivery.created_at.astimezone(profile.time_zone).date()
    return f"{KIND_WORDS[c.notification.kind]}{number}{account} · {fmt.day(sent, profile.locale)}"


def choose(made: Matching, profile: TenantProfile) -> Reply:
    """The mails of whatever was named, each with a button."""
    orphan = made.orphan
    title = "Which message is the report about?"
    if not made.candidates:
        none = "No mail of the last 30 days is on file there."
        return Reply(none, [section(md(":mag: {}", none)), context("The report still waits.")])
    rows: list[Block] = [section(lines([md("*{}*", title), md("{} · {}", whom(orphan), said_of(orphan))]))]
    for number, c in enumerate(made.candidates):
        sure = confirm("Match it?", NOTHING_STOPS, "Match")
        value = {"r": str(orphan.id), "d": str(c.delivery.id)}
        this = button("This one", f"bounces.pick:{number}", value, confirm=sure)
        rows.append(section(_candidate(c, profile), accessory=this))
    return Reply(title, fit(rows))


def _candidate(c: Candidate, profile: TenantProfile) -> str:
    how = status(c.delivery, (), profile.time_zone)
    return lines([md("*{}*", _brief(c, profile)), md("{}: {}", mask_email(c.delivery.address), how)])


def matched(made: Matching, profile: TenantProfile, to: To) -> Reply:
    c = made.candidates[0]
    title = "Matched."
    whose = md(" · account {}, {}", c.whose.account, shown_name(c.whose)) if c.whose else md("")
    rows = [
        md(":link: *{}* {} · {}", title, whom(made.orphan), said_of(made.orphan)),
        md("{}{}", _brief(c, profile), whose),
        md("{}", status(c.delivery, (), profile.time_zone)),
    ]
    if made.orphan.recipient.casefold() != c.delivery.address.casefold():
        rows.append(md(":warning: It went to {}, another address.", mask_email(c.delivery.address)))
    value = {"s": str(c.whose.id)} if c.whose else None
    return Reply(
        f"{title} {_brief(c, profile)}",
        fit(
            [
                section(lines(rows)),
                context("It stands on the timeline with your name. Mail to the address goes on."),
                *actions(
                    button("Messages", "messages.open", value) if value else None,
                    button("Next report", "bounces.open"),
                ),
            ]
        ),
        to,
    )
