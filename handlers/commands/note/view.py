"""An account's sticky notes, each with a button that removes it, and the dialog that writes one. Pure."""

from __future__ import annotations

from handlers import format as fmt
from handlers.blocks import (
    actions,
    button,
    confirm,
    context,
    fit,
    lines,
    md,
    option,
    section,
    select_input,
    text_input,
)
from handlers.note_lines import NOTE_MARKS, note_line
from handlers.profile import TenantProfile
from handlers.reply import Block, Modal, Reply, To
from handlers.sticky import TEXT_MAX, NoteData
from store.models import NoteLevel, Subscriber

LEVELS = {
    NoteLevel.INFO: "Just shown",
    NoteLevel.WARN: "Warns before anything is done",
    NoteLevel.BLOCK: "Blocks suspending and unsuspending",
}


def listed(data: NoteData, profile: TenantProfile, to: To = To.ASKER, *, just_added: bool = False) -> Reply:
    s = data.subscriber
    count = len(data.notes)
    title = (
        f"Noted on account {s.account}."
        if just_added
        else f"Account {s.account} has {count or 'no'} note{'s' if count != 1 else ''}."
    )
    blocks: list[Block] = [section(lines([md("*{}*", title), md("{}", s.name)]))]
    for index, note in enumerate(data.notes):
        remove = button(
            "Remove",
            f"note.remove:{index}",
            {"n": str(note.id), "s": str(s.id)},
            confirm=confirm("Remove this note?", "It goes from every card.", "Remove", "Keep it"),
        )
        when = fmt.moment(note.created_at, profile.time_zone, profile.locale)
        rows = lines([note_line(note), md("{} · {}", LEVELS[note.level].lower(), when)])
        blocks.append(section(rows, accessory=remove))
    blocks += actions(button("Add a note…", "note.ask", {"s": str(s.id)}))
    usage = f"{profile.command} note {s.account} calls after six only --warn"
    blocks.append(context(md("Shown on every card, to the team only. Or type `{}`", usage)))
    return Reply(title, fit(blocks), to)


def dialog(s: Subscriber) -> Modal:
    levels = [option(f"{text}", level) for level, text in LEVELS.items()]
    blocks = [
        section(md("*{}* · account {}", s.name, s.account)),
        text_input("text", "Note", multiline=True, longest=TEXT_MAX, hint="For the team; never sent."),
        select_input("level", "How loud", levels, initial=levels[0]),
    ]
    return Modal("note.asked", "Add a note", blocks, submit="Add", carry={"s": str(s.id)})


__all__ = ["LEVELS", "NOTE_MARKS", "dialog", "listed"]
