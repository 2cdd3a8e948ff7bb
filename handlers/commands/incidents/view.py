"""The on-call card, the list of incidents, whom one affects and what the servers said. Pure.

The card stands in a channel: people by account number, addresses masked, raw answers one press away.
"""

from __future__ import annotations

from collections.abc import Sequence

from handlers import words
from handlers.blocks import Mrkdwn, actions, button, code, context, divider, fit, header, lines, md, section
from handlers.cards import BreakerLine, Example, IncidentData
from handlers.domain_words import before_and_after, meaning
from handlers.incident_words import person, when
from handlers.masks import mask_in_text
from handlers.profile import Role, TenantProfile
from handlers.reply import Block, Reply, To
from notifier.breaker import State
from notifier.oncall import About, counts_messages, kind_of, parse
from store.models import Delivery, Incident, IncidentState, Outcome

PAGE = 15
"""People on one page of those affected."""
MOST_LISTED = 12
_MARK = {
    IncidentState.OPEN: ":rotating_light:",
    IncidentState.ACKNOWLEDGED: ":raising_hand:",
    IncidentState.RESOLVED: ":white_check_mark:",
}
_OVER = "nothing has failed for a while, and messages got through since"
_STATE = {
    IncidentState.OPEN: "Nobody has it yet",
    IncidentState.ACKNOWLEDGED: "Acknowledged",
    IncidentState.RESOLVED: "Resolved",
}


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def card(
    data: IncidentData,
    profile: TenantProfile,
    *,
    obstacle: str = "",
    to: To = To.ASKER,
    role: Role = Role.AGENT,
) -> Reply:
    """`obstacle`: why the on-call is not texted about it; viewers get no buttons that they may not use."""
    incident = data.incident
    blocks: list[Block] = [
        header(f"{_MARK[incident.state]} {incident.title}"),
        section(lines([_size(data, profile), *_news(data, profile)])),
    ]
    if data.record is not None:
        blocks.append(section(lines([md("{}", meaning(data.record)), before_and_after(data.record)])))
    if data.examples:
        blocks.append(section(lines([md("*For example*"), *(_example(e) for e in data.examples)])))
    if incident.state is not IncidentState.RESOLVED:
        blocks.append(section(md(":bulb: {}", kind_of(incident.cause).todo)))
    blocks += _buttons(data, role)
    if notes := _texting(data, profile, obstacle):
        blocks.append(context(*notes))
    return Reply(spoken(data), fit(blocks))


def spoken(data: IncidentData) -> str:
    """The card in one line, for notifications and screen readers."""
    i = data.incident
    urgent = "Urgent: " if i.urgent and i.state is not IncidentState.RESOLVED else ""
    count = f" {_plural(i.count, 'message')}." if counts_messages(i.cause) else ""
    return f"{urgent}{i.title}.{count} {_STATE[i.state]}."


def _of_record(incident: Incident) -> bool:
    """About a record of ours: it counts changes, not messages."""
    return kind_of(incident.cause).about is About.RECORD


def _watched(incident: Incident) -> bool:
    """The watchdog's: it counts nothing, and no message tells of it."""
    return kind_of(incident.cause).about is About.WATCH


def _size(data: IncidentData, profile: TenantProfile) -> str:
    i = data.incident
    about = md("*{}*", _plural(i.count, "change" if _of_record(i) else "message"))
    if data.people:
        about = md("{} of *{}*", about, _plural(data.people, "subscriber"))
    first, last = when(i.first_at, profile, data.now), when(i.last_at, profile, data.now)
    if not counts_messages(i.cause) and not _of_record(i):
        return md("Since {}", first)
    return md("{} · since {}{}", about, first, f", last {last}" if last != first else "")


def _news(data: IncidentData, profile: TenantProfile) -> list[str]:
    """How urgent, who has it, what has happened since; empty lines are left out."""
    i = data.incident
    rows: list[str] = []
    if i.state is not IncidentState.RESOLVED and not _of_record(i):
        rows.append(
            md(":red_circle: *Urgent:* it cannot wait until morning")
            if i.urgent
            else md(":large_yellow_circle: Not urgent: it can wait until morning")
        )
        if data.waiting and not _watched(i):
            verb = "waits" if data.waiting == 1 else "wait"
            rows.append(md(":hourglass_flowing_sand: {} {} for it", _plural(data.waiting, "message"), verb))
    if i.acknowledged_at is not None:
        at = when(i.acknowledged_at, profile, data.now)
        rows.append(md(":raising_hand: {} has it since {}", person(i.acknowledged_by), at))
    if (grown := _grown(i)) and i.state is IncidentState.ACKNOWLEDGED:
        rows.append(md(":chart_with_upwards_trend: {}", grown))
    if i.resolved_at is not None:
        at = when(i.resolved_at, profile, data.now)
        rows.append(md(":white_check_mark: Resolved by {}, {}: {}", person(i.resolved_by), at, i.note))
    elif data.over:
        rows.append(md(":white_check_mark: *Seems over:* {}. Resolve it?", _OVER))
    if data.earlier is not None:
        rows.append(_earlier(data.earlier, data, profile))
    for line in data.breakers:
        rows += _breaker(line, data, profile)
    return rows


