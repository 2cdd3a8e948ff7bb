"""`ispbot check`: every dependency tried over the wire, each failure with what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from bot.bounce_listener import BounceHandler, listen
from bot.checks import Finding, _all, run_checks
from bot.checks.database import clock, enough
from bot.checks.outside import public_url
from bot.config import Config, load_config
from sandbox.dns import DnsPart
from sandbox.world import World
from store.connections import Connections
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


@pytest.fixture(autouse=True)
async def dns(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """The sandbox's, which knows the cast's domains."""
    world = World(tmp_path / "names")
    part = DnsPart(world)
    await part.start()
    _DNS.update(servers=[world.endpoints["dns"]["host"]], port=world.endpoints["dns"]["port"])
    yield _DNS
    await part.stop()
    await world.close()


_DNS: dict[str, Any] = {}


async def _checked(
    office: Office, tmp_path: Path, port: int, *, send_test: str | None = None, **more: Any
) -> dict[str, Finding]:
    config = await _config(office, tmp_path, port, **more)
    return {f.what: f for f in await run_checks(config, send_test=send_test)}


async def _config(
    office: Office, tmp_path: Path, port: int, *, database: str | None = None, **more: Any
) -> Config:
    tenant = {**TENANT, "mail": {**TENANT["mail"]}, "slack": {**TENANT["slack"]}}
    tenant["mail"]["routes"] = {"visp": {"kind": "relay", "host": "127.0.0.1", "port": port}}
    tenant["slack"] |= more.pop("slack", {})
    tenant |= more.pop("tenant", {})
    data = {
        "database": database or office.store.engine.url.replace("+aiosqlite", ""),
        "public_url": more.pop("public_url", "http://127.0.0.1:9"),
        "dns": _DNS,
        "slack": {"api_url": more.pop("api_url", office.slack.endpoints["slack"]["api"])}
        | more.pop("app_slack", {}),
        "tenants": {"cascade": tenant},
    }
    file = tmp_path / "app.yaml"
    file.write_text(yaml.safe_dump(data))
    extra = more.pop("environ", {})
    environ = {**ENV, **extra, "CASCADE_TOKEN": more.pop("token", office.slack.token)}
    assert not more
    return load_config(file, environ)


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
        "scopes of cascade",
        "clock of Slack (cascade)",
        "channel support of cascade",
        "channel oncall of cascade",
        "public address",
        "DNS",
        "mail route cascade/visp",
        "SPF of cascade",
        "bounces of cascade",
        "sending of cascade",
        "bounce listener",
    }
    wrong = {name for name, finding in findings.items() if finding.state != "ok"}
    # The cast's SPF record lacks our include, and nothing serves here.
    assert wrong == {"SPF of cascade", "public address", "bounce listener"}
    assert "include:spf.visp.net" in findings["SPF of cascade"].remedy
    assert "Start the product" in findings["public address"].remedy
    assert findings["bounce listener"].state == "look"


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


async def _texts(tmp_path: Path, **more: Any) -> dict[str, Finding]:
    """What is found of a deployment where nothing but texts answers."""
    tenant = {**TENANT, "sms": SMS | more.pop("sms", {})}
    tenant["mail"] = {**TENANT["mail"], "routes": {"visp": {"kind": "relay", "host": "127.0.0.1", "port": 9}}}
    data = {
        "database": f"sqlite:///{tmp_path}/none.db",
        "public_url": "http://127.0.0.1:9",
        "dns": _DNS,
        "slack": {"api_url": "http://127.0.0.1:9/api/"},
        "tenants": {"cascade": tenant},
    }
    file = tmp_path / "app.yaml"
    file.write_text(yaml.safe_dump(data))
    environ = {**ENV, "CASCADE_TWILIO": more.get("token", "token")}
    return {f.what: f for f in await run_checks(load_config(file, environ))}


async def test_a_twilio_account_that_answers_is_in_order(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    async with phone_world(tmp_path / "world") as phones:
        twilio = phones.twilio
        sms = {"api_url": twilio["api"], "account_sid": twilio["account_sid"]}
        found = await _texts(tmp_path, sms=sms, token=twilio["auth_token"])
        good, sender = found["texts of cascade"], found["sender of cascade"]
        assert (good.ok, good.found) == (True, "account active")
        assert (sender.ok, "Buy the number at Twilio" in sender.remedy) == (False, True)
        own = sms | {"sender": twilio["senders"][0]}
        found = await _texts(tmp_path, sms=own, token=twilio["auth_token"])
        assert found["sender of cascade"].state == "ok"
        wrong = (await _texts(tmp_path, sms=sms, token="of last year"))["texts of cascade"]
    assert (wrong.ok, wrong.found) == (False, "Twilio refused our login")
    assert wrong.remedy == "Check account_sid and the auth token in CASCADE_TWILIO."
    assert "of last year" not in str(wrong)


async def test_twilio_out_of_reach_is_told(tmp_path: Path) -> None:
    texts = (await _texts(tmp_path))["texts of cascade"]
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


class ScriptedSlack:
    """Answers each method as it is told; auth.test tells scopes and a time."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any]] = {"auth.test": {"ok": True, "team_id": "T_CASCADE"}}
        self.headers: dict[str, str] = {}

    async def answer(self, request: web.Request) -> web.Response:
        answer = self.answers.get(request.match_info["method"], {"ok": True, "users": ["U1"]})
        return web.json_response(answer, headers=self.headers)


