"""A diagnosis on the screen: verdict, evidence, a sentence for the customer, the next step. Pure.

Contacts are masked everywhere; raw answers are one press away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from handlers import format as fmt
from handlers.blocks import (
    Mrkdwn,
    actions,
    button,
    code,
    context,
    divider,
    esc,
    fit,
    header,
    lines,
    md,
    mention,
    section,
)
from handlers.diagnosis import Act, AddressFact, Certainty, Diagnosis, Line, Mark
from handlers.diagnosis.kept import Kept
from handlers.masks import shown_name
from handlers.profile import Role, TenantProfile
from handlers.reply import Block, Reply, To
from store.addresses import MAX_ADDRESS
from store.models import InvoiceStatus, PastDiagnosis

MOST_BUTTONS = 3
_MARK = {
    Mark.OK: ":white_check_mark:",
    Mark.WARN: ":warning:",
    Mark.BAD: ":x:",
    Mark.SKIPPED: ":heavy_minus_sign:",
}
_SURE = {
    Certainty.CERTAIN: "Certain",
    Certainty.LIKELY: "Likely",
    Certainty.UNKNOWN: "Not certain",
}
_PAID = {InvoiceStatus.PAID: "paid", InvoiceStatus.VOID: "void", InvoiceStatus.DRAFT: "draft"}


@dataclass(frozen=True, slots=True)
class _Button:
    label: str
    action: str
    role: Role


_BUTTONS: dict[Act, _Button] = {
    Act.MEND: _Button("Mend address…", "contact.mend", Role.AGENT),
    Act.ASK: _Button("Ask by text…", "ask.open", Role.AGENT),
    Act.RESEND: _Button("Resend", "resend.open", Role.AGENT),
    Act.TEXT: _Button("Text the link", "resend.bytext", Role.AGENT),
    Act.OTHER_ADDRESS: _Button("Send to another address…", "resend.other", Role.AGENT),
    Act.SPF: _Button("Check SPF", "spf.open", Role.VIEWER),
    Act.RELEASE: _Button("Release suppression…", "release.ask", Role.LEAD),
    Act.OTHER_SERVER: _Button("Send by the other server", "resend.byroute", Role.LEAD),
    Act.TRIAL: _Button("Test both routes…", "trial.open", Role.LEAD),
    Act.ESCALATE: _Button("Escalate…", "escalate.open", Role.AGENT),
    Act.LOG: _Button("Messages", "messages.open", Role.VIEWER),
    Act.PAYER: _Button("Open the payer", "find.open", Role.VIEWER),
}


def verdict(
    found: Diagnosis,
    profile: TenantProfile,
    *,
    role: Role = Role.VIEWER,
    masked: bool = False,
    kept: Kept | None = None,
    shared_id: UUID | None = None,
    to: To = To.ASKER,
) -> Reply:
    """`masked`: for a channel, with the name cut short and no buttons but two: open it for oneself, and run
    it again for everybody (`shared_id`: the result that was shared). `kept` None: a result that is not kept.
    """
    about = md(
        "{}\n_{}: {}._", esc(_about(found, profile, masked=masked)), _SURE[found.certainty], _proof(found)
    )
    again = _again(found, kept) if kept is not None and not masked else None
    blocks: list[Block] = [header(found.headline), section(about, accessory=again)]
    if kept is not None and not masked:
        blocks += _since(kept, profile)
    if found.story:
        blocks.append(section(md(":calendar: {}", found.story)))
    if any(notice.archived_at for facts in found.evidence.invoices for notice in facts.notices):
        blocks.append(context("Messages older than 13 months come from the archive, with all their answers."))
    blocks.append(section(evidence(found.lines), accessory=None if masked else _raw(found)))
    if masked:
        value = {"d": str(shared_id)} if shared_id else None
        blocks += actions(
            button("Open for me", "diagnose.open", target(found)),
            button("Run again", "diagnose.rerun", value) if value else None,
        )
        if kept is not None:
            blocks.append(context(_checked(found, kept, profile)))
    else:
        blocks.append(section(lines([md("*Say to the customer*"), code(found.customer)])))
        blocks += _next_steps(found, role, kept)
    return Reply(found.headline, fit(blocks), to)


def _proof(found: Diagnosis) -> Mrkdwn:
    """Whoever matched a report is shown by name."""
    by = found.about.matched_by if found.about is not None else ""
    before, named, after = found.proof.partition(by) if by else (found.proof, "", "")
    return md("{}{}{}", before, mention(named) if named else "", after)


def _again(found: Diagnosis, kept: Kept) -> Block:
    return button("Run again", "diagnose.again", dict(target(found)) | {"d": str(kept.result.id)})


def _since(kept: Kept, profile: TenantProfile) -> list[Block]:
    """What was found before, and what has changed where this is another run."""
    if kept.earlier is None:
        return []
    if kept.changed is None:
        when = _time(kept.earlier, kept.result, profile)
        by = mention(kept.earlier.actor)
        return [context(md("Diagnosed before: {} by {}: {}", when, by, kept.earlier.headline))]
    return [section(_changed(kept, profile))]


def _changed(kept: Kept, profile: TenantProfile) -> Mrkdwn:
    """ "Nothing has changed since 14:02", or what has, one a line."""
    earlier = kept.earlier
    since = _time(earlier, kept.result, profile) if earlier is not None else ""
    if not kept.changed:
        return md(":arrows_counterclockwise: Nothing has changed since {}.", since)
    title = md(":arrows_counterclockwise: *Changed since {}*", since)
    return lines([title, *(md("• {}", text) for text in kept.changed)])


def _time(earlier: PastDiagnosis, now: PastDiagnosis, profile: TenantProfile) -> str:
    """The time of day, or the day where that is another one."""
    zone, at = profile.time_zone, earlier.created_at
    if at.astimezone(zone).date() == now.created_at.astimezone(zone).date():
        return fmt.clock_time(at, zone, profile.locale)
    return fmt.day(at.astimezone(zone).date(), profile.locale)


SOON = timedelta(minutes=1)
"""A result is kept within so long of what it was found in."""


def _checked(found: Diagnosis, kept: Kept, profile: TenantProfile) -> Mrkdwn:
    """The time of what is shown, which is looked at anew whenever the card is drawn."""
    zone, locale, by = profile.time_zone, profile.locale, mention(kept.result.actor)
    at, asked = found.evidence.now, kept.result.created_at
    run = fmt.moment(asked, zone, locale)
    told = md("Checked {} by {}.", run, by)
    if at - asked > SOON:
        told = md("As of {}; last run {} by {}.", fmt.moment(at, zone, locale), run, by)
    return md("{} Run again says in the thread what has changed.", told)


def change(kept: Kept, profile: TenantProfile) -> Reply:
    """One reply in the thread of a shared card."""
    by = md("Run again by {}.", mention(kept.result.actor))
    told = lines([_changed(kept, profile), by])
    return Reply(f"Run again: {kept.result.headline}", fit([section(told)]))


def _about(found: Diagnosis, profile: TenantProfile, *, masked: bool) -> str:
    s = found.evidence.subscriber
    name = shown_name(s) if masked else s.name
    invoice = found.invoice
    if invoice is None:
        return md("*{}* · account {}", name, s.account)
    if invoice.status in _PAID:
        amount = f"{fmt.money(invoice.total, profile.locale)}, {_PAID[invoice.status]}"
    else:
        day = fmt.day(invoice.due_on, profile.locale)
        amount = f"{fmt.money(invoice.due, profile.locale)} due {day}"
    return md("*{}* · account {} · invoice {} · {}", name, s.account, invoice.number, amount)


def evidence(found: Sequence[Line]) -> str:
    """One row a line, the step named once."""
    rows, before = [], ""
    for line in found:
        name = "" if line.step == before else md("*{}*: ", line.step)
        rows.append(md("{} {}{}", esc(_marked(line)), esc(name), line.text))
        before = line.step
    return lines(rows)


def _marked(line: Line) -> str:
    return Mrkdwn(_MARK[line.mark])


def _raw(found: Diagnosis) -> Block | None:
    """The servers' own words; there are some once something was tried."""
    if found.about is None or not found.about.events:
        return None
    return button("Raw answer", "messages.timeline", {"n": str(found.about.notice.notification.id)})


