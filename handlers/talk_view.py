"""How a conversation by text looks in Slack: its card, the lines of its thread, previews. Pure.

In the channel numbers and names are masked. Everything that a subscriber wrote is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from handlers import format as fmt
from handlers import words
from handlers.blocks import (
    Mrkdwn,
    actions,
    button,
    clean,
    context,
    esc,
    fit,
    header,
    lines,
    md,
    section,
    select_input,
    shorten,
    text_input,
)
from handlers.blocks import option as choice
from handlers.intents import read_intent
from handlers.masks import mask_emails, mask_links, mask_phone, shown_name
from handlers.profile import TenantProfile
from handlers.reply import Block, Modal, Reply, To
from handlers.talk import ASK_CANCEL, MEDIA, Decision, Talk, TextPlan
from handlers.text_cost import cost_rows, exactly, time_rows
from store.models import AUTO, ConversationLine, Delivery, Event, Said, SubscriberStatus

_USER = re.compile(r"[UW][A-Z0-9_]{2,20}")
_PICTURES = {"image": "a picture", "video": "a video", "audio": "a sound", "text": "a contact or note"}
_LONGEST_LINE = 2600


def person(user: str | None) -> Mrkdwn:
    """A colleague by name; whoever is no Slack user in plain words."""
    return Mrkdwn(f"<@{user}>") if user and _USER.fullmatch(user) else esc(user or "somebody")


def _who(talk: Talk) -> str:
    number = mask_phone(talk.conversation.number)
    s = talk.subscriber
    return md("{} · {} · account *{}*", number, shown_name(s), s.account) if s else md("{}", number)


def card(talk: Talk, profile: TenantProfile) -> Reply:
    """The card that begins the thread in the support channel."""
    c, s = talk.conversation, talk.subscriber
    title = f"Texts with {shown_name(s)} · {s.account}" if s else f"Texts with {mask_phone(c.number)}"
    rows: list[str] = [md(":iphone: {}", esc(_who(talk)))]
    if s is not None and s.status is SubscriberStatus.ARCHIVED:
        rows.append(
            md(":warning: *Former subscriber*: the account is archived, and numbers are given to strangers.")
        )
        rows.append(md("Make sure who writes before you speak of the account."))
    elif s is not None and s.payer_account is not None:
        rows.append(md("Account *{}* pays for it: invoices are theirs to see.", s.payer_account))
    elif s is not None:
        rows.append(_money(talk, profile))
    elif talk.candidates:
        accounts = ", ".join(one.account for one in talk.candidates[:8])
        asked = "They were asked which one they mean." if c.choices else "Choose before you speak of one."
        rows.append(md(":busts_in_silhouette: This number is on accounts *{}*. {}", accounts, asked))
    else:
        rows.append(
            md(":grey_question: *Unmatched*: nobody on file has this number. Speak of no account with them.")
        )
    if talk.opted_out is not None:
        since = fmt.moment(talk.opted_out, profile.time_zone, profile.locale)
        rows.append(md(":no_entry_sign: *Opted out of texts* since {}. No text goes to this number.", since))
    if c.paused:
        rows.append(md(":double_vertical_bar: *Texts or service?* Somebody has to decide, in the thread."))
    blocks: list[Block] = [header(shorten(clean(title), 140)), section(lines(rows))]
    if talk.last is not None:
        blocks.append(section(_last(talk.last, by_itself=talk.last_by_itself)))
    if c.closed_at is not None:
        when = fmt.moment(c.closed_at, profile.time_zone, profile.locale)
        closed = md(":white_check_mark: Closed: nothing was left to do.")
        if _USER.fullmatch(c.closed_by or ""):
            closed = md(":white_check_mark: Closed by {}, {}.", person(c.closed_by), when)
        blocks.append(context(closed))
    else:
        blocks.append(context(md("What you write in this thread stays in the team. *Reply* sends a text.")))
    return Reply(title, fit([*blocks, *_buttons(talk)]))


def _money(talk: Talk, profile: TenantProfile) -> str:
    s = talk.subscriber
    if s is None:
        return ""
    balance = md("Balance *{}*", fmt.money(s.balance, profile.locale))
    invoice = talk.next_invoice
    if invoice is None:
        return md("{} · no open invoice", balance)
    due = fmt.day(invoice.due_on, profile.locale)
    amount = fmt.money(invoice.due, profile.locale)
    return md("{} · invoice {}: {} due {}", balance, invoice.number, amount, due)


def _last(line: ConversationLine, *, by_itself: bool) -> str:
    said = _ours(line, by_itself=by_itself) if line.said is Said.OUT else _said(line)
    text = shorten(esc(" ".join(said.split())), 300)
    return md("{} {}", ":speech_balloon:" if line.said is Said.IN else ":arrow_right:", Mrkdwn(text))


def _ours(line: ConversationLine, *, by_itself: bool) -> str:
    """What an agent wrote stays as it is, but for an invoice's link."""
    said = mask_links(line.body)
    return mask_emails(said) if by_itself else said


