"""`ispbot demo`: the sandbox and the product as two processes on loopback, the cast imported, a page to try.

The sandbox owns the product's process, so that it can be killed and started from the page; this process
prepares both and waits. Nothing needs an account or the network.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import yaml

START_S = 30.0
PAST_S = 30.0
TENANT = "cascade"
MIGRATIONS = Path(__file__).parent.parent / "store" / "migrations" / "versions"


class DemoFailed(Exception):
    """The demo could not start; the message says why."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    port: int
    state: Path
    fresh: bool
    database: str | None
    halves: bool = False
    """Bot and worker as two processes (PostgreSQL)."""
    socket_mode: bool = False
    """The product opens the connection to Slack."""
    billing: str = "local"
    """The system of record: our own, filled from files, or uisp as the sandbox plays it."""


async def run_demo(options: DemoOptions, say: Callable[[str], None]) -> None:
    """Until Ctrl-C or SIGTERM, or until the sandbox ends."""
    state = options.state.absolute()
    if options.fresh and state.exists():
        if not (state / "endpoints.json").exists() and any(state.iterdir()):
            raise DemoFailed(f"{options.state} is not a demo's directory, so it was not emptied.")
        shutil.rmtree(state)
    state.mkdir(parents=True, exist_ok=True)
    environ = _environment(state, options.database)
    sandbox = await _start_sandbox(options, state, environ)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)
    try:
        endpoints = await _endpoints(state, sandbox, options.port)
        environ |= _wire_secrets(endpoints)
        _write_config(state, endpoints, options)
        _write_environment(state, environ)
        async with aiohttp.ClientSession() as session:
            await _bring_up(session, state, environ, endpoints, options)
        say(f"ready {endpoints['http']}")
        ended = asyncio.create_task(sandbox.wait())
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        ended.cancel()
    finally:
        if sandbox.returncode is None:
            sandbox.terminate()
            await sandbox.wait()


def _environment(state: Path, database: str | None) -> dict[str, str]:
    """Secrets of this demo, made once and kept in its directory; nothing of the caller's Slack or proxy."""
    keys = state / "keys"
    if not keys.exists():
        keys.touch(mode=0o600)
        keys.write_text(f"1:{secrets.token_urlsafe(32)}")
    drop = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SLACK_", "TWILIO_", "ISPBOT_")
    environ = {k: v for k, v in os.environ.items() if not k.upper().startswith(drop)}
    environ["ISPBOT_KEYS"] = keys.read_text()
    if database:
        environ["ISPBOT_DATABASE_URL"] = database
    return environ


def _wire_secrets(endpoints: Mapping[str, Any]) -> dict[str, str]:
    slack = endpoints["slack"]
    return {
        "ISPBOT_CASCADE_TWILIO_TOKEN": endpoints["twilio"]["auth_token"],
        "ISPBOT_SLACK_SIGNING_SECRET": slack["signing_secret"],
        "ISPBOT_CASCADE_BOT_TOKEN": slack["bot_token"],
        "ISPBOT_SLACK_APP_TOKEN": slack["app_token"],
        "ISPBOT_CASCADE_UISP_KEY": endpoints["billing"]["app_key"],
        "ISPBOT_CASCADE_UISP_WEBHOOK": endpoints["billing"]["webhook_secret"],
    }


def _write_environment(state: Path, environ: Mapping[str, str]) -> None:
    """For `ispbot` commands beside the running demo: `. .demo/environment`."""
    file = state / "environment"
    file.touch(mode=0o600)
    file.write_text("".join(f"export {k}='{v}'\n" for k, v in environ.items() if k.startswith("ISPBOT_")))


async def _start_sandbox(
    options: DemoOptions, state: Path, environ: Mapping[str, str]
) -> asyncio.subprocess.Process:
    config = str(state / "app.yaml")
    base = [sys.executable, "-m", "bot.cli"]
    roles = ["bot", "worker"] if options.halves else ["run"]
    products = [
        [*base, role, "--config", config, "--environment", str(state / "environment")] for role in roles
    ]
    command = [sys.executable, "-m", "sandbox", "--port", str(options.port), "--state", str(state)]
    if options.socket_mode:
        command.append("--socket-mode")
    for product in products:
        command += ["--product", json.dumps(product)]
    log = (state / "sandbox.log").open("a")
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, env=dict(environ), cwd=Path(__file__).parent.parent
        )
    finally:
        log.close()


async def _endpoints(state: Path, sandbox: asyncio.subprocess.Process, port: int) -> dict[str, Any]:
    """What the sandbox listens on, once it does."""
    async with aiohttp.ClientSession() as session:
        for _ in range(int(START_S / 0.1)):
            if sandbox.returncode is not None:
                raise DemoFailed(
                    f"The sandbox could not start (is port {port} free?). See {state}/sandbox.log."
                )
            try:
                async with session.get(f"http://127.0.0.1:{port}/sandbox/state") as answer:
                    if answer.status == 200:
                        found: dict[str, Any] = json.loads((state / "endpoints.json").read_text())
                        return found
            except (aiohttp.ClientError, FileNotFoundError):
                pass
            await asyncio.sleep(0.1)
    raise DemoFailed(f"The sandbox did not answer within {START_S:.0f} s. See {state}/sandbox.log.")


