"""The menu and the help page, made from the specs of the commands that there are. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.blocks import Mrkdwn, actions, button, context, fit, header, lines, md, section
from handlers.profile import CommandSpec, TenantProfile
from handlers.reply import Block, Reply


def menu(specs: Sequence[CommandSpec], profile: TenantProfile) -> Reply:
    """Short: what people do most, one press away."""
    rows = [md("• `{} {}` — {}", profile.command, s.usage, s.summary) for s in specs if s.in_menu]
    blocks: list[Block] = [
        header(f"{profile.brand.name} support desk"),
        section(lines(rows)),
        *actions(
            *(
                button(spec.ask, f"{spec.name}.ask", style=None if index else "primary")
                for index, spec in enumerate(s for s in specs if s.ask)
            ),
            button("Check SPF", "spf.open"),
            button("Help", "help.open"),
        ),
        context(md("Short cut: `{} 1042` looks an account up. Only you see the answers.", profile.command)),
    ]
    return Reply("What would you like to do?", fit(blocks))


def help_page(specs: Sequence[CommandSpec], profile: TenantProfile) -> Reply:
    blocks: list[Block] = [header("How to use it")]
    for spec in (s for s in specs if s.in_menu):
        rows = [md("*{}*", spec.summary), md("`{} {}`", profile.command, spec.usage)]
        if spec.examples:
            examples = Mrkdwn(" or ".join(md("`{} {}`", profile.command, e) for e in spec.examples))
            rows.append(md("For example {}", examples))
        blocks.append(section(lines(rows)))
    blocks.append(
        context(
            "Looking up shows the answer to you alone. What goes to a customer is shown to you first, and "
            "followed by a card in the channel once it is sent."
        )
    )
    return Reply("How to use it", fit(blocks))
