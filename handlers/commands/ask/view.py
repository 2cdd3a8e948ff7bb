"""The preview of a question about an address: the exact words, cost, local time, what a yes does. Pure."""

from __future__ import annotations

from handlers.asking import AskPlan
from handlers.blocks import actions, button, context, fit, header, lines, md, section
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply, To
from handlers.text_cost import cost_rows, exactly, time_rows
from notifier.quiet import waits_until


def preview(
    plan: AskPlan, profile: TenantProfile, preview_id: str, to: To = To.ASKER, *, changed: bool = False
) -> Reply:
    """`changed`: the words or the facts are not those of the last preview."""
    title = "Ask by text whether this is their address?"
    s, invoice = plan.payer, plan.invoice
    blocks: list[Block] = [header(title), section(md("{} · account {}", s.name, s.account))]
    if changed:
        blocks.append(section(md(":warning: *Something has changed since. Nothing went out on your press.*")))
    blocks.append(
        section(
            lines(
                [
                    md("On file: {}", plan.point.address),
                    md("Probably meant: *{}*", plan.suggested),
                    md(":iphone: {}", plan.number),
                ]
            )
        )
    )
    blocks += exactly(plan.segments.text)
    sms = profile.sms
    rows = cost_rows(plan.segments, sms.segment_price, sms.currency, profile) if sms is not None else []
    rows += time_rows(plan.zones, plan.now, profile, in_window=True)
    if plan.opens_at is not None:
        wait = waits_until(plan.opens_at, plan.zones[0], plan.now)
        rows.append(md(":zzz: *{}*: it is quiet there now.", wait))
    then = f" and sends invoice {invoice.number} to it again" if invoice else ""
    rows.append(md(":white_check_mark: A yes mends the address here{}. Anything else comes to you.", then))
    blocks.append(section(lines(rows)))
    value = {"s": str(s.id), "p": str(plan.point.id), "g": plan.suggested, "n": preview_id, "e": plan.seen}
    value |= {"i": str(invoice.id)} if invoice else {}
    label = "Ask" if plan.opens_at is None else "Ask when it is day there"
    blocks += actions(button(label, "ask.send", value, style="primary"), button("Cancel", "ask.cancel"))
    blocks.append(context("One question a number; it stands for three days."))
    return Reply(title, fit(blocks), to)


def sent(when: str) -> Reply:
    """`when`: in their time, where it waits for that; empty: it leaves now."""
    at = "" if when[:1].isalpha() else "at "
    title = f"They will be asked {at}{when}." if when else "Asked."
    text = "The card in this channel follows it to its end."
    return Reply(title, [section(md(":outbox_tray: *{}* {}", title, text))], To.REPLACE)


def sent_before() -> Reply:
    text = "This was asked already: one text goes out, not two."
    return Reply(text, [section(md(":outbox_tray: {}", text))], To.REPLACE)


def cancelled() -> Reply:
    return Reply("Nobody was asked.", [section(md("Cancelled. Nobody was asked."))], To.REPLACE)
