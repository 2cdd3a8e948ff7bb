"""The card of a suspension or unsuspension in a channel: from intended to verified, or why not. Pure.

Masked: it stands where many read. Words follow what is known: done is only what was read back.
"""

from __future__ import annotations

from dataclasses import dataclass

from handlers import format as fmt
from handlers import words
from handlers.blocks import actions, button, confirm, context, fit, lines, md, mention, section
from handlers.cards import Notice
from handlers.masks import shown_name
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply
from store.models import ActKind, ActState, BillingAct, Channel, Package, Subscriber

_TITLE = {ActKind.SUSPEND: "Suspend", ActKind.UNSUSPEND: "Unsuspend", ActKind.PAUSE: "Pause"}
_DONE = {ActKind.SUSPEND: "Suspended", ActKind.UNSUSPEND: "Active again", ActKind.PAUSE: "Paused"}
_DOING = {ActKind.SUSPEND: "Suspending", ActKind.UNSUSPEND: "Unsuspending", ActKind.PAUSE: "Pausing"}
_NOT = {
    ActKind.SUSPEND: "Not suspended",
    ActKind.UNSUSPEND: "Not unsuspended",
    ActKind.PAUSE: "Not paused",
}


@dataclass(frozen=True, slots=True)
class ActData:
    act: BillingAct
    subscriber: Subscriber
    package: Package | None
    notice: Notice | None
    """What the subscriber was told, and what became of it."""
    undone_by: BillingAct | None = None
    """A later act on the same package that was done."""
    superseded: bool = False
    """Another act on the package is under way or done: nothing to undo here."""


def card(data: ActData, profile: TenantProfile) -> Reply:
    act = data.act
    package = data.package.name if data.package else "a package that is gone"
    title = f"{_TITLE[act.kind]} {package}"
    whose = f"{shown_name(data.subscriber)}, account {data.subscriber.account}"
    state = _state(data, profile)
    blocks: list[Block] = [
        section(lines([md("*{}* · {}", title, whose), md("{} *{}*", _mark(act), state), _more(data)]))
    ]
    if told := _told(data, profile):
        blocks.append(section(told))
    blocks += _buttons(data)
    blocks.append(context(_footer(act, profile)))
    return Reply(f"{title}, account {data.subscriber.account}: {state}", fit(blocks))


_MARKS = {
    ActState.INTENDED: ":hourglass_flowing_sand:",
    ActState.CALLING: ":hourglass_flowing_sand:",
    ActState.IN_DOUBT: ":warning:",
    ActState.DONE: ":white_check_mark:",
    ActState.FAILED: ":no_entry_sign:",
}


def _mark(act: BillingAct) -> str:
    return md(_MARKS[act.state])


def _state(data: ActData, profile: TenantProfile) -> str:
    act = data.act
    if act.state is ActState.INTENDED:
        return "Waiting for billing" if act.result else "About to be done"
    if act.state is ActState.CALLING:
        return f"{_DOING[act.kind]} now"
    if act.state is ActState.IN_DOUBT:
        return "In doubt: it may or may not have been done"
    if act.state is ActState.FAILED:
        return _NOT[act.kind]
    at = act.verified_at or act.finished_at
    when = f" at {fmt.clock_time(at, profile.time_zone, profile.locale)}" if at else ""
    until = f" until {fmt.day(act.until, profile.locale)}" if act.until else ""
    return f"{_DONE[act.kind]}{until}, read back from billing{when}"


def _more(data: ActData) -> str:
    """Why it waits or ended so, and what to do."""
    act = data.act
    if act.state is ActState.IN_DOUBT:
        step = "Look at the package in billing before doing anything else; then press Look again."
        return md("{} {}", act.result, step)
    if act.state is ActState.DONE and data.undone_by is not None:
        return md(":leftwards_arrow_with_hook: Taken back since, by {}.", mention(data.undone_by.actor))
    return md("{}", act.result) if act.result else ""


def _told(data: ActData, profile: TenantProfile) -> str:
    act = data.act
    if act.state is not ActState.DONE or act.kind is ActKind.PAUSE:  # whoever asked for a pause knows
        return ""
    if not act.tell:
        return md("The subscriber is not told, as asked.")
    if data.notice is None:
        return md(":warning: *Nobody could be told*: there is no address to use. Call them.")
    rows = [md("*Told*")]
    for d in sorted(data.notice.deliveries, key=lambda d: (d.channel is Channel.SMS, d.address)):
        how = words.status(d, data.notice.events[d.id], profile.time_zone)
        icon = ":email:" if d.channel is Channel.EMAIL else ":iphone:"
        rows.append(md("{} {} · {} {}", md(icon), words.masked_target(d), md(words.mark(d)), how))
    missing = {Channel.EMAIL: "mail address", Channel.SMS: "number for texts"}
    for channel, name in missing.items():
        if all(d.channel is not channel for d in data.notice.deliveries):
            rows.append(md("No {} to use", name))
    return lines(rows)


def _buttons(data: ActData) -> list[Block]:
    act = data.act
    value = {"a": str(act.id)}
    undo = look = timeline = None
    if act.kind is ActKind.SUSPEND and act.state is ActState.DONE and not data.superseded:
        told = ", and the subscriber is told" if act.tell else ""
        text = f"The package runs again{told}."
        asks = confirm("Take the suspension back?", text, "Unsuspend")
        undo = button("Undo", "unsuspend.undo", value, confirm=asks)
    if act.state is ActState.IN_DOUBT:
        look = button("Look again", "suspend.check", value)
    if data.notice is not None:
        timeline = button("Timeline", "messages.timeline", {"n": str(data.notice.notification.id)})
    return actions(undo, look, button("Open for me", "find.open", {"s": str(act.subscriber_id)}), timeline)


def _footer(act: BillingAct, profile: TenantProfile) -> str:
    when = fmt.moment(act.created_at, profile.time_zone, profile.locale)
    return md("Asked for by {} · {} · {}", mention(act.actor), when, act.reason)
