"""An invoice run: the rehearsal before it, the card that follows it, and who is left out. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from handlers import format as fmt
from handlers import words
from handlers.blocks import (
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
from handlers.masks import shown_name
from handlers.profile import TenantProfile
from handlers.reply import Block, Modal, Reply, To
from handlers.runs import PRESSING, REASONS, Criteria, LeftOut, Rehearsal, What, cost
from store.models import Channel, Exclusion, Outcome, Run, RunState, Standing, Subscriber, Tally

PAGE = 30
_USER = re.compile(r"[UW][A-Z0-9_]{2,}")
_BAR = 20
_CAUSES = 8
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


def count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


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
    blocks += _left_out(made)
    if made.notices:
        value = {"c": made.criteria.as_json(), "p": preview_id, "n": made.notices}
        sure = confirm(
            f"Tell {made.notices:,}?"[:100],
            f"{count(made.notices, 'notice')} will go out. What is on its way cannot be called back.",
            "Send them",
        )
        blocks += actions(
            button(f"Send {made.notices:,}", "run.start", value, style="primary", confirm=sure),
            button("Cancel", "run.dismiss"),
        )
    else:
        blocks.append(section(md("Nobody is left to tell.")))
    blocks.append(context(_modes(profile)))
    return Reply(title, fit(blocks), to)


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
            f" {exclusion.detail}" if exclusion.detail else "",
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


def begun_before() -> Reply:
    text = "This run has begun already: nobody is told twice. The card in this channel follows it."
    return Reply(text, [section(md(":outbox_tray: {}", text))], To.REPLACE)


def dismissed() -> Reply:
    return Reply("Nothing was sent.", [section(md("Cancelled. Nothing was sent."))], To.REPLACE)


def called_back(number: int, over: bool) -> Reply:
    if over:
        text = "This run is over: there is nothing left to cancel."
    else:
        text = f"Cancelled. {count(number, 'message')} called back; what is on its way cannot be."
    return Reply(text, [section(md("{}", text))])


@dataclass(frozen=True, slots=True)
class RunCard:
    """A run as it stands now."""

    run: Run
    standings: Mapping[Standing, int]
    tally: Sequence[Tally]
    left_out: Mapping[str, int]
    now: datetime

    @property
    def notices(self) -> int:
        return sum(self.standings.values())

    @property
    def excluded(self) -> int:
        return sum(self.left_out.values())

    @property
    def told(self) -> int:
        """Nothing more is going to be tried for these."""
        return self.notices - self.standings.get(Standing.UNDER_WAY, 0)


_LEDGER: tuple[tuple[Standing, str, str], ...] = (
    (Standing.ACCEPTED, ":white_check_mark:", "accepted by their servers"),
    (Standing.PRESUMED, ":white_check_mark:", "handed over, no bounce in 72 hours"),
    (Standing.HANDED, ":outbox_tray:", "handed to the relay, may still bounce"),
    (Standing.UNDER_WAY, ":hourglass_flowing_sand:", "under way"),
    (Standing.FAILED, ":x:", "failed"),
    (Standing.SUPPRESSED, ":no_entry_sign:", "not sent: on our do-not-send list"),
    (Standing.EXPIRED, ":no_entry_sign:", "not sent: out of date"),
    (Standing.CANCELLED, ":no_entry_sign:", "not sent: called back"),
)


_WITH_TEXTS = {
    Standing.ACCEPTED: "accepted by their servers or phones",
    Standing.HANDED: "handed to the relay or the text provider, may still bounce",
}


def card(made: RunCard, profile: TenantProfile) -> Reply:
    """Stands in a channel: numbers only."""
    run = made.run
    state = _state(made)
    blocks: list[Block] = [section(lines([md("*{}*", run.label), md("*{}*", state)]))]
    blocks.append(section(_ledger(made)))
    if causes := _causes(made):
        blocks.append(section(lines([md("*Why they failed*"), *causes])))
    value = {"r": str(run.id)}
    under_way = made.standings.get(Standing.UNDER_WAY, 0)
    sure = confirm(
        "Cancel this run?",
        "What nobody has begun to send is called back. What is on its way cannot be.",
        "Cancel the run",
    )
    open_ = run.state is RunState.RUNNING and (run.ready_at is None or under_way > 0)
    failed = any(made.standings.get(s) for s in (Standing.FAILED, Standing.SUPPRESSED, Standing.EXPIRED))
    blocks += actions(
        button("Failures", "failures.run", value) if failed else None,
        button("Left out", "run.left", value) if made.excluded else None,
        button("Cancel", "run.cancel", value, style="danger", confirm=sure) if open_ else None,
    )
    begun = fmt.moment(run.created_at, profile.time_zone, profile.locale)
    by = md("<@{}>", run.requested_by) if _USER.fullmatch(run.requested_by) else md("{}", run.requested_by)
    blocks.append(context(md("Begun {} by {}", begun, by)))
    return Reply(f"{run.label}: {state}", fit(blocks))


def _state(made: RunCard) -> str:
    run, under_way = made.run, made.standings.get(Standing.UNDER_WAY, 0)
    if run.state is RunState.CANCELLED:
        return "Cancelled" if run.settled_at else "Cancelled; what was on its way is still followed"
    if run.ready_at is None:
        return f"Writing the notices: {made.notices + made.excluded:,} so far"
    if under_way:
        return f"{bar(made.told, made.notices)} {made.told:,} of {made.notices:,}{_left(made)}"
    handed = made.standings.get(Standing.HANDED, 0)
    if run.settled_at is not None:
        return "Settled"
    return f"All sent. {handed:,} may still bounce" if handed else "All sent; waiting for late bounces"


def bar(done: int, total: int) -> str:
    """`████████████░░░░░░░░ 60%`"""
    share = done / total if total else 1.0
    full = int(share * _BAR)
    return f"{'█' * full}{'░' * (_BAR - full)} {int(share * 100)}%"


def _left(made: RunCard) -> str:
    """By the pace so far; nothing while that is a guess."""
    under_way = made.notices - made.told
    elapsed = made.now - made.run.created_at
    if made.told < 20 or made.told * 4 < made.notices:
        return ""
    left = elapsed * (under_way / made.told)
    if left < timedelta(seconds=45):
        return ", less than a minute left"
    if left > timedelta(hours=2):
        return ""
    return f", about {count(round(left / timedelta(minutes=1)), 'minute')} left"


def _ledger(made: RunCard) -> str:
    rows = []
    texts = sum(t.count for t in made.tally if t.channel is Channel.SMS)
    for standing, mark, mail_words in _LEDGER:
        text = _WITH_TEXTS.get(standing, mail_words) if texts else mail_words
        if number := made.standings.get(standing):
            rows.append(md("{} *{}* {}", mark, f"{number:,}", text))
    if made.excluded:
        reasons = ", ".join(
            f"{number:,} {REASONS.get(reason, reason)}"
            for reason, number in sorted(made.left_out.items(), key=lambda item: -item[1])
        )
        rows.append(md(":heavy_minus_sign: *{}* left out ({})", f"{made.excluded:,}", reasons))
    total = md("= {}", count(made.notices + made.excluded, "invoice"))
    rows.append(md("{} · {} by text", total, f"{texts:,}") if texts else total)
    return lines(rows)


def _causes(made: RunCard) -> list[str]:
    """Deliveries that failed, alike ones together. An address beside others that worked counts here too."""
    causes: dict[str, int] = {}
    for t in made.tally:
        if t.outcome in (Outcome.BOUNCED, Outcome.FAILED):
            cause = words.cause(t.outcome, t.cls, t.reason)
            causes[cause] = causes.get(cause, 0) + t.count
    order = sorted(causes, key=lambda cause: -causes[cause])
    rows: list[str] = [md("• {} × {}", f"{causes[cause]:,}", cause) for cause in order[:_CAUSES]]
    if len(order) > _CAUSES:
        rows.append(md("• and {} other causes", len(order) - _CAUSES))
    return rows