@pytest.fixture
async def scripted() -> AsyncIterator[tuple[ScriptedSlack, str]]:
    script, app = ScriptedSlack(), web.Application()
    app.router.add_route("*", "/api/{method}", script.answer)
    async with TestServer(app) as server:
        yield script, f"{server.make_url('/api/')}"


async def test_scopes_that_are_missing_are_named_with_what_they_are_for(
    office: Office, tmp_path: Path, smtp_port: int, scripted: tuple[ScriptedSlack, str]
) -> None:
    slack, url = scripted
    slack.headers = {"x-oauth-scopes": "commands, chat:write,channels:history"}
    scopes = (await _checked(office, tmp_path, smtp_port, api_url=url))["scopes of cascade"]
    assert not scopes.ok
    assert "files:write (exports and records of notices" in scopes.found
    assert "chat:write" not in scopes.found
    assert "ispbot manifest" in scopes.remedy
    slack.headers = {}
    untold = (await _checked(office, tmp_path, smtp_port, api_url=url))["scopes of cascade"]
    assert untold.state == "look"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("not_in_channel", "/invite @app in C_SUPPORT"),
        ("channel_not_found", "Set tenants.cascade.channels.support to the channel's id"),
        ("is_archived", "Unarchive the channel"),
        ("missing_scope", "See the scopes"),
        ("fatal_error", "try again"),
    ],
)
async def test_a_channel_that_the_app_cannot_use_is_told_with_what_to_do(
    office: Office, tmp_path: Path, smtp_port: int, scripted: tuple[ScriptedSlack, str], error: str, says: str
) -> None:
    slack, url = scripted
    slack.answers["conversations.history"] = {"ok": False, "error": error}
    channel = (await _checked(office, tmp_path, smtp_port, api_url=url))["channel support of cascade"]
    assert (channel.ok, says in channel.remedy) == (False, True), channel


