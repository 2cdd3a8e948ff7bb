"""Mending an address: the dialog with before and after, and what is said once it is done. Pure.

The dialog and its answers are the asker's alone: whoever mends an address must read it letter by letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handlers.blocks import (
    Mrkdwn,
    actions,
    button,
    clean,
    context,
    fit,
    lines,
    md,
    option,
    section,
    select_input,
)
from handlers.blocks import text_input as field
from handlers.contacts import ADDRESS_FIELD, AGAIN, Contact, Mended, TakenBack, Weighed, doubts
from handlers.reply import Block, Modal, Reply, To
from notifier.addresses import AddressReport, AddressStatus, Finding, Gravity, Kind
from store.models import Subscriber

MOST_OPTIONS = 100
LONGEST = 254
_MARKS = {Gravity.BLOCKS: ":x:", Gravity.WARNS: ":warning:", Gravity.TELLS: ":information_source:"}
_STAYS = "It holds here at once. Billing keeps the old one until somebody tells it."
_JOINS = "It holds here at once. Billing does not have it until somebody tells it."

_HINTS = {False: "This is what was probably meant. Ask the customer.", True: "The subscriber wrote this."}


def dialog(contact: Contact, value: Mapping[str, Any]) -> Modal:
    """`value`: s whose, p which point, g what was probably meant (t: they wrote it), i the invoice to
    resend afterwards, add: one more beside those on file."""
    s = contact.subscriber
    adding = bool(value.get("add")) or not contact.points
    wanted = next((p for p in contact.points if str(p.id) == value.get("p")), None)
    first = None if adding else wanted or contact.points[0]
    blocks: list[Block] = [section(md("*{}* · account {}", s.name, s.account))]
    if first is None:
        on_file = [p.address for p in contact.points[:5]]
        blocks.append(section(md("On file: {}", ", ".join(on_file) or "no address yet")))
    elif len(contact.points) > 1:
        options = {p.id: option(p.address or "(empty)", str(p.id)) for p in contact.points[:MOST_OPTIONS]}
        initial = options.get(first.id)
        blocks.append(select_input("which", "Which address", list(options.values()), initial=initial))
    else:
        blocks.append(section(md("Now: *{}*", first.address)))
    suggestion = clean(str(value.get("g", "")))
    hint = _HINTS["t" in value] if suggestion else ""
    initial_text = suggestion or (clean(first.address)[:LONGEST] if first is not None else "")
    blocks.append(
        field(ADDRESS_FIELD, "New address", placeholder="name@example.com", initial=initial_text, hint=hint)
    )
    blocks.append(context(_STAYS if first is not None else _JOINS))
    carry = {k: v for k, v in value.items() if k in ("s", "i", "p", "add")}
    return Modal("contact.mended", _title(adding=adding), blocks, submit="Save", carry=carry)


def _title(*, adding: bool) -> str:
    return "Add an address" if adding else "Mend an address"


def sure(found: Weighed, value: Mapping[str, Any]) -> Modal:
    """The second page: what was found about what was typed, with what was probably meant filled in."""
    s, suggestion = found.contact.subscriber, found.report.suggestion
    before = found.before.address if found.before else ""
    blocks: list[Block] = [
        section(
            lines(
                [
                    md("*{}* · account {}", s.name, s.account),
                    md("Before: ~{}~", before) if before else "",
                    md("You typed: *{}*", found.typed[:LONGEST]),
                ]
            )
        ),
        *_findings(found.doubts),
    ]
    hint = "This is what was probably meant. Ask the customer, or type it again as it was."
    if suggestion and found.report.blocked:
        hint = "This is what was probably meant. Ask the customer."
    page = int(value.get("n", 0)) + 1
    blocks.append(
        field(
            f"{AGAIN}{page}",
            "New address",
            initial=clean(found.proposed)[:LONGEST],
            hint=hint if suggestion else "Save keeps it all the same.",
        )
    )
    blocks.append(context(_STAYS if found.before else _JOINS))
    carry = {k: v for k, v in value.items() if k in ("s", "i", "p", "add")}
    carry |= {"w": found.report.address, "n": page} | ({"p": str(found.before.id)} if found.before else {})
    submit = "Use it" if suggestion else "Save all the same"
    return Modal("contact.mended", _title(adding=found.before is None), blocks, submit=submit, carry=carry)


def _findings(findings: Sequence[Finding]) -> list[Block]:
    return [section(_found(finding)) for finding in findings]


def _found(finding: Finding) -> Mrkdwn:
    return md(f"{_MARKS[finding.gravity]} {{}}", f"{finding.sentence} {finding.todo}".rstrip())


def addresses(contact: Contact, asked: Subscriber, reports: Sequence[AddressReport]) -> Reply:
    """What is on file, in full, with what is known of each and a button for each."""
    s = contact.subscriber
    title = f"E-mail addresses of account {s.account}"
    rows: list[Block] = [section(md("*{}* · {}", title, s.name))]
    if s.id != asked.id:
        rows.append(section(md("Account {} pays for {}: invoices go here.", s.account, asked.account)))
    for index, (point, report) in enumerate(zip(contact.points, reports, strict=True)):
        value = {"s": str(s.id), "p": str(point.id)}
        value |= {"g": report.suggestion} if report.suggestion else {}
        mend = button("Mend address…", f"contact.mend:{index}", value)
        told = [_found(finding) for finding in report.findings]
        if point.problem and report.status is not AddressStatus.MALFORMED:
            told.insert(0, md(":x: {}", point.problem))  # its source knew of something that we cannot see
        rows.append(section(lines([md("*{}*", point.address or "(empty)"), *told]), accessory=mend))
    if not contact.points:
        rows.append(section(md("There is no address on file yet.")))
    label = "Add another address…" if contact.points else "Add an address…"
    rows = fit(rows)[:MOST_ROWS]
    return Reply(title, [*rows, *actions(button(label, "contact.add", {"s": str(s.id), "add": 1}))])


MOST_ROWS = 49
"""Room is left for the button below."""


def mended(done: Mended, invoice: str = "") -> Reply:
    o, s = done.override, done.subscriber
    verb = "Mended" if o.old_address else "Added"
    title = f"{verb} for account {s.account}."
    before = md("Before: ~{}~", o.old_address) if o.old_address else ""
    now = md("Now: *{}*", o.new_address) if o.old_address else md("One more: *{}*", o.new_address)
    again = {"i": invoice} if invoice else {"s": str(s.id)}
    told = doubts(done.report) if done.report else ()
    listed = any(finding.kind is Kind.SUPPRESSED for finding in told)
    resend = None if listed else button("Resend", "resend.open", again, style="primary")
    return Reply(
        title,
        fit(
            [
                section(lines([md(":white_check_mark: *{}*", title), before, now])),
                *_findings(told),
                *_tell_billing(done),
                *actions(resend, button("Take it back", "contact.undo", {"o": str(o.id)})),
            ]
        ),
    )


def _tell_billing(done: Mended) -> list[Block]:
    """Nothing where it was mended back to what billing has."""
    if done.billing is None:
        return []
    if not done.billing:
        return [section(md(":point_right: *Tell billing too*: it does not have this one."))]
    return [section(md(":point_right: *Tell billing too*: it still has *{}*.", done.billing))]


_UNDONE: dict[TakenBack, str] = {
    TakenBack.NOW: "Taken back.",
    TakenBack.BEFORE: "Nothing was changed: it was taken back already, or billing has a newer address.",
    TakenBack.BILLING: "Billing has this address too by now, so nothing was taken back.",
}


def undone(done: Mended, what: TakenBack) -> Reply:
    o, title = done.override, _UNDONE[what]
    back = (
        md("The address is *{}* again.", o.old_address)
        if o.old_address
        else md("*{}* is no address of account {} any more.", o.new_address, done.subscriber.account)
    )
    return Reply(
        title, [section(lines([md("*{}*", title), back if what is TakenBack.NOW else ""]))], To.REPLACE
    )
