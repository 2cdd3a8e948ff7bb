"""A hold: what it stops, until when, who set it, and the dialog that sets it. Pure."""

from __future__ import annotations

from datetime import date, timedelta

from billing.hold_words import thing
from handlers import format as fmt
from handlers.blocks import actions, button, context, date_input, fit, lines, md, section, text_input
from handlers.note_lines import hold_line
from handlers.profile import TenantProfile
from handlers.reply import Block, Modal, Reply, To
from handlers.sticky import REASON_MAX, HoldData
from store.models import ACCOUNT, Hold, Subscriber

BY_ITSELF = ":warning: Billing may still suspend by its own schedule: move it there too."


def shown(data: HoldData, profile: TenantProfile, *, just_set: bool = False) -> Reply:
    s = data.subscriber
    value = {"s": str(s.id)}
    whose = md("{} · account {}", s.name, s.account)
    if not data.holds:
        text = f"There is no hold on account {s.account}."
        usage = f"{profile.command} hold {s.account} until Dec 5 promised to pay"
        blocks: list[Block] = [
            section(lines([md("*{}*", text), whose])),
            *actions(button("Hold…", "hold.ask", value)),
            context(md("Or type `{}`", usage)),
        ]
        return Reply(text, blocks)
    last = data.holds[-1]
    day = fmt.day(last.until, profile.locale)
    title = f"Account {s.account} is held until {day}"
    blocks = [
        section(lines([md("*{}*", title), whose, *(hold_line(h, profile) for h in data.holds)])),
        section(lines([md("{}", _effect(last, data.today)), md(BY_ITSELF) if data.acts_by_itself else ""])),
        *actions(
            button("Change…", "hold.ask", value),
            button("End hold", "hold.end", {"h": str(last.id)}),
        ),
    ]
    if data.instead_of:
        days = ", ".join(fmt.day(h.until, profile.locale) for h in data.instead_of)
        blocks.append(context(md("It took the place of the hold until {}.", days)))
    if just_set:
        blocks.append(context("It shows on every card of this account. You get a message when it is over."))
    return Reply(title, fit(blocks))


def _effect(hold: Hold, today: date) -> str:
    days = (hold.until - today).days
    left = "today is its last day" if days <= 0 else f"{days} more day{'s' if days != 1 else ''}"
    return f"Reminders and our own suspension wait, that day included ({left}). New invoices still go out."


def dialog(s: Subscriber, today: date, hold: Hold | None) -> Modal:
    blocks = [
        section(md("*{}* · account {}", s.name, s.account)),
        date_input(
            "until",
            "Until",
            initial=hold.until if hold else today + timedelta(days=7),
            hint="That day included; at most 180 days.",
        ),
        text_input(
            "reason",
            "Reason",
            placeholder="promised to pay on Friday",
            initial=hold.reason if hold else "",
            optional=True,
            longest=REASON_MAX,
            hint="Shown on every card, to the team only.",
        ),
    ]
    return Modal("hold.asked", "Hold an account", blocks, submit="Hold", carry={"s": str(s.id)})


def ended(hold: Hold) -> Reply:
    what = "reminders" if hold.scope == ACCOUNT else "notices"
    named = thing(hold.scope, hold.scope_key)
    text = f"The hold on {named} has ended. If {what} waited for it, they go out now."
    return Reply(text, [section(md(":arrow_forward: {}", text))], To.REPLACE)
