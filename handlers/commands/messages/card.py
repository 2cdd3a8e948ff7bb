"""The delivery card: one message, its addresses, how each stands. Masked: it stands in a channel. Pure."""

from __future__ import annotations

import re

from handlers import format as fmt
from handlers import words
from handlers.blocks import actions, button, context, esc, fit, lines, md, section
from handlers.cards import Notice
from handlers.masks import mask_name
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply
from notifier.outcome import headline
from store.models import NotificationKind, Outcome, Stage, Subscriber

_USER = re.compile(r"[UW][A-Z0-9_]{2,}")
_TITLE = {
    NotificationKind.INVOICE_ISSUED: "Invoice",
    NotificationKind.RESEND: "Copy of invoice",
    NotificationKind.TEST: "Test mail",
}
_HEADLINE = {
    Outcome.NONE: ":hourglass_flowing_sand: Under way",
    Outcome.SENT: ":outbox_tray: Handed to the relay",
    Outcome.DELIVERED: ":white_check_mark: Accepted",
    Outcome.BOUNCED: ":x: Not delivered",
    Outcome.FAILED: ":x: Not sent",
    Outcome.SUPPRESSED: ":no_entry_sign: Not sent",
    Outcome.CANCELLED: ":no_entry_sign: Not sent",
    Outcome.EXPIRED: ":no_entry_sign: Not sent",
}


def card(notice: Notice, subscriber: Subscriber | None, profile: TenantProfile) -> Reply:
    number = f" {notice.invoice.number}" if notice.invoice else ""
    title = f"{_TITLE[notice.notification.kind]}{number}"
    whose = f"{mask_name(subscriber.name)}, account {subscriber.account}" if subscriber else ""
    state = _HEADLINE[headline(d.outcome for d in notice.deliveries)]
    blocks: list[Block] = [section(lines([md("*{}* · {}", title, whose), md("*{}*", esc(state))]))]
    rows, steps = [], []
    for d in notice.deliveries:
        how = words.status(d, notice.events[d.id], profile.time_zone)
        rows.append(md("{} {}: {}", words.mark(d), words.masked_target(d), how))
        if step := words.next_step(d):
            steps.append(md(":bulb: {}", step))
    if rows:
        blocks.append(section(lines(rows)))
    if steps:
        blocks.append(section(lines(dict.fromkeys(steps))))
    value = {"n": str(notice.notification.id)}
    troubled = any(d.outcome in _TROUBLE for d in notice.deliveries)
    blocks += actions(
        button("Timeline", "messages.timeline", value),
        button("Try another address", "resend.other", {"i": str(notice.invoice.id)})
        if troubled and notice.invoice
        else None,
    )
    blocks.append(context(_footer(notice, profile)))
    return Reply(f"{title}: {_spoken(notice)}", fit(blocks))


_TROUBLE = (Outcome.BOUNCED, Outcome.FAILED, Outcome.SUPPRESSED, Outcome.EXPIRED)


def _spoken(notice: Notice) -> str:
    """The headline without emoji, for notifications and screen readers."""
    return _HEADLINE[headline(d.outcome for d in notice.deliveries)].rpartition(": ")[2]


def _footer(notice: Notice, profile: TenantProfile) -> str:
    n = notice.notification
    when = fmt.moment(n.created_at, profile.time_zone, profile.locale)
    settled = all(d.stage is Stage.CLOSED for d in notice.deliveries)
    waiting = sum(d.stage is Stage.AWAITING for d in notice.deliveries)
    tail = "settled" if settled else f"{waiting} may still bounce" if waiting else "being worked on"
    by = md("<@{}>", n.requested_by) if _USER.fullmatch(n.requested_by) else md("{}", n.requested_by)
    return md("Asked for by {} · {} · {}", by, when, tail)
