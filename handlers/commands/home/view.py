"""The Home tab: role, attention, what is under way, quick buttons. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from handlers import format as fmt
from handlers.blocks import Mrkdwn, actions, button, context, divider, header, lines, md, section
from handlers.profile import CommandSpec, Role, TenantProfile
from handlers.reply import Block, Home, Reply
from handlers.words import BOUNCE_WORDS, REASON_WORDS
from store.models import Incident, Outcome, Reason, Run, Stage, Trouble

RECENT = timedelta(days=3)
CAUSES, INCIDENTS, RUNS = 6, 4, 3
"""How many are named; the rest is counted."""

_MAY = {
    Role.VIEWER: md("You are a *viewer* here: you can look people up and see what was sent to them."),
    Role.AGENT: md(
        "You are an *agent* here: you can look people up, send messages, and add notes and holds."
    ),
    Role.LEAD: md(
        "You are a *lead* here: besides what agents do, you can start runs, suspend, "
        "and take addresses off the do-not-send list."
    ),
    Role.ADMIN: md("You are an *admin* here: you can do everything."),
}
_OURS = frozenset({Reason.POLICY, Reason.CONTENT, Reason.INFRASTRUCTURE, Reason.NETWORK, Reason.CONFIG})
"""Reasons that say nothing against the address: somebody on our side has to act."""
_ENDED = {
    Outcome.SUPPRESSED: "the address is on our do-not-send list",
    Outcome.EXPIRED: "it was no longer worth sending when it could have gone",
}
_STAGES = (
    (Stage.QUEUED, "waiting to be sent"),
    (Stage.CLAIMED, "being sent"),
    (Stage.AWAITING, "handed over, may still bounce"),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the tab is drawn from."""

    now: datetime
    troubles: Sequence[Trouble]
    under_way: Mapping[Stage, int]
    incidents: Sequence[Incident] = ()
    conversations: int = 0
    paused: int = 0
    runs: Sequence[Run] = ()
    unmatched: int = 0
    """Bounce reports that belong to no message."""


def home(desk: Desk, role: Role, specs: Sequence[CommandSpec], profile: TenantProfile) -> Home:
    """`specs`: the commands that this person may use."""
    blocks: list[Block] = [
        header(f"{profile.brand.name} support desk"),
        section(_MAY[role]),
        *_quick(specs),
        context(md("Answers come under *Messages*. Everywhere else: `{} help`.", profile.command)),
        divider(),
        *([section(_incidents(desk, profile))] if desk.incidents else []),
        section(_attention(desk.troubles)),
        *([_unmatched(desk.unmatched)] if desk.unmatched else []),
        *([section(_conversations(desk, profile))] if desk.conversations or profile.sms else []),
        section(_under_way(desk)),
        context(md("As of {}.", fmt.moment(desk.now, profile.time_zone, profile.locale))),
        *actions(button("Refresh", "home.refresh")),
    ]
    return Home(blocks)


def stranger(profile: TenantProfile) -> Home:
    return Home(
        [
            header(f"{profile.brand.name} support desk"),
            section("You are not on this desk's list, so there is nothing to show you yet."),
            context("Ask an admin of the desk to add you, then open this tab again."),
        ]
    )


def drawn() -> Reply:
    return Reply("Your Home tab is up to date.")


def _quick(specs: Sequence[CommandSpec]) -> list[Block]:
    """A button for each dialog, the first one first; and what needs none."""
    dialogs = [spec for spec in specs if spec.ask]
    names = {spec.name for spec in specs}
    return actions(
        *(
            button(spec.ask, f"{spec.name}.ask", style=None if index else "primary")
            for index, spec in enumerate(dialogs)
        ),
        button("Check SPF", "spf.open") if "spf" in names else None,
        button("Help", "help.open"),
    )


