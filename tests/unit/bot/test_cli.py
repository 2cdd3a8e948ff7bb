"""`ispbot` as it is typed: what it prints, and what it exits with."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner, Result

from billing.csv_kinds import ImportKind
from billing.csv_rows import COLUMNS
from bot.cli import app
from sandbox.dns import DnsPart
from sandbox.world import World
from store import migrate
from store.engine import Engine
from store.models import Subscriber
from store.unit import Store
from tests.unit.bot.deployment import ENVIRON, tenant, write
from tests.unit.sandbox.bolt_app import slack_world
from tests.unit.sandbox.mail_world import MailWorld

HEAD = migrate.head()
PERSON = {
    "account": "1042",
    "kind": "residential",
    "status": "active",
    "name": "Maria Santos",
    "email_billing": "maria@inbox.example",
    "balance": "49.90",
    "currency": "USD",
    "invoice_notices": "yes",
}


def ispbot(*words: object, environ: Mapping[str, str] = ENVIRON) -> Result:
    """One command, wide enough that no table breaks its lines."""
    clean: dict[str, str | None] = {name: None for name in os.environ if name.startswith("ISPBOT_")}
    runner = CliRunner(env={**clean, **environ, "COLUMNS": "240"})
    return runner.invoke(app, [str(word) for word in words])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A deployment on SQLite, migrated."""
    path = write(tmp_path)
    assert ispbot("migrate", "-c", path).exit_code == 0
    return path


def subscribers(home: Path, *rows: Mapping[str, str]) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS[ImportKind.SUBSCRIBERS], restval="")
    writer.writeheader()
    writer.writerows(rows)
    path = home / "subscribers.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def mirrored(config: Path, *accounts: str, tenant_id: int = 1) -> dict[str, Subscriber]:
    """What the mirror has of these accounts."""

    async def look() -> dict[str, Subscriber]:
        store = Store(Engine(f"sqlite:///{config.parent}/ispbot.db"))
        try:
            async with store.read(tenant_id) as tx:
                return await tx.subscribers.by_accounts(accounts)
        finally:
            await store.close()

    return asyncio.run(look())


@pytest.mark.parametrize("half", ["bot", "worker"])
def test_one_half_refuses_sqlite_and_says_what_to_do(config: Path, half: str) -> None:
    result = ispbot(half, "-c", config)
    assert result.exit_code == 2
    assert f"`ispbot {half}` runs one half beside others" in result.stderr
    assert "`ispbot run`" in result.stderr
    assert "postgresql://" in result.stderr


def test_a_demo_in_halves_needs_postgresql(tmp_path: Path) -> None:
    result = ispbot("demo", "--halves", "--state", tmp_path / "demo")
    assert result.exit_code == 2
    assert "--database postgresql://" in result.stderr
    assert not (tmp_path / "demo").exists()


def _in_a_process(config: Path) -> subprocess.CompletedProcess[str]:
    """`ispbot run`, which makes the process's logs and signals its own."""
    command = [sys.executable, "-m", "bot.cli", "run", "-c", str(config)]
    environ = {**os.environ, **ENVIRON}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=20, check=False)


def test_a_second_process_on_the_same_sqlite_file_is_refused(config: Path) -> None:
    first = Engine(f"sqlite:///{config.parent}/ispbot.db")
    first.lock_process()
    try:
        result = _in_a_process(config)
        imported = ispbot("import", "subscribers", subscribers(config.parent, PERSON), "-c", config)
        migrated = ispbot("migrate", "-c", config, "--to", "base")
    finally:
        asyncio.run(first.close())
    assert (result.returncode, imported.exit_code, migrated.exit_code) == (1, 1, 1)
    for said in (result.stderr, imported.stderr, migrated.stderr):
        assert "Another ispbot process is using this SQLite database" in " ".join(said.split())
    assert mirrored(config, "1042") == {}, "nothing was written, and the tables are there still"


def test_a_port_in_use_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = write(tmp_path, bounces={"port": taken.getsockname()[1]})
        assert ispbot("migrate", "-c", config).exit_code == 0
        result = _in_a_process(config)
    assert result.returncode == 1
    assert "Could not start" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["run", "bot", "worker", "migrate", "check"])