def target(found: Diagnosis) -> Mapping[str, Any]:
    """What opens this very diagnosis again."""
    asked = found.evidence.asked
    return {"i": str(asked.id)} if asked is not None else {"s": str(found.evidence.subscriber.id)}


def _value(act: Act, found: Diagnosis) -> Mapping[str, Any]:
    invoice = {"i": str(found.invoice.id)} if found.invoice is not None else {}
    match act:
        case Act.MEND | Act.ASK:
            value: dict[str, Any] = {"s": str(found.evidence.payer.id)} | invoice
            if found.mend is not None:
                value["p"] = str(found.mend.point.id)
                value |= _guess(found.mend)
            return value
        case Act.RESEND if found.resend_to is not None:
            return {"to": found.resend_to} | invoice
        case Act.RELEASE if found.release is not None:
            return {"c": found.release.point.channel, "a": found.release.point.address} | invoice
        case Act.LOG:
            return {"s": str(found.evidence.subscriber.id)}
        case Act.PAYER:
            return {"s": str(found.evidence.payer.id)}
        case Act.ESCALATE:
            return target(found)
        case Act.SPF | Act.TRIAL:
            return {}
        case _:
            return invoice


def _guess(fact: AddressFact) -> Mapping[str, Any]:
    """Longer than an address can be, it is none, and would not fit into a button."""
    meant = fact.finding.suggestion
    return {"g": meant} if meant and len(meant) <= MAX_ADDRESS else {}