def _breaker(line: BreakerLine, data: IncidentData, profile: TenantProfile) -> list[Mrkdwn]:
    """What is held for it, when it is tried next, and by which other way mail goes meanwhile."""
    whose = (
        md("Mail to *{}* by {}", line.operator, line.route)
        if line.operator
        else md("Mail by *{}*", line.route)
    )
    if line.state is State.CLOSED:
        at = when(line.closed_at, profile, data.now) if line.closed_at else "now"
        return [md(":white_check_mark: {} goes again since {}", whose, at)]
    waits = f"{_plural(line.held, 'message')} so far" if line.held else "nothing waits yet"
    rows = [md(":double_vertical_bar: {} is held ({}); one mail at a time tries it", whose, waits)]
    if line.state is State.OPEN and line.probe_at is not None:
        rows[0] = md("{}, from {} on", rows[0], when(line.probe_at, profile, data.now))
    told = {
        "trial": md(":arrow_right: {} of them try the way by *{}* first", line.moved, line.to),
        "going": md(":arrow_right: They go by *{}* meanwhile: {} so far", line.to, f"{line.moved:,}"),
        "refused": md(":no_entry: *{}* did not take the first ones: nothing goes that way", line.to),
    }
    return rows + ([told[line.trial]] if line.trial in told else [])


def _grown(incident: Incident) -> str:
    """It has at least doubled since somebody took it; told by an edit only."""
    then = incident.acknowledged_count
    if not then or incident.count < 2 * then or _of_record(incident) or _watched(incident):
        return ""
    return f"It has grown from {then:,} to {_plural(incident.count, 'message')} since it was acknowledged"


def _earlier(earlier: Incident, data: IncidentData, profile: TenantProfile) -> str:
    at = when(earlier.resolved_at, profile, data.now) if earlier.resolved_at else "before"
    return md(
        ":repeat: It has come back: resolved by {}, {}: {}", person(earlier.resolved_by), at, earlier.note
    )


def _example(example: Example) -> str:
    who = md("account *{}*", example.subscriber.account) if example.subscriber else md("no account")
    return md("• {} · {}: {}", who, words.masked_target(example.delivery), _why(example))


def _why(example: Example) -> str:
    f = example.failure
    if f is None:
        return "it failed"
    known = words.BOUNCE_WORDS.get(f.cls) or words.REASON_WORDS.get(f.reason)
    return known or "it could not be handed over"


def _buttons(data: IncidentData, role: Role) -> list[Block]:
    """Viewers may look."""
    i = data.incident
    value = {"i": str(i.id)}
    acts, cause = role >= Role.AGENT, parse(i.cause)
    open_ = acts and i.state is IncidentState.OPEN
    unresolved = acts and i.state is not IncidentState.RESOLVED
    spf = kind_of(i.cause).about is About.ENVELOPE or (_of_record(i) and cause.detail == "spf")
    resolve = button("Resolve", "incidents.resolve", value, style="primary" if data.over else None)
    again = button(f"Send the {data.refused:,} refused again", "failures.again", value)
    return actions(
        button("Acknowledge", "incidents.acknowledge", value, style=None if data.over else "primary")
        if open_
        else None,
        resolve if unresolved else None,
        button("Check SPF", "spf.open", {"d": cause.about}) if spf else None,
        button("Look again", "mail.recheck") if unresolved and _of_record(i) else None,
        button("What waits", "queue.open") if unresolved and _watched(i) else None,
        again if acts and data.refused else None,
        button("Show affected", "incidents.affected", value) if data.people else None,
        button("What was said", "incidents.raw", value) if data.examples else None,
    )


_LOST = (Outcome.BOUNCED, Outcome.FAILED, Outcome.SUPPRESSED, Outcome.CANCELLED, Outcome.EXPIRED)


def _texting(data: IncidentData, profile: TenantProfile, obstacle: str) -> list[str]:
    """What was or will be texted to whoever is on call."""
    i = data.incident
    rows: list[str] = []
    if i.texted_at is not None:
        at = when(i.texted_at, profile, data.now)
        again = " again" if i.texts > 1 else ""
        rows.append(md(":iphone: The on-call number was texted{}, {}", again, at))
        rows += [
            md(":x: The text to {} did not go out: {}", words.masked_target(d), _text_trouble(d))
            for d in data.texts
            if d.outcome in _LOST
        ]
    if i.state is IncidentState.OPEN and i.urgent and obstacle:
        rows.append(md(":mute: Nobody is texted: {}", obstacle))
    elif i.state is IncidentState.OPEN and i.urgent and i.texted_at is None:
        at = when(i.first_at + profile.oncall.text_after, profile, data.now)
        rows.append(md(":iphone: The on-call number is texted at {} unless somebody acknowledges it", at))
    return rows


