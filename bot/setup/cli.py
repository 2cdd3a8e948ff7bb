"""`ispbot setup`: asks, tries each answer, writes app.yaml, and lists what waits on others."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console
from rich.markup import escape

from bot.checks import Finding, run_checks
from bot.checks.cli import table
from bot.config import load_config
from bot.manifest_cli import written as manifest_of
from bot.setup import steps
from bot.setup.answers import SECRETS, STATE, Answers, SetupProblem, write_private
from bot.setup.asking import Asking
from bot.setup.keeping import put
from bot.setup.waits import waits
from bot.setup.written import app_yaml
from store import migrate

_PLACEHOLDERS: Final = {
    "key": "provider",
    "brand": "Provider",
    "support_email": "help@example.net",
    "time_zone": "UTC",
    "region": "US",
    "locale": "en_US",
    "slack_mode": "socket",
    "public_url": "http://127.0.0.1",
    "team_id": "T0000000000",
    "support_channel": "C0000000001",
    "oncall_channel": "C0000000002",
    "envelope_domain": "mail.example.net",
    "from_address": "billing@example.net",
    "from_name": "Billing",
    "relay_host": "smtp.example.net",
    "relay_port": "587",
    "relay_tls": "starttls",
    "only_to": "me@example.net",
    "billing": "local",
}
"""The manifest is made before these are known, and has none of them."""


def given_in(path: Path | None) -> dict[str, Any]:
    """Answers of a YAML file: name -> answer, secrets by the variable that holds them."""
    if path is None:
        return {}
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SetupProblem(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no YAML'}."
        ) from None
    if not isinstance(found, dict):
        raise SetupProblem(f"{path} has to hold answers, such as `brand: Cascade Broadband`.")
    return {str(name): value for name, value in found.items()}


def set_up(path: Path, given: Mapping[str, Any] | None, out: Console, *, browser: bool, again: bool) -> bool:
    """Whether everything is in order. SetupProblem where it cannot go on. `given`: nobody is asked."""
    home = path.resolve().parent
    home.mkdir(parents=True, exist_ok=True)
    unattended = given is not None
    found = dict(given or {}) | {
        name: value for name, value in os.environ.items() if name.startswith("ISPBOT_")
    }
    ask = Asking(Answers(home, found), out, unattended=unattended, again=again)
    if ask.answers.kept and not again:
        out.print(f"Going on with the answers of {STATE}. To change them: ispbot setup --again")
    steps.provider(ask)
    steps.database(ask)
    steps.slack(ask, out, manifest=lambda: _manifest(ask), browser=browser)
    steps.mail(ask)
    steps.texts(ask)
    steps.billing(ask)
    for name in ("dns_servers", "dns_port"):
        if name in ask.answers.given:
            ask.answers.keep(name, ask.answers.given[name])
    if ask.troubles:
        raise SetupProblem("\n".join(["These answers are needed, or do not hold:", *ask.troubles]))
    _write(path, ask, out)
    findings = asyncio.run(_try(path, ask, out))
    out.print(table(findings))
    _tell(path, ask, findings, out)
    return all(finding.ok for finding in findings)


def _manifest(ask: Asking) -> str:
    """Of what is known so far. What app.yaml wants besides is made up: nothing of that is in a manifest."""
    known = {**_PLACEHOLDERS, **ask.answers.kept}
    file = ask.answers.home / ".manifest.yaml"
    write_private(file, app_yaml(known, database="sqlite:///none"))
    try:
        return manifest_of(file, name="", socket_mode=known["slack_mode"] == "socket", as_json=False)
    finally:
        file.unlink()


def _write(path: Path, ask: Asking, out: Console) -> None:
    """Keys that are given are kept: what others signed with them has to hold on this machine too."""
    answers = ask.answers
    if "ISPBOT_KEYS" not in answers.secrets:
        answers.keep_secret(
            "ISPBOT_KEYS", answers.given.get("ISPBOT_KEYS") or f"1:{secrets.token_urlsafe(32)}"
        )
    server = answers["database_kind"] == "postgresql"
    if not server:
        answers.forget_secret("ISPBOT_DATABASE_URL")  # of an earlier answer: it would go before app.yaml
    put(path, app_yaml(answers.kept, database="" if server else answers["database"]), ask, out)


async def _try(path: Path, ask: Asking, out: Console) -> list[Finding]:
    config = load_config(path, {**os.environ, **ask.answers.secrets})
    if await migrate.current(config.database_url) != migrate.head():
        out.print("Making the database's tables.")
        await migrate.upgrade(config.database_url)
    with out.status("trying everything"):
        return await run_checks(config)


def _tell(path: Path, ask: Asking, findings: list[Finding], out: Console) -> None:
    out.print("\nWhat waits on others:", style="bold")
    for who, what in waits(ask.answers.kept, findings):
        out.print(f"  {escape(who)}")
        out.print(f"    {escape(what)}", highlight=False, soft_wrap=True)  # whole, to be copied from here
    failing = [finding.what for finding in findings if not finding.ok]
    if failing:
        out.print(f"Mend what fails ({escape(', '.join(failing))}); `ispbot setup` again looks anew.")
    files = f"-c {path} --environment {path.resolve().parent / SECRETS}"
    out.print("\nNext:", style="bold")
    for command, why in (
        ("ispbot import subscribers FILE.csv", "data in (or ispbot sync, with UISP)"),
        ("ispbot run", f"starts it; until you go live only {ask.answers['only_to']} gets anything"),
        ("ispbot check --send-test ADDRESS", "a test mail by each route"),
        ("ispbot golive", "when all is in order: mail to everybody"),
    ):
        out.print(f"  {command} {files}", highlight=False, soft_wrap=True)
        out.print(f"    {escape(why)}", style="dim")


__all__ = ["given_in", "set_up"]
