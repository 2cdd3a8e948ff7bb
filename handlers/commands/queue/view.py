"""What waits: by route, by holder, the ceiling; those that one holds, and the decision about a doubt. Pure.

Whoever looks on may see it: accounts by number, addresses masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from handlers import format as fmt
from handlers import words
from handlers.blocks import Mrkdwn, actions, button, context, divider, fit, header, lines, md, section
from handlers.profile import Role, TenantProfile
from handlers.reply import Block, Reply, To
from handlers.waiting import Decision, Waiting, Way, age, ceilings, holder_words, span
from notifier.schedule import A_PERSON
from store.models import ACCOUNT, NOT_BEGUN, Delivery, Event, EventKind, Held, Notification, Subscriber

PAGE = 8
MOST_HOLDERS = 12
MOST_REASONS = 4


def overview(waiting: Waiting, profile: TenantProfile, role: Role, to: To = To.ASKER) -> Reply:
    held = _by_holder(waiting.held)
    total = sum(h.count for h in held)
    title = _title(waiting.due, total)
    blocks: list[Block] = [header(title), *_why(waiting, profile)]
    rows = [row for way in waiting.ways if (row := _way(way, waiting)) is not None]
    blocks.append(section(lines(rows or [md("Nothing is queued.")])))
    if held:
        blocks += [divider(), section(md("*Held*"))]
    for index, one in enumerate(held[:MOST_HOLDERS]):
        blocks += _held(index, one, waiting, role)
    if len(held) > MOST_HOLDERS:
        blocks.append(context(md("And {} more that hold less.", len(held) - MOST_HOLDERS)))
    blocks += actions(button("Look again", "queue.open", {"p": 1}))
    return Reply(f"{title}.", fit(blocks), to)


def _title(due: int, held: int) -> str:
    if not due and not held:
        return "Nothing is due, nothing is held"
    told = [f"{due:,} due" if due else "", f"{held:,} held" if held else ""]
    return "What waits now: " + " · ".join(part for part in told if part)


def _why(waiting: Waiting, profile: TenantProfile) -> list[Block]:
    """Why it is not faster, where somebody may ask that."""
    rows: list[Mrkdwn] = []
    for ceiling in ceilings(waiting):
        whose = md("*{}:* ", ceiling.way) if ceiling.way else Mrkdwn("")
        end = ""
        if ceiling.ends_in is not None:
            at = fmt.clock_time(waiting.now + ceiling.ends_in, profile.time_zone, profile.locale)
            end = f" At this rate it is over in {span(ceiling.ends_in)}, at {at}."
        rows.append(md(":snail: {}{}{}", whose, ceiling.sentence, end))
    return [section(lines(rows))] if rows else []


def _way(way: Way, waiting: Waiting) -> Mrkdwn | None:
    q = way.queued
    if q is None and not way.in_hand:
        return None
    told: list[str] = []
    if q is not None and q.due and q.oldest_due is not None:
        urgent = f", {q.urgent:,} of them urgent" if q.urgent else ""
        told.append(f"{q.due:,} due{urgent}, the first for {age(q.oldest_due, waiting.now)}")
    if way.in_hand:
        told.append(f"{way.in_hand:,} with a worker now")
    if q is not None and q.later:
        told.append(f"{q.later:,} for later{_reasons(way)}")
    return md("*{}* ({}): {}", way.name, way.channel, "; ".join(told)) if told else None


def _reasons(way: Way) -> str:
    """Why those wait that are not due yet, most frequent first."""
    counted = sorted(way.later.items(), key=lambda item: -item[1])[:MOST_REASONS]
    told = [f"{count:,} {_UNSAID.get(why) or _lower(why)}" for why, count in counted]
    return f" ({'; '.join(told)})" if told else ""


_UNSAID = {"": "tried again by itself", NOT_BEGUN: "not begun, due at a set time"}


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _by_holder(held: Sequence[Held]) -> list[Held]:
    """One line a holder, over all routes."""
    found: dict[str, Held] = {}
    for one in held:
        had = found.get(one.by)
        route = one.route if had is None else f"{had.route}, {one.route}"
        count, oldest = (had.count, had.oldest) if had else (0, one.oldest)
        found[one.by] = Held(one.by, route, count + one.count, min(oldest, one.oldest))
    return sorted(found.values(), key=lambda h: (-h.count, h.by))


def _held(index: int, one: Held, waiting: Waiting, role: Role) -> list[Block]:
    words_ = holder_words(one.by, waiting)
    text = md(
        "*{}* by {} · {} · oldest {}", f"{one.count:,}", words_, one.route, age(one.oldest, waiting.now)
    )
    hold = waiting.holds.get(one.by)
    may_end = hold is not None and role >= (Role.AGENT if hold.scope == ACCOUNT else Role.LEAD)
    resumes = one.by in waiting.runs and role >= Role.LEAD
    return [
        section(text),
        *actions(
            button("Decide…" if one.by == A_PERSON else "List", f"queue.list:{index}", {"by": one.by}),
            button("Resume", f"run.resume:{index}", {"r": one.by.removeprefix("run:")}) if resumes else None,
            button("End hold", f"hold.end:{index}", {"h": str(hold.id)}) if hold and may_end else None,
        ),
    ]


def listing(
    by: str,
    found: Sequence[Delivery],
    notifications: Mapping[UUID, Notification],
    people: Mapping[UUID, Subscriber],
    offset: int,
    now: datetime,
    role: Role,
) -> Reply:
    """One page of those that `by` holds, oldest first; `found` has one more when there are more."""
    title = (
        f"Held, {offset + 1:,} to {offset + min(len(found), PAGE):,}" if found else "Nothing is held there"
    )
    blocks: list[Block] = [section(md("*{}*", title))]
    for index, d in enumerate(found[:PAGE]):
        n = notifications.get(d.notification_id)
        person = people.get(n.subscriber_id) if n is not None and n.subscriber_id else None
        whose = f"account {person.account}" if person else "no account"
        what = _what(n) if n is not None else "Message"
        row = md("*{}* · {} · {}", what, whose, words.masked_target(d))
        why = md("{} · waits for {}", d.stage_reason or "Held", age(d.created_at, now))
        decide = by == A_PERSON and role >= Role.AGENT
        press = (
            button("Decide…", f"queue.doubt:{index}", {"d": str(d.id)})
            if decide
            else button("Timeline", f"messages.timeline:{index}", {"n": str(d.notification_id)})
        )
        blocks.append(section(lines([row, why]), accessory=press))
    if len(found) > PAGE:
        blocks += actions(button("More", "queue.list", {"by": by, "o": offset + PAGE}))
    return Reply(title, fit(blocks))


def _what(notification: Notification) -> str:
    """With the invoice's number: an account may have two that wait."""
    number = notification.context.get("invoice", {}).get("number", "")
    kind = words.kind_words(notification)
    return f"{kind} {number}" if number and notification.invoice_id else kind