def test_a_broken_app_yaml_lists_every_error_with_its_path(tmp_path: Path, command: str) -> None:
    broken = tenant(colour="blue", send_mode="only_to")
    broken["time_zone"] = "Mars/Olympus"
    broken["brand"]["support_email"] = "help at cascade"
    del broken["channels"]["oncall"]
    broken["mail"]["routes"]["relay"]["port"] = 99999
    config = write(tmp_path, tenants={"cascade": broken}, http={"port": "eighty"})
    result = ispbot(command, "-c", config)
    assert result.exit_code == 2
    for line in (
        "http.port: ",
        "tenants.cascade.time_zone: 'Mars/Olympus' is no IANA time zone",
        "tenants.cascade.brand.support_email: write one plain e-mail address",
        "tenants.cascade.channels.oncall: is missing",
        "tenants.cascade.mail.routes.relay.port: ",
        "tenants.cascade.mail.colour: is not a setting that exists",
    ):
        assert line in result.stderr
    assert "Traceback" not in result.output


def test_every_missing_secret_is_named_at_once_by_its_variable(tmp_path: Path) -> None:
    result = ispbot("run", "-c", write(tmp_path), environ={"ISPBOT_KEYS": "1:short"})
    assert result.exit_code == 2
    for name in ("ISPBOT_SLACK_SIGNING_SECRET", "ISPBOT_CASCADE_BOT_TOKEN", "key 1 is too short"):
        assert name in result.stderr
    assert "1:short" not in result.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: No such file"),
        ("", "is empty"),
        ("tenants: [", "is not YAML"),
        ("public_url: a\npublic_url: b\n", "stands there twice"),
    ],
    ids=["missing", "empty", "not YAML", "key twice"],
)
def test_a_file_that_is_no_app_yaml_is_said_to_be_none(
    tmp_path: Path, text: str | None, sentence: str
) -> None:
    path = tmp_path / "app.yaml"
    if text is not None:
        path.write_text(text)
    result = ispbot("check", "-c", path)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_secrets_may_come_from_a_file_of_exports(tmp_path: Path) -> None:
    file = tmp_path / "environment"
    lines = [f"export {name}='{value}'" for name, value in ENVIRON.items()]
    file.write_text("# secrets\n" + "\n".join(lines) + "\n")
    config = write(tmp_path)
    assert ispbot("migrate", "-c", config, environ={}).exit_code == 2
    assert ispbot("migrate", "-c", config, "--environment", file, environ={}).exit_code == 0
    missing = ispbot("migrate", "-c", config, "--environment", tmp_path / "none", environ={})
    assert missing.exit_code == 2
    assert "cannot be read" in missing.stderr


def test_migrate_goes_up_stays_and_goes_down_again(tmp_path: Path) -> None:
    config = write(tmp_path)
    steps = [ispbot("migrate", "-c", config, *to) for to in ([], [], ["--to", "base"], [])]
    assert [step.exit_code for step in steps] == [0, 0, 0, 0]
    assert [step.stdout.strip() for step in steps] == [
        f"nothing -> {HEAD}",
        f"{HEAD} -> {HEAD}",
        f"{HEAD} -> base",
        f"nothing -> {HEAD}",
    ]


def test_an_import_takes_rows_in_and_a_second_one_changes_nothing_twice(config: Path) -> None:
    file = subscribers(config.parent, PERSON, {**PERSON, "account": "1043", "name": "Leo Park"})
    for _ in range(2):
        result = ispbot("import", "subscribers", file, "-c", config, "--no-dns")
        assert result.exit_code == 0
        assert "2 rows read, 2 subscribers taken in, 0 with errors" in result.stdout
    assert sorted(mirrored(config, "1042", "1043")) == ["1042", "1043"]


FIELDS = (
    {"email_billing": "maria@inbox.example, maria@hotmial.com,"},
    {"email_billing": "leo@gmial.com; leo santos@inbox.example; leo@gmail,com"},
    {
        "email_billing": "billing@inbox.example; noreply@nullmx.example",
        "email_service": "maria@inbox.example",
    },
    {"email_billing": "paul@gone.example", "email_service": "none"},
)


