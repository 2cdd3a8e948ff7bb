"""`ispbot golive`: only when all is in order and somebody has said that billing's own notices are off."""

from __future__ import annotations

import pytest

from bot.config import parse
from bot.setup.send_mode import NotThere, with_send_mode
from tests.unit.bot.setup.conftest import Around
from tests.unit.bot.setup.test_setup import ispbot, unattended

BLOCK = """\
tenants:
  one:
    mail:
      send_mode: off
  two:
    mail:
      routes: {}   # none
      send_mode: only_to
      only_to: [me@x.example] # me
"""


def test_the_setting_changes_in_its_place_and_nothing_else_does() -> None:
    changed = with_send_mode(BLOCK, "two", "live", "since today")
    assert changed == BLOCK.replace("send_mode: only_to", "send_mode: live  # since today")
    assert with_send_mode(changed, "two", "only_to") == BLOCK.replace(
        "only_to\n", "only_to  # since today\n", 1
    )


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("tenants: {a: {mail: {send_mode: off}}}", "tenants: {a: {mail: {send_mode: live}}}"),
        ("tenants: {a: {mail: {x: 1}}}", "tenants: {a: {mail: {send_mode: live, x: 1}}}"),
        (
            "tenants:\n  a:\n    mail:\n      x: 1\n",
            "tenants:\n  a:\n    mail:\n      send_mode: live\n      x: 1\n",
        ),
        (
            "tenants:\n  a:\n    mail:\n      send_mode: off # yet\n",
            "tenants:\n  a:\n    mail:\n      send_mode: live # yet\n",
        ),
    ],
)
def test_every_way_to_write_the_section_is_known(text: str, after: str) -> None:
    assert with_send_mode(text, "a", "live", "now") == after


@pytest.mark.parametrize("text", ["", "tenants: {}", "tenants: {a: 1}", "tenants: {a: {mail: {}}}"])
def test_where_there_is_no_such_section_nothing_is_made_up(text: str) -> None:
    with pytest.raises(NotThere):
        with_send_mode(text, "a", "live")


async def test_live_and_back(around: Around) -> None:
    await unattended(around, around.answers)
    before = around.config.read_text("utf-8")
    files = ("-c", around.config, "--environment", around.home / "environment")
    blocked = await ispbot("golive", *files)
    assert blocked.exit_code == 1
    assert "public address" in blocked.output
    assert "Mend these first" in blocked.stderr
    no = await ispbot("golive", *files, "--anyway", typed="n\n")
    assert "gets each invoice twice" in no.output
    assert "Nothing was changed" in no.output
    assert (no.exit_code, around.config.read_text("utf-8")) == (1, before)
    yes = await ispbot("golive", *files, "--anyway", typed="y\n")
    assert yes.exit_code == 0, yes.output
    assert "is live" in yes.output
    assert parse(around.config).tenants["cascade-broadband"].mail.send_mode == "live"
    assert "billing's own notices are off" in around.config.read_text("utf-8")
    assert (around.home / "app.yaml.before-live").read_text("utf-8") == before
    again = await ispbot("golive", *files, "--notices-off")
    assert "is live already" in again.output
    undone = await ispbot("golive", *files, "--undo")
    assert "back in test mode: only me@inbox.example gets anything" in undone.output
    assert parse(around.config).tenants["cascade-broadband"].mail.send_mode == "only_to"
    assert "in test mode already" in (await ispbot("golive", *files, "--undo")).output


async def test_there_is_no_way_back_to_nobody(around: Around) -> None:
    await unattended(around, around.answers)
    text = around.config.read_text("utf-8")
    live = text.replace("send_mode: only_to", "send_mode: live").replace(
        '      only_to: ["me@inbox.example"]\n', ""
    )
    around.config.write_text(live, "utf-8")
    told = await ispbot("golive", "-c", around.config, "--environment", around.home / "environment", "--undo")
    assert told.exit_code == 1
    assert "Put your address into tenants.cascade-broadband.mail.only_to" in " ".join(told.stderr.split())
    assert around.config.read_text("utf-8") == live
