"""`ispbot check`: what this deployment depends on, tried one by one, with a remedy for what fails."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

import aiohttp
from slack_sdk.errors import SlackApiError

from billing.uisp.client import NoAccess, UispClient, UispError
from bot.config import Config, TenantConfig
from bot.wiring import open_resolver, remote_of, routes_of, slack_clients, sms_profile_of
from notifier.channels import NoAnswer, Route, SmsRoute
from notifier.channels.email_smtp import server_of
from notifier.channels.sms_twilio import CHANNEL as TWILIO
from notifier.mailauth import Resolver, check_dkim_record
from notifier.mailauth.dkim_sign import DkimSigner
from notifier.smtp import LoginRefused, SmtpLost, SmtpRefused, open_connection
from store import migrate
from store.engine import Engine, is_sqlite, sqlite_file

# Corruption at a WAL reset between connections: fixed in 3.51.3, back-ported to 3.50.7 and 3.44.6.
_WAL_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    ok: bool
    found: str
    remedy: str = ""


async def run_checks(config: Config) -> list[Finding]:
    findings = [Finding("configuration", True, f"{config.path}: {len(config.app.tenants)} provider(s)")]
    findings += await _database(config)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        findings += await _slack(config, session)
    resolver = open_resolver(config)
    for key, tenant in config.app.tenants.items():
        for route in routes_of(config, key, tenant):
            findings.append(await _route(key, route))
            if route.dkim is not None:
                findings.append(await _signature(f"{key}/{route.name}", route.dkim, resolver))
        if tenant.uisp is not None:
            findings.append(await _uisp(config, key, tenant))
        sms = sms_profile_of(config, key, tenant)
        if sms is not None:
            findings.append(await _texts(key, sms.route, config))
    await resolver.aclose()
    return findings


async def _database(config: Config) -> list[Finding]:
    if is_sqlite(config.database_url) and not sqlite_file(config.database_url).exists():
        empty = Finding("schema", False, "at nothing", "Run: ispbot migrate")
        return [Finding("database", True, "no file yet"), empty]
    try:
        engine = Engine(config.database_url)
        try:
            async with engine.read():
                pass
            revision = await migrate.current(config.database_url)
        finally:
            await engine.close()
    except Exception as error:  # noqa: BLE001  # whatever the driver says, it is a finding
        found = f"no answer ({type(error).__name__})"
        return [Finding("database", False, found, "Check the URL, and that the server runs.")]
    findings = [Finding("database", True, "answers")]
    up_to_date = revision == migrate.head()
    findings.append(
        Finding(
            "schema", up_to_date, f"at {revision or 'nothing'}", "" if up_to_date else "Run: ispbot migrate"
        )
    )
    if is_sqlite(config.database_url):
        findings.append(_sqlite_version())
    return findings


def _sqlite_version() -> Finding:
    version = sqlite3.sqlite_version_info
    fixed = any(version[:2] == f[:2] and version >= f for f in _WAL_FIXED) or version >= _WAL_FIXED[0]
    note = "" if fixed else " (has the WAL reset race; we checkpoint from one connection, which avoids it)"
    return Finding("SQLite", True, sqlite3.sqlite_version + note)


async def _slack(config: Config, session: aiohttp.ClientSession) -> list[Finding]:
    findings = []
    clients = slack_clients(config, session)
    for key, tenant in config.app.tenants.items():
        what = f"Slack of {key}"
        try:
            answer = await clients[tenant.id].auth_test()
        except SlackApiError as error:
            code = str(error.response.get("error"))
            remedy = f"Put the bot token into {tenant.slack.bot_token_env}."
            findings.append(Finding(what, False, f"refused the token ({code})", remedy))
            continue
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            remedy = "Check slack.api_url and the way out to it."
            findings.append(Finding(what, False, f"no answer ({type(error).__name__})", remedy))
            continue
        team = str(answer.get("team_id"))
        right = team == tenant.slack.team_id
        remedy = "" if right else f"Set tenants.{key}.slack.team_id to {team}, or use that team's token."
        findings.append(Finding(what, right, f"team {team}", remedy))
    return findings


async def _route(key: str, route: Route) -> Finding:
    """Connects, greets, secures and logs in; sends nothing."""
    what = f"mail route {key}/{route.name}"
    try:
        connection = await open_connection(replace(server_of(route, route.host), step_s=10.0))
    except LoginRefused:
        return Finding(what, False, "refused our login", f"Check username and password of {route.name}.")
    except (SmtpLost, SmtpRefused) as error:
        remedy = f"Check host, port and tls of {route.name}."
        return Finding(what, False, f"{route.host}:{route.port}: {error}", remedy)
    await connection.quit(10.0)
    return Finding(what, True, f"{route.host}:{route.port} answers")


async def _signature(name: str, signer: DkimSigner, resolver: Resolver) -> Finding:
    record = await check_dkim_record(signer.domain, signer.selector, signer.public, resolver)
    remedy = "" if record.right else "Run: ispbot dkim (it prints the record to publish)"
    return Finding(f"DKIM of {name}", record.right, record.sentence, remedy)


async def _uisp(config: Config, key: str, tenant: TenantConfig) -> Finding:
    """Asks for its version and for one client; changes nothing."""
    what, remote = f"UISP of {key}", remote_of(config, key, tenant)
    client = UispClient(remote.url, remote.app_key, timeout_s=remote.timeout_s)
    env = tenant.uisp.app_key_env if tenant.uisp else ""
    try:
        version = await client.get("version")
        await client.get("clients", [("limit", "1")])
    except NoAccess as error:
        return Finding(what, False, error.sentence, f"Put an app key of UISP that may write into {env}.")
    except UispError as error:
        return Finding(what, False, error.sentence, f"Check tenants.{key}.uisp.url and the way out to it.")
    finally:
        await client.close()
    named = version.get("version") if isinstance(version, dict) else None
    return Finding(what, True, f"answers, version {named}")


async def _texts(key: str, route: SmsRoute, config: Config) -> Finding:
    """Asks for the account, with the token that signs our calls; sends nothing."""
    what = f"texts of {key}"
    inquiry = TWILIO.inquiry(route)
    try:
        answer = await inquiry.account()
    finally:
        await inquiry.close()
    if isinstance(answer, NoAnswer):
        sms = config.app.tenants[key].sms
        token = f"the auth token in {sms.auth_token_env}" if sms else "the auth token"
        refused = "20003" in answer.text or "20404" in answer.text
        remedy = f"Check account_sid and {token}." if refused else "Check sms.api_url and the way out to it."
        return Finding(
            what, False, "Twilio refused our login" if refused else "Twilio does not answer", remedy
        )
    found = f"account {answer}, sender {route.sender}"
    if answer != "active":
        return Finding(what, False, found, "Ask Twilio why the account is not active.")
    if config.app.public_url.startswith("http://") and route.api_url.startswith("https://"):
        return Finding(what, False, found, "Set public_url to an https:// address: Twilio calls us there.")
    return Finding(what, True, found)
