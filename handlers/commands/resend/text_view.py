"""The preview of an invoice's link by text: the exact words, what they cost, who reads them, when. Pure."""

from __future__ import annotations

from handlers import format as fmt
from handlers import words
from handlers.blocks import actions, button, context, fit, header, lines, md, section
from handlers.plans import LinkPlan, Number
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply, To
from handlers.text_cost import cost_rows, exactly, time_rows
from store.models import Outcome, SubscriberStatus


def preview(
    plan: LinkPlan,
    profile: TenantProfile,
    preview_id: str,
    to: To = To.ASKER,
    *,
    changed: bool = False,
) -> Reply:
    """`changed`: the words or the facts are not those of the last preview."""
    title = f"Text the link of invoice {plan.invoice.number}?"
    about = md("{} · account {}", plan.subscriber.name, plan.subscriber.account)
    blocks: list[Block] = [header(title), section(about)]
    if changed:
        blocks.append(section(md(":warning: *Something has changed since. Nothing went out on your press.*")))
    blocks.append(section(_numbers(plan)))
    number, segments = plan.number, plan.segments
    if number is None or segments is None:
        mail = f"`{profile.command} resend {plan.invoice.number}`"
        blocks.append(section(md("Nothing can be texted like this. Mail it instead: {}", mail)))
        return Reply(title, fit(blocks), to)
    blocks += exactly(segments.text)
    sms = profile.sms
    costs = cost_rows(segments, sms.segment_price, sms.currency, profile) if sms is not None else []
    times = time_rows(plan.zones, plan.now, profile, in_window=plan.in_window)
    blocks.append(section(lines([*costs, *times])))
    if warnings := _warnings(plan, number, profile):
        blocks.append(section(lines(warnings)))
    value = {"i": str(plan.invoice.id), "to": number.number, "p": preview_id, "e": plan.seen}
    style = None if warnings or not plan.in_window else "primary"
    blocks += actions(
        button("Text it" if plan.in_window else "Text it all the same", "resend.text", value, style=style),
        button("Cancel", "resend.cancel"),
    )
    blocks.append(context("The link shows amount and due date, and the PDF after the ZIP code."))
    return Reply(title, fit(blocks), to)


def _numbers(plan: LinkPlan) -> str:
    if not plan.numbers:
        return md(":warning: *No mobile number on file* for account {}.", plan.payer.account)
    payer = ""
    if plan.payer.id != plan.subscriber.id:
        payer = f" (account {plan.payer.account} pays for {plan.subscriber.account})"
    rows = [md("*It goes to*{}", payer)]
    going = plan.number
    for number in plan.numbers:
        if number.refusal:
            rows.append(md(":no_entry_sign: {}: not texted, {}", number.number, number.refusal))
        elif going is not None and number.number == going.number:
            rows.append(md(":iphone: {}", number.number))
    return lines(rows)


def _warnings(plan: LinkPlan, number: Number, profile: TenantProfile) -> list[str]:
    rows: list[str] = []
    if plan.earlier:
        d = plan.earlier[0]
        when = fmt.moment(d.created_at, profile.time_zone, profile.locale)
        state = words.status(d, plan.events.get(d.id, ()), profile.time_zone)
        said = "One is under way already" if d.outcome is Outcome.NONE else "Already sent"
        rows.append(md(":warning: *{}*, {}, to {}: {}.", said, when, d.address, state))
    if number.shared_with:
        accounts = ", ".join(number.shared_with[:5])
        rows.append(
            md(":warning: Account {} has this number too. One text goes, about this invoice only.", accounts)
        )
    if not number.on_file:
        rows.append(md(":warning: This number is not on file for this account. Is it theirs?"))
    if plan.subscriber.status is SubscriberStatus.ARCHIVED:
        rows.append(md(":warning: This account is archived."))
    return rows


def sent() -> Reply:
    text = "The card in this channel follows it."
    return Reply("On its way.", [section(md(":outbox_tray: *On its way.* {}", text))], To.REPLACE)


def sent_before() -> Reply:
    text = "It is on its way already: one text went out, not two."
    return Reply(text, [section(md(":outbox_tray: {}", text))], To.REPLACE)
