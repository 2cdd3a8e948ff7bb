"""How a subscriber stands, drawn for whoever decides about suspending or unsuspending. Pure."""

from __future__ import annotations

from handlers import format as fmt
from handlers.blocks import Mrkdwn, context, esc, header, lines, md, section
from handlers.note_lines import sticky_lines
from handlers.profile import TenantProfile
from handlers.reply import Block
from handlers.standing import DueInvoice, Proof, Standing
from store.models import Package, PackageStatus

MOST_INVOICES = 5
OWN = "local"
_MARKS = {
    Proof.PROVEN: ":white_check_mark:",
    Proof.LIKELY: ":outbox_tray:",
    Proof.UNDER_WAY: ":hourglass_flowing_sand:",
    Proof.FAILED: ":x:",
    Proof.NEVER: ":grey_question:",
}
_PROOF_WORDS = {
    Proof.LIKELY: ":warning: *No proof that an invoice arrived*, but no bounce either.",
    Proof.UNDER_WAY: ":warning: *No proof that an invoice arrived*: one is still on its way.",
    Proof.FAILED: ":warning: *The invoices did not arrive.* They may not know that they owe anything.",
    Proof.NEVER: (
        ":warning: *No proof that an invoice arrived*: none of these went from here to what is on file. "
        "They may not know that they owe anything."
    ),
}


def facts(standing: Standing, profile: TenantProfile, title: str) -> list[Block]:
    """The top of a preview: who, how much, since when, what was provably told, what stands in the way."""
    blocks: list[Block] = [header(title), section(_about(standing, profile))]
    if standing.refusal is not None:
        rows = [
            md(":no_entry: *{}*", standing.refusal.sentence),
            md("{}", standing.refusal.next_step),
        ]
        blocks.append(section(lines(rows)))
    if warned := sticky_lines(standing.notes, standing.holds, profile):
        blocks.append(section(lines(warned)))
    blocks.append(section(_due(standing, profile)))
    if standing.packages:
        blocks.append(section(lines(["*Packages*", *(package_line(p, profile) for p in standing.packages)])))
    return blocks


def _about(standing: Standing, profile: TenantProfile) -> str:
    s = standing.subscriber
    balance = fmt.money(s.balance, profile.locale)
    credit = " (in credit)" if s.balance.minor < 0 else ""
    rows = [md("{} · account {}", s.name, s.account), md("Balance *{}*{}", balance, credit)]
    if standing.payer.id != s.id:
        rows.append(md("Account *{}* pays for it ({})", standing.payer.account, standing.payer.name))
    return lines(rows)


def _due(standing: Standing, profile: TenantProfile) -> str:
    if not standing.due:
        last = standing.last_paid
        paid = md(" Last paid: {}, {}.", last.number, fmt.money(last.total, profile.locale)) if last else ""
        return md("*Invoices*\nNone is due.{}", esc(paid))
    rows: list[str] = [md("*Invoices due*")]
    rows += [_due_line(d, profile) for d in standing.due[:MOST_INVOICES]]
    if len(standing.due) > MOST_INVOICES:
        rows.append(md("… and {} more", len(standing.due) - MOST_INVOICES))
    return lines(rows)


def _due_line(due: DueInvoice, profile: TenantProfile) -> str:
    invoice = due.invoice
    days = due.overdue_days
    when = f"*{days} day{'s' if days != 1 else ''} overdue*" if days else "not overdue yet"
    told = due.told or "not sent from here"
    return md(
        "{} {} · {} · due {}, {} · {}",
        _MARKS[due.proof],
        invoice.number,
        fmt.money(invoice.due, profile.locale),
        fmt.day(invoice.due_on, profile.locale),
        md(when),
        told,
    )


def done_there(standing: Standing) -> list[Block]:
    """Where the packages are suspended, and brought back, in another system."""
    there = standing.elsewhere
    if there is None:
        return []
    words = [
        md(":link: *This is done {}, not here.* What is on file here is a copy of it.", there.told),
        Mrkdwn(f"<{esc(there.link)}|Open account {esc(standing.subscriber.account)} there>")
        if there.link
        else md("The next file tells here what was done there."),
    ]
    return [section(lines(words))]


def against(standing: Standing) -> list[str]:
    """What speaks against suspending without forbidding it, strongest first."""
    rows: list[str] = []
    if standing.due and (words := _PROOF_WORDS.get(standing.proof)):
        rows.append(md(words))
    if not standing.overdue:
        rows.append(md(":warning: *Nothing is overdue* yet."))
    return rows


def package_line(package: Package, profile: TenantProfile) -> str:
    until = f" until {fmt.day(package.status_until, profile.locale)}" if package.status_until else ""
    price = fmt.money(package.price, profile.locale)
    icon = ":large_orange_circle: " if package.status is PackageStatus.SUSPENDED else ""
    return md("{}{} · {}{} · {}", icon, package.name, package.status, until, price)


def source(standing: Standing, profile: TenantProfile) -> Block:
    """Where the facts come from, and how old they are."""
    if standing.unavailable:
        age = fmt.age(standing.subscriber.facts.as_of, standing.now)
        text = "{} What is shown was read {}. Nothing is done before billing answers."
        return context(md(text, standing.unavailable, age))
    if standing.imported_at is None:
        name = standing.subscriber.facts.source
        return context(md("Facts asked for just now: {}.", "our own record" if name == OWN else name))
    when = fmt.moment(standing.imported_at, profile.time_zone, profile.locale)
    age = fmt.age(standing.imported_at, standing.now)
    text = "Facts of the last import ({}): {}, {}. Payments made elsewhere since then are not known here."
    return context(md(text, standing.subscriber.facts.source, age, when))
