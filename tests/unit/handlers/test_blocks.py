"""The Block Kit vocabulary against the sandbox's validator: escaped by default, never over a limit."""

from __future__ import annotations

import re
from typing import Any

import pytest

from handlers import blocks as b
from handlers.reply import Block, Reply
from sandbox.slack.blocks import text_length
from tests.unit.handlers.support import HOSTILE, legal, said

EVERY_HOSTILE = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())


def _shown(*blocks: Block) -> str:
    return said(legal(Reply("text", list(blocks))))


def test_data_in_a_template_is_escaped_and_markup_of_ours_is_not() -> None:
    assert b.md("*{}* {}", "<!channel> & co", b.md("_{}_", "a<b")) == "*&lt;!channel&gt; &amp; co* _a&lt;b_"


def test_escaping_twice_changes_nothing() -> None:
    once = b.esc("a & b < c")
    assert b.esc(once) == once == "a &amp; b &lt; c"


def test_a_template_in_the_data_is_not_filled_in() -> None:
    assert b.md("{}", "{0} {__class__} {}") == "{0} {__class__} {}"


def test_values_that_are_no_text_are_written_and_escaped() -> None:
    assert b.md("{} {n}", 5, n=["<x>"]) == "5 ['&lt;x&gt;']"


def test_control_and_direction_characters_and_half_surrogates_are_dropped() -> None:
    assert b.clean("a\x00\x07\x9fb\u202e\u2066c\u061c\u2028d\ud800\n\te") == "abcd\n\te"


@EVERY_HOSTILE
def test_hostile_text_is_legal_and_obeyed_by_nobody_in_every_block(text: str) -> None:
    blocks = [
        b.header(text),
        b.section(f"Name {text}", fields=[text]),
        b.section(text or "x", accessory=b.button(text, "find.open", {"s": "1"})),
        b.context(f"-{text}", f"-{text}"),
        b.section(b.code(text)),
        *b.actions(b.button(text, "find.ask", confirm=b.confirm(text, text, text))),
        *b.actions(b.select("x.y", text, [b.option(text, "1")])),
    ]
    shown = [_shown(block) for block in blocks]
    assert ("&lt;!channel&gt;" in shown[1]) == ("<!channel>" in text)
    legal(Reply("text", b.fit(blocks)))


def test_more_fields_and_context_than_slack_takes_are_left_out() -> None:
    assert len(b.section("x", fields=["f"] * 12)["fields"]) == 10
    assert len(b.context(*["c"] * 12)["elements"]) == 10


@EVERY_HOSTILE
def test_the_text_beside_the_blocks_is_escaped_and_short_enough_for_an_edit(text: str) -> None:
    spoken = b.spoken(text)
    assert len(spoken) <= 4000
    assert "<" not in spoken


def test_a_code_block_cannot_be_closed_by_its_content() -> None:
    shown = b.code("a ``` b `` c ` <!channel>")
    assert shown.count("`") == 6
    assert shown.startswith("```")
    assert shown.endswith("```")
    assert "<" not in shown


def test_data_cannot_open_a_code_block_over_the_lines_that_follow() -> None:
    assert "```" not in b.lines(["Ann ```", "Balance 5"])


@pytest.mark.parametrize("entity", ["&amp;", "&lt;", "&gt;"])
@pytest.mark.parametrize("shift", range(8))
def test_a_cut_is_never_inside_an_entity(entity: str, shift: int) -> None:
    short = b.shorten("x" * shift + entity * 1000, 3000)
    assert len(short) <= 3000
    assert short.endswith("…")
    assert re.fullmatch(rf"x*(?:{entity})+…", short)


@pytest.mark.parametrize("before", [0, 1, *range(2985, 3003)])
@pytest.mark.parametrize("content", ["&lt;" * 900, "y" * 4000], ids=["entities", "letters"])
def test_a_cut_code_block_is_closed_again(before: int, content: str) -> None:
    short = b.shorten("x" * before + f"```{content}```", 3000)
    assert len(short) <= 3000
    assert short.count("```") % 2 == 0
    assert "`" not in short.replace("```", "")
    assert not re.search(r"&(?!lt;)", short)


def test_what_fits_exactly_is_not_cut() -> None:
    assert b.shorten("x" * 3000, 3000) == "x" * 3000


def test_a_word_of_markup_keeps_its_end_when_nothing_is_cut() -> None:
    assert b.shorten("```a```", 3000) == "```a```"


def test_more_than_twenty_five_buttons_go_into_several_rows() -> None:
    rows = b.actions(*(b.button(str(n), f"find.open:{n}") for n in range(60)), None)
    assert [len(row["elements"]) for row in rows] == [25, 25, 10]
    legal(Reply("text", rows))


def test_no_button_makes_no_row() -> None:
    assert b.actions(None, None) == []


@pytest.mark.parametrize("count", [49, 50, 51, 120])
def test_more_than_fifty_blocks_are_cut_and_that_is_said(count: int) -> None:
    kept = b.fit([b.section(str(n)) for n in range(count)])
    assert len(kept) <= 50
    shown = _shown(*kept)
    assert ("There is more" in shown) == (count > 50)


def test_too_much_text_is_cut_before_slack_refuses_it_and_that_is_said() -> None:
    kept = b.fit([b.section("x" * 2999) for _ in range(9)])
    assert text_length(kept) < 13_000
    assert "There is more" in _shown(*kept)


def test_a_modal_field_is_named_by_its_block() -> None:
    field: dict[str, Any] = b.text_input("query", "Whom?", placeholder="1042", initial="x", hint="h")
    assert (field["block_id"], field["element"]["action_id"]) == ("query", "query")


def test_options_and_their_values_are_within_slacks_limits() -> None:
    menu = b.select("x.y", "p" * 400, [b.option("o" * 400, "v" * 400)] * 150)
    legal(Reply("text", b.actions(menu)))
