"""The delivery card: one message, its addresses, how each stands. Masked: it stands in a channel. Pure."""

from __future__ import annotations

from handlers import format as fmt
from handlers import words
from handlers.blocks import actions, button, context, esc, fit, lines, md, mention, section
from handlers.cards import Notice
from handlers.incident_words import known_lines
from handlers.masks import shown_name
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply
from handlers.text_words import text_headline
from notifier.outcome import headline
from notifier.schedule import A_PERSON
from store.models import Channel, Confidence, Outcome, Reason, Stage, Subscriber

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
    title = f"{words.kind_words(notice.notification)}{number}"
    test_of = notice.notification.context.get("test_of")
    if test_of:
        title = f"Test of the mail server {test_of} with invoice{number}"
    about = str(notice.notification.context.get("about", ""))
    whose = f"{shown_name(subscriber)}, account {subscriber.account}" if subscriber else about
    state = _state(notice)
    blocks: list[Block] = [section(lines([md("*{}* · {}", title, whose), md("*{}*", esc(state))]))]
    rows, steps = [], []
    for d in notice.deliveries:
        how = words.status(d, notice.events[d.id], profile.time_zone)
        aside = words.ASIDE_WORDS.get(notice.aside.get(d.id), "")
        target = f"{words.target_of(d, notice.notification.created_at)}{aside}"
        rows.append(md("{} {}: {}", words.mark(d), target, how))
        if step := words.next_step(d):
            steps.append(md(":bulb: {}", step))
    rows += [md(":no_entry_sign: {}", left) for left in notice.notification.context.get("left_out", ())]
    if rows:
        blocks.append(section(lines(rows)))
    if known := known_lines(notice, profile):
        blocks.append(section(lines(known)))
    if test_of:
        blocks.append(context(words.WHAT_A_TEST_SHOWS))
    if steps:
        blocks.append(section(lines(dict.fromkeys(steps))))
    value = {"n": str(notice.notification.id)}
    troubled = [d for d in notice.deliveries if d.outcome in _TROUBLE]
    # Another address helps where the address is the trouble, and only there.
    theirs = any(d.reason in _ABOUT_THE_ADDRESS for d in troubled)
    doubtful = [d for d in notice.deliveries if d.stage is Stage.HELD and d.stage_by == A_PERSON][:3]
    spf = any(d.cls == "blocked_auth" for d in troubled)
    other = (
        button("Try another address", "resend.other", {"i": str(notice.invoice.id)})
        if notice.invoice
        else None
    )
    blocks += actions(
        button("Timeline", "messages.timeline", value),
        other if theirs else None,
        button("Check SPF", "spf.open") if spf else None,
        *(button("Decide…", f"queue.doubt:{n}", {"d": str(d.id)}) for n, d in enumerate(doubtful)),
    )
    blocks.append(context(_footer(notice, profile)))
    return Reply(f"{title}: {_spoken(notice)}", fit(blocks))


_TROUBLE = (Outcome.BOUNCED, Outcome.FAILED, Outcome.SUPPRESSED, Outcome.EXPIRED)


_ABOUT_THE_ADDRESS = (Reason.RECIPIENT, Reason.CAPACITY, Reason.OPTED_OUT)


def _state(notice: Notice) -> str:
    """The headline: the best that was reached, and how many were not."""
    outcomes = [d.outcome for d in notice.deliveries]
    best = headline(outcomes)
    presumed = all(
        d.confidence is Confidence.PRESUMED for d in notice.deliveries if d.outcome is Outcome.DELIVERED
    )
    state = PRESUMED_STATE if best is Outcome.DELIVERED and presumed else _HEADLINE[best]
    # Whoever was reached by a text alone was reached in its words, also where mails had failed before.
    reached = [d for d in notice.deliveries if d.outcome is best]
    if reached and all(d.channel is Channel.SMS for d in reached):
        state = text_headline(reached, best) or state
    lost = sum(outcome in _TROUBLE for outcome in outcomes)
    return f"{state}, but {lost} of {len(outcomes)} not" if 0 < lost < len(outcomes) else state


PRESUMED_STATE = ":outbox_tray: Probably arrived"


def _spoken(notice: Notice) -> str:
    """The headline without emoji, for notifications and screen readers."""
    return _state(notice).rpartition(": ")[2]


def _footer(notice: Notice, profile: TenantProfile) -> str:
    n = notice.notification
    when = fmt.moment(n.created_at, profile.time_zone, profile.locale)
    settled = all(d.stage is Stage.CLOSED for d in notice.deliveries)
    waiting = sum(d.stage is Stage.AWAITING for d in notice.deliveries)
    texts = all(d.channel is Channel.SMS for d in notice.deliveries)
    hope = "waiting for the phone's receipt" if texts else f"{waiting} may still bounce"
    tail = "settled" if settled else hope if waiting else "being worked on"
    return md("Asked for by {} · {} · {}", mention(n.requested_by), when, tail)