def offered(found: Diagnosis, role: Role) -> list[Act]:
    """What this role may do, the best first. The permission is checked again at the press."""
    return [act for act in found.acts if role >= _BUTTONS[act].role]


def _button(act: Act, found: Diagnosis, *, first: bool = False) -> Block:
    shape = _BUTTONS[act]
    label = shape.label
    if act is Act.MEND and found.mend is None:
        label = "Add an address…"
    return button(label, shape.action, _value(act, found), style="primary" if first else None)


def _next_steps(found: Diagnosis, role: Role, kept: Kept | None) -> list[Block]:
    acts = offered(found, role)
    shown = [_button(act, found, first=index == 0) for index, act in enumerate(acts[:MOST_BUTTONS])]
    more = None
    if len(acts) > MOST_BUTTONS or role >= Role.AGENT:
        of = {"d": str(kept.result.id)} if kept is not None else {}
        more = button("More", "diagnose.more", dict(target(found)) | of)
    return actions(*shown, more)


def more(found: Diagnosis, role: Role, diagnosis_id: str) -> Reply:
    """What did not fit under the verdict. `diagnosis_id`: the result that sharing is about; empty: none."""
    rest = [_button(act, found) for act in offered(found, role)[MOST_BUTTONS:]]
    if role >= Role.AGENT and diagnosis_id:
        rest.append(button("Share here", "diagnose.share", {"d": diagnosis_id}))
    about = f"account {found.evidence.subscriber.account}"
    if not rest:
        return Reply("There is nothing more.", [context(md("There is nothing more for {}.", about))])
    title = f"More for {about}"
    return Reply(title, fit([section(md("*{}*", title)), divider(), *actions(*rest)]), To.ASKER)


def shared() -> Reply:
    return Reply("Shared here, with contacts masked.")
