"""A trial of two routes: its preview, and its card with both side by side. Pure.

The mailbox is one of our own and stands in full. Raw answers stand below the verdict, never in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handlers import format as fmt
from handlers import words
from handlers.blocks import (
    actions,
    button,
    context,
    divider,
    fit,
    header,
    lines,
    md,
    mention,
    section,
    shorten,
)
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply, To
from handlers.trials import Side, TrialData, seconds, verdict
from notifier.channels import Route
from store.models import Stage

MOST_MAILBOXES = 5
_LONGEST_ANSWER = 300


def preview(
    profile: TenantProfile, routes: Sequence[str], mailboxes: Sequence[str], preview_id: str
) -> Reply:
    title = f"Test {' and '.join(routes)} side by side?"
    text = md(
        "The same test mail goes out by both, each with a code in its subject. It is about nobody: no name, "
        "no invoice. A card shows who took it, in what words and how fast."
    )
    blocks: list[Block] = [header(title), section(text)]
    for index, mailbox in enumerate(mailboxes[:MOST_MAILBOXES]):
        value = {"m": mailbox, "n": f"{preview_id}:{index}"}
        send = button("Send both", f"trial.send:{index}", value, style="primary" if index == 0 else None)
        blocks.append(section(md(":email: {}", mailbox), accessory=send))
    if len(mailboxes) > MOST_MAILBOXES:
        hint = f"`{profile.command} trial name@example.net`"
        blocks.append(context(md("And {} more: {}", len(mailboxes) - MOST_MAILBOXES, hint)))
    blocks += actions(button("Cancel", "trial.cancel"))
    blocks.append(context("For leads."))
    return Reply(title, fit(blocks))


def card(data: TrialData, profile: TenantProfile) -> Reply:
    trial, shown = data.trial, verdict(data.sides)
    title = f"Test of both routes to {trial.mailbox}, code {trial.code}"
    known = {route.name: route for route in profile.routes}
    halves = [_half(side, known.get(side.route), profile) for side in data.sides]
    blocks: list[Block] = [section(lines([md("*{}*", title), md("*{}*", shown)])), divider()]
    blocks.append(section("", fields=halves))
    blocks += actions(
        *(
            button(f"Timeline {s.route}", f"messages.timeline:{i}", {"n": str(s.notice.notification.id)})
            for i, s in enumerate(data.sides)
        ),
        _check_spf(data, known),
        button("Test again", "trial.open"),
    )
    when = fmt.moment(trial.created_at, profile.time_zone, profile.locale)
    settled = all(s.delivery.stage is Stage.CLOSED for s in data.sides)
    tail = "settled" if settled else "a bounce may still come"
    blocks.append(context(md("Asked for by {} · {} · {}", mention(trial.actor), when, tail)))
    return Reply(f"{title}: {shown}", fit(blocks))


def _check_spf(data: TrialData, known: Mapping[str, Route]) -> Block | None:
    """Of the domain that the refused mail came from."""
    route = next((known.get(side.route) for side in data.sides if side.failed_sender_checks), None)
    return button("Check SPF", "spf.open", {"d": route.envelope_domain}) if route is not None else None


def _half(side: Side, route: Route | None, profile: TenantProfile) -> str:
    d = side.delivery
    kind = f" ({'relay' if route.kind == 'relay' else 'direct'})" if route is not None else ""
    rows = [
        md("*{} · {}*{}", side.letter, side.route, kind),
        md("{} {}", words.mark(d), words.status(d, side.events, profile.time_zone)),
    ]
    if side.took_ms is not None:
        rows.append(md(":stopwatch: answered in {}", seconds(side.took_ms)))
    later = side.reported_after
    if later is not None:
        rows.append(md("reported {} later", seconds(round(later.total_seconds() * 1000))))
    said = [answer for e in side.events if (answer := words.raw_answer(e))]
    rows += [md("> {}", shorten(" ".join(answer.split()), _LONGEST_ANSWER)) for answer in said[-3:]]
    return lines(rows)


def sent() -> Reply:
    text = "Both are on their way. The card in this channel shows them side by side."
    return Reply("On their way.", [section(md(":outbox_tray: *{}*", text))], To.REPLACE)


def sent_before() -> Reply:
    text = "This test runs already: each route sent one mail, not two."
    return Reply(text, [section(md(":outbox_tray: {}", text))], To.REPLACE)


def cancelled() -> Reply:
    return Reply("Nothing was sent.", [section(md("Cancelled. Nothing was sent."))], To.REPLACE)
