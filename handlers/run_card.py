"""The card of an invoice run: its numbers, its pace, who did what, and the buttons. Pure.

It stands in a channel: numbers only. Words follow the confidence: a relay's word is "handed to the relay".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from handlers import format as fmt
from handlers import words
from handlers.blocks import Mrkdwn, actions, button, confirm, context, fit, lines, md, mention, section
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply
from handlers.runs import REASONS, count, lasts, odd
from notifier.run_times import APPROVE_WITHIN, LONGEST_PAUSE, keeps_its_time
from notifier.schedule import PRESUMED_AFTER
from store.models import Channel, Outcome, Run, RunState, Standing, Tally

_BAR = 20
_CAUSES = 3
COUNTING = timedelta(microseconds=10)
"""For each notice: its numbers are counted anew each time, and a run of a million takes seconds."""
MINUTE = timedelta(minutes=1)
"""Over which the pace is taken."""
ERRORS = "errors"
"""Who pauses a run of which too many fail."""


@dataclass(frozen=True, slots=True)
class RunCard:
    """A run as it stands now."""

    run: Run
    standings: Mapping[Standing, int]
    tally: Sequence[Tally]
    """`recent`: what ended within MINUTE."""
    left_out: Mapping[str, int]
    now: datetime
    mended: int = 0
    """Of those that failed: told since by another message, or paid."""
    expires: datetime | None = None
    """When the first of what a paused run holds goes out of date."""
    next_at: datetime | None = None
    """When the first of what is queued may go, where only few are left."""

    @property
    def notices(self) -> int:
        return sum(self.standings.values())

    @property
    def excluded(self) -> int:
        return sum(self.left_out.values())

    @property
    def under_way(self) -> int:
        return self.standings.get(Standing.UNDER_WAY, 0)

    @property
    def told(self) -> int:
        """Nothing more is going to be tried for these."""
        return self.notices - self.under_way

    @property
    def failed(self) -> int:
        return self.standings.get(Standing.FAILED, 0)

    @property
    def may_bounce(self) -> int:
        """Notices that a relay or provider took, and of which nothing is certain yet."""
        return self.standings.get(Standing.HANDED, 0)

    @property
    def a_minute(self) -> int:
        """Messages that ended within the last minute, well or not."""
        return sum(t.recent for t in self.tally)


def card(made: RunCard, profile: TenantProfile) -> Reply:
    run, state = made.run, _state(made, profile)
    blocks: list[Block] = [section(lines([md("*{}*", run.label), md("*{}*", state), *_more(made, profile)]))]
    if run.state is RunState.WAITING:
        blocks.append(section(_foreseen(run)))
        if found := run.rehearsal.get("anomalies"):
            blocks.append(section(odd(found)))
    if made.notices or made.excluded:
        blocks.append(section(_ledger(made)))
    if causes := _causes(made):
        blocks.append(section(lines([md("*Why messages failed*"), *causes])))
    blocks += actions(*_buttons(made))
    blocks.append(context(_history(run, profile)))
    return Reply(f"{run.label}: {state}", fit(blocks), rest=COUNTING * made.notices)


def _state(made: RunCard, profile: TenantProfile) -> str:
    run = made.run
    if run.state is RunState.WAITING:
        return "Waits for approval"
    if run.state is RunState.CANCELLED:
        if run.settled_at or not made.notices:
            return "Cancelled"
        return "Cancelled; what was on its way is still followed"
    if run.settled_at is not None:
        return "Settled"
    if run.state is RunState.PAUSED:
        if run.ready_at is not None and not made.under_way:
            return "Paused, with nothing left to send"
        return f"Paused. {bar(made.told, made.notices)} {made.told:,} of {made.notices:,}"
    if run.ready_at is None:
        return f"Writing the notices: {made.notices + made.excluded:,} so far"
    if made.under_way:
        return f"{bar(made.told, made.notices)} {made.told:,} of {made.notices:,}{_left(made, profile)}"
    if made.may_bounce:
        return f"All sent. {made.may_bounce:,} may still bounce"
    return "All sent; waiting for late bounces"


def _more(made: RunCard, profile: TenantProfile) -> list[Mrkdwn]:
    """What the state means, and what to do about it."""
    run, zone, locale = made.run, profile.time_zone, profile.locale
    if run.state is RunState.WAITING:
        until = fmt.lately(run.created_at + APPROVE_WITHIN, made.now, zone, locale)
        return [md("Nothing has gone out. Somebody else with the role lead approves it, until {}.", until)]
    if run.state is RunState.CANCELLED and run.pause_reason:
        return [md("{}. Begin it again when you are ready.", run.pause_reason)]
    if run.state is RunState.PAUSED:
        return [*([md(":warning: {}", run.pause_reason)] if run.pause_reason else []), _keeps(made, profile)]
    if run.settled_at is not None or run.ready_at is None or run.state is not RunState.RUNNING:
        return []
    if made.under_way:
        pace = f"{made.a_minute:,} in the last minute"
        later = f"; {made.may_bounce:,} may still bounce" if made.may_bounce else ""
        return [md("{}{}", pace, later)]
    hours = int(PRESUMED_AFTER / timedelta(hours=1))
    text = f"A relay's bounces may come for {hours} hours: whatever has not bounced by then counts as arrived"
    return [md("{}, and the run settles.", text)] if made.may_bounce else []


def _keeps(made: RunCard, profile: TenantProfile) -> Mrkdwn:
    """What becomes of the notices while it is paused."""
    run, zone, locale = made.run, profile.time_zone, profile.locale
    if run.ready_at is not None and not made.under_way:
        return md("Nothing of it waits any more. Resume, and it comes to its end.")
    if not keeps_its_time(run.kind):
        if made.expires is None:
            return md("Nothing waits.")
        when = fmt.lately(made.expires, made.now, zone, locale)
        return md("Reminders speak of a day: the first go out of date {}, and are not sent then.", when)
    until = (run.paused_at or made.now) + LONGEST_PAUSE
    day = fmt.month_day(until.astimezone(zone).date(), locale)
    return md("The time of the pause does not count against them. They wait until {}.", day)


def _foreseen(run: Run) -> Mrkdwn:
    r = run.rehearsal
    mail, text = int(r.get("by_mail", 0)), int(r.get("by_text", 0))
    rows = [md("*{}*", count(int(r.get("notices", 0)), "notice"))]
    if mail:
        rows.append(md(":email: *{}* by mail", f"{mail:,}"))
    if text:
        rows.append(md(":iphone: *{}* by text, {}", f"{text:,}", count(int(r.get("segments", 0)), "segment")))
    left_out: Mapping[str, int] = r.get("left_out", {})
    if left_out:
        rows.append(
            md(":heavy_minus_sign: *{}* left out ({})", f"{sum(left_out.values()):,}", _why(left_out))
        )
    if "takes_s" in r:
        rows.append(
            md(":stopwatch: takes {} to send, limited by {}", lasts(float(r["takes_s"])), str(r["takes_by"]))
        )
    return lines(rows)


def _buttons(made: RunCard) -> list[Block | None]:
    run, value = made.run, {"r": str(made.run.id)}
    sure = confirm(
        "Cancel this run?",
        "What nobody has begun to send is called back. What is on its way cannot be.",
        "Cancel the run",
    )
    going = run.state is RunState.RUNNING and (run.ready_at is None or made.under_way > 0)
    paused = run.state is RunState.PAUSED
    waits = run.state is RunState.WAITING
    unreached = made.failed > made.mended or any(
        made.standings.get(s) for s in (Standing.SUPPRESSED, Standing.EXPIRED)
    )
    again = made.failed > made.mended and not waits
    return [
        button("Approve", "run.approve", value, style="primary", confirm=_approval(run)) if waits else None,
        button("Pause", "run.pause", value) if going else None,
        button("Resume", "run.resume", value, style="primary", confirm=_going_on(made)) if paused else None,
        button("Cancel", "run.cancel", value, style="danger", confirm=sure)
        if going or paused or waits
        else None,
        button("Retry the failed…", "run.retry", value) if again else None,
        button("Who failed", "failures.run", value) if unreached else None,
        button("Who was left out", "run.left", value) if made.excluded else None,
        button("More", "run.more", value) if made.notices or made.excluded else None,
    ]


def _approval(run: Run) -> Block:
    number = int(run.rehearsal.get("notices", 0))
    return confirm("Approve this run?", f"{count(number, 'notice')} will go out.", "Approve")


def _going_on(made: RunCard) -> Block | None:
    """Only where it stopped itself: whoever paused it knows why."""
    if made.run.paused_by != ERRORS:
        return None
    text = f"It stopped because too many failed. {made.under_way:,} more go out, and may fail as well."
    return confirm("Is the cause mended?", text, "Resume")


def _history(run: Run, profile: TenantProfile) -> Mrkdwn:
    """Who did what, in its order."""
    steps: list[tuple[datetime | None, str, str | None]] = [
        (run.created_at, "Asked for" if run.state is RunState.WAITING else "Begun", run.requested_by),
        (run.approved_at, "approved", run.approved_by),
        (run.paused_at, "paused", run.paused_by),
        (run.resumed_at, "resumed", run.resumed_by),
        (run.cancelled_at, "cancelled", run.cancelled_by),
        (run.settled_at if run.state is RunState.SETTLED else None, "settled", None),
    ]
    known = [(at, what, by) for at, what, by in steps if at is not None]
    told = []
    for at, what, by in sorted(known, key=lambda step: step[0]):
        moment = fmt.moment(at, profile.time_zone, profile.locale)
        told.append(md("{} {}{}", what, moment, md(" by {}", _who(by)) if by else Mrkdwn("")))
    return Mrkdwn(" · ".join(told))


def _who(by: str) -> Mrkdwn:
    return Mrkdwn("itself: too many failed") if by == ERRORS else mention(by)


def bar(done: int, total: int) -> str:
    """`████████████░░░░░░░░ 60%`"""
    share = done / total if total else 1.0
    full = int(share * _BAR)
    return f"{'█' * full}{'░' * (_BAR - full)} {int(share * 100)}%"


def _left(made: RunCard, profile: TenantProfile) -> str:
    """By the pace of the last minute, else by that so far; nothing while that is a guess. What is tried again
    later, or waits for the morning, has its own time."""
    if made.next_at is not None and made.next_at - made.now > MINUTE:
        return f", the rest from {fmt.lately(made.next_at, made.now, profile.time_zone, profile.locale)} on"
    elapsed = made.now - (made.run.resumed_at or made.run.approved_at or made.run.created_at)
    if made.a_minute >= 20 and elapsed >= MINUTE:
        left = MINUTE * (made.under_way / made.a_minute)
    elif made.told >= 20 and made.told * 4 >= made.notices:
        left = elapsed * (made.under_way / made.told)
    else:
        return ""
    return f", {lasts(left / timedelta(seconds=1))} left"


_LEDGER: tuple[tuple[Standing, str, str], ...] = (
    (Standing.ACCEPTED, ":white_check_mark:", "accepted by their servers"),
    (Standing.PRESUMED, ":white_check_mark:", "handed over, no bounce in 72 hours"),
    (Standing.HANDED, ":outbox_tray:", "handed to the relay, may still bounce"),
    (Standing.UNDER_WAY, ":hourglass_flowing_sand:", "under way"),
    (Standing.FAILED, ":x:", "failed"),
    (Standing.SUPPRESSED, ":no_entry_sign:", "not sent: on our do-not-send list"),
    (Standing.EXPIRED, ":no_entry_sign:", "not sent: out of date"),
    (Standing.CANCELLED, ":no_entry_sign:", "not sent: called back, paid or void by then"),
)


_WITH_TEXTS = {
    Standing.ACCEPTED: "accepted by their servers or phones",
    Standing.HANDED: "handed to the relay or the text provider, may still bounce",
}


def _ledger(made: RunCard) -> Mrkdwn:
    rows = []
    texts = sum(t.count for t in made.tally if t.channel is Channel.SMS)
    for standing, mark, mail_words in _LEDGER:
        text = _WITH_TEXTS.get(standing, mail_words) if texts else mail_words
        if standing is Standing.UNDER_WAY and made.run.state is RunState.PAUSED:
            text = "wait until it goes on"
        if number := made.standings.get(standing):
            row = md("{} *{}* {}", mark, f"{number:,}", text)
            if standing is Standing.FAILED and made.mended:
                row = md("{}, {} of them told since, or paid", row, f"{made.mended:,}")
            rows.append(row)
    if made.excluded:
        rows.append(md(":heavy_minus_sign: *{}* left out ({})", f"{made.excluded:,}", _why(made.left_out)))
    missing = made.run.audience - made.notices - made.excluded
    if made.run.settled_at is not None and missing > 0:
        rows.append(
            md(":rotating_light: *{}* missing: More shows which, tell whoever runs this bot", f"{missing:,}")
        )
    else:
        missing = 0
    total = md("= {}", count(made.notices + made.excluded + missing, "invoice"))
    rows.append(md("{} · {} by text", total, f"{texts:,}") if texts else total)
    return lines(rows)


def _why(left_out: Mapping[str, int]) -> str:
    order = sorted(left_out.items(), key=lambda item: -item[1])
    return ", ".join(f"{number:,} {REASONS.get(reason, reason)}" for reason, number in order)


def causes_of(tally: Sequence[Tally]) -> list[tuple[int, str]]:
    """Deliveries that failed, alike ones together, the many first. An address beside others that worked
    counts here too."""
    causes: dict[str, int] = {}
    for t in tally:
        if t.outcome in (Outcome.BOUNCED, Outcome.FAILED):
            cause = words.cause(t.outcome, t.cls, t.reason)
            causes[cause] = causes.get(cause, 0) + t.count
    return sorted(((n, cause) for cause, n in causes.items()), key=lambda found: (-found[0], found[1]))


def _causes(made: RunCard) -> list[Mrkdwn]:
    found = causes_of(made.tally)
    rows = [md("• {} × {}", f"{number:,}", cause) for number, cause in found[:_CAUSES]]
    if len(found) > _CAUSES:
        rows.append(md("• and {}", count(len(found) - _CAUSES, "other cause")))
    return rows
