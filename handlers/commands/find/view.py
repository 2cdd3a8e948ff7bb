"""The subscriber's card, the picker, and the question "account or invoice?". Pure."""

from __future__ import annotations

from collections.abc import Sequence

from handlers import format as fmt
from handlers import words
from handlers.blocks import (
    actions,
    button,
    clean,
    context,
    esc,
    fit,
    header,
    lines,
    md,
    section,
    shorten,
)
from handlers.cards import CardData, is_overdue
from handlers.contacts import billing_has
from handlers.incident_words import known_line
from handlers.masks import mask_address, shown_name
from handlers.note_lines import legal_hold_line, sticky_lines
from handlers.profile import Role, TenantProfile
from handlers.reply import Block, Reply, To
from handlers.standing_view import package_line
from store.models import (
    Aside,
    Channel,
    Invoice,
    InvoiceStatus,
    PackageStatus,
    Point,
    SubscriberStatus,
)

INVOICE_WORDS = {
    InvoiceStatus.DRAFT: "draft",
    InvoiceStatus.OPEN: "open",
    InvoiceStatus.PARTIALLY_PAID: "partly paid",
    InvoiceStatus.PAID: "paid",
    InvoiceStatus.VOID: "void",
    InvoiceStatus.UNCOLLECTIBLE: "written off",
}
_STATUS = {
    SubscriberStatus.ACTIVE: ":large_green_circle: Active",
    SubscriberStatus.PROSPECT: ":white_circle: Prospect",
    SubscriberStatus.ARCHIVED: ":black_circle: Archived",
}


def standing(data: CardData) -> str:
    """A subscriber shows as suspended while any package is."""
    if data.subscriber.status is SubscriberStatus.ACTIVE and any(
        p.status is PackageStatus.SUSPENDED for p in data.packages
    ):
        return ":large_orange_circle: Suspended"
    return _STATUS[data.subscriber.status]


def card(
    data: CardData,
    profile: TenantProfile,
    *,
    masked: bool,
    contacts_shown: bool = False,
    to: To = To.ASKER,
    role: Role = Role.AGENT,
    nonce: str = "",
) -> Reply:
    """`masked`: for a channel, with the name cut short; else for the asker, contacts still masked."""
    s = data.subscriber
    name = shown_name(s) if masked else s.name
    title = f"{shorten(clean(name), 100)} · {s.account}"
    blocks: list[Block] = [header(title), section(_facts(data, profile))]
    blocks += _warnings(data, profile)
    if not masked:
        blocks.append(section(_contacts(data, shown=contacts_shown)))
    if data.packages:
        blocks.append(section(lines(["*Packages*", *(package_line(p, profile) for p in data.packages)])))
    blocks.append(section(_invoices(data, profile)))
    if data.last_notice is not None:
        blocks.append(section(_last_notice(data, profile)))
    age = fmt.age(s.facts.as_of, data.now)
    blocks.append(context(md("Facts from {}, read {}.", s.facts.source, age)))
    blocks += _buttons(data, role, nonce, masked=masked, contacts_shown=contacts_shown)
    return Reply(f"{title}: balance {fmt.money(s.balance, profile.locale)}", fit(blocks), to)


def _facts(data: CardData, profile: TenantProfile) -> str:
    s = data.subscriber
    balance = fmt.money(s.balance, profile.locale)
    credit = " (in credit)" if s.balance.minor < 0 else ""
    rows = [
        md("{} · {}", esc(standing(data)), s.kind.capitalize()),
        md("Balance *{}*{}", balance, credit),
    ]
    if data.payer.id != s.id:
        rows.append(md("Invoices go to account *{}* (bill to another)", data.payer.account))
    if data.billed_for:
        accounts = ", ".join(c.account for c in data.billed_for[:8])
        rows.append(md("Pays for account{} *{}*", "s" if len(data.billed_for) > 1 else "", accounts))
    if not s.invoice_notices:
        rows.append(md(":no_bell: Invoice notices are switched off"))
    return lines(rows)


def _warnings(data: CardData, profile: TenantProfile) -> list[Block]:
    rows: list[str] = [known_line(k.incident, profile, data.now, k.people) for k in data.incidents[:3]]
    rows += sticky_lines(data.notes, data.holds, profile)
    rows += [legal_hold_line(hold) for hold in data.legal_holds]
    return [section(lines(rows))] if rows else []


