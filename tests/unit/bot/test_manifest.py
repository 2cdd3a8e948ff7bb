"""The manifest holds what the product really uses: methods, events and commands are read from the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import bot
from bot import cli
from bot.config import AppConfig
from bot.manifest import EVENTS, METHODS, ManifestProblem, events, manifest, scopes
from bot.shortcuts import SHORTCUTS
from bot.wiring import discover_commands
from tests.unit.bot.test_config import TENANT

HOME = Path(bot.__path__[0])
SOURCES = {str(file.relative_to(HOME)): file.read_text() for file in HOME.rglob("*.py")}
FAMILIES = "apps|auth|chat|conversations|files|reactions|team|usergroups|users|views"


def app(**slack: Any) -> AppConfig:
    tenant = {**TENANT, "roles": slack.pop("roles", TENANT["roles"])}
    data = {"public_url": "https://desk.example.net/", "slack": slack, "tenants": {"cascade": tenant}}
    return AppConfig.model_validate(data)


def made(**slack: Any) -> dict[str, Any]:
    commands, _ = discover_commands()
    return manifest(app(**slack), [command.spec for command in commands.values()])


def test_every_method_that_the_product_calls_has_its_scope_in_the_manifest() -> None:
    called = {
        f"{family}.{re.sub(r'_(.)', lambda m: m[1].upper(), rest)}"
        for source in SOURCES.values()
        for family, rest in re.findall(rf"\.({FAMILIES})_([A-Za-z_]+)\(", source)
    } | {
        name for source in SOURCES.values() for name in re.findall(r'_asked\(client, "([A-Za-z.]+)"', source)
    }
    spelled = {
        "usergroups.usersList": "usergroups.users.list",
        "apps.connectionsOpen": "",
        "apps.connections.open": "",
    }
    called = {spelled.get(name, name) for name in called} - {""}  # opening a socket takes an app-level token
    assert called
    assert called == set(METHODS), "each method that is called has its scope, and no other one is asked for"
    granted = set(made(roles={"agent": {"groups": ["S1"]}})["oauth_config"]["scopes"]["bot"])
    assert {scope for scope in METHODS.values() if scope} <= granted
    assert {scope for scope in EVENTS.values() if scope} <= granted


def test_every_event_that_the_product_listens_to_is_subscribed() -> None:
    source = SOURCES["slack.py"]
    for word, event in (
        ('"app_mention"', "app_mention"),
        ('"app_home_opened"', "app_home_opened"),
        ('"im"', "message.im"),
        ("thread_ts", "message.channels"),
        ("thread_ts", "message.groups"),
        ('"subteam_"', "subteam_members_changed"),
    ):
        assert word in source
        assert event in EVENTS
    assert len(EVENTS) == 6


def test_groups_are_asked_about_only_where_roles_are_given_by_group() -> None:
    assert "usergroups:read" not in scopes(app())
    assert "subteam_members_changed" not in events(app())
    by_group = app(roles={"lead": {"groups": ["S1"]}})
    assert "usergroups:read" in scopes(by_group)
    assert "subteam_members_changed" in events(by_group)


def test_over_http_everything_has_the_same_address_and_over_a_socket_none() -> None:
    by_http = made()
    url = "https://desk.example.net/slack/events"
    (command,) = by_http["features"]["slash_commands"]
    assert command["url"] == url
    assert by_http["settings"]["interactivity"]["request_url"] == url
    assert by_http["settings"]["event_subscriptions"]["request_url"] == url
    by_socket = made(mode="socket")
    assert by_socket["settings"]["socket_mode_enabled"]
    assert "url" not in json.dumps(by_socket)


def test_the_manifest_keeps_slacks_limits_and_names_every_shortcut() -> None:
    found = made()
    assert len(found["display_information"]["name"]) <= 35
    assert len(found["display_information"]["description"]) <= 140
    shortcuts = found["features"]["shortcuts"]
    assert len(shortcuts) <= 10
    assert {s["callback_id"] for s in shortcuts} == {s.callback for s in SHORTCUTS}
    assert all(len(s["name"]) <= 24 and len(s["description"]) <= 150 for s in shortcuts)
    commands, _ = discover_commands()
    assert {s.command for s in SHORTCUTS} <= set(commands)


def test_a_name_that_slack_would_refuse_is_told() -> None:
    with pytest.raises(ManifestProblem, match="35 characters"):
        manifest(app(), [], "The very long name of a very long desk")


def test_the_command_prints_yaml_with_reasons_or_json_without_any_secret_set(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    data = {"public_url": "https://desk.example.net", "tenants": {"cascade": TENANT}}
    file.write_text(yaml.safe_dump(data))
    run = CliRunner().invoke
    told = run(cli.app, ["manifest", "--config", str(file)])
    assert told.exit_code == 0, told.output
    assert "# files:write: exports" in told.output
    assert yaml.safe_load(told.output)["features"]["slash_commands"][0]["command"] == "/isp"
    as_json = run(cli.app, ["manifest", "--config", str(file), "--json", "--socket-mode"])
    assert json.loads(as_json.output)["settings"]["socket_mode_enabled"]
    missing = run(cli.app, ["manifest", "--config", str(tmp_path / "none.yaml")])
    assert missing.exit_code == 2
    too_long = run(cli.app, ["manifest", "--config", str(file), "--name", "x" * 36])
    assert too_long.exit_code == 2
