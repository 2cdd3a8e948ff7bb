"""The tour of the practice desk. Pure."""

from __future__ import annotations

from typing import Final

from handlers.blocks import actions, button, context, header, lines, md, section
from handlers.practice import BADGE
from handlers.reply import Block, Reply

TOUR: Final = (
    ("find 1042", "a subscriber whose billing address has a slip in it"),
    ("diagnose 1042", "why this one gets no invoice"),
    ("contact 1042", "mend the address"),
    ("resend 1001", "send an invoice again, after a look at it"),
    ("text 1001", "write a text"),
    ("hold 1260 until tomorrow promised to pay", "no reminders for someone who will pay"),
)
_BUTTONS: Final = TOUR[:4]


def tour(command: str, *, fresh: bool) -> Reply:
    rows = [md("• `{} {}` — {}", command, typed, what) for typed, what in TOUR]
    said = "Everything here is as new again." if fresh else "Try what you like: put `practice` in front."
    blocks: list[Block] = [
        context(BADGE),
        header("Practice"),
        section(said),
        section(lines(rows)),
        *actions(
            *(
                button(typed.capitalize(), f"practice.try:{n}", {"t": typed})
                for n, (typed, _) in enumerate(_BUTTONS)
            ),
            button("Start anew", "practice.reset"),
        ),
        context(md("Every command works here, also those of leads. `{} reset` starts anew.", command)),
    ]
    return Reply("Practice: nothing is sent.", blocks)
