"""Notes and holds as every card shows them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from billing.hold_words import what_is_held
from handlers import format as fmt
from handlers.blocks import Mrkdwn, md, mention
from handlers.profile import TenantProfile
from store.filed import LegalHold
from store.models import ACCOUNT, Hold, Note, NoteLevel

MOST_NOTES = 5
NOTE_MARKS = {NoteLevel.INFO: ":memo:", NoteLevel.WARN: ":warning:", NoteLevel.BLOCK: ":no_entry:"}


def note_line(note: Note) -> Mrkdwn:
    return md("{} *{}* — {}", NOTE_MARKS[note.level], note.text, mention(note.author))


def hold_line(hold: Hold, profile: TenantProfile) -> Mrkdwn:
    day = fmt.day(hold.until, profile.locale)
    held = "Held until" if hold.scope == ACCOUNT else md("{} is held until", what_is_held(hold))
    if not hold.reason:
        return md(":hourglass: {} *{}* — {}", held, day, mention(hold.owner))
    return md(":hourglass: {} *{}*: {} — {}", held, day, hold.reason, mention(hold.owner))


def legal_hold_line(hold: LegalHold) -> Mrkdwn:
    return md(":scales: Legal hold: {} — {}", hold.reason, mention(hold.actor))


def sticky_lines(notes: Sequence[Note], holds: Sequence[Hold], profile: TenantProfile) -> list[Mrkdwn]:
    """Blocks and warnings first, holds, then the rest, and how many more there are."""
    loud = sorted((n for n in notes if n.level is not NoteLevel.INFO), key=lambda n: n.level)
    quiet = [n for n in notes if n.level is NoteLevel.INFO]
    shown = [*loud, *quiet][:MOST_NOTES]
    rows = [note_line(n) for n in shown if n.level is not NoteLevel.INFO]
    rows += [hold_line(h, profile) for h in holds]
    rows += [note_line(n) for n in shown if n.level is NoteLevel.INFO]
    if len(notes) > MOST_NOTES:
        rows.append(md("… and {} more notes", len(notes) - MOST_NOTES))
    return rows