def _buttons(talk: Talk) -> list[Block]:
    c, s = talk.conversation, talk.subscriber
    account = button("Account", "find.open", {"s": str(s.id)}) if s else None
    if c.closed_at is not None:
        return actions(account)
    value = {"c": str(c.id)}
    several = len(talk.candidates) > 1
    reply = None if talk.opted_out else button("Reply…", "thread.reply", value, style="primary")
    choose = button("Choose account", "thread.choose", value) if several else None
    return actions(reply, account, choose, button("Close", "thread.close", value))


def _said(line: ConversationLine) -> str:
    """What a line says, in words."""
    if line.author.startswith(MEDIA):
        kind = line.author.removeprefix(MEDIA)
        return f"sent {_PICTURES.get(kind.partition('/')[0], 'a file')}"
    if line.said is Said.IN and (reaction := read_intent(line.body).reaction):
        to = f"“{shorten(reaction.quoted, 120)}”" if reaction.quoted else "a picture"
        return f"took {reaction.emoji} back from {to}" if reaction.removed else f"{reaction.emoji} to {to}"
    return line.body


def came_in(line: ConversationLine, talk: Talk, profile: TenantProfile, picture: str = "") -> Reply:
    """A text of the subscriber in the thread. `picture`: where a file can be looked at."""
    said = _said(line)
    when = fmt.clock_time(line.at, profile.time_zone, profile.locale)
    number = mask_phone(talk.conversation.number)
    if line.author.startswith(MEDIA):
        seen = Mrkdwn(f" <{picture}|Look at it>") if picture else Mrkdwn("")
        kind = line.author.removeprefix(MEDIA)
        rows = [
            section(md(":frame_with_picture: They {}.{}", said, seen)),
            context(md("{} · {} · {}", number, when, kind)),
        ]
    elif said is not line.body:  # a reaction: nobody has to act on it
        rows = [context(md("{} reacted: {} · {}", number, said, when))]
    else:
        text = Mrkdwn(shorten(esc(said), _LONGEST_LINE))
        rows = [section(md(":speech_balloon: {}", text)), context(md("{} · {}", number, when))]
    return Reply(shorten(said, 150) or "A text", rows)


def many(count: int, last: ConversationLine | None, talk: Talk, profile: TenantProfile, minute: str) -> Reply:
    """One line for a minute in which too many texts came. `minute`: what its button carries."""
    number = mask_phone(talk.conversation.number)
    text = f"{count} texts within a minute: not all of them are shown one by one."
    show = button("Show all", "thread.burst", {"m": minute})
    rows = [section(md(":speech_balloon: *{}*", text), accessory=show)]
    if last is not None:
        when = fmt.clock_time(last.at, profile.time_zone, profile.locale, seconds=True)
        rows.append(context(md("{} · the last one at {}: {}", number, when, shorten(_said(last), 300))))
    return Reply(text, rows)


def burst(said: Sequence[ConversationLine], talk: Talk, profile: TenantProfile) -> Reply:
    """All texts of one minute, for whoever asked."""
    number = mask_phone(talk.conversation.number)
    title = f"{len(said)} texts from {number}"
    rows = [
        md("{} {}", fmt.clock_time(line.at, profile.time_zone, profile.locale, seconds=True), _said(line))
        for line in said
    ]
    return Reply(title, fit([section(md("*{}*", title)), *(section(row) for row in rows[:_MOST_SHOWN])]))


_MOST_SHOWN = 45


def event(line: ConversationLine, talk: Talk, mend: Mapping[str, str] | None = None) -> Reply:
    """Something that happened; the question about a "cancel" has its two buttons until it is decided.

    `mend`: what mends an address with the one that they wrote; None where that is done or was never asked.
    """
    c = talk.conversation
    if mend is not None:
        offer = actions(button("Mend with this…", "contact.mend", mend, style="primary"))
        return Reply(line.body, [section(md(":email: *{}*", line.body)), *offer])
    if line.author != ASK_CANCEL:
        return Reply(line.body, [section(md(":information_source: {}", line.body))])
    blocks: list[Block] = [section(md(":double_vertical_bar: *{}*", line.body))]
    if c.paused:
        value = {"c": str(c.id)}
        blocks += actions(
            button("Texts", f"thread.{Decision.TEXTS}", value),
            button("Service", f"thread.{Decision.SERVICE}", value),
        )
        blocks.append(context("Texts: they get no more of them. Service: you talk to them about it."))
    else:
        about = "the texts: they get no more" if talk.opted_out else "the service: texts go on"
        blocks.append(context(md("Decided. It is about {}.", about)))
    return Reply(line.body, blocks)


