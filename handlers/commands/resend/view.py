"""The preview of a resend: who really gets it, what speaks against it, one button. Pure."""

from __future__ import annotations

from handlers import format as fmt
from handlers import words
from handlers.blocks import actions, button, context, fit, header, lines, md, section
from handlers.plans import ResendPlan
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply, To
from store.models import Delivery, InvoiceStatus, Outcome


def preview(plan: ResendPlan, profile: TenantProfile, preview_id: str, to: To = To.ASKER) -> Reply:
    invoice = plan.invoice
    amount = fmt.money(invoice.due, profile.locale)
    due_on = fmt.day(invoice.due_on, profile.locale)
    title = f"Resend invoice {invoice.number}?"
    about = md("{} · account {} · *{}* due {}", plan.subscriber.name, plan.subscriber.account, amount, due_on)
    blocks: list[Block] = [header(title), section(about), section(_targets(plan))]
    if warnings := _warnings(plan, profile):
        blocks.append(section(lines(warnings)))
    if plan.going:
        again = any(d.outcome in (Outcome.DELIVERED, Outcome.SENT) for d in plan.earlier)
        value = {"i": str(invoice.id), "to": list(plan.going), "p": preview_id}
        blocks += actions(
            button(
                "Send again" if again else "Send", "resend.send", value, style=None if again else "primary"
            ),
            button("Cancel", "resend.cancel"),
        )
        blocks.append(context(_mode(profile)))
    else:
        hint = f"`{profile.command} resend {invoice.number} to new@address.example`"
        blocks.append(section(md("Nothing can be sent like this. Ask for another address: {}", hint)))
    return Reply(title, fit(blocks), to)


def _targets(plan: ResendPlan) -> str:
    if not plan.targets:
        return md(":warning: *No e-mail address on file* for account {}.", plan.payer.account)
    payer = ""
    if plan.payer.id != plan.subscriber.id:
        payer = f" (account {plan.payer.account} pays for {plan.subscriber.account})"
    rows = [md("*It goes to*{}", payer)]
    for target in plan.targets:
        if target.refusal:
            rows.append(md(":no_entry_sign: {}: not sent, {}", target.address, target.refusal))
        elif target.on_file:
            rows.append(md(":email: {}", target.address))
        else:
            rows.append(md(":email: {} (not on file for this account)", target.address))
    return lines(rows)


def _warnings(plan: ResendPlan, profile: TenantProfile) -> list[str]:
    rows = []
    if plan.earlier:
        rows.append(_already(plan.earlier[0], profile))
    if plan.invoice.status is InvoiceStatus.PAID:
        rows.append(md(":information_source: This invoice is paid."))
    if plan.archived:
        rows.append(md(":warning: This account is archived."))
    if any(not t.on_file for t in plan.targets):
        rows.append(md(":warning: Whoever reads the new address sees the name and the amount. Is it theirs?"))
    return rows


def _already(d: Delivery, profile: TenantProfile) -> str:
    when = fmt.moment(d.outcome_at or d.created_at, profile.time_zone, profile.locale)
    target = words.masked_target(d)
    state = words.status(d, (), profile.time_zone)
    if d.outcome is Outcome.NONE:
        return md(
            ":warning: *One is under way already*: {}, {}. A second copy would follow it.", target, state
        )
    return md(":warning: *Already sent*: {}, {} on {}. This sends a second copy.", state, target, when)


def _mode(profile: TenantProfile) -> str:
    route = profile.route()
    through = f"by the relay {route.name}" if route.kind == "relay" else f"by {route.name}"
    mode = "" if profile.send_mode == "live" else f" · send mode: {profile.send_mode}"
    return md("Goes out {}{}", through, mode)


def sent() -> Reply:
    return Reply(
        "On its way.",
        [section(md(":outbox_tray: *On its way.* The card in this channel follows it."))],
        To.REPLACE,
    )


def sent_before() -> Reply:
    text = "This preview was sent already, so nothing went out a second time."
    return Reply(text, [section(md("{} The card in this channel shows how it stands.", text))], To.REPLACE)


def cancelled() -> Reply:
    return Reply("Nothing was sent.", [section(md("Cancelled. Nothing was sent."))], To.REPLACE)
