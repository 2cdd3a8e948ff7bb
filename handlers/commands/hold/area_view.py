"""A hold on a town or a tag: whom it would touch, how it stands. Pure."""

from __future__ import annotations

from datetime import date

from billing.hold_words import thing
from handlers import format as fmt
from handlers.blocks import actions, button, context, fit, lines, md, section
from handlers.note_lines import hold_line
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply, To
from handlers.sticky import AreaData
from store.models import MOST_COUNTED, TOWN

STOPS = "Every notice that goes by itself waits, that day included: new invoices, reminders, overdue notices."
STILL = "Our own suspension is refused meanwhile. What an agent sends by hand still goes."


def _accounts(data: AreaData) -> str:
    return f"{data.accounts:,} account{'s' if data.accounts != 1 else ''}"


def _waiting(data: AreaData) -> str:
    if data.waiting > MOST_COUNTED:
        return f"more than {MOST_COUNTED:,} notices that wait now"
    if not data.waiting:
        return "no notice that waits now"
    return f"{data.waiting:,} notice{'s that wait' if data.waiting != 1 else ' that waits'} now"


def preview(data: AreaData, until: date, reason: str, profile: TenantProfile) -> Reply:
    """Before it is done: it stops mail to many at once."""
    day = fmt.day(until, profile.locale)
    title = f"Hold {thing(data.scope, data.key)} until {day}?"
    value = {"sc": data.scope, "k": data.key, "d": until.isoformat(), "r": reason}
    where = "there or paid for from there" if data.scope == TOWN else "with that tag or paid for by one"
    blocks: list[Block] = [
        section(
            lines(
                [
                    md("*{}*", title),
                    md("It touches *{}* {}, with {}.", _accounts(data), where, _waiting(data)),
                    md("_{}_", reason) if reason else "",
                ]
            )
        ),
        section(lines([md("{}", STOPS), md("{}", STILL)])),
        *actions(button(f"Hold {_accounts(data)}", "hold.area", value, style="primary")),
    ]
    if data.holds:
        blocks.append(
            context(md("It is held already: yours would take its place."), hold_line(data.holds[-1], profile))
        )
    else:
        blocks.append(context("Nothing is held yet."))
    return Reply(f"{title} It touches {_accounts(data)}.", fit(blocks))


def shown(data: AreaData, profile: TenantProfile, *, just_set: bool = False, to: To = To.ASKER) -> Reply:
    named = thing(data.scope, data.key)
    if not data.holds:
        text = f"There is no hold on {named}."
        usage = f'{profile.command} hold {data.scope}:"{data.key}" until Dec 5 wildfire'
        blocks: list[Block] = [
            section(lines([md("*{}*", text), md("{}, with {}.", _accounts(data), _waiting(data))])),
            context(md("A lead sets one: `{}`. You see first what it touches.", usage)),
        ]
        return Reply(text, blocks)
    last = data.holds[-1]
    title = f"{named[0].upper()}{named[1:]} is held until {fmt.day(last.until, profile.locale)}"
    blocks = [
        section(
            lines(
                [
                    md("*{}*", title),
                    md("{}, with {}.", _accounts(data), _waiting(data)),
                    *(hold_line(h, profile) for h in data.holds),
                ]
            )
        ),
        section(lines([md("{}", STOPS), md("{}", STILL)])),
        *actions(button("End hold", "hold.end", {"h": str(last.id)})),
    ]
    if data.instead_of:
        days = ", ".join(fmt.day(h.until, profile.locale) for h in data.instead_of)
        blocks.append(context(md("It took the place of the hold until {}.", days)))
    if just_set:
        blocks.append(context("It shows on the card of each of them. You get a message when it is over."))
    return Reply(title, fit(blocks), to)
