"""The Home tab: role, attention, what is under way, quick buttons. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from handlers import format as fmt
from handlers.blocks import Mrkdwn, actions, button, context, divider, header, lines, md, section
from handlers.failures import Failing
from handlers.profile import CommandSpec, Role, TenantProfile
from handlers.reply import Block, Home, Reply
from notifier.oncall import counts_messages
from store.models import Incident, Reason, Run, RunState, Stage

DAYS = 3
"""Failures of these days, today included: `/isp failures 3 days`."""
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
_STAGES = (
    (Stage.QUEUED, "waiting to be sent"),
    (Stage.CLAIMED, "being sent"),
    (Stage.AWAITING, "handed over, may still bounce"),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the tab is drawn from."""

    now: datetime
    failing: Failing
    under_way: Mapping[Stage, int]
    incidents: Sequence[Incident] = ()
    conversations: int = 0
    paused: int = 0
    runs: Sequence[tuple[Run, bool]] = ()
    """With whether all of it has left."""
    unmatched: int = 0
    """Bounce reports that belong to no message."""


def home(desk: Desk, role: Role, specs: Sequence[CommandSpec], profile: TenantProfile) -> Home:
    """`specs`: the commands that this person may use."""
    names = {spec.name for spec in specs}
    blocks: list[Block] = [
        header(f"{profile.brand.name} support desk"),
        section(_MAY[role]),
        *_quick(specs),
        context(md("Answers come under *Messages*. Everywhere else: `{} help`.", profile.command)),
        divider(),
        *(_incidents(desk, profile, names) if desk.incidents else []),
        *_attention(desk.failing, names),
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


def _attention(failing: Failing, names: Set[str]) -> list[Block]:
    """People, as `/isp failures` counts them, and that list one press away."""
    if not failing.groups:
        nobody = md(":white_check_mark: Nobody is without a notice that failed in the last {} days.", DAYS)
        return [section(lines([md("*Needs attention*"), nobody]))]
    people = f"{failing.people:,} {'person' if failing.people == 1 else 'people'}"
    rows = [md("*Needs attention* · {} without a proven notice, last {} days", people, DAYS)]
    for group in failing.groups[:CAUSES]:
        d = group.rows[0].delivery
        ours = d is not None and d.reason in _OURS
        mark, side = (":wrench:", " (our side)") if ours else (":bust_in_silhouette:", "")
        rows.append(md("{} *{}* · {}{}", mark, f"{len(group.rows):,}", group.title, side))
    if rest := failing.groups[CAUSES:]:
        rows.append(md("and {} for {} other reasons", sum(len(g.rows) for g in rest), len(rest)))
    value = {"s": failing.scope.as_json()}
    show = button("Show failures", "failures.open", value) if "failures" in names else None
    return [section(lines(rows)), *actions(show)]


def _unmatched(count: int) -> Block:
    many = f"{count:,} bounces belong to no message and wait"
    words = "1 bounce belongs to no message and waits" if count == 1 else many
    return section(
        md(":grey_question: {} for somebody to look.", words), accessory=button("Look", "bounces.open")
    )


def _incidents(desk: Desk, profile: TenantProfile, names: Set[str]) -> list[Block]:
    """Worst first, as they come; who has acknowledged one is named."""
    rows = [md("*Open incidents* · more in {}", channel(profile.oncall_channel))]
    for one in desk.incidents[:INCIDENTS]:
        mark = ":rotating_light:" if one.urgent else ":warning:"
        whose = md("taken by {}", who(one.acknowledged_by)) if one.acknowledged_by else md("nobody yet")
        since = fmt.age(one.first_at, desk.now)
        tells = one.count and counts_messages(one.cause)
        caught = f" · {one.count} message{'' if one.count == 1 else 's'}" if tells else ""
        rows.append(md("{} *{}*{} · began {} · {}", mark, one.title, caught, since, whose))
    if (rest := len(desk.incidents) - INCIDENTS) > 0:
        rows.append(md("and {} more", rest))
    show = button("Show incidents", "incidents.list") if "incidents" in names else None
    return [section(lines(rows)), *actions(show)]


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
    rows += [_run(run, handed_over) for run, handed_over in desk.runs[:RUNS]]
    if held := under_way.get(Stage.HELD, 0):
        rows.append(md(":double_vertical_bar: *{}* held", held))
    rows += [md("*{}* {}", under_way[stage], words) for stage, words in _STAGES if under_way.get(stage)]
    if len(rows) == 1:
        rows.append(md("Nothing is waiting: every message has come to its end."))
    return lines(rows)


def _run(run: Run, handed_over: bool) -> Mrkdwn:
    if run.state is RunState.WAITING:
        return md(":raised_hand: Run “{}” waits for approval", run.label)
    if run.state is RunState.PAUSED:
        return md(":double_vertical_bar: Run “{}” is paused", run.label)
    if handed_over:
        return md(":outbox_tray: Run “{}” is all sent, and may still bounce", run.label)
    return md(":arrows_counterclockwise: Run “{}” is going on", run.label)


def channel(channel_id: str) -> Mrkdwn:
    """A link to a channel of the configuration."""
    return Mrkdwn(f"<#{channel_id}>")


def who(user: str) -> str:
    return md("<@{}>", user) if user.isidentifier() and user.isupper() else md("{}", user)