async def test_user_groups_are_looked_up_and_an_empty_one_is_worth_a_look(
    office: Office, tmp_path: Path, smtp_port: int, scripted: tuple[ScriptedSlack, str]
) -> None:
    slack, url = scripted
    roles = {"roles": {"agent": {"groups": ["S_DESK"]}}}

    async def group() -> Finding:
        found = await _checked(office, tmp_path, smtp_port, api_url=url, tenant=roles)
        return found["group of agents, cascade"]

    assert (await group()).found == "S_DESK: 1 people"
    slack.answers["usergroups.users.list"] = {"ok": True, "users": []}
    assert (await group()).state == "look"
    slack.answers["usergroups.users.list"] = {"ok": False, "error": "no_such_subteam"}
    gone = await group()
    assert (gone.ok, "tenants.cascade.roles.agent.groups" in gone.remedy) == (False, True)
    slack.answers["usergroups.users.list"] = {"ok": False, "error": "missing_scope"}
    assert "usergroups:read" in (await group()).remedy


async def test_socket_mode_is_tried_with_the_app_token(
    office: Office, tmp_path: Path, smtp_port: int, scripted: tuple[ScriptedSlack, str]
) -> None:
    slack, url = scripted
    more: dict[str, Any] = {
        "app_slack": {"mode": "socket"},
        "environ": {"ISPBOT_SLACK_APP_TOKEN": "xapp-1-secret"},
    }
    found = await _checked(office, tmp_path, smtp_port, api_url=url, **more)
    assert found["Socket Mode"].ok
    assert found["public address"].state == "look", "nobody needs it"
    slack.answers["apps.connections.open"] = {"ok": False, "error": "not_allowed_token_type"}
    socket = (await _checked(office, tmp_path, smtp_port, api_url=url, **more))["Socket Mode"]
    assert (socket.ok, "ISPBOT_SLACK_APP_TOKEN" in socket.remedy) == (False, True)
    assert "xapp-1-secret" not in str(socket)


async def test_a_clock_that_is_off_is_told(
    office: Office, tmp_path: Path, smtp_port: int, scripted: tuple[ScriptedSlack, str]
) -> None:
    slack, url = scripted
    slack.headers = {"Date": format_datetime(datetime.now(UTC) - timedelta(minutes=7), usegmt=True)}
    clock = (await _checked(office, tmp_path, smtp_port, api_url=url))["clock of Slack (cascade)"]
    assert not clock.ok
    assert clock.found.startswith("4")
    assert "behind ours" in clock.found
    slack.headers = {"Date": "yesterday"}
    found = await _checked(office, tmp_path, smtp_port, api_url=url)
    assert "clock of Slack (cascade)" not in found