def went_out(
    line: ConversationLine,
    deliveries: Sequence[tuple[Delivery, Sequence[Event]]],
    profile: TenantProfile,
    *,
    by_itself: bool,
) -> Reply:
    """A text of ours with what became of it. `by_itself`: its words are the product's."""
    by = "automatic" if line.author.startswith(AUTO) else person(line.author)
    states = [
        md("{} {}", words.mark(delivery), words.status(delivery, events, profile.time_zone))
        for delivery, events in deliveries
    ]
    when = fmt.clock_time(line.at, profile.time_zone, profile.locale)
    said = _ours(line, by_itself=by_itself)
    text = Mrkdwn(shorten(esc(said), _LONGEST_LINE))
    return Reply(
        shorten(said, 150),
        [section(md(":arrow_right: {}", text)), context(md("{} · {}", esc(by), when), *states)],
    )


def not_sent(line_id: str, thread: dict[str, str], *, may_send: bool, card: bool = False) -> Reply:
    """Below a note: that nobody but the team has seen it. `card`: a card number was taken out of it."""
    blocks = [section(md(":lock: *Not sent. Team only.*"))]
    if card:
        blocks.append(
            section(
                md(":warning: There was a card number in it. It is not kept here: *delete your message*.")
            )
        )
    if may_send:
        blocks += actions(button("Send as text", "thread.as_text", {"n": line_id} | thread))
    return Reply("Not sent. Team only.", blocks)


def write(callback: str, who: str, carry: dict[str, str], initial: str = "") -> Modal:
    """The dialog in which a text is written."""
    hint = "Nothing is sent yet: the next step shows the exact text, its segments and its price."
    field = text_input("words", f"To {who}", initial=initial, hint=hint, multiline=True, longest=1500)
    return Modal(callback, "Write a text", [field], submit="Preview", carry=carry)


def choose_account(talk: Talk, carry: dict[str, str]) -> Modal:
    rows = [choice(f"{s.account} · {s.name}", str(s.id)) for s in talk.candidates]
    field = select_input("account", "Which account is it about?", rows)
    return Modal("thread.chosen", "Choose account", [field], submit="Choose", carry=carry)


def preview(
    plan: TextPlan, profile: TenantProfile, draft_id: str, thread: dict[str, str], to: To = To.ASKER
) -> Reply:
    """The exact text, what it costs, what time it is there, who gets it, and Send."""
    talk = plan.talk
    title = f"Send this text to {mask_phone(talk.conversation.number)}?"
    blocks: list[Block] = [section(md("*Send this text?*\nTo {}", esc(_who(talk))))]
    blocks += exactly(plan.segments.text)
    costs = cost_rows(plan.segments, plan.price, plan.currency, profile)
    times = time_rows(plan.zones, plan.now, profile, in_window=plan.in_window)
    blocks.append(section(lines([*costs, *times])))
    if warnings := _warnings(talk):
        blocks.append(section(lines(warnings)))
    value = {"d": draft_id} | thread
    blocks += actions(
        button("Send", "thread.send", value, style="primary"),
        button("Edit", "thread.edit", value),
        button("Cancel", "thread.cancel", value),
    )
    return Reply(title, fit(blocks), to, thread.get("thread_ts", ""))


def _warnings(talk: Talk) -> list[str]:
    rows: list[str] = []
    if talk.subscriber is None:
        rows.append(
            md(":warning: This number is on several accounts, and none is chosen yet. Name no account.")
            if talk.candidates
            else md(":warning: Nobody on file has this number. Speak of no account with them.")
        )
    elif len(talk.candidates) > 1:
        rows.append(md(":warning: Others share this number: they read it too."))
    if talk.conversation.paused:
        rows.append(md(":warning: It is not decided yet whether they want texts at all."))
    return rows


def sent() -> Reply:
    text = "Its line in the conversation's thread follows it."
    return Reply("On its way.", [section(md(":outbox_tray: *On its way.* {}", text))], To.REPLACE)


def sent_before() -> Reply:
    text = "It is on its way already: one text went out, not two."
    return Reply(text, [section(md(":outbox_tray: {}", text))], To.REPLACE)


def cancelled() -> Reply:
    return Reply("Nothing was sent.", [section(md("Cancelled. Nothing was sent."))], To.REPLACE)


def done(words_: str) -> Reply:
    return Reply(words_, [section(md("{}", words_))])
