"""The card of a question about an address: asked, arrived, answered, mended, sent again. Masked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from handlers import format as fmt
from handlers import words
from handlers.blocks import actions, button, context, fit, lines, md, mention, section
from handlers.cards import Notice
from handlers.masks import mask_email, mask_phone, shown_name
from handlers.profile import TenantProfile
from handlers.reply import Block, Reply
from store.models import AddressQuestion, ContactOverride, Outcome, QuestionState, Subscriber


@dataclass(frozen=True, slots=True)
class QuestionData:
    question: AddressQuestion
    payer: Subscriber
    asked: Notice | None
    """The text itself."""
    resent: Notice | None
    """The invoice that went out again after a yes."""
    override: ContactOverride | None
    mended: bool
    """The address that it brought is on file: as it stands, or because billing agrees by now."""
    mend: Mapping[str, str] | None
    """What opens the dialog that mends the address; None: it is not on file any more."""


_HEADLINE: dict[QuestionState, str] = {
    QuestionState.ASKED: ":hourglass_flowing_sand: Asked, no answer so far",
    QuestionState.CONFIRMED: ":white_check_mark: They said yes",
    QuestionState.DECLINED: ":x: They said that it is not theirs",
    QuestionState.OTHER: ":email: They wrote another address",
    QuestionState.STOPPED: ":no_entry_sign: They opted out of texts instead",
    QuestionState.EXPIRED: ":no_entry_sign: No answer in three days",
    QuestionState.OVERTAKEN: ":information_source: Over: the address or the number was changed",
}
_LOST = (Outcome.BOUNCED, Outcome.FAILED, Outcome.SUPPRESSED, Outcome.CANCELLED, Outcome.EXPIRED)
_NEXT: dict[QuestionState, str] = {
    QuestionState.DECLINED: "Ask them for the right one, letter by letter.",
    QuestionState.OTHER: "Look at it before you mend with it: whoever holds the phone can write anything.",
    QuestionState.STOPPED: "Call or mail them.",
    QuestionState.EXPIRED: "Call them, or ask again.",
}
_TO_MEND = (QuestionState.DECLINED, QuestionState.OTHER, QuestionState.STOPPED, QuestionState.EXPIRED)


def card(data: QuestionData, profile: TenantProfile) -> Reply:
    q, s = data.question, data.payer
    title = f"Is {mask_email(q.suggested)} theirs?"
    headline = _headline(data)
    blocks: list[Block] = [
        section(
            lines(
                [
                    md("*{}* · {}, account {}", title, shown_name(s), s.account),
                    md("*{}*", headline),
                ]
            )
        ),
        section(lines(_steps(data, profile))),
    ]
    if steps := _next(data):
        blocks.append(section(lines([md(":bulb: {}", step) for step in steps])))
    blocks += actions(*_buttons(data))
    when = fmt.moment(q.created_at, profile.time_zone, profile.locale)
    until = fmt.moment(q.expires_at, profile.time_zone, profile.locale)
    tail = f"stands until {until}" if q.state is QuestionState.ASKED else "settled"
    blocks.append(context(md("Asked for by {} · {} · {}", mention(q.actor), when, tail)))
    return Reply(f"{title} {headline.rpartition(': ')[2]}", fit(blocks))


def _headline(data: QuestionData) -> str:
    """Who was not reached was not asked, and who is still to be reached not yet."""
    outcomes = {d.outcome for d in data.asked.deliveries} if data.asked else set()
    state = data.question.state
    if state in (QuestionState.ASKED, QuestionState.EXPIRED) and outcomes and outcomes <= set(_LOST):
        return ":x: The question did not reach the phone"
    if state is QuestionState.ASKED and outcomes == {Outcome.NONE}:
        return ":hourglass_flowing_sand: Not asked yet"
    return _HEADLINE[state]


def _next(data: QuestionData) -> list[str]:
    """What to do about an answer, and about an invoice that did not arrive after all."""
    lost = [words.next_step(d) for d in data.resent.deliveries] if data.resent else []
    over = data.question.state in _TO_MEND and data.mend is None  # mended since: nothing is left to do
    first = "" if over else _NEXT.get(data.question.state, "")
    return list(dict.fromkeys(step for step in (first, *lost) if step))


def _steps(data: QuestionData, profile: TenantProfile) -> list[str]:
    """What has happened so far, in its order."""
    q = data.question
    was = "Was on file" if data.mend is None else "On file"
    rows = [md(":email: {}: {}", was, mask_email(q.old_address))]
    if data.asked is not None:
        for d in data.asked.deliveries:
            state = words.status(d, data.asked.events[d.id], profile.time_zone)
            if d.outcome is Outcome.NONE and d.attempt == 0 and d.due_at > d.created_at:
                state = f"Goes out at {fmt.moment(d.due_at, profile.time_zone, profile.locale)}"
            rows.append(md("{} Text to {}: {}", words.mark(d), mask_phone(q.number), state))
    if q.answered_at is not None:
        when = fmt.moment(q.answered_at, profile.time_zone, profile.locale)
        if q.state is QuestionState.OTHER and q.answer:
            rows.append(md(":speech_balloon: {}: they wrote {}", when, mask_email(q.answer)))
        elif q.state in (QuestionState.CONFIRMED, QuestionState.DECLINED):
            said = "yes" if q.state is QuestionState.CONFIRMED else "no"
            rows.append(md(":speech_balloon: {}: they answered {}", when, said))
    if data.override is not None:
        told = _MENDED[data.mended, data.override.ended_at is None]
        rows.append(md(told, mask_email(data.override.new_address)))
    elif q.state in _TO_MEND and data.mend is None:
        rows.append(md(":wrench: The address was mended since"))
    return rows + _sent_again(data, profile)


_MENDED = {  # (on file, the change stands)
    (True, True): ":wrench: Mended: {} is on file now. *Tell billing too.*",
    (True, False): ":wrench: Mended: {} is on file now, at billing too",
    (False, True): ":wrench: Mended to {}, which was changed again since",
    (False, False): ":leftwards_arrow_with_hook: Taken back: {} is gone again",
}


def _sent_again(data: QuestionData, profile: TenantProfile) -> list[str]:
    if data.resent is None:
        if data.question.state is QuestionState.CONFIRMED:
            return [md(":information_source: No invoice was sent again")]
        return []
    number = f" {data.resent.invoice.number}" if data.resent.invoice else ""
    return [
        md(
            "{} Invoice{} again: {}",
            words.mark(d),
            number,
            words.status(d, data.resent.events[d.id], profile.time_zone),
        )
        for d in data.resent.deliveries
    ]


def _buttons(data: QuestionData) -> list[Block]:
    q = data.question
    shown: list[Block] = []
    if q.state in _TO_MEND and data.mend is not None:
        label = "Mend with this…" if q.answer else "Mend address…"
        shown.append(button(label, "contact.mend", data.mend, style="primary" if q.answer else None))
    notice = data.resent or data.asked
    if notice is not None:
        shown.append(button("Timeline", "messages.timeline", {"n": str(notice.notification.id)}))
    if data.override is not None and data.override.ended_at is None:
        shown.append(button("Undo", "contact.undo", {"o": str(data.override.id)}))
    return shown


__all__ = ["QuestionData", "card"]
