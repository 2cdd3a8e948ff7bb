"""Slack's blocks as a person reads them at a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from bot.terminal.blocks import rendered
from handlers.blocks import actions, button, code, context, divider, header, lines, md, section


def read(*blocks: dict[str, object]) -> list[str]:
    console = Console(file=io.StringIO(), width=60, color_system=None)
    console.print(rendered(blocks))
    out = console.file
    assert isinstance(out, io.StringIO)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_markup_becomes_style_and_leaves_no_marks() -> None:
    text = lines([md("*Bold* and _slanted_, `code` of <@U123> at <https://isp.example/|our page>")])
    assert read(section(text)) == ["Bold and slanted, code of U123 at our page"]


def test_data_is_shown_as_it_is() -> None:
    """What mrkdwn escapes is escaped no more, and no name styles what follows."""
    assert read(section(md("{}", "A & B <C> 2*3*4 a_b_c [bold]x[/bold]"))) == [
        "A & B <C> 2*3*4 a_b_c [bold]x[/bold]"
    ]


def test_signs_are_shown_and_unknown_ones_left_out() -> None:
    shown = read(section(md(":large_green_circle: Active :no_such_sign: at 10:30: here")))
    assert shown == ["\U0001f7e2 Active at 10:30: here"]


def test_every_kind_of_block_is_read_but_buttons_are_not() -> None:
    shown = read(
        header("Title"),
        section("", fields=["*One*", "two", "three"]),
        section(code("v=spf1 <all>\n  -all")),
        divider(),
        *actions(button("Press", "find.open")),
        context("small", "print"),
    )
    assert shown[:4] == ["", "Title", "One      two", "three"]
    assert shown[4:6] == ["v=spf1 <all>", "  -all"]
    assert set(shown[6]) == {"─"}
    assert shown[7:] == ["small  print"]


def test_control_sequences_of_a_name_do_not_reach_the_terminal() -> None:
    assert read(section(md("{}", "\x1b[2J\x07Mallory\u202e"))) == ["[2JMallory"]
