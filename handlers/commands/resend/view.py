"""The preview of a resend: who really gets it, what speaks against it, one button. Pure."""

from __future__ import annotations

from handlers import format as fmt
from handlers import words
from handlers.blocks import actions, button, context, fit, header, lines, md, section
from handlers.note_lines import note_line
from handlers.plans import ResendPlan, Target
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply, To
from handlers.words import WHAT_A_TEST_SHOWS
from store.models import InvoiceStatus, Outcome


def preview(
    plan: ResendPlan,
    profile: TenantProfile,
    preview_id: str,
    to: To = To.ASKER,
    *,
    changed: bool = False,
) -> Reply:
    """`changed`: somebody has sent it since the last preview."""
    invoice = plan.invoice
    title = f"Resend invoice {invoice.number}?"
    if plan.test_of is not None:
        title = f"Test {plan.test_of} with invoice {invoice.number}?"
    about = md("{} · account {} · {}", plan.subscriber.name, plan.subscriber.account, _amount(plan, profile))
    blocks: list[Block] = [header(title), section(about)]
    if changed:
        blocks.append(section(md(":warning: *Somebody has sent it since. Nothing went out on your press.*")))
    blocks.append(section(_targets(plan)))
    if plan.going and (warnings := _warnings(plan, profile)):
        blocks.append(section(lines(warnings)))
    if plan.going:
        again = bool(plan.earlier)
        value = {"i": str(invoice.id), "to": list(plan.going), "p": preview_id, "e": plan.newest}
        if plan.test_of is not None:
            value["r"] = plan.test_of
            blocks.append(section(md("{}", WHAT_A_TEST_SHOWS)))
        blocks += actions(
            button(
                "Send again" if again else "Send",
                "resend.test" if plan.test_of is not None else "resend.send",
                value,
                style=None if again else "primary",
            ),
            button("Cancel", "resend.cancel"),
        )
        blocks.append(context(_mode(profile, plan.test_of)))
    else:
        hint = f"`{profile.command} resend {invoice.number} to new@address.example`"
        blocks.append(section(md("Nothing can be sent like this. Ask for another address: {}", hint)))
    return Reply(title, fit(blocks), to)


def _amount(plan: ResendPlan, profile: TenantProfile) -> str:
    invoice = plan.invoice
    total = fmt.money(invoice.total, profile.locale)
    if invoice.status is InvoiceStatus.PAID:
        return md("*{}*, paid", total)
    due = md("*{}* due {}", fmt.money(invoice.due, profile.locale), fmt.day(invoice.due_on, profile.locale))
    return md("{} (partly paid, {} in all)", due, total) if invoice.paid.minor else due


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
    rows: list[str] = [note_line(note) for note in plan.notes[:3]]
    if plan.earlier:
        rows.append(_already(plan, profile))
    rows += [_failed(t, profile) for t in plan.targets if not t.refusal and t.last_failure is not None]
    if plan.archived:
        rows.append(md(":warning: This account is archived."))
    if any(not t.on_file and not t.refusal for t in plan.targets):
        rows.append(md(":warning: Whoever reads the new address sees the name and the amount. Is it theirs?"))
    return rows


def _already(plan: ResendPlan, profile: TenantProfile) -> str:
    """About the newest copy. The preview is the asker's alone: its address stands in full."""
    d = plan.earlier[0]
    when = fmt.moment(d.created_at, profile.time_zone, profile.locale)
    state = words.status(d, plan.events.get(d.id, ()), profile.time_zone)
    if d.outcome is Outcome.NONE:
        text = ":warning: *One is under way already* to {}, since {}: {}. A second copy would follow it."
        return md(text, d.address, when, state)
    return md(":warning: *Already sent* on {} to {}: {}. This sends a second copy.", when, d.address, state)


def _failed(target: Target, profile: TenantProfile) -> str:
    d = target.last_failure
    if d is None:
        return ""
    when = fmt.day(d.created_at.astimezone(profile.time_zone).date(), profile.locale)
    state = words.status(d, (), profile.time_zone)
    hint = (
        f" It will fail again until that is mended: `{profile.command} spf`."
        if d.cls == "blocked_auth"
        else ""
    )
    return md(":warning: *The last mail to {} failed* ({}). {}.{}", target.address, when, state, hint)


def _mode(profile: TenantProfile, test_of: str | None) -> str:
    route = profile.route(test_of)
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
    text = "It is on its way already: one mail went out, not two."
    return Reply(
        text, [section(md(":outbox_tray: {} The card in this channel follows it.", text))], To.REPLACE
    )


def cancelled() -> Reply:
    return Reply("Nothing was sent.", [section(md("Cancelled. Nothing was sent."))], To.REPLACE)
