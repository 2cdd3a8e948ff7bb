"""The preview of a resend: who really gets it, what speaks against it, one button. Pure."""

from __future__ import annotations

from handlers import format as fmt
from handlers import words
from handlers.blocks import actions, button, context, esc, fit, header, lines, md, section
from handlers.note_lines import note_line
from handlers.plans import ResendPlan, Target
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply, To
from handlers.spf_look import SpfState
from handlers.words import WHAT_A_TEST_SHOWS
from notifier.addresses import Kind
from store.models import Invoice, InvoiceStatus, Outcome, Subscriber


def preview(
    plan: ResendPlan,
    profile: TenantProfile,
    preview_id: str,
    to: To = To.ASKER,
    *,
    seen: str | None = None,
) -> Reply:
    """`seen`: what the last preview showed, which does not hold any more."""
    invoice = plan.invoice
    title = f"Resend invoice {invoice.number}?"
    if plan.test_of is not None:
        title = f"Test {plan.test_of} with invoice {invoice.number}?"
    about = md("{} · account {} · {}", plan.subscriber.name, plan.subscriber.account, _amount(plan, profile))
    blocks: list[Block] = [header(title), section(about)]
    if seen is not None:
        sent = seen.partition(":")[0] != plan.newest
        what = "Somebody has sent it since." if sent else "An address was changed since."
        blocks.append(section(md(":warning: *{} Nothing went out on your press.*", what)))
    blocks.append(section(_targets(plan)))
    if plan.going and (warnings := _warnings(plan, profile)):
        blocks.append(section(lines(warnings)))
    if plan.going and plan.test_of is not None:
        blocks.append(section(md("{}", WHAT_A_TEST_SHOWS)))
    if not plan.going:
        blocks.append(section(md("Nothing can be sent like this. Ask for another address, or another way.")))
    blocks += actions(*_buttons(plan, preview_id))
    if plan.going:
        blocks.append(context(_mode(profile, plan.test_of)))
    return Reply(title, fit(blocks), to)


def _buttons(plan: ResendPlan, preview_id: str) -> list[Block | None]:
    """What was probably meant comes first; where nothing can go, the other ways."""
    about = {"i": str(plan.invoice.id)}
    instead = None
    if plan.meant is not None and not any(plan.meant == t.address for t in plan.targets):
        instead = button(f"Use {plan.meant}"[:70], "resend.use", about | {"to": plan.meant}, style="primary")
    if not plan.going:
        mend = {"s": str(plan.payer.id)} | about
        return [
            instead,
            button("Mend address…", "contact.mend", mend),
            button("Text the link", "resend.bytext", about),
            button("Another address…", "resend.other", about),
        ]
    value = about | {"to": list(plan.going), "p": preview_id, "e": plan.seen}
    if plan.test_of is not None:
        value["r"] = plan.test_of
    plain = not plan.earlier and instead is None
    label = "Send again" if plan.earlier else "Send" if instead is None else "Send all the same"
    act = "resend.test" if plan.test_of is not None else "resend.send"
    return [
        instead,
        button(label, act, value, style="primary" if plain else None),
        button("Cancel", "resend.cancel"),
    ]


def whose(subscriber: Subscriber, invoice: Invoice | None) -> str:
    """For the dialog: whose invoice goes to the address that is typed."""
    number = md(" · invoice {}", invoice.number) if invoice is not None else ""
    return md("*{}* · account {}{}", subscriber.name, subscriber.account, esc(number))


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
    rows += [_failed(t, plan, profile) for t in plan.targets if not t.refusal and t.last_failure is not None]
    rows += [_doubt(t) for t in plan.targets if not t.refusal and _doubted(t)]
    if plan.archived:
        rows.append(md(":warning: This account is archived."))
    if any(not t.on_file and not t.refusal for t in plan.targets):
        rows.append(md(":warning: Whoever reads the new address sees the name and the amount. Is it theirs?"))
    return rows


def _already(plan: ResendPlan, profile: TenantProfile) -> str:
    """About the newest copy. The preview is the asker's alone: its addresses stand in full."""
    d = plan.earlier[0]
    same = [e.address for e in plan.earlier if e.notification_id == d.notification_id]
    where = ", ".join(same[:5])
    when = fmt.moment(d.created_at, profile.time_zone, profile.locale)
    state = words.status(d, plan.events.get(d.id, ()), profile.time_zone)
    if len(same) > 1:
        state = f"{d.address}: {state}"
    if d.outcome is Outcome.NONE:
        text = ":warning: *One is under way already* to {}, since {}: {}. A second copy would follow it."
        return md(text, where, when, state)
    return md(":warning: *Already sent* on {} to {}: {}. This sends a second copy.", when, where, state)


def _doubted(target: Target) -> bool:
    return target.report is not None and bool(target.report.warnings)


def _doubt(target: Target) -> str:
    """What speaks against the address itself."""
    found = target.report.warnings[0] if target.report is not None else None
    if found is None:
        return ""
    reader = " Its owner is probably a stranger." if found.kind is Kind.TYPO else ""
    return md(":warning: *{}*: {}{}", target.address, found.sentence, reader)


def _failed(target: Target, plan: ResendPlan, profile: TenantProfile) -> str:
    d = target.last_failure
    if d is None:
        return ""
    when = fmt.day(d.created_at.astimezone(profile.time_zone).date(), profile.locale)
    state = words.status(d, (), profile.time_zone)
    hint = _SPF_HINT[plan.spf].format(spf=f"`{profile.command} spf`") if d.cls == "blocked_auth" else ""
    return md(":warning: *The last mail to {} failed* ({}). {}.{}", target.address, when, state, hint)


_SPF_HINT: dict[SpfState | None, str] = {
    SpfState.RIGHT: " Our SPF record is right now.",
    SpfState.WRONG: " It will fail again until our SPF record is mended: {spf}.",
    SpfState.UNKNOWN: " It may fail again; DNS does not say whether our SPF record is right: {spf}.",
    None: " It may fail again. Look at our SPF record first: {spf}.",
}


_HELD = {
    "off": " · *held*: sending is off",
    "only_to": " · *held* unless it goes to a test address",
}


def _mode(profile: TenantProfile, test_of: str | None) -> str:
    route = profile.route(test_of)
    through = f"by the relay {route.name}" if route.kind == "relay" else f"by {route.name}"
    return md("Goes out {}{}", through, _HELD.get(profile.send_mode, ""))


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