def _write_config(state: Path, endpoints: Mapping[str, Any], options: DemoOptions) -> None:
    relays = {
        relay["name"]: {
            "kind": "relay",
            "host": relay["host"],
            "port": relay["port"],
            "egress_ips": [relay["ip"]],
            "connections": 4,
        }
        for relay in endpoints["relays"]
    }
    config: dict[str, Any] = {
        "public_url": f"http://127.0.0.1:{endpoints['product']['http_port']}",
        "http": {"port": endpoints["product"]["http_port"]},
        "bounces": {"port": endpoints["product"]["bounce_port"]},
        "slack": {
            "api_url": endpoints["slack"]["api"],
            "mode": "socket" if options.socket_mode else "http",
        },
        "dns": {"servers": [endpoints["dns"]["host"]], "port": endpoints["dns"]["port"]},
        "worker": {"lease_s": 5, "poll_s": 0.2},
        "clock_file": endpoints["clock_file"],
        "tenants": {
            TENANT: {
                "id": 1,
                "brand": {
                    "name": "Cascade Broadband",
                    "support_email": "help@cascade.example",
                    "support_phone": "541-555-0100",
                },
                "time_zone": "America/Los_Angeles",
                "slack": {
                    "team_id": endpoints["slack"]["team_id"],
                    "bot_token_env": "ISPBOT_CASCADE_BOT_TOKEN",
                },
                "channels": {"support": "C_SUPPORT", "oncall": "C_ONCALL"},
                "roles": {
                    "viewer": {"users": ["U_VIEWER"]},
                    "agent": {"users": ["U_AGENT"]},
                    "lead": {"users": ["U_LEAD"]},
                    "admin": {"users": ["U_ADMIN"]},
                },
                "mail": {
                    "envelope_domain": "mail.cascade.example",
                    "from": {"address": "billing@cascade.example", "name": "Cascade Broadband Billing"},
                    "routes": relays,
                    "default_route": "visp",
                    "remote_route": "remote",
                    "send_mode": "live",
                    "test_mailboxes": ["me@inbox.example", "probe@strict.example"],
                },
                "sms": {
                    "account_sid": endpoints["twilio"]["account_sid"],
                    "auth_token_env": "ISPBOT_CASCADE_TWILIO_TOKEN",
                    "sender": endpoints["twilio"]["senders"][0],
                    "api_url": endpoints["twilio"]["api"],
                    "segment_price": "0.0079",
                    "fallback": True,
                },
                "oncall": {"numbers": ["+17755550123"], "text_after_minutes": 10},
                "escalation": {
                    "address": "success@visp.example",
                    "ticket_url": "https://support.visp.example/tickets/new",
                },
                "runs": {"approve_above": 300, "stop_at_percent": 5},
                "portal_url": "https://my.cascade.example/pay",
            }
        },
    }
    if options.billing == "uisp":
        config["tenants"][TENANT] |= {
            "billing": "uisp",
            "uisp": {
                "url": endpoints["billing"]["api"],
                "app_key_env": "ISPBOT_CASCADE_UISP_KEY",
                "webhook_secret_env": "ISPBOT_CASCADE_UISP_WEBHOOK",
            },
        }
    if not options.database:
        config["database"] = f"sqlite:///{state / 'ispbot.db'}"
    (state / "app.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


async def _bring_up(
    session: aiohttp.ClientSession,
    state: Path,
    environ: Mapping[str, str],
    endpoints: Mapping[str, Any],
    options: DemoOptions,
) -> None:
    """The product runs at the end; what a start before has prepared is not looked at again."""
    prepared, stamp = state / "prepared", _stamp(options)
    before = prepared.read_text() if prepared.exists() else ""
    if before == stamp:
        await _start_product(session, endpoints)
        return
    # It brings the whole product along: imported only where it is needed.
    setup = await asyncio.to_thread(import_module, "bot.demo_setup")
    setup.write_commands(state)
    same_database = before.partition(" ")[2] == stamp.partition(" ")[2]
    await setup.prepare(state, environ, Path(endpoints["cast"]), keep=same_database)
    prepared.write_text(stamp)
    await _start_product(session, endpoints)
    await setup.past_is_settled(session, endpoints["http"], state, environ, limit_s=PAST_S)


def _stamp(options: DemoOptions) -> str:
    """What was prepared: the newest schema revision and, by its hash, which database, filled from where."""
    newest = max(file.name for file in MIGRATIONS.glob("0*.py"))
    source = "" if options.billing == "local" else options.billing
    of = f"{options.database or 'sqlite'}{source}"
    return f"{newest} {hashlib.sha256(of.encode()).hexdigest()[:16]}"


async def _start_product(session: aiohttp.ClientSession, endpoints: Mapping[str, Any]) -> None:
    async with session.post(f"{endpoints['http']}/sandbox/product", json={"signal": "START"}) as answer:
        if answer.status != 200:
            raise DemoFailed(f"The product did not start: {await answer.text()}")
    ready = f"http://127.0.0.1:{endpoints['product']['http_port']}/ready"
    for _ in range(int(START_S / 0.05)):
        try:
            async with session.get(ready) as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)
    raise DemoFailed("The product did not answer in time. See product-0.log in the demo's directory.")
