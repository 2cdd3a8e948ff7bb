"""An invoice run: the rehearsal before it, the card that follows it, and who is left out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from handlers.blocks import (
    Mrkdwn,
    actions,
    button,
    confirm,
    context,
    date_input,
    fit,
    header,
    lines,
    md,
    option,
    section,
    select_input,
    text_input,
)
from handlers.failures import BulkPlan
from handlers.masks import shown_name
from handlers.profile import TenantProfile
from handlers.reply import Block, Modal, Reply, To
from handlers.runs import (
    PRESSING,
    REASONS,
    Approval,
    Criteria,
    LeftOut,
    Pressed,
    Rehearsal,
    What,
    cost,
    count,
    lasts,
    odd,
)
from store.models import Channel, Exclusion, Run, RunState, Subscriber

PAGE = 30
_WHAT = {
    What.ISSUED: "New invoices, issued since a day",
    What.OVERDUE: "Overdue notices",
    What.REMINDERS: "Reminders: due in the next days",
    What.INVOICE: "One invoice",
}


def dialog(today: date) -> Modal:
    options = [option(text, what) for what, text in _WHAT.items()]
    return Modal(
        "run.asked",
        "Invoice run",
        [
            select_input("what", "Whom shall it tell?", options, initial=options[0]),
            date_input(
                "since", "Issued since", initial=today.replace(day=1), hint="Counts for new invoices only"
            ),
            text_input("number", "Invoice number", hint="For one invoice only", optional=True, longest=40),
        ],
        submit="Rehearse",
    )


def rehearsal(
    made: Rehearsal, profile: TenantProfile, preview_id: str, to: To = To.ASKER, *, grown: bool = False
) -> Reply:
    """`grown`: more people would be told than the last preview said; nothing has been sent."""
    label = made.criteria.label(profile.locale)
    title = f"{label}: {count(made.notices, 'notice')}"
    blocks: list[Block] = [header(label)]
    if grown:
        blocks.append(section(md(":warning: *More would be told now than then. Nothing went out.*")))
    if not made.audience:
        blocks.append(section(md("There is no such invoice: nobody would be told.")))
        return Reply(title, blocks, to)
    blocks.append(section(_audience(made, profile)))
    if made.anomalies:
        blocks.append(section(odd(made.anomalies)))
    blocks += _left_out(made)
    waits = profile.runs.approve_above is not None and made.notices > profile.runs.approve_above
    if made.notices:
        blocks += _start(made, preview_id, waits=waits)
    else:
        blocks.append(section(_nobody(made)))
    if waits:
        blocks.append(
            context(md("More than {}: somebody else has to approve it.", f"{profile.runs.approve_above:,}"))
        )
    blocks.append(context(_modes(profile)))
    return Reply(title, fit(blocks), to)


def _nobody(made: Rehearsal) -> Mrkdwn:
    """Not as if all were well, where somebody still has no notice."""
    if not any(made.left_out.get(reason) for reason in PRESSING):
        return md("Nobody is left to tell.")
    return md("Nobody is left whom a run could tell. `/isp failures` helps those who still have no notice.")


def _start(made: Rehearsal, preview_id: str, *, waits: bool) -> list[Block]:
    value = {"c": made.criteria.as_json(), "p": preview_id, "n": made.notices}
    text = f"{count(made.notices, 'notice')} will go out. What is on its way cannot be called back."
    send, yes = f"Send {made.notices:,}", "Send them"
    if waits:
        text = "Nothing goes out before somebody else with the role lead approves it."
        send, yes = f"Ask to send {made.notices:,}", "Ask for approval"
    sure = confirm(f"Tell {made.notices:,}?"[:100], text, yes)
    return actions(
        button(send, "run.start", value, style="primary", confirm=sure), button("Cancel", "run.dismiss")
    )


def _audience(made: Rehearsal, profile: TenantProfile) -> str:
    rows = [md("*{}*", count(made.audience, "invoice")), ""]
    if made.by_mail:
        several = f", {count(made.mails, 'address', 'addresses')}" if made.mails != made.by_mail else ""
        rows.append(md(":email: *{}* by mail{}", f"{made.by_mail:,}", several))
    if made.by_text:
        price = _price(made.segments, profile)
        rows.append(md(":iphone: *{}* by text, {}", f"{made.by_text:,}", price))
    if made.waiting:
        how = "wait" if made.waiting > 1 else "waits"
        rows.append(
            md(":crescent_moon: {} of the texts {} for the morning where they live", f"{made.waiting:,}", how)
        )
    if made.with_fallback:
        price = _price(made.fallback_segments, profile)
        rows.append(
            md(":arrow_right: by text if the mail fails: {}, at most {}", f"{made.with_fallback:,}", price)
        )
    rows.append(md(":heavy_minus_sign: *{}* left out", f"{made.excluded:,}"))
    if made.takes is not None and made.notices:
        takes = md(
            ":stopwatch: takes {} to send, limited by {}", lasts(made.takes.seconds), made.takes.decides
        )
        rows.append(takes)
    return lines(rows)


def _price(segments: int, profile: TenantProfile) -> str:
    sms = profile.sms
    price = cost(segments, sms.segment_price, sms.currency) if sms else ""
    about = count(segments, "segment")
    return f"{about}, about {price}" if price else about


def _left_out(made: Rehearsal) -> list[Block]:
    """Most pressing first: those that ought to be told and cannot be."""
    order = sorted(made.left_out, key=lambda reason: (reason not in PRESSING, -made.left_out[reason]))
    blocks = []
    for reason in order:
        number = made.left_out[reason]
        examples = ", ".join(made.examples.get(reason, ()))
        more = ", …" if number > len(made.examples.get(reason, ())) else ""
        mark = ":warning: " if reason in PRESSING else ""
        value = {"c": made.criteria.as_json(), "w": reason, "o": 0}
        accounts = "account" if number == 1 else "accounts"
        text = md("{}*{}* · {}\n{} {}{}", mark, f"{number:,}", REASONS[reason], accounts, examples, more)
        blocks.append(section(text, accessory=button("Who?", f"run.who:{reason}", value)))
    return blocks


def _modes(profile: TenantProfile) -> str:
    mode = {
        "live": "",
        "off": " · sending is switched off: they will be held",
        "only_to": " · only test addresses get mail now: the others will be held",
    }
    pdf = " · with the PDF" if profile.attach_pdf else ""
    return md("By the route {}{}{}", profile.default_route, pdf, mode.get(profile.send_mode, ""))


def who(
    found: Sequence[LeftOut], criteria: Criteria, reason: str, offset: int, profile: TenantProfile
) -> Reply:
    """One page of those left out for one reason; `found` holds one more than a page when there are more."""
    title = f"Left out: {REASONS.get(reason, reason)}"
    blocks: list[Block] = [header(title)]
    if not found:
        blocks.append(section(md("Nobody any more.")))
    rows = [
        md(
            "`{}` {} · invoice {}{}",
            one.owner.account,
            shown_name(one.owner),
            one.invoice.number,
            f" · {one.detail}" if one.detail else "",
        )
        for one in found[:PAGE]
    ]
    blocks += [section(lines(rows[i : i + 10])) for i in range(0, len(rows), 10)]
    if len(found) > PAGE:
        value = {"c": criteria.as_json(), "w": reason, "o": offset + PAGE}
        blocks += actions(button("More", "run.who", value))
    if rows:
        blocks.append(context(md("Open one: `{} find {}`", profile.command, found[0].owner.account)))
    return Reply(title, fit(blocks))


def left_out(
    run: Run,
    found: Sequence[tuple[Exclusion, Subscriber | None, str]],
    counts: Mapping[str, int],
    reason: str | None,
    offset: int,
) -> Reply:
    """Of a run that has begun: (exclusion, whom, invoice number); a button for each reason."""
    title = f"Left out: {REASONS.get(reason, reason)}" if reason else "Left out of this run"
    blocks: list[Block] = [header(title), context(md("{}", run.label))]
    rows = [
        md(
            "`{}` {} · invoice {} · {}{}",
            whom.account if whom else "?",
            shown_name(whom) if whom else "not on file any more",
            number or "?",
            REASONS.get(exclusion.reason, exclusion.reason),
            f" · {exclusion.detail}" if exclusion.detail else "",
        )
        for exclusion, whom, number in found[:PAGE]
    ]
    blocks += [section(lines(rows[i : i + 10])) for i in range(0, len(rows), 10)]
    value = {"r": str(run.id)}
    more = len(found) > PAGE
    tail = {"o": offset + PAGE} | ({"w": reason} if reason else {})
    others = [r for r in sorted(counts, key=lambda r: -counts[r]) if r != reason]
    blocks += actions(
        button("More", "run.left:more", value | tail) if more else None,
        *(
            button(f"{REASONS.get(r, r)} ({counts[r]:,})".capitalize(), f"run.left:{r}", value | {"w": r})
            for r in others
            if len(counts) > 1
        ),
    )
    return Reply(title, fit(blocks))


def started() -> Reply:
    text = "The run has begun. The card in this channel follows it."
    return Reply(text, [section(md(":outbox_tray: {}", text))], To.REPLACE)


def asked() -> Reply:
    text = "It waits for somebody else to approve it: the card in this channel has the button."
    return Reply(text, [section(md(":raised_hand: {}", text))], To.REPLACE)


def begun_before() -> Reply:
    text = "This run has begun already: nobody is told twice. The card in this channel follows it."
    return Reply(text, [section(md(":outbox_tray: {}", text))], To.REPLACE)


def dismissed() -> Reply:
    return Reply("Nothing was sent.", [section(md("Cancelled. Nothing was sent."))], To.REPLACE)


def said(mark: str, text: str, more: str = "") -> Reply:
    """The short answer to a press; the card shows the rest."""
    blocks = [section(md("{} {}", Mrkdwn(mark), text))]
    return Reply(text, [*blocks, context(md("{}", more))] if more else blocks)


def approval(made: Approval, profile: TenantProfile) -> Reply:
    match made:
        case Approval.APPROVED:
            return said(":white_check_mark:", "Approved. The run has begun.")
        case Approval.OWN:
            return said(
                ":raised_hand:",
                "You asked for this run yourself: somebody else with the role lead approves it.",
                "A desk with one lead switches this off: runs: {approve_above: null} in app.yaml.",
            )
        case Approval.CHANGED:
            return said(
                ":warning:",
                "The audience is another one now than when it was asked for. Nothing went out.",
                "The card shows it as it is now. Look at it, and press Approve again.",
            )
        case Approval.OVER:
            return said(":information_source:", "It does not wait for approval any more.")


def paused(made: Pressed) -> Reply:
    if not made.done:
        return said(":information_source:", not_running(made.run))
    if not made.messages:  # none waited, or this press has held them already
        text = "Paused. What is on its way ends by itself."
        return said(":double_vertical_bar:", text, "The card says what waits.")
    held = f"{count(made.messages, 'message')} held; what is on its way ends by itself."
    return said(":double_vertical_bar:", f"Paused. {held}", "Nothing is lost: Resume goes on behind it.")


def resumed(made: Pressed) -> Reply:
    if not made.done:
        return said(":information_source:", not_running(made.run))
    if not made.messages:
        return said(":arrow_forward:", "Resumed. The card follows it.")
    text = f"Going on with {count(made.messages, 'message')}."
    return said(":arrow_forward:", text, "What is paid or void by now is not sent.")


def cancelled(made: Pressed) -> Reply:
    if not made.done and not made.messages:
        return said(":information_source:", "This run is over: there is nothing left to cancel.")
    called = f"{count(made.messages, 'message')} called back; what is on its way cannot be."
    return said(":no_entry_sign:", f"Cancelled. {called}")


def not_running(run: Run) -> str:
    return {
        RunState.WAITING: "It waits for approval: nothing has gone out.",
        RunState.RUNNING: "It is not paused.",
        RunState.PAUSED: "It is paused already.",
        RunState.CANCELLED: "It was cancelled.",
        RunState.SETTLED: "It is over.",
    }[run.state]


def retry(made: BulkPlan, run: Run, profile: TenantProfile, preview_id: str) -> Reply:
    """What trying the failed ones again would send, cost and leave out."""
    number = len(made.going)
    title = f"Try again: {count(number, 'notice')}"
    mails, texts = made.to(Channel.EMAIL), made.to(Channel.SMS)
    rows = [md("{}", run.label)]
    if mails:
        rows.append(md(":email: to the same {}", count(mails, "address", "addresses")))
    if texts:
        rows.append(md(":iphone: to the same {}, {}", count(texts, "number"), _price(made.segments, profile)))
    if made.waiting:
        rows.append(md(":crescent_moon: {} for the morning where they live", _wait(made.waiting)))
    for words_, many in sorted(made.left_out.items(), key=lambda item: -item[1]):
        rows.append(md(":heavy_minus_sign: {} left out: {}", f"{many:,}", words_))
    blocks: list[Block] = [header(title), section(lines(rows))]
    if not number:
        blocks.append(section(md("There is nobody for whom this would help now.")))
        return Reply(title, blocks)
    value = {"r": str(run.id), "p": preview_id, "n": number}
    blocks += actions(
        button(f"Send {number:,}", "run.again", value, style="primary"), button("Cancel", "run.dismiss")
    )
    return Reply(title, blocks)


def _wait(number: int) -> str:
    return f"{number:,} {'wait' if number > 1 else 'waits'}"


def tried_again(number: int) -> Reply:
    text = f"{count(number, 'message')} on the way. The card tells who was told after all."
    text = text if number else "They are on their way already: nothing went out twice."
    return Reply(text, [section(md(":outbox_tray: {}", text))], To.REPLACE)