def doubt(delivery: Delivery, events: Sequence[Event]) -> Reply:
    """What is known, and the three ways on."""
    tries = sum(event.kind is EventKind.IN_DOUBT for event in events)
    target = words.masked_target(delivery)
    title = f"Did it arrive? The message to {target}"
    story = (
        f"It was cut off {tries} times while it was being sent: each may have been a mail that arrived."
        if tries > 1
        else "It may have gone out, and nobody can tell from here."
    )
    value = {"d": str(delivery.id)}
    blocks: list[Block] = [
        section(lines([md("*{}*", title), md("{}", story)])),
        section(md("Ask the customer, or look at the other side's log. Then:")),
        *actions(
            button("Send it again", "queue.again", value),
            button("It arrived", "queue.arrived", value),
            button("Give it up", "queue.giveup", value),
        ),
        context("Sent again they may have it twice. Whatever you choose is kept with your name."),
    ]
    return Reply(title, fit(blocks))


_DECIDED = {
    Decision.AGAIN: ":outbox_tray: It goes out again now. Its card follows it.",
    Decision.ARRIVED: ":white_check_mark: It arrived, by your word: probable, and no proof.",
    Decision.GIVE_UP: ":no_entry_sign: It is not tried any more.",
}


def decided(decision: Decision) -> Reply:
    text = _DECIDED[decision]
    return Reply(text.rpartition(": ")[2], [section(md("{}", Mrkdwn(text)))], To.REPLACE)
