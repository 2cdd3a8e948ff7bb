"""`ispbot setup` where there is an app.yaml already: nothing written by hand is lost, no mail stops."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bot.config import parse
from bot.environment import variables
from bot.setup.answers import STATE, Answers, SetupProblem
from bot.setup.asking import Asking
from bot.setup.keeping import put
from tests.unit.bot.setup.conftest import Around
from tests.unit.bot.setup.test_setup import _failing, ispbot, unattended

KEY = "-----BEGIN PRIVATE KEY-----\nabc # def\n-----END PRIVATE KEY-----\n"


async def again(around: Around, *words: str, typed: str | None = None) -> str:
    told = await ispbot("setup", "-c", around.config, "--no-browser", *words, typed=typed)
    assert "Traceback" not in told.output
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    return " ".join(told.output.split())


def names(around: Around) -> list[str]:
    return sorted(path.name for path in around.home.glob("app.yaml*"))


async def test_the_same_answers_leave_what_was_written_by_hand(around: Around) -> None:
    await unattended(around, around.answers)
    mine = around.config.read_text("utf-8").replace("send_mode: only_to", "send_mode: live") + "# mine\n"
    around.config.write_text(mine, "utf-8")
    assert "Your answers are as they were" in await again(around)
    assert around.config.read_text("utf-8") == mine
    assert names(around) == ["app.yaml"]


async def test_other_answers_ask_before_they_replace_what_was_written_by_hand(around: Around) -> None:
    await unattended(around, around.answers)
    mine = around.config.read_text("utf-8").replace("send_mode: only_to", "send_mode: live")
    mine = mine.replace("    mail:\n", "    mail:\n      attach_pdf: false   # they are too big\n")
    around.config.write_text(mine, "utf-8")
    Answers(around.home).keep("support_email", "desk@cascade.example")

    no = await again(around, typed="n\n")
    assert "These lines would not be in the new one:" in no
    assert "attach_pdf: false # they are too big" in no
    assert "app.yaml stays as it is. The new one is in" in no
    assert around.config.read_text("utf-8") == mine
    assert names(around) == ["app.yaml", "app.yaml.new"]

    yes = await again(around, typed="y\n")
    assert "is kept as app.yaml.before-setup." in yes
    tenant = parse(around.config).tenants["cascade-broadband"]
    assert tenant.brand.support_email == "desk@cascade.example"
    assert tenant.mail.send_mode == "live", "nobody's mail stops"
    assert (around.home / "app.yaml.before-setup").read_text("utf-8") == mine


async def test_each_file_that_was_there_is_kept_and_the_latest_comes_back(around: Around) -> None:
    around.config.write_text("# mine\n", "utf-8")
    await unattended(around, around.answers)
    first = around.config.read_text("utf-8")
    await unattended(around, {**around.answers, "support_email": "desk@cascade.example"})
    second = around.config.read_text("utf-8")
    assert names(around) == ["app.yaml", "app.yaml.before-setup", "app.yaml.before-setup-2"]

    assert "is what it was before" in await again(around, "--undo")
    assert around.config.read_text("utf-8") == first
    assert (around.home / "app.yaml.undone").read_text("utf-8") == second
    await again(around, "--undo")
    assert around.config.read_text("utf-8") == "# mine\n"
    assert "There is nothing to put back" in await again(around, "--undo")
    assert around.config.read_text("utf-8") == "# mine\n"


async def test_a_file_with_several_providers_is_left_alone(around: Around) -> None:
    await unattended(around, around.answers)
    head, _, one = around.config.read_text("utf-8").partition("  cascade-broadband:\n")
    other = one.replace("id: 1", "id: 2").replace("T_CASCADE", "T_RIO")
    other = other.replace("mail.cascade.example", "mail.rio.example")
    two = f"{head}  cascade-broadband:\n{one}  rio:\n{other}"
    around.config.write_text(two, "utf-8")
    assert len(parse(around.config).tenants) == 2
    told = await unattended(around, {**around.answers, "support_email": "desk@cascade.example"})
    assert told.exit_code == 2
    assert "has 2 providers, and the wizard writes one" in " ".join(told.stderr.split())
    assert around.config.read_text("utf-8") == two
    assert names(around) == ["app.yaml"]


async def test_a_secret_of_several_lines_that_somebody_added_stays(around: Around) -> None:
    await unattended(around, around.answers)
    file = around.home / "environment"
    file.write_text(file.read_text("utf-8") + f"# by hand\nexport CASCADE_DKIM='{KEY}'\n", "utf-8")
    token = "ISPBOT_CASCADE_BROADBAND_TWILIO"
    other = around.answers[token]
    Answers(around.home).keep_secret(token, "of last year")
    told = await unattended(around, {**around.answers, token: other})
    assert _failing(told) == "", told.output
    held = variables(file.read_text("utf-8"))
    assert (held["CASCADE_DKIM"], held[token]) == (KEY, other)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"export A='open\n", "a quotation in it has no end"), (b"export A=\xff\n", "is not UTF-8 text")],
)
async def test_a_file_of_secrets_that_cannot_be_read_is_told_and_left(
    tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "environment"
    file.write_bytes(content)
    for command in ("setup", "check"):
        told = await ispbot(command, "-c", tmp_path / "app.yaml", *_environment(command, file))
        assert (told.exit_code, says in " ".join(told.stderr.split())) == (2, True), told.output
    assert file.read_bytes() == content


def _environment(command: str, file: Path) -> list[str]:
    return [] if command == "setup" else ["--environment", str(file)]


async def test_a_token_kept_from_before_tells_its_workspace_again(around: Around) -> None:
    """Somebody moved the answers away, as they were told to, and kept the secrets."""
    await unattended(around, around.answers)
    (around.home / STATE).unlink()
    told = await unattended(around, around.answers)
    assert _failing(told) == "", told.output
    assert json.loads((around.home / STATE).read_text("utf-8"))["team_id"] == "T_CASCADE"


async def test_where_slack_does_not_answer_the_workspace_is_asked_for(around: Around) -> None:
    secret = "ISPBOT_CASCADE_BROADBAND_BOT_TOKEN"
    Answers(around.home).keep_secret(secret, around.answers[secret])
    away = {**around.answers, "slack_api_url": "http://127.0.0.1:9/api/"}
    told = await unattended(around, away)
    assert (told.exit_code, "team_id: Id of the workspace" in told.stderr) == (2, True), told.output
    told = await unattended(around, {**away, "team_id": "cascade"})
    assert "team_id: It begins with T" in told.stderr
    told = await unattended(around, {**away, "team_id": "T_CASCADE"})
    assert "team_id" not in told.stderr


async def test_keys_that_are_given_are_kept_and_an_old_database_is_forgotten(around: Around) -> None:
    Answers(around.home).keep_secret("ISPBOT_DATABASE_URL", "postgresql://isp@127.0.0.1:9/isp")
    keys = "7:" + "k" * 43
    told = await unattended(around, around.answers, environ={"ISPBOT_KEYS": keys})
    assert _failing(told) == "", told.output
    held = Answers(around.home).secrets
    assert held["ISPBOT_KEYS"] == keys
    assert "ISPBOT_DATABASE_URL" not in held
    assert (parse(around.config).database or "").startswith("sqlite:///")


async def test_a_directory_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    told = await ispbot("setup", "-c", tmp_path / "new" / "app.yaml", "--no-browser", typed="Cascade\n")
    assert told.exit_code == 130
    assert json.loads((tmp_path / "new" / STATE).read_text("utf-8"))["brand"] == "Cascade"
    assert (tmp_path / "new" / STATE).stat().st_mode & 0o777 == 0o600


async def test_answers_that_do_not_fit_together_leave_what_is_there(around: Around) -> None:
    await unattended(around, around.answers)
    before = around.config.read_text("utf-8")
    answers = Answers(around.home)
    ask = Asking(answers, _quiet(), unattended=True)
    with pytest.raises(SetupProblem, match="do not fit together"):
        put(around.config, before + "wrong: 1\n", ask, _quiet())
    assert around.config.read_text("utf-8") == before
    assert [path.name for path in around.home.iterdir() if path.name.startswith(".")] == []


def _quiet() -> Console:
    return Console(file=io.StringIO())