def _text_trouble(delivery: Delivery) -> str:
    return words.REASON_WORDS.get(delivery.reason, "the provider refused it")


def acknowledged() -> Reply:
    text = "It is yours now, and nobody is texted about it. Press Resolve once it is mended."
    return Reply(text, [section(md(":raising_hand: {}", text))])


def resolved() -> Reply:
    text = "Resolved. If it fails again, that is a new incident that names this one."
    return Reply(text, [section(md(":white_check_mark: {}", text))])


def unchanged(reason: str, incident: Incident) -> Reply:
    text = f"Nothing was changed. {reason}"
    by = incident.resolved_by or incident.acknowledged_by
    return Reply(text, [section(md("{}{}", text, md(" ({})", person(by)) if by else ""))])


def listing(
    unresolved: Sequence[IncidentData],
    recent: Sequence[Incident],
    profile: TenantProfile,
    total: int,
) -> Reply:
    """`/isp incidents`: what is going on, each with its card one press away; what was resolved lately.

    `total` counts all that are unresolved; the most urgent of them are given.
    """
    title = f"{_plural(total, 'incident')} unresolved" if total else "No open incident"
    blocks: list[Block] = [header(title)]
    for index, data in enumerate(unresolved):
        look = button("Open", f"incidents.open:{index}", {"i": str(data.incident.id)})
        blocks.append(section(_row(data, profile), accessory=look))
    if total > len(unresolved):
        blocks.append(context(md("And {} more, less urgent or longer ago.", total - len(unresolved))))
    if recent:
        rows = [_recent(incident, profile) for incident in recent]
        blocks += [divider(), section(lines([md("*Resolved lately*"), *rows]))]
    if total:
        blocks.append(context(md("Their cards stand in {}.", Mrkdwn(f"<#{profile.oncall_channel}>"))))
    return Reply(title, fit(blocks))


def _row(data: IncidentData, profile: TenantProfile) -> str:
    i = data.incident
    urgent = md(":red_circle: urgent · ") if i.urgent else ""
    who = md("{} has it", person(i.acknowledged_by)) if i.acknowledged_by else md("nobody has it yet")
    over = md(" · seems over") if data.over else ""
    return lines(
        [md("{} *{}*", _MARK[i.state], i.title), md("{}{} · {}{}", urgent, _size(data, profile), who, over)]
    )


def _recent(incident: Incident, profile: TenantProfile) -> str:
    at = when(incident.resolved_at, profile) if incident.resolved_at else ""
    count = _plural(incident.count, "change" if _of_record(incident) else "message")
    return md(
        ":white_check_mark: {}{} · {} {}: {}",
        incident.title,
        "" if _watched(incident) else f" · {count}",
        person(incident.resolved_by),
        at,
        incident.note,
    )


def affected(
    data: IncidentData, examples: Sequence[Example], offset: int, profile: TenantProfile, to: To
) -> Reply:
    """Whom it caught, by account, for whoever calls them; addresses stay masked."""
    i = data.incident
    title = f"Affected by: {i.title}"
    rows = [md("{}, latest failure first", _size(data, profile)), *(_example(e) for e in examples)]
    if not examples:
        rows.append(md("Nobody on this page."))
    last = offset + len(examples)
    value = {"i": str(i.id)}
    blocks: list[Block] = [
        section(lines([md("*{}*", title), *rows])),
        context(md("{} to {} of {}", min(offset + 1, last), last, _plural(i.count, "message"))),
        *actions(
            button("Newer", "incidents.affected:newer", value | {"o": max(offset - PAGE, 0), "p": 1})
            if offset
            else None,
            button("Older", "incidents.affected:older", value | {"o": last, "p": 1})
            if last < i.count and examples
            else None,
        ),
    ]
    return Reply(title, fit(blocks), to)


def raw(incident: Incident, examples: Sequence[Example]) -> Reply:
    """The servers' own words, each once, with the address in them masked."""
    answers: dict[str, str] = {}
    for example in examples:
        if example.failure is not None and example.failure.diagnostic:
            said_by = example.failure.remote or "our side"
            answers.setdefault(mask_in_text(example.failure.diagnostic), said_by)
    title = f"What was said: {incident.title}"
    blocks: list[Block] = [section(md("*{}*", title))]
    for answer, said_by in list(answers.items())[:5]:
        blocks.append(section(lines([md("{} said:", said_by), code(answer)])))
    if not answers:
        blocks.append(section(md("No server said anything: it never came so far.")))
    return Reply(title, fit(blocks))