def _contacts(data: CardData, *, shown: bool) -> str:
    points: Sequence[Point] = data.points
    rows = [md("*Contacts*{}", "" if shown else " (masked)")]
    for point in points:
        icon = ":email:" if point.channel is Channel.EMAIL else ":iphone:"
        address = point.raw if shown and point.problem else point.address
        text = address if shown else mask_address(address)
        flag = ""
        if point.address in data.suppressed:
            flag = " — :no_entry_sign: on our do-not-send list"
        elif point.problem:
            flag = f" — :warning: {point.problem}"
        billing = billing_has(data.overrides, point.address)
        if billing is not None:
            old = billing if shown else mask_address(billing)
            flag += f" — mended here, billing still has {old or 'none'}"
        rows.append(md("{} {} · {}{}", icon, text, point.role, flag))
    if not points:
        rows.append(md(":warning: No address on file"))
    return lines(rows)


def invoice_line(invoice: Invoice, data: CardData, profile: TenantProfile) -> str:
    state = INVOICE_WORDS[invoice.status]
    if is_overdue(invoice, data.today):
        state = ":red_circle: overdue"
    amount = fmt.money(invoice.total, profile.locale)
    due = fmt.day(invoice.due_on, profile.locale)
    return md("{} · {} · due {} · {}", invoice.number, amount, due, state)


def _invoices(data: CardData, profile: TenantProfile) -> str:
    if data.named is not None:
        asked = md("*{}*", invoice_line(data.named, data, profile))
        others = [invoice_line(i, data, profile) for i in data.invoices if i.id != data.named.id]
        more = ["*Latest invoices*", *others] if others else []
        return lines(["*The invoice you asked for*", asked, *more])
    if not data.invoices:
        return md("*Invoices*\nNone issued yet")
    return lines(["*Latest invoices*", *(invoice_line(i, data, profile) for i in data.invoices)])


def _last_notice(data: CardData, profile: TenantProfile) -> str:
    notice = data.last_notice
    if notice is None:
        return ""
    when = fmt.moment(notice.notification.created_at, profile.time_zone, profile.locale)
    test = " · a test of a mail server" if Aside.TEST in notice.aside.values() else ""
    rows = [md("*Last message* · {}{}", when, test)]
    for d in notice.deliveries[:4]:
        state = words.status(d, notice.events[d.id], profile.time_zone)
        aside = words.ASIDE_WORDS.get(notice.aside.get(d.id), "")
        target = f"{words.target_of(d, notice.notification.created_at)}{aside}"
        rows.append(md("{} {}: {}", words.mark(d), target, state))
    return lines(rows)


def _buttons(data: CardData, role: Role, nonce: str, *, masked: bool, contacts_shown: bool) -> list[Block]:
    """What this role may do; the permission is checked again at the press."""
    value = {"s": str(data.subscriber.id)}
    if masked:
        return actions(button("Open for me", "find.open", value))
    why = button("Diagnose", "diagnose.open", value, style="primary")
    messages = button("Messages", "messages.open", value)
    if role < Role.AGENT:
        return actions(why, messages)
    invoice = data.named or (data.invoices[0] if data.invoices else None)
    resend = None
    if invoice is not None and invoice.status not in _NEVER_SENT:
        resend = button(f"Resend invoice {invoice.number}", "resend.open", {"i": str(invoice.id)})
    return [
        *actions(
            why,
            messages,
            resend,
            None if contacts_shown else button("Show contacts", "find.contacts", value),
            button("Share here", "find.share", value | {"n": nonce}),
        ),
        *actions(
            button("Hold…", "hold.ask", value), button("Note…", "note.ask", value), *_acts(data, role, value)
        ),
    ]


def _acts(data: CardData, role: Role, value: dict[str, str]) -> list[Block]:
    """Suspending is a lead's; unsuspending whoever has paid is an agent's too."""
    if data.subscriber.status is not SubscriberStatus.ACTIVE:
        return []
    statuses = {package.status for package in data.packages}
    lead = role >= Role.LEAD
    found: list[Block] = []
    if lead and PackageStatus.ACTIVE in statuses and data.subscriber.balance.minor > 0:
        found.append(button("Suspend…", "suspend.open", value))
    if PackageStatus.SUSPENDED in statuses and (lead or data.subscriber.balance.minor <= 0):
        found.append(button("Unsuspend…", "unsuspend.open", value))
    return found


_NEVER_SENT = (InvoiceStatus.VOID, InvoiceStatus.DRAFT, InvoiceStatus.UNCOLLECTIBLE)