def counted(result: Result) -> dict[str, tuple[str, str]]:
    """what was found -> (how many addresses, for example)"""
    rows = [[cell.strip() for cell in line.split("│")] for line in result.stdout.splitlines()]
    return {row[2]: (row[1], row[3]) for row in rows if len(row) == 5}


def fields_on_file(home: Path) -> Path:
    return subscribers(home, *({**PERSON, "account": f"{1042 + n}", **row} for n, row in enumerate(FIELDS)))


async def test_an_import_tells_what_was_found_about_addresses_by_line_and_domain(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "world")
    part = DnsPart(world)
    await part.start()
    try:
        dns = {"servers": [world.endpoints["dns"]["host"]], "port": world.endpoints["dns"]["port"]}
        config = write(tmp_path, dns=dns)
        await asyncio.to_thread(ispbot, "migrate", "-c", config)
        command = ("import", "subscribers", fields_on_file(tmp_path), "-c", config)
        result = await asyncio.to_thread(ispbot, *command)
    finally:
        await part.stop()
        await world.close()
    assert result.exit_code == 0, "an address worth a look is no error of its row"
    assert "10 e-mail addresses at 5 domains" in result.stdout
    assert counted(result) == {
        "not an address": ("3", "line 3, line 5"),
        "probably mistyped": ("2", "line 3 gmial.com for gmail.com, line 2 hotmial.com for hotmail.com"),
        "domain does not exist": ("1", "line 5 gone.example"),
        "domain takes no mail": ("1", "line 4 nullmx.example"),
        "a no-reply mailbox": ("1", "line 4 nullmx.example"),
        "a mailbox of a role": ("1", "line 4 inbox.example"),
        "used by several accounts": ("1", "line 4 inbox.example"),
        "repaired": ("1", "line 2 hotmial.com"),
    }
    assert "Of those that are no address, 1 have a plain slip" in result.stdout
    for secret in ("maria@", "leo", "paul"):
        assert secret not in result.output, "a mailbox is nobody's business here"


def test_without_dns_an_import_tells_what_the_names_themselves_tell(config: Path) -> None:
    command = ("import", "subscribers", fields_on_file(config.parent), "-c", config, "--no-dns", "--dry-run")
    found = counted(ispbot(*command))
    assert found["probably mistyped"][0] == "2"
    assert "domain does not exist" not in found
    assert "DNS gave no answer" not in found


def test_a_dry_run_checks_and_changes_nothing(config: Path) -> None:
    result = ispbot(
        "import", "subscribers", subscribers(config.parent, PERSON), "-c", config, "--dry-run", "--no-dns"
    )
    assert result.exit_code == 0
    assert "1 rows read" in result.stdout
    assert "0 with errors" in result.stdout
    assert mirrored(config, "1042") == {}


def test_a_dry_run_says_how_many_would_be_taken_in(config: Path) -> None:
    result = ispbot(
        "import", "subscribers", subscribers(config.parent, PERSON), "-c", config, "--dry-run", "--no-dns"
    )
    assert "1 subscribers would be taken in" in result.stdout


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_wrong_row_is_named_by_line_and_column_and_the_others_are_taken(
    config: Path, dry_run: bool
) -> None:
    wrong = {**PERSON, "account": "1043", "balance": "forty"}
    other = {**PERSON, "account": "1044", "kind": "castle"}
    file = subscribers(config.parent, PERSON, wrong, other)
    result = ispbot(
        "import", "subscribers", file, "-c", config, "--no-dns", *(["--dry-run"] if dry_run else [])
    )
    assert result.exit_code == 1
    assert "3 rows read" in result.stdout
    assert "2 with errors" in result.stdout
    rows = [[cell.strip() for cell in line.split("│")] for line in result.stdout.splitlines()]
    assert [row[1:3] for row in rows if len(row) > 3] == [["3", "balance"], ["4", "kind"]]
    assert "forty" not in result.output, "a value may be personal"
    assert list(mirrored(config, "1042", "1043", "1044")) == ([] if dry_run else ["1042"])


def test_a_file_with_another_header_is_refused_as_a_whole(config: Path) -> None:
    file = config.parent / "other.csv"
    file.write_text("account,colour\n1042,blue\n")
    result = ispbot("import", "subscribers", file, "-c", config)
    assert result.exit_code == 1
    assert "Missing columns" in result.stderr
    assert "Unknown columns: colour" in result.stderr