def cause_words(trouble: Trouble) -> str:
    """Why, without codes."""
    ended = _ENDED.get(trouble.outcome)
    unknown = "it was refused" if trouble.outcome is Outcome.BOUNCED else "it could not be handed over"
    return ended or BOUNCE_WORDS.get(trouble.cls) or REASON_WORDS.get(trouble.reason, unknown)


def _attention(troubles: Sequence[Trouble]) -> str:
    days = RECENT.days
    if not troubles:
        return lines(
            [
                md("*Needs attention*"),
                md(":white_check_mark: Nothing failed in the last {} days. A quiet desk.", days),
            ]
        )
    causes: dict[tuple[str, bool], int] = {}
    for one in troubles:
        key = (cause_words(one), one.reason in _OURS)
        causes[key] = causes.get(key, 0) + one.count
    ranked = sorted(causes.items(), key=lambda cause: -cause[1])
    total = sum(causes.values())
    rows = [md("*Needs attention* · {} in the last {} days", _messages(total, "did not arrive"), days)]
    for (words, ours), count in ranked[:CAUSES]:
        mark = ":wrench:" if ours else ":bust_in_silhouette:"
        rows.append(md("{} *{}* · {}{}", mark, count, words, " (our side)" if ours else ""))
    if rest := ranked[CAUSES:]:
        rows.append(md("and {} for {} other reasons", sum(count for _, count in rest), len(rest)))
    return lines(rows)


def _unmatched(count: int) -> Block:
    many = f"{count:,} bounces belong to no message and wait"
    words = "1 bounce belongs to no message and waits" if count == 1 else many
    return section(
        md(":grey_question: {} for somebody to look.", words), accessory=button("Look", "bounces.open")
    )


def _incidents(desk: Desk, profile: TenantProfile) -> str:
    """Worst first, as they come; who has acknowledged one is named."""
    rows = [md("*Open incidents* · more in {}", channel(profile.oncall_channel))]
    for one in desk.incidents[:INCIDENTS]:
        mark = ":rotating_light:" if one.urgent else ":warning:"
        whose = md("taken by {}", who(one.acknowledged_by)) if one.acknowledged_by else md("nobody yet")
        since = fmt.age(one.first_at, desk.now)
        caught = f" · {one.count} message{'' if one.count == 1 else 's'}" if one.count else ""
        rows.append(md("{} *{}*{} · began {} · {}", mark, one.title, caught, since, whose))
    if (rest := len(desk.incidents) - INCIDENTS) > 0:
        rows.append(md("and {} more", rest))
    return lines(rows)


def _conversations(desk: Desk, profile: TenantProfile) -> str:
    if not desk.conversations:
        return lines([md("*Conversations*"), md("Nobody who texted us is waiting for an answer.")])
    rows = [
        md("*Conversations*"),
        md(":speech_balloon: *{}* open by text, in {}", desk.conversations, channel(profile.support_channel)),
    ]
    if desk.paused:
        rows.append(md(":double_vertical_bar: in *{}* of them our texts wait for an agent", desk.paused))
    return lines(rows)


def _under_way(desk: Desk) -> str:
    under_way = desk.under_way
    rows = [md("*Under way*")]
    rows += [md(":arrows_counterclockwise: Run “{}” is going on", run.label) for run in desk.runs[:RUNS]]
    if held := under_way.get(Stage.HELD, 0):
        rows.append(md(":double_vertical_bar: *{}* held", held))
    rows += [md("*{}* {}", under_way[stage], words) for stage, words in _STAGES if under_way.get(stage)]
    if len(rows) == 1:
        rows.append(md("Nothing is waiting: every message has come to its end."))
    return lines(rows)


def _messages(count: int, verb: str) -> str:
    return f"{count} message{'' if count == 1 else 's'} {verb}"


def channel(channel_id: str) -> Mrkdwn:
    """A link to a channel of the configuration."""
    return Mrkdwn(f"<#{channel_id}>")


def who(user: str) -> str:
    return md("<@{}>", user) if user.isidentifier() and user.isupper() else md("{}", user)
