"""`ispbot check`: every dependency tried over the wire, each failure with what to do about it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.bounce_listener import BounceHandler, listen
from bot.checks import Finding, run_checks
from bot.config import load_config
from tests.uisp_world import small_cast, uisp_world
from tests.unit.bot.support import Office
from tests.unit.bot.test_config import ENV, TENANT
from tests.unit.sandbox.phone_world import phone_world


@pytest.fixture
async def smtp_port(office: Office) -> Any:
    """An SMTP server that greets: our own listener will do."""
    domains = {"mail.cascade.example": 1}
    handler = BounceHandler(store=office.store, inbox=office.inbox, runner=office.runner, domains=domains)
    server = await listen(handler, "127.0.0.1", 0, "mail.cascade.example")
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def _checked(
    office: Office, tmp_path: Path, port: int, *, database: str | None = None, **more: Any
) -> dict[str, Finding]:
    tenant = {**TENANT, "mail": {**TENANT["mail"]}, "slack": {**TENANT["slack"]}}
    tenant["mail"]["routes"] = {"visp": {"kind": "relay", "host": "127.0.0.1", "port": port}}
    tenant["slack"] |= more.pop("slack", {})
    tenant |= more.pop("tenant", {})
    data = {
        "database": database or office.store.engine.url.replace("+aiosqlite", ""),
        "public_url": "http://127.0.0.1",
        "slack": {"api_url": more.pop("api_url", office.slack.endpoints["slack"]["api"])},
        "tenants": {"cascade": tenant},
    }
    file = tmp_path / "app.yaml"
    file.write_text(yaml.safe_dump(data))
    extra = more.pop("environ", {})
    environ = {**ENV, **extra, "CASCADE_TOKEN": more.pop("token", office.slack.token)}
    return {f.what: f for f in await run_checks(load_config(file, environ))}


async def test_everything_in_order_is_told_to_be_in_order(
    office: Office, tmp_path: Path, smtp_port: int
) -> None:
    findings = await _checked(office, tmp_path, smtp_port)
    assert set(findings) == {
        "configuration",
        "database",
        "schema",
        "SQLite",
        "Slack of cascade",
        "mail route cascade/visp",
    }
    assert all(f.ok and not f.remedy for f in findings.values()), findings


async def test_a_wrong_token_is_told_with_the_variable_to_set(
    office: Office, tmp_path: Path, smtp_port: int
) -> None:
    slack = (await _checked(office, tmp_path, smtp_port, token="xoxb-wrong"))["Slack of cascade"]
    assert not slack.ok
    assert "invalid_auth" in slack.found
    assert "CASCADE_TOKEN" in slack.remedy
    assert "xoxb-wrong" not in str(slack)


async def test_a_token_of_another_team_is_told(office: Office, tmp_path: Path, smtp_port: int) -> None:
    slack = (await _checked(office, tmp_path, smtp_port, slack={"team_id": "T_ELSEWHERE"}))[
        "Slack of cascade"
    ]
    assert not slack.ok
    assert "Set tenants.cascade.slack.team_id to T_CASCADE" in slack.remedy


async def test_slack_out_of_reach_is_told(office: Office, tmp_path: Path, smtp_port: int) -> None:
    findings = await _checked(office, tmp_path, smtp_port, api_url="http://127.0.0.1:9/api/")
    assert not findings["Slack of cascade"].ok
    assert "api_url" in findings["Slack of cascade"].remedy
    assert findings["mail route cascade/visp"].ok


async def test_a_relay_that_does_not_answer_is_told_with_its_host_and_port(
    office: Office, tmp_path: Path
) -> None:
    route = (await _checked(office, tmp_path, 9))["mail route cascade/visp"]
    assert not route.ok
    assert "127.0.0.1:9" in route.found
    assert "host, port and tls of visp" in route.remedy


async def test_a_relay_that_greets_with_a_refusal_is_told(office: Office, tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 5.3.2 go away\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    route = (await _checked(office, tmp_path, server.sockets[0].getsockname()[1]))["mail route cascade/visp"]
    assert not route.ok
    server.close()
    await server.wait_closed()


async def test_a_database_without_schema_is_told_how_to_get_one(
    office: Office, tmp_path: Path, smtp_port: int
) -> None:
    findings = await _checked(office, tmp_path, smtp_port, database=f"sqlite:///{tmp_path}/empty.db")
    assert findings["database"].ok
    assert not findings["schema"].ok
    assert findings["schema"].remedy == "Run: ispbot migrate"


async def test_a_database_out_of_reach_is_told_without_its_password(
    office: Office, tmp_path: Path, smtp_port: int
) -> None:
    url = "postgresql://isp:hunter2@127.0.0.1:9/isp"
    database = (await _checked(office, tmp_path, smtp_port, database=url))["database"]
    assert not database.ok
    assert "hunter2" not in str(database)


SMS = {
    "account_sid": "AC" + "0" * 32,
    "auth_token_env": "CASCADE_TWILIO",
    "sender": "+12065550100",
    "api_url": "http://127.0.0.1:9",
}


async def _texts(tmp_path: Path, **more: Any) -> Finding:
    """What is found about texts, of a deployment where nothing else answers."""
    tenant = {**TENANT, "sms": SMS | more.pop("sms", {})}
    tenant["mail"] = {**TENANT["mail"], "routes": {"visp": {"kind": "relay", "host": "127.0.0.1", "port": 9}}}
    data = {
        "database": f"sqlite:///{tmp_path}/none.db",
        "public_url": "http://127.0.0.1",
        "slack": {"api_url": "http://127.0.0.1:9/api/"},
        "tenants": {"cascade": tenant},
    }
    file = tmp_path / "app.yaml"
    file.write_text(yaml.safe_dump(data))
    environ = {**ENV, "CASCADE_TWILIO": more.get("token", "token")}
    found = {f.what: f for f in await run_checks(load_config(file, environ))}
    return found["texts of cascade"]


async def test_a_twilio_account_that_answers_is_in_order(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    async with phone_world(tmp_path / "world") as phones:
        twilio = phones.twilio
        sms = {"api_url": twilio["api"], "account_sid": twilio["account_sid"]}
        good = await _texts(tmp_path, sms=sms, token=twilio["auth_token"])
        assert (good.ok, good.found) == (True, "account active, sender +12065550100")
        wrong = await _texts(tmp_path, sms=sms, token="of last year")
    assert (wrong.ok, wrong.found) == (False, "Twilio refused our login")
    assert wrong.remedy == "Check account_sid and the auth token in CASCADE_TWILIO."
    assert "of last year" not in str(wrong)


async def test_twilio_out_of_reach_is_told(tmp_path: Path) -> None:
    texts = await _texts(tmp_path)
    assert (texts.ok, texts.found) == (False, "Twilio does not answer")
    assert "sms.api_url" in texts.remedy


async def test_uisp_is_asked_with_the_key_and_what_is_wrong_is_told_with_what_to_set(
    office: Office, tmp_path: Path, smtp_port: int
) -> None:
    async with uisp_world(tmp_path / "uisp", small_cast("1001")) as world:

        async def checked(key: str, url: str = "") -> Finding:
            uisp = {"url": url or world.endpoint["api"], "app_key_env": "UISP_KEY"}
            own = {"billing": "uisp", "uisp": uisp}
            found = await _checked(office, tmp_path, smtp_port, tenant=own, environ={"UISP_KEY": key})
            return found["UISP of cascade"]

        good = await checked(world.endpoint["app_key"])
        wrong = await checked("wrong")
        away = await checked("any", "http://127.0.0.1:1/crm/api/v1.0")
    assert (good.ok, good.found) == (True, "answers, version 4.4.30")
    assert not wrong.ok
    assert "UISP_KEY" in wrong.remedy
    assert (away.found, away.ok) == ("UISP cannot be reached.", False)
    assert "tenants.cascade.uisp.url" in away.remedy
