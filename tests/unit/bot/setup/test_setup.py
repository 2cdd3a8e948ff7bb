"""`ispbot setup`: nobody asked, somebody asked, stopped and gone on with; no secret where none belongs."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from bot.cli import app
from bot.config import load_config, parse
from bot.setup import steps
from bot.setup.answers import Answers
from bot.setup.asking import Problem
from bot.setup.written import tenant_key
from tests.uisp_world import small_cast, uisp_world
from tests.unit.bot.setup.conftest import Around

SECRET_NAMES = {
    "ISPBOT_CASCADE_BROADBAND_BOT_TOKEN",
    "ISPBOT_CASCADE_BROADBAND_TWILIO",
    "ISPBOT_KEYS",
    "ISPBOT_SLACK_SIGNING_SECRET",
}


async def ispbot(
    *words: object, typed: str | None = None, environ: Mapping[str, str] | None = None
) -> Result:
    """In a thread, as it runs loops of its own."""
    clean: dict[str, str | None] = {name: None for name in os.environ if name.startswith("ISPBOT_")}
    runner = CliRunner(env={**clean, **(environ or {}), "COLUMNS": "240"})
    return await asyncio.to_thread(runner.invoke, app, [str(word) for word in words], input=typed)


async def unattended(around: Around, answers: Mapping[str, Any], **more: Any) -> Result:
    file = around.home / "answers.yaml"
    file.write_text(yaml.safe_dump(dict(answers)), "utf-8")
    return await ispbot("setup", "-c", around.config, "--answers", file, **more)


async def test_from_nothing_to_a_deployment_that_sends_to_its_owner_alone(around: Around) -> None:
    told = await unattended(around, around.answers)
    assert _failing(told) == "", told.output
    written = parse(around.config)
    tenant = written.tenants["cascade-broadband"]
    assert (tenant.mail.send_mode, tenant.mail.only_to) == ("only_to", ("me@inbox.example",))
    assert (tenant.slack.team_id, tenant.channels.support) == ("T_CASCADE", "C_SUPPORT")
    assert (tenant.roles.admin.users, tenant.roles.agent.users) == (("U_ADMIN",), ("U_AGENT", "U_LEAD"))
    assert tenant.sms is not None
    environment = Answers(around.home).secrets
    assert set(environment) == SECRET_NAMES
    assert load_config(around.config, environment).app == written
    for name in ("app.yaml", "setup.json", "slack-manifest.yaml"):
        text = (around.home / name).read_text("utf-8")
        assert not [secret for secret in environment.values() if secret in text], name
    assert (around.home / "environment").stat().st_mode & 0o777 == 0o600
    assert not [secret for secret in environment.values() if secret in told.output]
    manifest = yaml.safe_load((around.home / "slack-manifest.yaml").read_text("utf-8"))
    assert manifest["features"]["slash_commands"][0]["command"] == "/isp"
    for words in ("10DLC", "Lead port 25 of the MX of mail.cascade.example", "ispbot golive", "proxy"):
        assert words in told.output
    assert [path.name for path in around.home.iterdir() if path.name.startswith(".")] == []


def _failing(told: Result) -> str:
    rows = [line for line in told.output.splitlines() if "│ fails" in line and "public address" not in line]
    return "\n".join(rows)


async def test_everything_that_is_missing_or_wrong_is_told_together(around: Around) -> None:
    wrong = {
        **around.answers,
        "support_email": "help at cascade",
        "time_zone": "Pacific",
        "support_channel": "C_NOWHERE",
        "ISPBOT_CASCADE_BROADBAND_BOT_TOKEN": "xoxb-wrong-one",
        "relay_port": "9",
        "only_to": None,
        "ISPBOT_CASCADE_BROADBAND_TWILIO": "of last year",
    }
    told = await unattended(around, wrong)
    assert told.exit_code == 2
    said = " ".join(told.stderr.split())
    for words in (
        "support_email: Write one plain e-mail address",
        "time_zone: That is no IANA time zone",
        "ISPBOT_CASCADE_BROADBAND_BOT_TOKEN: Slack: refused (invalid_auth)",
        "relay: 127.0.0.1:9",
        "only_to: There is no answer",
        "ISPBOT_CASCADE_BROADBAND_TWILIO: Twilio refused our login",
    ):
        assert words in said, words
    assert "xoxb-wrong-one" not in told.output
    assert not around.config.exists()


TYPED = """\
Cascade Broadband
help at cascade
help@cascade.example
America/Los_Angeles
US
en_US
sqlite