@pytest.mark.parametrize(
    ("status", "text", "says"),
    [(200, '{"ok": true}', ""), (200, "Welcome", "another server answers (200)"), (302, "", "answers (302)")],
)
async def test_the_public_address_has_to_lead_here(
    office: Office, tmp_path: Path, smtp_port: int, status: int, text: str, says: str
) -> None:
    async def health(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_get("/bot/health", health)
    async with TestServer(app) as server:
        url = str(server.make_url("/bot"))
        address = (await _checked(office, tmp_path, smtp_port, public_url=url))["public address"]
    assert (address.ok, says in address.found) == (not says, True), address


async def test_what_slack_cannot_call_is_told_before_it_is_tried(
    office: Office, tmp_path: Path, smtp_port: int
) -> None:
    config = await _config(office, tmp_path, smtp_port, public_url="http://desk.example")
    app = config.app.model_copy(update={"slack": config.app.slack.model_copy(update={"api_url": REAL})})
    async with aiohttp.ClientSession() as session:
        (address,) = await public_url(replace(config, app=app), session)
    assert (address.ok, address.found) == (False, "http://desk.example is not https")


REAL = "https://slack.com/api/"


async def test_a_test_mail_goes_only_where_mail_may_go_and_what_the_server_said_is_told(
    office: Office, tmp_path: Path, smtp_port: int
) -> None:
    async def sent(to: str, **mail: Any) -> Finding:
        own = {"mail": {**TENANT["mail"], **mail, "routes": _route_at(smtp_port)}}
        found = await _checked(office, tmp_path, smtp_port, tenant=own, send_test=to)
        return found["test mail by cascade/visp"]

    held = await sent("someone@inbox.example", send_mode="only_to", only_to=["me@inbox.example"])
    assert "not among those who may get mail now" in held.found
    assert "only_to or test_mailboxes" in held.remedy
    assert "Give one plain" in (await sent("someone at inbox")).remedy
    # Our own bounce listener takes mail for its tokens alone.
    refused = await sent("me@inbox.example", send_mode="only_to", only_to=["me@inbox.example"])
    assert not refused.ok
    assert refused.found == "m•••@inbox.example: 550 5.7.1 Bounces are taken for our own domains only"


def _route_at(port: int) -> dict[str, Any]:
    return {"visp": {"kind": "relay", "host": "127.0.0.1", "port": port}}


async def test_one_that_never_ends_and_one_that_breaks_hide_no_other(
    office: Office, tmp_path: Path, smtp_port: int
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    done: list[tuple[int, int]] = []
    config = await _config(office, tmp_path, port)
    found = await run_checks(config, progress=lambda *step: done.append(step), line_s=1.0)
    server.close()
    by_name = {f.what: f for f in found}
    assert by_name["mail route cascade/visp"].found == "no end within 1 s"
    assert by_name["Slack of cascade"].ok
    assert by_name["SPF of cascade"].found
    assert by_name["bounces of cascade"].ok, "neither does it hide what else is about mail"
    assert done[-1] == (8, 8)

    async def broken() -> list[Finding]:
        raise ZeroDivisionError

    with capture_logs() as logged:
        (finding,) = await _all([("arithmetic", broken())], None, 1.0)
    assert [(line["event"], line["check"]) for line in logged] == [("check_broke_off", "arithmetic")]
    assert (finding.what, finding.ok, finding.found) == ("arithmetic", False, "broke off (ZeroDivisionError)")


@pytest.mark.parametrize("kind", ["application/json", "text/html", "text/plain"])
async def test_something_else_in_the_place_of_slack_is_told(
    office: Office, tmp_path: Path, smtp_port: int, kind: str
) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<html>Log in to the hotel's network</html>", content_type=kind)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page)
    server = TestServer(app)
    await server.start_server()
    found = await _checked(office, tmp_path, smtp_port, api_url=f"{server.make_url('/')}api/")
    await server.close()
    finding = found["Slack of cascade"]
    assert (finding.ok, finding.found) == (False, "what answers there is not Slack")
    assert "slack.api_url" in finding.remedy


async def test_databases_whose_clock_is_off_are_told() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert clock("clock", now + timedelta(seconds=5), now).ok
    ahead = clock("clock", now + timedelta(seconds=90), now)
    assert (ahead.ok, ahead.found) == (False, "90 s ahead of ours")
    assert "NTP" in ahead.remedy


def test_too_few_connections_are_worth_a_look() -> None:
    assert enough(Connections(100, 79)).state == "ok"
    few = enough(Connections(100, 80))
    assert (few.state, few.found) == ("look", "20 of 100 are free")
    assert "by 21 for each process" in few.remedy
    assert enough(Connections(100, 101)).found == "0 of 100 are free"


@pytest.mark.parametrize(
    ("domain", "state", "says"),
    [
        ("nullmx.example", "fails", "Publish an MX record at nullmx.example"),
        ("gone.example", "fails", "the domain does not exist"),
        ("inbox.example", "ok", "go to mx.inbox.example"),
    ],
)
async def test_bounces_need_somebody_who_takes_them(
    office: Office, tmp_path: Path, smtp_port: int, domain: str, state: str, says: str
) -> None:
    own = {"mail": {**TENANT["mail"], "envelope_domain": domain, "routes": _route_at(smtp_port)}}
    found = (await _checked(office, tmp_path, smtp_port, tenant=own))["bounces of cascade"]
    assert found.state == state
    assert says in found.found + found.remedy