def test_a_file_that_is_not_there_is_said_to_be_missing(config: Path) -> None:
    result = ispbot("import", "subscribers", config.parent / "none.csv", "-c", config)
    assert result.exit_code == 1
    assert "none.csv cannot be read" in result.stderr


def test_with_several_providers_an_import_has_to_name_one(tmp_path: Path) -> None:
    config = write(tmp_path, tenants={"cascade": tenant(), "rio": tenant("rio", 2)})
    assert ispbot("migrate", "-c", config).exit_code == 0
    command = ("import", "subscribers", subscribers(tmp_path, PERSON), "-c", config)
    unnamed, unknown = ispbot(*command), ispbot(*command, "--tenant", "cascada")
    assert (unnamed.exit_code, unknown.exit_code) == (2, 2)
    assert "--tenant cascade or rio" in unnamed.stderr
    assert "There is no provider cascada. There is: cascade, rio" in unknown.stderr
    assert ispbot(*command, "--tenant", "rio").exit_code == 0
    assert list(mirrored(config, "1042", tenant_id=2)) == ["1042"]
    assert mirrored(config, "1042") == {}


def test_check_lists_what_fails_with_a_remedy_each(config: Path) -> None:
    assert ispbot("migrate", "-c", config, "--to", "base").exit_code == 0
    result = ispbot("check", "-c", config)
    assert result.exit_code == 1
    rows = {line.split("│")[2].strip(): line for line in result.stdout.splitlines() if "│" in line}
    assert "ok" in rows["configuration"]
    assert "ok" in rows["database"]
    assert "Run: ispbot migrate" in rows["schema"]
    assert "Check slack.api_url" in rows["Slack of cascade"]
    assert "Check host, port and tls of relay." in rows["mail route cascade/relay"]
    for what in ("schema", "Slack of cascade", "mail route cascade/relay"):
        assert "fails" in rows[what]


def test_a_monitor_is_told_what_is_wrong_with_the_configuration(config: Path) -> None:
    config.write_text(config.read_text("utf-8") + "nonsense: 1\n", "utf-8")
    told = ispbot("check", "--json", "-c", config)
    (finding,) = json.loads(told.stdout)
    assert (told.exit_code, finding["what"], finding["state"]) == (2, "configuration", "fails")
    assert finding["found"] == "nonsense: is not a setting that exists"
    assert str(config) in finding["remedy"]


async def test_check_is_content_when_everything_answers(tmp_path: Path) -> None:
    async def health(_: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    (tmp_path / "mail").mkdir()
    served = web.Application()
    served.router.add_get("/health", health)
    async with AsyncExitStack() as stack:
        world = World(tmp_path / "names")
        stack.push_async_callback(world.close)
        names = DnsPart(world)
        await names.start()
        stack.push_async_callback(names.stop)
        mail = MailWorld(tmp_path / "mail")
        await mail.start()
        stack.push_async_callback(mail.stop)
        slack = await stack.enter_async_context(slack_world(tmp_path / "slack"))
        server = await stack.enter_async_context(TestServer(served))
        route = {"kind": "relay", "host": "127.0.0.1", "port": mail.port("visp")}
        mails: dict[str, Any] = {
            "routes": {"relay": route | {"egress_ips": ["203.0.113.25"]}},
            "required_include": "",
        }
        config = write(
            tmp_path,
            public_url=f"http://127.0.0.1:{server.port}",
            dns={"servers": [world.endpoints["dns"]["host"]], "port": world.endpoints["dns"]["port"]},
            tenants={"cascade": tenant(**mails)},
            slack={"api_url": slack.endpoints["slack"]["api"]},
        )
        environ = ENVIRON | {"ISPBOT_CASCADE_BOT_TOKEN": slack.token}
        await asyncio.to_thread(ispbot, "migrate", "-c", config)
        result = await asyncio.to_thread(ispbot, "check", "-c", config, environ=environ)
        told = await asyncio.to_thread(ispbot, "check", "--json", "-c", config, environ=environ)
    assert result.exit_code == 0, result.output
    assert "fails" not in result.stdout
    assert "are in order" in result.stdout
    assert slack.token not in result.output
    assert {one["state"] for one in json.loads(told.stdout)} == {"ok", "look"}