http
http://127.0.0.1:9
"""


async def test_whoever_is_asked_may_stop_and_goes_on_where_they_were(around: Around) -> None:
    """Slack's address is not asked: it is the sandbox's, kept as by an earlier run."""
    Answers(around.home).keep("slack_api_url", around.answers["slack_api_url"])
    first = await ispbot("setup", "-c", around.config, "--no-browser", typed=TYPED)
    assert first.exit_code == 130
    assert "Write one plain e-mail address" in first.output, "asked again"
    assert "setup goes on where you were" in first.stderr
    kept = json.loads((around.home / "setup.json").read_text("utf-8"))
    assert (kept["brand"], kept["support_email"]) == ("Cascade Broadband", "help@cascade.example")

    token = around.answers["ISPBOT_CASCADE_BROADBAND_BOT_TOKEN"]
    more = [
        "xapp-not-this",
        "xoxb-wrong",
        "n",
        token,
        "signing-secret",
        "support",
        "C_NOWHERE",
        "n",
        "C_SUPPORT",
        "C_ONCALL",
        "U_ADMIN",
        "",
        "",
    ]
    mail = ["mail.cascade.example", "billing@cascade.example", "", "127.0.0.1"]
    relay = [str(around.answers["relay_port"]), "off", "", "", "", "me@inbox.example"]
    rest = ["no", "local", ""]
    second = await ispbot(
        "setup", "-c", around.config, "--no-browser", typed="\n".join([*more, *mail, *relay, *rest, ""])
    )
    assert around.config.exists(), second.output
    assert "Going on with the answers" in second.output
    assert "✓ Name of the company: Cascade Broadband" in second.output
    assert "It begins with xoxb-." in second.output
    assert "refused (invalid_auth)" in second.output
    assert "Its id begins with C" in second.output
    assert "of the workspace" in second.output
    assert token not in second.output
    assert parse(around.config).tenants["cascade-broadband"].channels.support == "C_SUPPORT"

    third = await ispbot("setup", "-c", around.config, "--no-browser")
    assert "✓ Bot token: kept in ISPBOT_CASCADE_BROADBAND_BOT_TOKEN" in third.output
    assert "What waits on others" in third.output, "the list, looked at anew"


async def test_a_file_that_was_there_is_kept_beside_the_new_one(around: Around) -> None:
    around.config.write_text("# mine\n", "utf-8")
    told = await unattended(around, around.answers)
    assert "is kept as app.yaml.before-setup" in told.output
    assert (around.home / "app.yaml.before-setup").read_text("utf-8") == "# mine\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [("- a list", "has to hold answers"), ("a: [", "it is no YAML"), (None, "cannot be read")],
)
async def test_a_file_of_answers_that_is_none_is_told(tmp_path: Path, text: str | None, says: str) -> None:
    file = tmp_path / "answers.yaml"
    if text is not None:
        file.write_text(text, "utf-8")
    told = await ispbot("setup", "-c", tmp_path / "app.yaml", "--answers", file)
    assert (told.exit_code, says in " ".join(told.stderr.split())) == (2, True), told.stderr


async def test_kept_answers_that_are_broken_are_told_and_left(tmp_path: Path) -> None:
    for text in ("{", "[]"):
        (tmp_path / "setup.json").write_text(text, "utf-8")
        told = await ispbot("setup", "-c", tmp_path / "app.yaml")
        assert (told.exit_code, "Move it away" in " ".join(told.stderr.split())) == (2, True)
        assert (tmp_path / "setup.json").read_text("utf-8") == text


async def test_a_server_for_data_a_connection_for_slack_and_a_remote_billing_system(
    around: Around, postgres_url: str, tmp_path: Path
) -> None:
    async with uisp_world(tmp_path / "uisp", small_cast("1001")) as world:
        answers = {
            **around.answers,
            "database_kind": "postgresql",
            "ISPBOT_DATABASE_URL": postgres_url.replace("+asyncpg", ""),
            "slack_mode": "socket",
            "public_url": "http://127.0.0.1:8081",
            "ISPBOT_SLACK_APP_TOKEN": around.app_token,
            "texts": False,
            "billing": "uisp",
            "uisp_url": world.endpoint["api"],
            "ISPBOT_CASCADE_BROADBAND_UISP_KEY": world.endpoint["app_key"],
        }
        wrong = await unattended(around, {**answers, "ISPBOT_CASCADE_BROADBAND_UISP_KEY": "wrong"})
        assert "ISPBOT_CASCADE_BROADBAND_UISP_KEY:" in wrong.stderr
        told = await unattended(around, answers)
    assert (told.exit_code, _failing(told)) == (0, ""), told.output
    assert "UISP of cascade-broadband" in told.output
    assert "Socket Mode" in told.output
    assert "connections" in told.output
    text = around.config.read_text("utf-8")
    assert "database:" not in text
    assert parse(around.config).tenants["cascade-broadband"].billing == "uisp"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://x", "It begins with postgresql://"),
        ("postgresql://isp:hunter2@127.0.0.1:9/isp", "does not answer"),
    ],
)
async def test_a_database_that_does_not_answer_is_told_without_its_password(
    around: Around, url: str, says: str
) -> None:
    told = await unattended(
        around, {**around.answers, "database_kind": "postgresql", "ISPBOT_DATABASE_URL": url}
    )
    assert (told.exit_code, says in " ".join(told.stderr.split())) == (2, True), told.stderr
    assert "hunter2" not in told.output


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (steps.domain, "mail.example.net", "mail"),
        (steps.region, "US", "us"),
        (steps.locale, "es_MX", "zz_ZZ_ZZ"),
        (steps.https, "https://desk.example.net", "http://desk.example.net"),
        (steps.port, "587", "70000"),
        (steps.channel, "C0123", "#support"),
        (steps.people, "U0123, W0456", "dana"),
        (steps.number, "+15415550142", "541 555 0142"),
        (steps.sid, "AC" + "0" * 32, "AC1"),
        (steps.ips, "198.51.100.10, 2001:db8::1", "the relay's"),
        (steps.team, "T0123", "cascade"),
        (steps.addresses, "a@x.example, b@x.example", "a@x.example b"),
    ],
)
def test_what_is_typed_is_checked_before_it_is_tried(check: Problem, good: str, bad: str) -> None:
    assert check(good) == ""
    assert check(bad).endswith(".")


@pytest.mark.parametrize(
    ("brand", "key"),
    [
        ("Cascade Broadband, Inc.", "cascade-broadband-inc"),
        ("4Net", "isp-4net"),
        ("Ünï", "n"),
        ("!!!", "isp"),
    ],
)
def test_a_provider_gets_a_name_that_app_yaml_takes(brand: str, key: str) -> None:
    assert tenant_key(brand) == key
    assert len(tenant_key(brand * 20)) <= 40
